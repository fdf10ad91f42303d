//! Which titles the windows of a user have. `docs/risk/windowtitle.md`. The mathematics is that of `command`.

/// Longest title that is kept, in characters.
const TITLE_CHARACTERS_MAX: usize = 64;

/// A title as it is counted: digits become `#`, white space is one blank, at most 64 characters. So a counter or a clock in a
/// title does not make a new one of it. None: nothing is left.
pub fn normalised(title: &str) -> Option<String> {
    let words: Vec<&str> = title.split_whitespace().collect();
    let text: String = words.join(" ").chars().take(TITLE_CHARACTERS_MAX).collect();
    let text: String = text.chars().map(|c| if c.is_numeric() { '#' } else { c }).collect();
    (!text.is_empty()).then_some(text)
}

#[test]
fn a_clock_in_a_title_makes_no_new_one() {
    assert_eq!(normalised(" vim:  a12.txt  09:15 ").as_deref(), Some("vim: a##.txt ##:##"));
    assert_eq!(normalised("  "), None);
}
