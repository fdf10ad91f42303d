//! A log to test with, over a store in memory or in a temporary folder.
#![allow(dead_code, reason = "each test binary uses some of it")]

pub mod folder;

use std::collections::BTreeMap;
use std::sync::Arc;

use log::store::Store;
use log::store::embedded::FolderStore;
use log::store::memory::{MemoryStore, Survival};
use log::{InstanceSeed, LogId, Logs, ManualClock, NewEntry, Options, Result, SeededEntropy};

pub const HOST: &str = "audit.example.org";
pub const LOG: LogId = LogId([7; 16]);
pub const START_US: u64 = 1_790_000_000_000_000;
pub const SEED: [u8; 32] = [7; 32];

/// An event whose id and body follow from its number.
pub fn event(number: u64) -> NewEntry {
    let mut id = [0xee; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let pad = "abcdefgh".repeat(1 + number as usize % 17);
    NewEntry::event(id, format!("{{\"event\":{number},\"pad\":\"{pad}\"}}").into_bytes())
}

enum Place {
    Memory { store: MemoryStore, signer: MemoryStore },
    Folder(tempfile::TempDir),
}

pub struct Fixture {
    place: Place,
    pub options: Options,
    pub clock: Arc<ManualClock>,
    pub entropy: Arc<SeededEntropy>,
    logs: Option<Logs>,
}

impl Fixture {
    pub fn in_memory(options: Options) -> Fixture {
        Fixture::new(Place::Memory { store: MemoryStore::new(), signer: MemoryStore::new() }, options)
    }

    pub fn in_folder(options: Options) -> Fixture {
        Fixture::new(Place::Folder(tempfile::tempdir().unwrap()), options)
    }

    fn new(place: Place, options: Options) -> Fixture {
        let clock = Arc::new(ManualClock::new(START_US));
        let entropy = Arc::new(SeededEntropy::new(42));
        let mut fixture = Fixture { place, options, clock, entropy, logs: None };
        let (store, signer) = fixture.stores();
        Logs::create_folder(&store, &signer, HOST).unwrap();
        fixture.logs = Some(fixture.open_again().unwrap());
        fixture
    }

    pub fn stores(&self) -> (Arc<dyn Store>, Arc<dyn Store>) {
        match &self.place {
            Place::Memory { store, signer } => (Arc::new(store.clone()), Arc::new(signer.clone())),
            Place::Folder(dir) => {
                let below = |name: &str| -> Arc<dyn Store> { Arc::new(FolderStore::new(dir.path().join(name))) };
                (below("log"), below("signer"))
            }
        }
    }

    /// Opens the folder as another process would.
    pub fn open_again(&self) -> Result<Logs> {
        let (store, signer) = self.stores();
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        Logs::open(store, signer, InstanceSeed::new(SEED), HOST, self.options.clone(), clock, entropy)
    }

    pub fn logs(&self) -> Logs {
        self.logs.clone().expect("the fixture is open")
    }

    pub fn close(&mut self) {
        if let Some(logs) = self.logs.take() {
            logs.shutdown();
        }
    }

    pub fn reopen(&mut self) {
        self.close();
        self.logs = Some(self.open_again().unwrap());
    }

    /// A power cut: the running log goes on in a world of its own and is shut down there.
    pub fn crash(&mut self, survival: Survival) {
        let Place::Memory { store, signer } = &self.place else { panic!("only memory can crash") };
        let crashed = Place::Memory { store: store.crashed(survival), signer: signer.crashed(survival) };
        self.close();
        self.place = crashed;
        self.logs = Some(self.open_again().unwrap());
    }

    pub fn memory(&self) -> (&MemoryStore, &MemoryStore) {
        match &self.place {
            Place::Memory { store, signer } => (store, signer),
            Place::Folder(_) => panic!("the fixture is a folder"),
        }
    }

    pub fn memory_contents(&self) -> BTreeMap<String, Vec<u8>> {
        let (store, signer) = self.memory();
        let signer = signer.contents().into_iter().map(|(path, bytes)| (format!("signer/{path}"), bytes));
        store.contents().into_iter().chain(signer).collect()
    }

    pub fn folder(&self) -> &std::path::Path {
        match &self.place {
            Place::Folder(dir) => dir.path(),
            Place::Memory { .. } => panic!("the fixture is in memory"),
        }
    }
}
