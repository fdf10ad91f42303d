//! How far the index reaches into each log: the payload of a commit.
//!
//! ```text
//! "CFWM" 02 | control log id, 16 bytes | entries of the log of ordinal 0, u64 big-endian | of ordinal 1 | …
//! ```

use log::LogId;

/// The last byte is raised with any change to what a document holds (`document.rs`): the index is then made anew.
const MAGIC: &[u8; 5] = b"CFWM\x02";

/// Entries of each log, by the ordinal of its organisation; 0 for ordinals never set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watermarks(Vec<u64>);

impl Watermarks {
    /// Reads a payload; none at all is a new index.
    ///
    /// # Errors
    /// It is not ours, or was made from another data folder.
    pub fn read(payload: Option<&[u8]>, control_log: LogId) -> Result<Watermarks, String> {
        let Some(payload) = payload else { return Ok(Watermarks::default()) };
        let rest = payload.strip_prefix(MAGIC).ok_or("its watermarks are of another version")?;
        let rest = rest.strip_prefix(&control_log.0).ok_or("it was made from another data folder")?;
        let (entries, []) = rest.as_chunks::<8>() else { return Err("its watermarks are cut short".into()) };
        Ok(Watermarks(entries.iter().map(|entry| u64::from_be_bytes(*entry)).collect()))
    }

    /// The payload.
    pub fn write(&self, control_log: LogId) -> Vec<u8> {
        let mut payload = MAGIC.to_vec();
        payload.extend_from_slice(&control_log.0);
        self.0.iter().for_each(|entries| payload.extend_from_slice(&entries.to_be_bytes()));
        payload
    }

    pub fn get(&self, ordinal: u32) -> u64 {
        self.0.get(ordinal as usize).copied().unwrap_or(0)
    }

    pub fn set(&mut self, ordinal: u32, entries: u64) {
        let at = ordinal as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] = entries;
    }

    pub fn sum(&self) -> u64 {
        self.0.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watermarks_read_back_and_foreign_ones_do_not() {
        let mut marks = Watermarks::default();
        marks.set(2, 7);
        marks.set(0, u64::MAX);
        let payload = marks.write(LogId([1; 16]));
        assert_eq!(Watermarks::read(Some(&payload), LogId([1; 16])), Ok(marks.clone()));
        assert_eq!((marks.get(0), marks.get(1), marks.get(2), marks.get(9)), (u64::MAX, 0, 7, 0));
        assert!(Watermarks::read(Some(&payload), LogId([2; 16])).is_err());
        assert!(Watermarks::read(Some(&payload[..payload.len() - 1]), LogId([1; 16])).is_err());
        assert!(Watermarks::read(Some(b""), LogId([1; 16])).is_err());
        assert_eq!(Watermarks::read(None, LogId([1; 16])), Ok(Watermarks::default()));
    }
}
