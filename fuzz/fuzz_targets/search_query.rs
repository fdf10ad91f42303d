//! The native query language: what parses prints to something that parses to the same meaning; errors point into the text.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match search::parse::parse(text) {
        Ok(query) => {
            let printed = query.to_string();
            let again = match search::parse::parse(&printed) {
                Ok(again) => again,
                // Printing writes every group out, so a query right at the nesting limit may come out one level too deep.
                Err(error) if error.message.contains("nested") => return,
                Err(error) => panic!("{error:?}: {printed}"),
            };
            // The trees may differ (a quoted word comes back as a phrase of one); what they ask for may not.
            assert_eq!(format!("{:?}", again.prepare()), format!("{:?}", query.prepare()), "{printed}");
        }
        Err(error) => assert!(error.at <= text.len() && text.is_char_boundary(error.at)),
    }
});
