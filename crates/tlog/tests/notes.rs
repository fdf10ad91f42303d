//! Signed notes, keys, checkpoints: against the crate `signed_note`, and against what must be refused.

use signed_note::{Note as ForeignNote, StandardVerifier, Verifier as _, VerifierList};
use tlog::checkpoint::{Checkpoint, SignedCheckpoint};
use tlog::note::{self, Algorithm, Note, SignerKey, VerifierKey};
use tlog::{Error, empty_root, leaf_hash};

const ORIGIN: &str = "audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa";

fn key(name: &str, seed: u8) -> SignerKey {
    SignerKey::from_seed(name, &[seed; 32]).unwrap()
}

fn public(keys: &[&SignerKey]) -> Vec<VerifierKey> {
    keys.iter().map(|key| key.verifier().clone()).collect()
}

fn checkpoint(size: u64) -> Checkpoint {
    let root = if size == 0 { empty_root() } else { leaf_hash(&size.to_be_bytes()) };
    Checkpoint { origin: ORIGIN.to_owned(), size, root }
}

/// Does `signed_note` accept this note under these keys?
fn foreign_accepts(note: &str, keys: &[VerifierKey]) -> bool {
    let verifiers = keys.iter().map(|key| {
        let verifier = StandardVerifier::new(&key.to_string()).expect("a vkey of ours");
        assert_eq!((verifier.name(), verifier.key_id()), (key.name(), key.key_id()));
        Box::new(verifier) as Box<dyn signed_note::Verifier>
    });
    let list = VerifierList::new(verifiers.collect());
    ForeignNote::from_bytes(note.as_bytes()).and_then(|note| note.verify(&list)).is_ok()
}

#[test]
fn our_notes_are_accepted_by_a_third_party() {
    let (first, second, other) = (key("first.example/log", 1), key("second", 2), key("first.example/log", 3));
    for text in ["one line\n", "two\nlines\n", "with an\n\nempty line\n", "ünïcödé — dash\n", "\n"] {
        let signed = note::sign(text, &[&first, &second]).unwrap();
        for keys in [public(&[&first]), public(&[&second]), public(&[&first, &second, &other])] {
            assert!(foreign_accepts(&signed, &keys));
            assert_eq!(note::open(&signed, &keys).unwrap().text, text);
        }
        let unknown = public(&[&other]);
        assert!(!foreign_accepts(&signed, &unknown));
        assert_eq!(note::open(&signed, &unknown), Err(Error::Unverified));
    }
}

#[test]
fn every_changed_bit_of_a_signed_checkpoint_is_refused() {
    let log = key(ORIGIN, 7);
    let known = public(&[&log]);
    let signed = checkpoint(3).sign(&[&log]).unwrap().note;
    SignedCheckpoint::open(&signed, ORIGIN, &known).unwrap();
    for place in 0..signed.len() {
        for bit in 0..8 {
            let mut bytes = signed.clone().into_bytes();
            bytes[place] ^= 1 << bit;
            // What is no longer UTF-8 cannot even be handed to us.
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(SignedCheckpoint::open(&changed, ORIGIN, &known).is_err(), "bit {bit} of byte {place}");
            assert!(!foreign_accepts(&changed, &known), "bit {bit} of byte {place}");
        }
    }
}

#[test]
fn a_bad_signature_by_a_known_key_spoils_good_ones() {
    let (log, witness) = (key(ORIGIN, 7), key("witness.example", 8));
    let good = checkpoint(3).sign(&[&log]).unwrap().note;
    let elsewhere = checkpoint(4).sign(&[&witness]).unwrap().note;
    let foreign_line = elsewhere.lines().last().unwrap();
    let mixed = format!("{good}{foreign_line}\n");

    let refused = SignedCheckpoint::open(&mixed, ORIGIN, &public(&[&log, &witness]));
    let Err(Error::SignatureInvalid { name, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(name, "witness.example");
    // To whoever does not know the witness, its line says nothing.
    SignedCheckpoint::open(&mixed, ORIGIN, &public(&[&log])).unwrap();
}

#[test]
fn lines_of_unknown_keys_and_types_are_passed_over() {
    let log = key(ORIGIN, 7);
    let known = public(&[&log]);
    let cosigner = SignerKey::cosigner_from_seed("witness.example/w1", &[9; 32]).unwrap();
    let checkpoint = checkpoint(3);
    let signed = checkpoint.sign(&[&log]).unwrap().note;
    let line = |name: &str, bytes: &[u8]| format!("— {name} {}\n", base64(bytes));
    let ml_dsa = line(ORIGIN, &[&[1, 2, 3, 4][..], &[5; 8 + 2420]].concat());
    let same_name = line(ORIGIN, &[&[0xff; 4][..], &[5; 64]].concat());
    let same_id = line("other.example", &[&known[0].key_id().to_be_bytes()[..], &[5; 64]].concat());
    let tiny = line("tiny.example", &[1, 2, 3, 4, 5]);
    let cosignature = cosigner.cosign(&checkpoint.to_string(), 1_679_315_147);

    let (text, own) = signed.split_once("\n\n").unwrap();
    for lines in [
        [own, &ml_dsa, &same_name, &same_id, &tiny, &cosignature].concat(),
        [&ml_dsa, &same_name, &same_id, &tiny, &cosignature, own].concat(),
    ] {
        let note = format!("{text}\n\n{lines}");
        let opened = SignedCheckpoint::open(&note, ORIGIN, &known).unwrap();
        assert_eq!(opened.checkpoint, checkpoint);
        assert_eq!(opened.cosignatures, []);
        assert!(foreign_accepts(&note, &known));

        let known = [known[0].clone(), cosigner.verifier().clone()];
        let opened = SignedCheckpoint::open(&note, ORIGIN, &known).unwrap();
        assert_eq!(opened.cosignatures.len(), 1);
        assert_eq!(opened.cosignatures[0].time_s, Some(1_679_315_147));
    }
}

#[test]
fn a_cosignature_holds_for_its_text_and_time_only() {
    let log = key(ORIGIN, 7);
    let cosigner = SignerKey::cosigner_from_seed("witness.example/w1", &[9; 32]).unwrap();
    assert_eq!(cosigner.verifier().algorithm(), Algorithm::CosignatureV1);
    let known = public(&[&log, &cosigner]);
    let signed = checkpoint(3).sign(&[&log]).unwrap().note;
    let text = checkpoint(3).to_string();

    for (line, good) in [
        (cosigner.cosign(&text, 5), true),
        (cosigner.cosign(&text, i64::MAX as u64), true),
        (cosigner.cosign(&text, i64::MAX as u64 + 1), false),
        (cosigner.cosign(&checkpoint(4).to_string(), 5), false),
    ] {
        assert_eq!(SignedCheckpoint::open(&format!("{signed}{line}"), ORIGIN, &known).is_ok(), good, "{line}");
    }
    // Moving the time alone breaks it.
    let mut bytes = from_base64(cosigner.cosign(&text, 5).trim_end().rsplit_once(' ').unwrap().1);
    bytes[11] ^= 1;
    let moved = format!("{signed}— witness.example/w1 {}\n", base64(&bytes));
    assert!(SignedCheckpoint::open(&moved, ORIGIN, &known).is_err());
}

#[test]
fn a_witness_cannot_stand_in_for_the_log() {
    let (log, witness) = (key(ORIGIN, 7), key("witness.example", 8));
    // A cosigner under the log's own name is no log key either: its type is another.
    let cosigner = SignerKey::cosigner_from_seed(ORIGIN, &[9; 32]).unwrap();
    let text = checkpoint(3).to_string();
    let known = public(&[&log, &witness, &cosigner]);
    for keys in [&[&witness][..], &[&cosigner], &[&witness, &cosigner]] {
        let signed = note::sign(&text, keys).unwrap();
        assert!(note::open(&signed, &known).is_ok());
        assert_eq!(SignedCheckpoint::open(&signed, ORIGIN, &known), Err(Error::Unverified));
    }
}

#[test]
fn a_checkpoint_of_another_log_is_refused_even_if_its_key_is_known() {
    let (log, other) = (key(ORIGIN, 7), key("audit.example.org/l/bbbbbbbbbbbbbbbbbbbbbbbbbb", 8));
    let known = public(&[&log, &other]);
    let theirs = Checkpoint { origin: other.verifier().name().to_owned(), ..checkpoint(3) };
    let signed = theirs.sign(&[&other]).unwrap().note;
    let refused = SignedCheckpoint::open(&signed, ORIGIN, &known);
    assert!(matches!(refused, Err(Error::WrongOrigin { .. })), "{refused:?}");
    // Nor does our key make another origin ours.
    let signed = theirs.sign(&[&log]).unwrap().note;
    assert!(SignedCheckpoint::open(&signed, other.verifier().name(), &known).is_err());
}

#[test]
fn rotation_lets_either_key_open_a_checkpoint_signed_by_both() {
    let (old, new) = (key(ORIGIN, 7), key(ORIGIN, 8));
    let signed = checkpoint(3).sign(&[&old, &new]).unwrap().note;
    for keys in [&[&old][..], &[&new], &[&new, &old]] {
        SignedCheckpoint::open(&signed, ORIGIN, &public(keys)).unwrap();
    }
}

#[test]
fn sixteen_signatures_are_read_and_seventeen_refused() {
    let keys: Vec<SignerKey> = (0..17).map(|i| key(&format!("key{i}.example"), i)).collect();
    let keys: Vec<&SignerKey> = keys.iter().collect();
    let sixteen = note::sign("text\n", &keys[..16]).unwrap();
    assert_eq!(note::open(&sixteen, &public(&keys)).unwrap().signatures.len(), 16);
    assert!(note::sign("text\n", &keys).is_err());
    let seventeen = format!("{sixteen}{}", keys[16].sign("text\n"));
    assert!(matches!(Note::parse(&seventeen), Err(Error::Malformed { .. })));
}

#[test]
fn malformed_notes_are_refused() {
    let log = key(ORIGIN, 7);
    let line = log.sign("text\n");
    let signed = format!("text\n\n{line}");
    let known = public(&[&log]);
    note::open(&signed, &known).unwrap();
    let name = ORIGIN;
    let long = format!("{}\n\n{line}", "x".repeat(note::NOTE_BYTES_MAX));
    let signature = line.trim_end().rsplit_once(' ').unwrap().1;
    for bad in [
        String::new(),
        "\n".to_owned(),
        "text\n".to_owned(),
        "text\n\n".to_owned(),
        "text\n\n\n".to_owned(),
        line.clone(),
        format!("\n{line}"),
        format!("text\n{line}"),
        format!("text\r\n\r\n{line}"),
        format!("te\0xt\n\n{line}"),
        format!("te\txt\n\n{line}"),
        signed.trim_end().to_owned(),
        format!("{signed}\n"),
        format!("{signed}\n\n"),
        format!("{signed}more\n"),
        format!("text\n\n {line}"),
        format!("text\n\n- {name} {signature}\n"),
        format!("text\n\n\u{2013} {name} {signature}\n"),
        format!("text\n\n—{name} {signature}\n"),
        format!("text\n\n— {name}  {signature}\n"),
        format!("text\n\n—  {signature}\n"),
        format!("text\n\n— {signature}\n"),
        format!("text\n\n— {name} {signature} \n"),
        format!("text\n\n— {name} {signature}\r\n"),
        format!("text\n\n— a+b {signature}\n"),
        format!("text\n\n— a\u{a0}b {signature}\n"),
        format!("text\n\n— a\u{3000}b {signature}\n"),
        format!("text\n\n— {name} {}\n", signature.trim_end_matches('=')),
        format!("text\n\n— {name} {}\n", signature.replace('+', "-").replace('/', "_") + "_"),
        format!("text\n\n— {name} AAAAAA==\n"),
        format!("text\n\n— {name} AAAA\n"),
        format!("text\n\n— {name} \n"),
        format!("text\n\n— {name}\n"),
        long,
    ] {
        assert!(matches!(Note::parse(&bad), Err(Error::Malformed { .. })), "{:?}", &bad[..bad.len().min(200)]);
        assert!(note::open(&bad, &known).is_err());
    }
    for bad in ["", "no end", "bell\u{7}\n", "return\r\n"] {
        assert!(note::sign(bad, &[&log]).is_err(), "{bad:?}");
    }
    assert!(note::sign("text\n", &[]).is_err());
}

#[test]
fn malformed_keys_are_refused() {
    let log = key(ORIGIN, 7);
    let vkey = log.verifier().to_string();
    assert_eq!(vkey.parse(), Ok(log.verifier().clone()));
    let cosigner = SignerKey::cosigner_from_seed(ORIGIN, &[7; 32]).unwrap();
    assert_eq!(cosigner.verifier().to_string().parse(), Ok(cosigner.verifier().clone()));
    assert_ne!(cosigner.verifier().key_id(), log.verifier().key_id());

    let (name, rest) = vkey.split_once('+').unwrap();
    let (id, public) = rest.split_once('+').unwrap();
    for bad in [
        String::new(),
        name.to_owned(),
        format!("{name}+{id}"),
        format!("+{id}+{public}"),
        format!("other+{id}+{public}"),
        format!("{name} +{id}+{public}"),
        format!("{name}+{}+{public}", id.to_uppercase()),
        format!("{name}+0{id}+{public}"),
        format!("{name}+{}+{public}", &id[1..]),
        format!("{name}+00000000+{public}"),
        format!("{name}+{id}+{public}="),
        format!("{name}+{id}+{public}\n"),
        format!("{name}+{id}+"),
        format!("{vkey}+"),
    ] {
        assert!(bad.parse::<VerifierKey>().is_err(), "{bad:?}");
    }

    // With an id that fits, so that only the key itself can be the reason.
    let with_key = |key: &[u8]| format!("{name}+{:08x}+{}", signed_note::key_id(name, key), base64(key));
    let typed = |kind: u8, key: [u8; 32]| with_key(&[&[kind][..], &key].concat());
    let good: [u8; 32] = log.verifier().public_bytes().try_into().unwrap();
    assert_eq!(typed(1, good), vkey);
    let mut identity = [0; 32];
    identity[0] = 1;
    // y = p + 1, which is the identity again in another writing.
    let mut above = [0xff; 32];
    above[0] = 0xee;
    above[31] = 0x7f;
    // Negative zero: x = 0 with its sign set.
    let mut negative = identity;
    negative[31] = 0x80;
    let mut no_point = [0; 32];
    no_point[0] = 2;
    for bad in [
        typed(0, good),
        typed(2, good),
        typed(5, good),
        typed(0xff, good),
        with_key(&[&[6][..], &[9; 1311]].concat()),
        with_key(&[&[6][..], &[9; 1313]].concat()),
        with_key(&[1]),
        with_key(&[&[1][..], &good[..31]].concat()),
        with_key(&[&[1][..], &good, &[0]].concat()),
        typed(1, [0; 32]),
        typed(1, identity),
        typed(1, above),
        typed(1, negative),
        typed(1, no_point),
    ] {
        assert!(matches!(bad.parse::<VerifierKey>(), Err(Error::Malformed { .. })), "{bad:?}");
    }

    for bad in ["", "a b", "a+b", "a\u{2003}b", "a\nb", "a\tb"] {
        assert!(SignerKey::from_seed(bad, &[7; 32]).is_err(), "{bad:?}");
    }
}

#[test]
fn a_signature_has_one_writing() {
    // S and S + L sign the same equation; only the smaller may be accepted, or a note could be changed without its key.
    let log = key(ORIGIN, 7);
    let known = public(&[&log]);
    let mut bytes = from_base64(log.sign("text\n").trim_end().rsplit_once(' ').unwrap().1);
    let order: [u8; 32] =
        hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap().try_into().unwrap();
    let mut carry = 0;
    for (byte, add) in bytes[36..68].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    let note = format!("text\n\n— {ORIGIN} {}\n", base64(&bytes));
    assert!(matches!(note::open(&note, &known), Err(Error::SignatureInvalid { .. })));
}

#[test]
fn checkpoints_read_back_and_match_the_third_party() {
    for size in [0, 1, 3, 1 << 40, i64::MAX as u64] {
        let checkpoint = checkpoint(size);
        let text = checkpoint.to_string();
        assert_eq!(text.parse(), Ok(checkpoint.clone()));
        let theirs = tlog_tiles::Checkpoint::from_bytes(text.as_bytes()).unwrap();
        assert_eq!((theirs.origin(), theirs.size()), (ORIGIN, size));
        assert_eq!(theirs.to_bytes(), text.as_bytes());
    }
    // Extension lines of others are read past.
    let extended = format!("{}extension\nanother one\n", checkpoint(3));
    assert_eq!(extended.parse(), Ok(checkpoint(3)));
}

#[test]
fn malformed_checkpoints_are_refused() {
    let root = checkpoint(3).root.to_string();
    for bad in [
        String::new(),
        "\n".to_owned(),
        ORIGIN.to_owned(),
        format!("{ORIGIN}\n3\n"),
        format!("{ORIGIN}\n3\n{root}"),
        format!("{ORIGIN}\n3\n{root}\n\n"),
        format!("{ORIGIN}\n3\n{root}\nextension\n\n"),
        format!("{ORIGIN}\n3\n{root}\n\nextension\n"),
        format!("\n3\n{root}\n"),
        format!("{ORIGIN}\n\n{root}\n"),
        format!("{ORIGIN}\n03\n{root}\n"),
        format!("{ORIGIN}\n+3\n{root}\n"),
        format!("{ORIGIN}\n-3\n{root}\n"),
        format!("{ORIGIN}\n 3\n{root}\n"),
        format!("{ORIGIN}\n3 \n{root}\n"),
        format!("{ORIGIN}\n3.0\n{root}\n"),
        format!("{ORIGIN}\n0x3\n{root}\n"),
        format!("{ORIGIN}\n9223372036854775808\n{root}\n"),
        format!("{ORIGIN}\n18446744073709551616\n{root}\n"),
        format!("{ORIGIN}\n3\n{}\n", root.trim_end_matches('=')),
        format!("{ORIGIN}\n3\n{root}=\n"),
        format!("{ORIGIN}\n3\n{root} \n"),
        format!("{ORIGIN}\n3\nAAAA\n"),
        format!("{ORIGIN}\n3\n\n"),
        format!("{ORIGIN}\n0\n{root}\n"),
        format!("{ORIGIN}\r\n3\n{root}\n"),
        format!("{ORIGIN}\n3\n{root}\r\n"),
        format!("{ORIGIN}\n3\n{root}\ntab\there\n"),
    ] {
        assert!(matches!(bad.parse::<Checkpoint>(), Err(Error::Malformed { .. })), "{bad:?}");
    }
    // Nor can one be signed that would not be read.
    let log = key(ORIGIN, 7);
    for origin in ["", "two\nlines", "bell\u{7}"] {
        let bad = Checkpoint { origin: origin.to_owned(), ..checkpoint(3) };
        assert!(bad.sign(&[&log]).is_err(), "{origin:?}");
    }
    assert!(Checkpoint { size: u64::MAX, ..checkpoint(3) }.sign(&[&log]).is_err());
    assert!(Checkpoint { size: 0, ..checkpoint(3) }.sign(&[&log]).is_err());
}

#[test]
fn log_seeds_differ_by_instance_origin_and_epoch() {
    let seed = note::derive_log_seed(&[7; 32], ORIGIN, 1);
    assert_eq!(seed, note::derive_log_seed(&[7; 32], ORIGIN, 1));
    assert_ne!(seed, note::derive_log_seed(&[8; 32], ORIGIN, 1));
    assert_ne!(seed, note::derive_log_seed(&[7; 32], "other", 1));
    assert_ne!(seed, note::derive_log_seed(&[7; 32], ORIGIN, 2));
}

#[test]
fn log_seeds_are_hkdf_by_another_implementation_too() {
    // RFC 5869 by hand with ring's HMAC: an empty salt is a key of 32 zeros, and 32 bytes are the first block.
    use ring::hmac;
    for (seed, origin, epoch) in [([7; 32], ORIGIN, 1), ([0; 32], "x", 0), ([255; 32], ORIGIN, u32::MAX)] {
        let extracted = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[0; 32]), &seed);
        let info = format!("counterfoil log key v1\n{origin}\n{epoch}\u{1}");
        let expanded = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, extracted.as_ref()), info.as_bytes());
        assert_eq!(note::derive_log_seed(&seed, origin, epoch)[..], *expanded.as_ref());
    }
}

#[test]
fn a_private_key_does_not_show_itself() {
    let log = SignerKey::from_seed(ORIGIN, &[0xab; 32]).unwrap();
    let shown = format!("{log:?}");
    assert!(shown.contains(ORIGIN));
    assert!(!shown.to_lowercase().contains("abab") && !shown.contains("171, 171"), "{shown}");
}

fn base64(bytes: &[u8]) -> String {
    use base64::engine::{Engine as _, general_purpose::STANDARD};
    STANDARD.encode(bytes)
}

fn from_base64(text: &str) -> Vec<u8> {
    use base64::engine::{Engine as _, general_purpose::STANDARD};
    STANDARD.decode(text).unwrap()
}
