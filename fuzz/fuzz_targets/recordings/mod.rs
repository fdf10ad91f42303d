//! What every target of recordings checks.

use std::io::Read;

use replay::format::{Damage, Event, Format, Part, Reader};

/// Gives its bytes one to five at a time.
struct Drops<'b>(&'b [u8]);

impl Read for Drops<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = (1 + self.0.len() % 5).min(buffer.len()).min(self.0.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

/// Reads to the end: in no more steps than there are bytes, with times that never fall.
#[allow(dead_code, reason = "each target uses some of it")]
pub fn read_all(reader: Result<Reader<'_>, Damage>, bytes: usize) -> (Vec<Event>, Option<Damage>) {
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(damage) => return (Vec::new(), Some(damage)),
    };
    let mut events: Vec<Event> = Vec::new();
    // Packed bytes are more when unpacked, a thousandfold at most.
    for _ in 0..=bytes * 1100 + 1 {
        match reader.next() {
            Ok(Some(event)) => {
                assert!(events.last().is_none_or(|last| last.at_us <= event.at_us));
                events.push(event);
            }
            Ok(None) => return (events, None),
            Err(damage) => {
                assert_eq!(reader.next().err().as_ref(), Some(&damage));
                return (events, Some(damage));
            }
        }
    }
    panic!("more events than bytes");
}

/// The parts as they are and in drops: the same.
#[allow(dead_code, reason = "each target uses some of it")]
pub fn check(format: Format, parts: &[(&str, &[u8])]) {
    let bytes = parts.iter().map(|(_, bytes)| bytes.len()).sum();
    let at_once = parts.iter().map(|(name, bytes)| Part::new(*name, *bytes)).collect();
    let in_drops = parts.iter().map(|(name, bytes)| Part::new(*name, Drops(bytes))).collect();
    assert_eq!(read_all(Reader::open(format, at_once), bytes), read_all(Reader::open(format, in_drops), bytes));
}

/// Cuts the input into parts at a byte that is rare in recordings.
#[allow(dead_code, reason = "each target uses some of it")]
pub fn parts<'b, const COUNT: usize>(bytes: &'b [u8], names: [&'static str; COUNT]) -> Vec<(&'static str, &'b [u8])> {
    names.into_iter().zip(bytes.splitn(COUNT, |byte| *byte == 0xfe)).collect()
}
