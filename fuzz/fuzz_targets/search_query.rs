//! The native query language: what parses prints to something that parses to the same; errors point into the text.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match search::parse::parse(text) {
        Ok(query) => {
            let printed = query.to_string();
            assert_eq!(search::parse::parse(&printed).expect("printed queries parse"), query, "{printed}");
        }
        Err(error) => assert!(error.at <= text.len() && text.is_char_boundary(error.at)),
    }
});
