//! Canonical event JSON: accepted bytes are kept as they came and read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use service::NewEvent;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(event) = NewEvent::from_json(bytes) {
        assert_eq!(event.json(), bytes.trim_ascii());
        let again = NewEvent::from_json(event.json()).expect("what was accepted is accepted again");
        assert_eq!(again.id_bytes(), event.id_bytes());
    }
});
