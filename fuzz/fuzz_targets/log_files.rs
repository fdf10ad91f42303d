//! Damaged log folders: one file of a small sound log is overwritten, cut or extended; opening and verifying never panic, and
//! verification never says "verified" of a log whose entries could not all be recomputed.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use log::fsck::{self, Request};
use log::store::Store;
use log::store::memory::MemoryStore;
use log::{InstanceSeed, LogId, Logs, ManualClock, NewEntry, Options, SeededEntropy};

type Folder = BTreeMap<String, Vec<u8>>;

const HOST: &str = "audit.example.org";

/// A log of a few groups, some of them sealed into a segment: its folder and its signer's.
static SOUND: LazyLock<(Folder, Folder)> = LazyLock::new(|| {
    let (store, signer) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
    let (dyn_store, dyn_signer): (Arc<dyn Store>, Arc<dyn Store>) = (store.clone(), signer.clone());
    Logs::create_folder(&dyn_store, &dyn_signer, HOST).expect("an empty folder");
    let logs = open(&store, &signer).expect("a new log opens");
    let id: LogId = "aaaaaaaaaaaaaaaaaaaaaaaaaa".parse().expect("an id");
    logs.create(id).expect("made");
    for group in 0..6u8 {
        let entries = (0..40u8).map(|n| NewEntry::event([0; 16], vec![group ^ n; 60])).collect();
        logs.append_blocking(id, entries).expect("appended");
    }
    logs.shutdown();
    (store.contents(), signer.contents())
});

fn open(store: &Arc<MemoryStore>, signer: &Arc<MemoryStore>) -> Result<Logs, log::Error> {
    let options = Options { commit_file_bytes: 8 << 10, ..Options::default() };
    let clock = Arc::new(ManualClock::new(1_790_000_000_000_000));
    let entropy = Arc::new(SeededEntropy::new(1));
    Logs::open(store.clone(), signer.clone(), InstanceSeed::new([7; 32]), HOST, options, clock, entropy)
}

fn folder(contents: &Folder) -> Arc<MemoryStore> {
    let store = MemoryStore::new();
    for (path, bytes) in contents {
        if let Some((dir, _)) = path.rsplit_once('/') {
            store.create_dir(dir).expect("in memory");
        }
        let file = store.create(path).expect("in memory");
        file.write_all_at(bytes, 0).expect("in memory");
    }
    Arc::new(store)
}

fuzz_target!(|input: (u8, u8, u16, Vec<u8>)| {
    let (which, how, at, bytes) = input;
    let (mut contents, signer) = SOUND.clone();
    let path = contents.keys().nth(usize::from(which) % contents.len()).expect("some file").clone();
    let file = contents.get_mut(&path).expect("it is there");
    let before = file.clone();
    match how % 3 {
        0 => {
            let at = usize::from(at) % (file.len() + 1);
            let end = (at + bytes.len()).min(file.len());
            file[at..end].copy_from_slice(&bytes[..end - at]);
        }
        1 => file.truncate(usize::from(at) % (file.len() + 1)),
        _ => file.extend_from_slice(&bytes),
    }
    let changed = *file != before;
    let (store, signer) = (folder(&contents), folder(&signer));
    let dyn_store: Arc<dyn Store> = store.clone();
    let dyn_signer: Arc<dyn Store> = signer.clone();
    let report = fsck::verify_folder(&dyn_store, Some(&dyn_signer), &Request::default(), &|_| {});
    // The index of ids is a projection: damage to it taints nothing.
    if changed && (path.ends_with(".bodies") || path.ends_with(".leaves")) {
        assert_ne!(report.verdict(), fsck::Verdict::Verified, "{path} was changed");
    }
    if let Ok(logs) = open(&store, &signer) {
        for id in logs.ids() {
            let _ = logs.head(&id).map(|head| logs.read(&id, 0..head.size, 1 << 20));
        }
        logs.shutdown();
    }
});
