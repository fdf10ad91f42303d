//! Every importer over arbitrary bytes: no panic, every line accounted for, every event JSON on one line.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../crates/counterfoil/src/import/mod.rs"]
mod import;

fuzz_target!(|bytes: &[u8]| {
    let _ = import::detect(bytes);
    for (format, _, _) in import::Format::ALL {
        let options = import::Options { file_name: "fuzz".to_owned(), ..import::Options::default() };
        let mut events = 0;
        let result = import::import(format, bytes, &options, &mut |item| {
            if let import::Item::Event { json, .. } = item {
                serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&json).expect("an event is a JSON object");
                assert!(!json.contains(&b'\n'));
                events += 1;
            }
            Ok(())
        });
        if let Ok(summary) = result {
            assert_eq!(summary.events, events);
            assert_eq!(summary.records, summary.understood + summary.not_understood + summary.repeated);
        }
    }
});
