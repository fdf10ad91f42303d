//! Combining marks: a character and the marks on it stand in one cell.
//!
//! avt has one `char` in a cell and would give a mark a cell of its own. So a character with its marks gets a *code*, a
//! character that nobody else may use, and avt moves, wraps, erases and dumps the code as any other. Codes of one column
//! come from plane 16 (private use), codes of two from the unassigned end of plane 3 (wide by default). A real character
//! from there is itself written as a code, so that there is no confusion.

use std::collections::HashMap;

use unicode_width::UnicodeWidthChar;

const NARROW: std::ops::RangeInclusive<u32> = 0x10_0000..=0x10_fffd;
const WIDE: std::ops::RangeInclusive<u32> = 0x3_4000..=0x3_fffd;

/// Most bytes of marks on one character. A further mark stands in a cell of its own: odd to see, but not lost.
pub const MARK_BYTES_MAX: usize = 64;

/// Whether a character must be written with [`Clusters`], and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    /// Belongs into the cell before it.
    Mark,
    /// Has a cell of its own but looks like a code.
    Code,
}

/// `None` for almost every character.
#[inline]
pub(crate) fn special(character: char) -> Option<Special> {
    if character < '\u{300}' {
        None
    } else if is_code(character) {
        Some(Special::Code)
    } else {
        (character.width() == Some(0)).then_some(Special::Mark)
    }
}

#[inline]
pub(crate) fn is_code(character: char) -> bool {
    let character = character as u32;
    character >= *WIDE.start() && (NARROW.contains(&character) || WIDE.contains(&character))
}

/// Which code stands for which characters.
#[derive(Debug, Default)]
pub(crate) struct Clusters {
    by_code: HashMap<char, Box<str>>,
    by_text: HashMap<Box<str>, char>,
    free: [Vec<char>; 2],
    /// How many codes of each width were ever given.
    given: [u32; 2],
}

impl Clusters {
    /// The code of `text`, which is `columns` (1 or 2) wide. `None` if there are no more codes: call [`Clusters::keep`].
    pub(crate) fn code(&mut self, text: &str, columns: u8) -> Option<char> {
        if let Some(&code) = self.by_text.get(text) {
            return Some(code);
        }
        let wide = usize::from(columns == 2);
        let code = self.free[wide].pop().or_else(|| self.next_code(wide))?;
        self.insert(code, text);
        Some(code)
    }

    fn next_code(&mut self, wide: usize) -> Option<char> {
        let range = [NARROW, WIDE][wide].clone();
        // Codes that came with a key frame are in use without having been given.
        loop {
            let number = range.start() + self.given[wide];
            if !range.contains(&number) {
                return None;
            }
            self.given[wide] += 1;
            let code = char::from_u32(number).expect("no surrogates in these planes");
            if !self.by_code.contains_key(&code) {
                return Some(code);
            }
        }
    }

    /// `code` stands for `text` from now on. Returns whether both were free.
    pub(crate) fn insert(&mut self, code: char, text: &str) -> bool {
        let text: Box<str> = text.into();
        self.by_code.insert(code, text.clone()).is_none() && self.by_text.insert(text, code).is_none()
    }

    /// Forgets every code for which `used` is false.
    pub(crate) fn keep(&mut self, used: impl Fn(char) -> bool) {
        let unused: Vec<char> = self.by_code.keys().copied().filter(|&code| !used(code)).collect();
        for code in unused {
            let text = self.by_code.remove(&code).expect("it is a key");
            self.by_text.remove(&text);
            self.free[usize::from(WIDE.contains(&(code as u32)))].push(code);
        }
    }

    /// What a code stands for; `None` if `character` stands for itself.
    #[inline]
    pub(crate) fn text(&self, character: char) -> Option<&str> {
        if is_code(character) { self.by_code.get(&character).map(|text| &**text) } else { None }
    }

    /// Appends what a cell's character stands for.
    #[inline]
    pub(crate) fn push_to(&self, character: char, text: &mut String) {
        if (character as u32) < *WIDE.start() {
            text.push(character);
        } else {
            self.push_rare(character, text);
        }
    }

    #[cold]
    fn push_rare(&self, character: char, text: &mut String) {
        match self.text(character) {
            None => text.push(character),
            Some(cluster) => text.push_str(cluster),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_code.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn avt_sees_codes_as_wide_as_what_they_stand_for() {
        for (range, width) in [(NARROW, 1), (WIDE, 2)] {
            for number in [*range.start(), *range.end()] {
                let code = char::from_u32(number).expect("a character");
                let mut terminal = avt::Terminal::new(4, 1).expect("a size");
                terminal.feed(code);
                assert_eq!(terminal.cursor().col, width, "{number:x}");
            }
        }
    }

    #[test]
    fn marks_and_codes_are_special_and_nothing_else() {
        assert_eq!(special('\u{301}'), Some(Special::Mark));
        assert_eq!(special('\u{200d}'), Some(Special::Mark));
        assert_eq!(special('\u{fe0f}'), Some(Special::Mark));
        assert_eq!(special('\u{100000}'), Some(Special::Code));
        for usual in ['a', 'é', '界', '😀', '│', '\u{e0b0}', '\u{f0001}'] {
            assert_eq!(special(usual), None, "{usual}");
        }
    }

    #[test]
    fn codes_that_nobody_uses_are_given_again() {
        let mut clusters = Clusters::default();
        let mut number = 0u32;
        let mut give = |clusters: &mut Clusters| {
            number += 1;
            clusters.code(&format!("か\u{3099}{number}"), 2)
        };
        let first = give(&mut clusters).expect("plenty");
        while give(&mut clusters).is_some() {}
        clusters.keep(|code| code == first);
        assert!(clusters.text(first).is_some());
        let again = give(&mut clusters).expect("all but one are free");
        assert_ne!(again, first);
    }
}
