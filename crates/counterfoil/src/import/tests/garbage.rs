//! Whatever the bytes are, an import ends, adds up, and gives the same ids again.

use proptest::prelude::*;

use super::super::{Format, detect};
use super::{imported, options};

/// Fragments that lead deep into the parsers when put together at random.
const FRAGMENTS: [&str; 34] = [
    "Dec 10 06:55:46 h sshd[1]: ",
    "Failed password for ",
    "invalid user ",
    "from 1.2.3.4 port 5 ssh2",
    " from ",
    "message repeated 3 times: [ ",
    "]",
    "\n",
    "\r\n",
    "Received disconnect from ",
    "::1",
    ": ",
    "Disconnecting ",
    "user ",
    "Connection closed by ",
    "pam_unix(sshd:auth): ",
    "(",
    ")",
    "[",
    "<38>1 2019-07-08T17:40:16Z h sshd - - ",
    "last message repeated 2 times",
    "é",
    "\u{0}",
    "sudo: a : ",
    "COMMAND=",
    "{\"Records\":[",
    "{\"eventName\":\"A\"}",
    "{",
    "}",
    "\"",
    "\\",
    ",",
    "{\"kind\":\"Event\",\"verb\":\"get\",\"user\":{}}",
    "su[1]: + ",
];

fn any_file() -> impl Strategy<Value = Vec<u8>> {
    let fragments = prop::collection::vec(prop::sample::select(&FRAGMENTS[..]), 0..30)
        .prop_map(|parts| parts.concat().into_bytes());
    prop_oneof![fragments, prop::collection::vec(any::<u8>(), 0..300)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_bytes_are_accounted_for_and_give_the_same_ids_twice(bytes in any_file()) {
        let _guess = detect(&bytes);
        for (format, _, _) in Format::ALL {
            // Gzip data that is none is an error, which `imported` does not expect.
            prop_assume!(!bytes.starts_with(&[0x1F, 0x8B]));
            let first = imported(format, &bytes, &options());
            let second = imported(format, &bytes, &options());
            prop_assert_eq!(first.events, second.events);
            if format != Format::JsonLines {
                let text_lines = bytes.split(|byte| *byte == b'\n').count() - usize::from(bytes.is_empty() || bytes.ends_with(b"\n"));
                prop_assert_eq!(first.summary.lines as usize, text_lines);
            }
        }
    }
}
