//! Foreign keys and ciphertexts of both schemes: no panic, and a key that is read is written the same.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use seal::{PrivateKey, PublicKey, Scheme};

static KEYS: LazyLock<[PrivateKey; 2]> = LazyLock::new(|| {
    [Scheme::Legacy, Scheme::Standard].map(|scheme| PrivateKey::from_scalar(scheme, &[7; 32]).expect("a scalar below the order"))
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(key) = PublicKey::parse_text(text) {
            assert!(PublicKey::parse_text(&key.to_text()).is_ok());
        }
        let _ = PrivateKey::from_pem(text);
    }
    for key in KEYS.iter() {
        // A forgery would take 2^80 tries.
        assert!(key.decrypt(bytes).is_err());
    }
});
