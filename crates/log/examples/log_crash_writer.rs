//! Helper of `tests/crash.rs`: appends to a folder from several threads and prints what was acknowledged, until killed.
//!
//! Arguments: folder, round. Prints `ready`, then a line `LOG EVENT INDEX` per acknowledged event.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use log::store::Store;
use log::store::embedded::FolderStore;
use log::{InstanceSeed, LogId, Logs, NewEntry, Options, SystemClock, SystemEntropy};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let root = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let round: u64 = arguments.next().ok_or("which round?")?.parse()?;
    let store: Arc<dyn Store> = Arc::new(FolderStore::new(root.join("log")));
    let signer: Arc<dyn Store> = Arc::new(FolderStore::new(root.join("signer")));
    let options = Options { commit_file_bytes: 200_000, ..Options::default() };
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let logs = Logs::open(store, signer, InstanceSeed::new([7; 32]), "audit.example.org", options, clock, entropy)?;
    println!("ready");
    std::thread::scope(|scope| {
        for writer in 0..4_u64 {
            let logs = logs.clone();
            scope.spawn(move || {
                let id = LogId([writer as u8 % 3; 16]);
                for batch in 0.. {
                    let first = (round * 4 + writer) * 1_000_000 + batch * 7;
                    let entry = |number: u64| {
                        let mut event_id = [1; 16];
                        event_id[..8].copy_from_slice(&number.to_be_bytes());
                        NewEntry::event(
                            event_id,
                            format!("event {number} {}", "x".repeat(number as usize % 300)).into_bytes(),
                        )
                    };
                    let places = logs.append_blocking(id, (first..first + 7).map(entry).collect());
                    let places = places.expect("the disk works until we are killed");
                    let mut lines = String::new();
                    for (number, place) in (first..).zip(places) {
                        lines += &format!("{id} {number} {}\n", place.index);
                    }
                    // One write, so that a kill leaves whole lines and at most one cut one.
                    std::io::stdout().lock().write_all(lines.as_bytes()).expect("the test reads");
                }
            });
        }
    });
    Ok(())
}
