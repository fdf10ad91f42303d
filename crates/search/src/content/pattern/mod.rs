//! Regular expressions and wildcards over whole tokens: what they mean, and an automaton that decides it byte by byte.
//!
//! ```text
//! text ──syntax──▶ Node ──┬─ meaning: matches(Node, token)       plain, slow, for the reference and the tests
//!                         └─ derivative ──▶ Automaton            one table look-up a character, for dictionaries
//! ```
//!
//! The language is that of Lucene 8 (specs/lucene-query.md §7), with complement, intersection and intervals.

mod automaton;
mod derivative;
mod meaning;
mod syntax;

use std::fmt;
use std::sync::Arc;

pub(crate) use automaton::Automaton;
use syntax::Node;

/// An automaton with more states is refused.
pub const STATES_MAX: usize = 10_000;
/// Deepest nesting of groups and complements in a regular expression.
pub const DEPTH_MAX: usize = 200;

/// Why a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is not a regular expression.
    #[error("{message} (at character {at} of the expression)")]
    Syntax {
        /// Where, in characters from the beginning of the expression, 0-based.
        at: usize,
        /// What is wrong.
        message: &'static str,
    },
    /// Its automaton would have more than [`STATES_MAX`] states, or take as much work to find out.
    #[error("the expression needs more than {STATES_MAX} states")]
    TooComplex,
}

/// A pattern that decides on whole tokens; made once, with its automaton. Cheap to clone.
#[derive(Clone)]
pub struct Pattern {
    text: Arc<str>,
    node: Arc<Node>,
    automaton: Arc<Automaton>,
    steps: usize,
}

impl Pattern {
    /// Reads a regular expression. Nothing is put in lower case here: tokens are, so the caller does that first.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn regex(text: &str) -> Result<Pattern, PatternError> {
        Pattern::new(text, syntax::regex(text)?)
    }

    /// Reads a wildcard pattern: `*` is any run of characters, `?` any one, a backslash takes the next character as it is.
    ///
    /// # Errors
    /// [`PatternError::TooComplex`]; [`PatternError::Syntax`] for a backslash at the end.
    pub fn wildcard(text: &str) -> Result<Pattern, PatternError> {
        Pattern::new(text, syntax::wildcard(text)?)
    }

    fn new(text: &str, node: Node) -> Result<Pattern, PatternError> {
        let (automaton, steps) = derivative::automaton(&node)?;
        Ok(Pattern { text: text.into(), node: Arc::new(node), automaton: Arc::new(automaton), steps })
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The work of making its automaton, in steps of well below a microsecond: for a limit over many patterns.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Whether the whole of `token` matches, by the automaton.
    pub fn matches(&self, token: &str) -> bool {
        self.automaton.matches(token)
    }

    /// The same by plain evaluation of what was written: slow, and the meaning the automaton is tested against.
    pub fn matches_plainly(&self, token: &str) -> bool {
        meaning::matches(&self.node, token)
    }

    pub(crate) fn automaton(&self) -> &Arc<Automaton> {
        &self.automaton
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let pattern = Pattern::regex(pattern).expect("a regular expression");
        for token in yes {
            assert!(pattern.matches(token) && pattern.matches_plainly(token), "{pattern:?} does not match {token:?}");
        }
        for token in no {
            assert!(!pattern.matches(token) && !pattern.matches_plainly(token), "{pattern:?} matches {token:?}");
        }
    }

    #[test]
    fn every_operator_means_what_the_specification_says() {
        check("ab?c*", &["a", "ab", "abccc", "ac"], &["b", "abb"]);
        check("(ab)+|x{2,3}", &["abab", "xx", "xxx"], &["", "x", "xxxx"]);
        check("a{2}b{1,}", &["aab", "aabbb"], &["ab", "aa"]);
        check("a{3,1}|b", &["b"], &["aaa", "a", ""]);
        check(".", &["a", "é", "\u{1f389}"], &["", "ab"]);
        check("[a-cx]|[^a-z]", &["b", "x", "0", "é"], &["d", "y"]);
        check("~(.*[a-z].*)", &["10.0", "", "é"], &["1a"]);
        check("a@&@b", &["ab", "axxb"], &["a", "ba"]);
        check("<80-443>", &["80", "0080", "443", "100"], &["79", "444", "8", "80a"]);
        check("<007-123>", &["007", "123", "099"], &["7", "0007", "124"]);
        check("a\"b.*\"c|()", &["ab.*c", ""], &["abxc"]);
        check("#|a", &["a"], &[""]);
        check("*a", &["*a"], &["a"]);
        check("|a", &["|a"], &["a", ""]);
        check("^a$", &["^a$"], &["a"]);
        check("\\d+", &["d", "ddd"], &["1"]);
        check("", &[""], &["a"]);
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_place() {
        for text in
            ["(a", "[a", "\"a", "a{", "a{,3}", "a)", "a|", "a&", "~", "\\", "[b-a]", "<a>", "<1-2-3>", "<1", "[a-"]
        {
            match Pattern::regex(text) {
                Err(PatternError::Syntax { at, .. }) => assert!(at <= text.chars().count(), "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_needs_too_many_states_is_refused_in_bounded_time() {
        for text in [".*a.{20}", "a{1000000}", "((a{100}){100}){100}", "(a?){9999999}", "~(.*a.{16}b.*)&(a|b|c)*"] {
            assert_eq!(Pattern::regex(text).unwrap_err(), PatternError::TooComplex, "{text}");
        }
        assert!(Pattern::regex(".{200}").is_ok());
        assert_eq!(Pattern::regex(&"(".repeat(300)).unwrap_err(), PatternError::TooComplex);
        assert!(Pattern::wildcard(&format!("x*a{}", "?".repeat(30))).is_err());
    }

    fn expression() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "[abé]",
            Just(".".to_owned()),
            Just("[a-b]".to_owned()),
            Just("[^a]".to_owned()),
            Just("#".to_owned()),
            Just("@".to_owned()),
            Just("()".to_owned()),
            Just("\"ab\"".to_owned()),
            "<[0-9]{1,2}-[0-9]{1,2}>",
            "[01]",
        ];
        leaf.prop_recursive(4, 16, 3, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}{b}")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}|{b})")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}&{b})")),
                inner.clone().prop_map(|a| format!("~({a})")),
                (inner.clone(), "[?*+]|\\{[0-3](,[0-4]?)?\\}").prop_map(|(a, repeat)| format!("({a}){repeat}")),
                inner.prop_map(|a| format!("({a})")),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_automaton_decides_as_the_plain_meaning(text in expression(), tokens in proptest::collection::vec("[ab01é]{0,6}", 12)) {
            let pattern = match Pattern::regex(&text) {
                Ok(pattern) => pattern,
                Err(PatternError::TooComplex) => return Ok(()),
                Err(error) => return Err(TestCaseError::fail(format!("{text}: {error}"))),
            };
            for token in &tokens {
                prop_assert_eq!(pattern.matches(token), pattern.matches_plainly(token), "{} on {}", text, token);
            }
        }

        #[test]
        fn any_text_is_an_expression_or_is_refused_inside_itself(text in "[ab(){}|&~<>0-9,.@#\"\\[\\]^\\\\-]{0,12}") {
            if let Err(PatternError::Syntax { at, .. }) = Pattern::regex(&text) {
                prop_assert!(at <= text.chars().count());
            }
        }
    }
}
