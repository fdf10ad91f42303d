//! Bytes to text, in pieces: characters split between two pieces are joined, bytes that are no UTF-8 become U+FFFD.

/// Remembers the beginning of a character whose other bytes have not come yet.
///
/// What it gives does not depend on where the bytes were split, and equals what `String::from_utf8_lossy` gives for all of
/// them at once, but for a character that never ends: [`Decoder::pending`] still holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decoder {
    held: Vec<u8>,
}

impl Decoder {
    /// Appends the text of `bytes` to `text`.
    pub fn decode(&mut self, bytes: &[u8], text: &mut String) {
        if self.held.is_empty() {
            return self.decode_fresh(bytes, text);
        }
        // At most three bytes are held, so that this copy is made once for a piece that begins inside a character.
        let mut joined = std::mem::take(&mut self.held);
        joined.extend_from_slice(bytes);
        self.decode_fresh(&joined, text);
    }

    fn decode_fresh(&mut self, mut bytes: &[u8], text: &mut String) {
        loop {
            match std::str::from_utf8(bytes) {
                Ok(valid) => return text.push_str(valid),
                Err(error) => {
                    let (valid, rest) = bytes.split_at(error.valid_up_to());
                    text.push_str(std::str::from_utf8(valid).expect("valid up to here"));
                    match error.error_len() {
                        Some(wrong) => {
                            text.push(char::REPLACEMENT_CHARACTER);
                            bytes = &rest[wrong..];
                        }
                        None => return self.held = rest.to_vec(),
                    }
                }
            }
        }
    }

    /// The bytes of a character that has not ended: 0 to 3 of them.
    pub fn pending(&self) -> &[u8] {
        &self.held
    }

    /// The decoder that holds these bytes. `None` unless they are the beginning of a character and nothing else.
    pub fn holding(bytes: &[u8]) -> Option<Decoder> {
        let mut decoder = Decoder::default();
        let mut text = String::new();
        decoder.decode(bytes, &mut text);
        text.is_empty().then_some(decoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_character_split_between_pieces_is_one_character() {
        let mut decoder = Decoder::default();
        let mut text = String::new();
        for byte in "a界é😀".as_bytes() {
            decoder.decode(&[*byte], &mut text);
        }
        assert_eq!(text, "a界é😀");
        assert!(decoder.pending().is_empty());
    }

    #[test]
    fn a_byte_that_is_no_utf8_is_one_replacement() {
        let mut text = String::new();
        Decoder::default().decode(b"a\xffb\xe7\x95c", &mut text);
        assert_eq!(text, "a\u{fffd}b\u{fffd}c");
    }

    #[test]
    fn only_the_beginning_of_a_character_can_be_held() {
        assert!(Decoder::holding(b"\xe7\x95").is_some());
        assert!(Decoder::holding(b"").is_some());
        assert!(Decoder::holding(b"a").is_none());
        assert!(Decoder::holding(b"\xff").is_none());
    }

    proptest! {
        #[test]
        fn where_bytes_are_split_makes_no_difference(bytes in proptest::collection::vec(any::<u8>(), 0..200), cuts in proptest::collection::vec(0usize..200, 0..8)) {
            let mut decoder = Decoder::default();
            let mut text = String::new();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            for pair in cuts.windows(2) {
                decoder.decode(&bytes[pair[0]..pair[1]], &mut text);
            }
            let held = decoder.pending().len();
            prop_assert!(held <= 3);
            let whole = String::from_utf8_lossy(&bytes[..bytes.len() - held]).into_owned();
            prop_assert_eq!(text, whole);
        }
    }
}
