//! As much DER (ITU-T X.690) as a time-stamp request and reply need: definite lengths, one-byte tags.

/// Tags used here.
pub const INTEGER: u8 = 0x02;
pub const BOOLEAN: u8 = 0x01;
pub const OCTET_STRING: u8 = 0x04;
pub const NULL: u8 = 0x05;
pub const OBJECT_ID: u8 = 0x06;
pub const GENERALIZED_TIME: u8 = 0x18;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;
/// `[0] EXPLICIT`.
pub const EXPLICIT_0: u8 = 0xa0;

/// One element: tag, length, content.
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match content.len() {
        length @ 0..0x80 => bytes.push(length as u8),
        length => {
            let length = length.to_be_bytes();
            let significant = &length[length.iter().position(|b| *b != 0).unwrap_or(length.len())..];
            bytes.push(0x80 | significant.len() as u8);
            bytes.extend_from_slice(significant);
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

/// A sequence of elements.
pub fn sequence(elements: &[Vec<u8>]) -> Vec<u8> {
    element(SEQUENCE, &elements.concat())
}

/// An integer that is not negative.
pub fn unsigned(number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let significant = &bytes[bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len() - 1)..];
    let content = if significant[0] >= 0x80 { [&[0], significant].concat() } else { significant.to_vec() };
    element(INTEGER, &content)
}

/// Elements one after the other.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads what these bytes hold.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    /// The next element and its tag; none at the end, or if what follows is no element.
    pub fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, mut rest) = rest.split_first()?;
        let length = match *first {
            short if short < 0x80 => usize::from(short),
            // 0x80 would be the indefinite form of BER.
            long if (0x81..=0x84).contains(&long) => {
                let (bytes, after) = rest.split_at_checked(usize::from(long - 0x80))?;
                rest = after;
                bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some((*tag, content))
    }

    /// The content of the next element, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_all_lengths_read_back() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; length];
            let bytes = [element(OCTET_STRING, &content), element(NULL, &[])].concat();
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.expect(OCTET_STRING), Some(&content[..]));
            assert_eq!(reader.next(), Some((NULL, &[][..])));
            assert!(reader.is_empty() && reader.next().is_none());
        }
    }

    #[test]
    fn integers_are_as_short_as_they_can_be_and_never_negative() {
        for (number, bytes) in [
            (0, &[2, 1, 0][..]),
            (127, &[2, 1, 127]),
            (128, &[2, 2, 0, 128]),
            (256, &[2, 2, 1, 0]),
            (u64::MAX, &[2, 9, 0, 255, 255, 255, 255, 255, 255, 255, 255]),
        ] {
            assert_eq!(unsigned(number), bytes);
        }
    }

    #[test]
    fn what_is_cut_off_or_of_no_definite_length_is_no_element() {
        for bytes in [&[4][..], &[4, 1], &[4, 0x80, 0, 0], &[4, 0x82, 1], &[4, 0x85, 0, 0, 0, 0, 1, 9], &[4, 0xff]] {
            assert_eq!(Reader::new(bytes).next(), None, "{bytes:?}");
        }
    }
}
