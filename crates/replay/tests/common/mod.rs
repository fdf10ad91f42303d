//! What the tests of recordings share.
#![allow(dead_code, reason = "each test uses some of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

use replay::format::{Damage, Event, Format, Header, Part, Reader};

/// Real recordings beside the checkout, or beside the work tree.
pub fn sessions() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/sessions");
    assert!(path.is_dir(), "real recordings are expected in {}", path.display());
    path
}

/// A file's bytes, unpacked if its name ends in `bz2`.
pub fn read(path: &Path) -> Vec<u8> {
    if path.extension().is_some_and(|extension| extension == "bz2") {
        let output = Command::new("bzip2").arg("-dc").arg(path).output().expect("bzip2 runs");
        assert!(output.status.success(), "bzip2 unpacks {}", path.display());
        return output.stdout;
    }
    std::fs::read(path).expect("the recording can be read")
}

/// All that a reader gives.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub header: Option<Header>,
    pub events: Vec<Event>,
    pub notices: Vec<Damage>,
    pub damage: Option<Damage>,
}

impl Outcome {
    pub fn reason(&self) -> &'static str {
        self.damage.as_ref().map_or("whole", |damage| damage.reason.name())
    }

    pub fn notices(&self) -> Vec<String> {
        self.notices.iter().map(|notice| format!("{} {}", notice.part, notice.reason)).collect()
    }
}

/// Reads everything, and checks what holds for every recording: times never fall, the end stays the end.
pub fn read_all(reader: Result<Reader<'_>, Damage>) -> Outcome {
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(damage) => return Outcome { header: None, events: Vec::new(), notices: Vec::new(), damage: Some(damage) },
    };
    let mut events: Vec<Event> = Vec::new();
    let damage = loop {
        match reader.next() {
            Ok(Some(event)) => {
                assert!(events.last().is_none_or(|last| last.at_us <= event.at_us), "time fell before {event:?}");
                events.push(event);
            }
            Ok(None) => break None,
            Err(damage) => break Some(damage),
        }
    };
    assert_eq!(reader.next().err(), damage, "the end is not the end");
    let (header, notices) = (Some(reader.header().clone()), reader.notices().to_vec());
    Outcome { header, events, notices, damage }
}

/// Reads parts given as names and bytes.
pub fn read_parts(format: Format, parts: &[(&str, &[u8])]) -> Outcome {
    let parts = parts.iter().map(|(name, bytes)| Part::new(*name, *bytes)).collect();
    read_all(Reader::open(format, parts))
}
