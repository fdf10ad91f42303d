//! What holds for every plaintext, every key and every damage.

use std::collections::HashSet;

use proptest::prelude::*;
use seal::{OpenError, PrivateKey, PublicKey, Rng, Scheme, SystemRng};

fn private(scheme: Scheme) -> PrivateKey {
    PrivateKey::from_scalar(scheme, &[0x17; 32]).expect("a scalar of P-256")
}

const SCHEMES: [Scheme; 2] = [Scheme::Legacy, Scheme::Standard];

/// One stream of bytes, the same in each run, however many are taken at a time. Holds the position in it.
struct Counter(u64);

impl Rng for Counter {
    fn fill(&mut self, buffer: &mut [u8]) {
        for byte in buffer {
            // splitmix64 of the position.
            let mut value = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (value ^ value >> 31) as u8;
            self.0 += 1;
        }
    }
}

#[test]
fn plaintexts_of_every_length_come_back() {
    let lengths = (0..=300).chain([1_023, 1_024, 65_535, 65_536, 70_000]);
    let plaintexts: Vec<Vec<u8>> = lengths.map(|length| (0..length).map(|byte| byte as u8).collect()).collect();
    for scheme in SCHEMES {
        let private = private(scheme);
        let sealed = private.public_key().encrypt_many(&plaintexts, &mut SystemRng);
        assert_eq!(sealed.len(), plaintexts.len());
        for (plaintext, sealed) in plaintexts.iter().zip(&sealed) {
            assert_eq!(sealed.len(), plaintext.len() + scheme.overhead_bytes());
            assert_eq!(private.decrypt(sealed).as_ref(), Ok(plaintext), "{scheme}, {} bytes", plaintext.len());
        }
    }
}

#[test]
fn every_single_changed_bit_and_every_cut_is_refused() {
    for scheme in SCHEMES {
        let private = private(scheme);
        for plaintext in [&b""[..], b"{\"type\":\"URL\"}"] {
            let sealed = private.public_key().encrypt(plaintext, &mut SystemRng);
            for bit in 0..sealed.len() * 8 {
                let mut changed = sealed.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(private.decrypt(&changed).is_err(), "{scheme}: bit {bit} of {} bytes", sealed.len());
            }
            for length in 0..sealed.len() {
                assert!(private.decrypt(&sealed[..length]).is_err(), "{scheme}: cut to {length} bytes");
            }
            assert!(private.decrypt(&[&sealed[..], &[0]].concat()).is_err(), "{scheme}: one byte more");
            assert_eq!(private.decrypt(&sealed).as_deref(), Ok(plaintext), "{scheme}: unchanged");
        }
    }
}

#[test]
fn another_key_does_not_open() {
    for scheme in SCHEMES {
        let sealed = private(scheme).public_key().encrypt(b"secret", &mut SystemRng);
        let other = PrivateKey::from_scalar(scheme, &[0x18; 32]).expect("a scalar of P-256");
        assert_eq!(other.decrypt(&sealed), Err(OpenError::WrongKeyOrAltered));
    }
}

#[test]
fn a_record_of_the_other_scheme_is_recognised() {
    let check = |key: Scheme, record: Scheme, hint: &str| {
        let sealed = private(record).public_key().encrypt(&[b'x'; 200], &mut Counter(1));
        let error = private(key).decrypt(&sealed).expect_err("another scheme").to_string();
        assert!(error.contains(hint), "{error}");
    };
    check(Scheme::Standard, Scheme::Legacy, "looks like the legacy scheme");
    // The nonce stands where the legacy scheme has its point, so its first byte is above 1 nearly always.
    check(Scheme::Legacy, Scheme::Standard, "looks like the standard scheme");
}

#[test]
fn no_two_records_share_an_ephemeral_key_or_a_nonce() {
    for scheme in SCHEMES {
        let public = private(scheme).public_key();
        let mut sealed = public.encrypt_many(&vec!["same"; 200], &mut SystemRng);
        sealed.extend((0..20).map(|_| public.encrypt(b"same", &mut SystemRng)));
        sealed.extend(public.clone().encrypt_many(&vec!["same"; 70], &mut SystemRng));
        let ephemeral = |record: &Vec<u8>| match scheme {
            Scheme::Legacy => record[..33].to_vec(),
            Scheme::Standard => record[39..103].to_vec(),
        };
        let points: HashSet<Vec<u8>> = sealed.iter().map(ephemeral).collect();
        assert_eq!(points.len(), sealed.len(), "{scheme}");
        let starts: HashSet<&[u8]> = sealed.iter().map(|record| &record[..12]).collect();
        assert_eq!(starts.len(), sealed.len(), "{scheme}");
    }
}

#[test]
fn a_batch_gives_what_one_at_a_time_gives() {
    for scheme in SCHEMES {
        let public = private(scheme).public_key();
        let plaintexts: Vec<String> = (0..100).map(|number| format!("record {number}")).collect();
        let batch = public.encrypt_many(&plaintexts, &mut Counter(7));
        let mut rng = Counter(7);
        let single: Vec<Vec<u8>> =
            plaintexts.iter().map(|plaintext| public.encrypt(plaintext.as_bytes(), &mut rng)).collect();
        assert_eq!(single, batch, "{scheme}");
        assert!(public.encrypt_many::<&[u8]>(&[], &mut rng).is_empty());
    }
}

#[test]
fn numbers_that_are_no_scalar_are_drawn_again() {
    /// All ones (above the order), then zeroes, then bytes from the counter.
    struct Unlucky(u32, Counter);
    impl Rng for Unlucky {
        fn fill(&mut self, buffer: &mut [u8]) {
            self.0 += 1;
            match self.0 {
                1 => buffer.fill(0xff),
                2 => buffer.fill(0),
                _ => self.1.fill(buffer),
            }
        }
    }
    for scheme in SCHEMES {
        let private = private(scheme);
        let mut rng = Unlucky(0, Counter(3));
        let sealed = private.public_key().encrypt(b"kept", &mut rng);
        assert_eq!(rng.0, 3);
        assert_eq!(private.decrypt(&sealed).as_deref(), Ok(&b"kept"[..]));
    }
}

#[test]
#[should_panic(expected = "it is broken")]
fn a_source_that_returns_only_zeroes_is_not_used() {
    struct Zeroes;
    impl Rng for Zeroes {
        fn fill(&mut self, buffer: &mut [u8]) {
            buffer.fill(0);
        }
    }
    private(Scheme::Legacy).public_key().encrypt(b"", &mut Zeroes);
}

#[test]
fn debug_output_hides_private_keys() {
    let scalar: [u8; 32] = std::array::from_fn(|index| index as u8 + 1);
    let shown = format!("{:?}", PrivateKey::from_scalar(Scheme::Legacy, &scalar).expect("a scalar"));
    assert_eq!(shown, "PrivateKey(legacy, hidden)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn foreign_records_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), first in 0_u8..3) {
        let mut bytes = bytes;
        for scheme in SCHEMES {
            prop_assert!(private(scheme).decrypt(&bytes).is_err());
        }
        // A first byte that the legacy scheme's points may have.
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        prop_assert!(private(Scheme::Legacy).decrypt(&bytes).is_err());
    }

    #[test]
    fn key_texts_of_any_kind_never_panic(text in any::<String>()) {
        prop_assert!(PublicKey::parse_text(&text).is_err());
        prop_assert!(PrivateKey::from_pem(&text).is_err());
    }

    #[test]
    fn whatever_40_digits_parse_to_is_written_back_the_same(text in "[!#-&(-\\[\\]-_a-~]{40}") {
        if let Ok(key) = PublicKey::parse_text(&text) {
            prop_assert_eq!(key.to_text(), text);
        }
    }

    #[test]
    fn damaged_pem_never_panics(
        position in any::<prop::sample::Index>(),
        byte in 0x20_u8..0x7f,
        cut in any::<prop::sample::Index>(),
    ) {
        let pem = private(Scheme::Standard).public_key().to_text();
        let mut bytes = pem.clone().into_bytes();
        let position = position.index(bytes.len());
        bytes[position] = byte;
        let text = String::from_utf8(bytes).expect("ASCII");
        // Either it is refused, or the change was outside the block's content.
        if let Ok(key) = PublicKey::parse_text(&text) {
            prop_assert!(key.scheme() == Scheme::Standard);
            prop_assert_eq!(key.to_text(), pem.clone());
        }
        prop_assert!(PublicKey::parse_text(&pem[..cut.index(pem.len() - 20)]).is_err());
        let private_text = text.replace("PUBLIC", "PRIVATE");
        prop_assert!(PrivateKey::from_pem(&private_text).is_err());
    }

    #[test]
    fn damaged_der_inside_good_pem_never_panics(position in 0_usize..91, byte in any::<u8>(), length in 0_usize..=91) {
        use base64::Engine as _;
        let text = private(Scheme::Standard).public_key().to_text();
        let inside: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let engine = base64::engine::general_purpose::STANDARD;
        let mut der = engine.decode(inside).expect("base64");
        der[position] = byte;
        der.truncate(length);
        for label in ["PUBLIC KEY", "PRIVATE KEY", "EC PRIVATE KEY"] {
            let text = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", engine.encode(&der));
            if let Ok(key) = PublicKey::parse_text(&text) {
                prop_assert_eq!(key.to_text().len(), private(Scheme::Standard).public_key().to_text().len());
            }
            prop_assert!(PrivateKey::from_pem(&text).is_err());
        }
    }
}
