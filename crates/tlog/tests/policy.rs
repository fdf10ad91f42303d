//! Policies: what is read, what is refused, and when a quorum is met.

use ml_dsa::signature::Keypair as _;
use proptest::prelude::*;
use tlog::checkpoint::{Checkpoint, Cosignature, SignedCheckpoint};
use tlog::note::{SignerKey, VerifierKey};
use tlog::policy::Policy;
use tlog::{Error, leaf_hash};

const ORIGIN: &str = "audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa";

fn log() -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[7; 32]).unwrap()
}

fn witness(seed: u8) -> SignerKey {
    SignerKey::cosigner_from_seed(&format!("witness.example/w{seed}"), &[seed; 32]).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: ORIGIN.to_owned(), size: 3, root: leaf_hash(b"any") }
}

/// A checkpoint signed by the log and cosigned by these witnesses.
fn cosigned(witnesses: &[u8]) -> String {
    let mut note = checkpoint().sign(&[&log()]).unwrap().note;
    for seed in witnesses {
        note += &witness(*seed).cosign(&checkpoint().to_string(), 1_700_000_000 + u64::from(*seed));
    }
    note
}

/// Two organisations' witnesses, as in the example of the specification.
fn two_levels() -> String {
    let mut text = format!("# who we trust\nlog {} https://audit.example.org/l/a\n\n", log().verifier());
    for seed in 1..=6 {
        text += &format!("witness w{seed} {}\t https://w{seed}.example \n", witness(seed).verifier());
    }
    text + "group X 2 w1 w2 w3\ngroup Y any w4 w5 w6\n  group X-and-Y\tall X Y\nquorum X-and-Y\n"
}

#[test]
fn a_quorum_of_two_levels_is_met_by_exactly_the_right_sets() {
    let policy: Policy = two_levels().parse().unwrap();
    assert!(policy.asks_for_witnesses());
    for set in 0..64u8 {
        let witnesses: Vec<u8> = (1..=6).filter(|seed| set >> (seed - 1) & 1 == 1).collect();
        let x = witnesses.iter().filter(|seed| **seed <= 3).count();
        let expected = x >= 2 && witnesses.len() > x;
        let opened = policy.open(&cosigned(&witnesses), ORIGIN, &[]);
        match opened {
            Ok(signed) => {
                assert!(expected, "{witnesses:?}");
                assert_eq!(signed.cosignatures.len(), witnesses.len());
            }
            Err(error) => assert_eq!((error, expected), (Error::PolicyUnmet, false), "{witnesses:?}"),
        }
    }
}

#[test]
fn cosignatures_without_the_log_are_nothing_and_a_log_that_is_not_listed_is_none() {
    let policy: Policy = two_levels().parse().unwrap();
    let full = cosigned(&[1, 2, 4]);
    policy.open(&full, ORIGIN, &[]).unwrap();
    let (text, lines) = full.split_once("\n\n").unwrap();
    let without: Vec<&str> = lines.lines().skip(1).collect();
    let without = format!("{text}\n\n{}\n", without.join("\n"));
    assert_eq!(policy.open(&without, ORIGIN, &[]), Err(Error::Unverified));

    let stranger = SignerKey::from_seed(ORIGIN, &[8; 32]).unwrap();
    let theirs = checkpoint().sign(&[&stranger]).unwrap().note;
    let theirs = theirs + &lines.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>();
    assert_eq!(policy.open(&theirs, ORIGIN, &[]), Err(Error::Unverified));
    policy.open(&theirs, ORIGIN, &[stranger.verifier().clone()]).unwrap();
}

#[test]
fn every_changed_bit_of_a_cosigned_checkpoint_is_refused_under_a_policy_that_needs_it() {
    let text = format!(
        "witness a {}\nwitness b {}\ngroup g all a b\nquorum g\n",
        witness(1).verifier(),
        witness(2).verifier()
    );
    let policy: Policy = text.parse().unwrap();
    let keys = [log().verifier().clone()];
    let note = cosigned(&[1, 2]);
    policy.open(&note, ORIGIN, &keys).unwrap();
    for place in 0..note.len() {
        for bit in 0..8 {
            let mut bytes = note.clone().into_bytes();
            bytes[place] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(policy.open(&changed, ORIGIN, &keys).is_err(), "bit {bit} of byte {place}");
        }
    }
}

#[test]
fn one_witness_counts_once_however_often_it_signs() {
    let text =
        format!("witness a {}\nwitness b {}\ngroup g 2 a b\nquorum g\n", witness(1).verifier(), witness(2).verifier());
    let policy: Policy = text.parse().unwrap();
    let note = cosigned(&[1, 1]);
    assert_eq!(policy.open(&note, ORIGIN, &[log().verifier().clone()]), Err(Error::PolicyUnmet));
}

#[test]
fn a_policy_without_witnesses_asks_for_the_log_only() {
    let policy = Policy::unwitnessed(log().verifier().clone());
    assert!(!policy.asks_for_witnesses());
    assert_eq!(policy.to_string().parse(), Ok(policy.clone()));
    policy.open(&cosigned(&[]), ORIGIN, &[]).unwrap();
}

#[test]
fn malformed_policies_are_refused() {
    let (w1, w2, log) =
        (witness(1).verifier().to_string(), witness(2).verifier().to_string(), log().verifier().to_string());
    let renamed = SignerKey::cosigner_from_seed("other.example", &[1; 32]).unwrap().verifier().to_string();
    let long_group: String = (0..1_025)
        .map(|i| format!("group g{i} any {}\n", if i == 0 { "a".to_owned() } else { format!("g{}", i - 1) }))
        .collect();
    for bad in [
        String::new(),
        "quorum\n".to_owned(),
        "quorum none none\n".to_owned(),
        "quorum none\nquorum none\n".to_owned(),
        "quorum a\n".to_owned(),
        format!("quorum a\nwitness a {w1}\n"),
        format!("witness none {w1}\nquorum none\n"),
        format!("witness a {w1}\nwitness a {w2}\nquorum a\n"),
        format!("witness a {w1}\nwitness b {w1}\nquorum a\n"),
        format!("witness a {w1}\nwitness b {renamed}\nquorum a\n"),
        format!("witness a {log}\nquorum a\n"),
        "witness a\nquorum none\n".to_owned(),
        format!("witness a {w1} u v\nquorum none\n"),
        format!("log {w1}\nquorum none\n"),
        format!("log {log}\nlog {log}\nquorum none\n"),
        "log\nquorum none\n".to_owned(),
        format!("witness a {w1}\ngroup g any\nquorum g\n"),
        format!("witness a {w1}\ngroup g 0 a\nquorum g\n"),
        format!("witness a {w1}\ngroup g 2 a\nquorum g\n"),
        format!("witness a {w1}\ngroup g 01 a\nquorum g\n"),
        format!("witness a {w1}\ngroup g some a\nquorum g\n"),
        format!("witness a {w1}\ngroup g 99999999999999999999 a\nquorum g\n"),
        format!("witness a {w1}\ngroup g 2 a a\nquorum g\n"),
        format!("witness a {w1}\ngroup g any a\ngroup h any a\nquorum h\n"),
        format!("witness a {w1}\ngroup g any g\nquorum g\n"),
        format!("witness a {w1}\ngroup g any none\nquorum g\n"),
        format!("witness a {w1}\ngroup a any a\nquorum a\n"),
        format!("group g any a\nwitness a {w1}\nquorum g\n"),
        format!("witness a {w1}\n{long_group}quorum g7\n"),
        "Quorum none\n".to_owned(),
        "quorum none\r\n".to_owned(),
        "quorum none\u{7f}\n".to_owned(),
        "quorum none\0\n".to_owned(),
        "nonsense\nquorum none\n".to_owned(),
        format!("#{}\nquorum none\n", "x".repeat(1 << 20)),
    ] {
        assert!(matches!(bad.parse::<Policy>(), Err(Error::Malformed { .. })), "{:?}", &bad[..bad.len().min(300)]);
    }
    // Other characters for a space are part of a name, and a name is compared by its bytes.
    assert!(format!("witness K {w1}\nquorum \u{212a}\n").parse::<Policy>().is_err());
    assert!(format!("witness a\u{a0}b {w1}\nquorum a\u{a0}b").parse::<Policy>().is_ok());
}

/// A witness of the kind that outlives quantum computers, signed for here by the crate that ours verifies with: what is
/// tested is the message, laid out anew from the specification.
#[test]
fn an_ml_dsa_witness_is_heard_and_every_field_it_signs_counts() {
    let private = ml_dsa::SigningKey::<ml_dsa::MlDsa44>::from_seed(&[5; 32].into());
    let (name, time_s) = ("witness.example/pq", 1_700_000_000_u64);
    let public = private.verifying_key().encode();
    let typed = [&[6][..], &public[..]].concat();
    let vkey = format!("{name}+{:08x}+{}", signed_note::key_id(name, &typed), base64(&typed));
    let key: VerifierKey = vkey.parse().unwrap();
    assert_eq!(key.to_string(), vkey);

    let head = checkpoint();
    let sign = |cosigner: &str, time: u64, origin: &str, end: u64, root: &[u8; 32]| {
        let message = [
            b"subtree/v1\n\0",
            &[cosigner.len() as u8][..],
            cosigner.as_bytes(),
            &time.to_be_bytes(),
            &[origin.len() as u8],
            origin.as_bytes(),
            &[0; 8],
            &end.to_be_bytes(),
            root,
        ]
        .concat();
        let signature = private.expanded_key().sign_deterministic(&message, &[]).unwrap().encode();
        let bytes = [&key.key_id().to_be_bytes()[..], &time_s.to_be_bytes(), &signature[..]].concat();
        format!("{}\u{2014} {name} {}\n", head.sign(&[&log()]).unwrap().note, base64(&bytes))
    };
    let policy: Policy = format!("witness pq {vkey}\nquorum pq\n").parse().unwrap();
    let keys = [log().verifier().clone()];
    let good = sign(name, time_s, ORIGIN, 3, &head.root.0);
    let opened = policy.open(&good, ORIGIN, &keys).unwrap();
    assert_eq!(opened.cosignatures, [Cosignature { key: key.clone(), time_s: Some(time_s) }]);

    for bad in [
        sign("witness.example/other", time_s, ORIGIN, 3, &head.root.0),
        sign(name, time_s + 1, ORIGIN, 3, &head.root.0),
        sign(name, time_s, "another.example", 3, &head.root.0),
        sign(name, time_s, ORIGIN, 4, &head.root.0),
        sign(name, time_s, ORIGIN, 3, &[0; 32]),
    ] {
        let refused = policy.open(&bad, ORIGIN, &keys);
        assert!(matches!(refused, Err(Error::SignatureInvalid { .. })), "{refused:?}");
    }
    // To whoever does not know the key, the line says nothing.
    SignedCheckpoint::open(&good, ORIGIN, &keys).unwrap();
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Policies that hold together, as text in our own writing.
fn written() -> impl Strategy<Value = String> {
    let groups = prop::collection::vec((1..4usize, any::<u8>()), 0..4);
    (1..8u8, groups, any::<bool>(), any::<bool>(), any::<prop::sample::Index>()).prop_map(
        |(count, groups, listed, named, pick)| {
            let mut text = String::new();
            if listed {
                text += &format!("log {}\n", log().verifier());
            }
            let mut names = Vec::new();
            let mut free = Vec::new();
            for seed in 1..=count {
                let url = if seed % 2 == 0 { " https://w.example/" } else { "" };
                text += &format!("witness w{seed} {}{url}\n", witness(seed).verifier());
                names.push(format!("w{seed}"));
                free.push(format!("w{seed}"));
            }
            for (at, (members, threshold)) in groups.into_iter().enumerate() {
                let members: Vec<String> = free.drain(..members.min(free.len())).collect();
                if members.is_empty() {
                    continue;
                }
                let threshold = match usize::from(threshold) % (members.len() + 2) {
                    0 => "any".to_owned(),
                    1 => "all".to_owned(),
                    number => (number - 1).to_string(),
                };
                text += &format!("group g{at} {threshold} {}\n", members.join(" "));
                names.push(format!("g{at}"));
                free.push(format!("g{at}"));
            }
            let quorum = if named { pick.get(&names).as_str() } else { "none" };
            text + &format!("quorum {quorum}\n")
        },
    )
}

proptest! {
    #[test]
    fn what_we_write_reads_back_the_same(text in written()) {
        let policy: Policy = text.parse().unwrap();
        prop_assert_eq!(policy.to_string(), text);
    }

    #[test]
    fn one_more_cosignature_never_unmeets_a_policy(text in written(), signers in prop::collection::btree_set(1..9u8, 0..8), more in 1..9u8) {
        let policy: Policy = text.parse().unwrap();
        let cosignature = |seed: &u8| Cosignature { key: witness(*seed).verifier().clone(), time_s: Some(1) };
        let mut heard: Vec<Cosignature> = signers.iter().map(cosignature).collect();
        let before = policy.is_met(&heard);
        heard.push(cosignature(&more));
        prop_assert!(!before || policy.is_met(&heard));
    }

    #[test]
    fn no_text_whatever_stops_the_reader(text in "(log|witness|group|quorum|#|a|b|any|all|none|1|2|[ \t\n]){0,30}") {
        if let Ok(policy) = text.parse::<Policy>() {
            prop_assert_eq!(policy.to_string().parse::<Policy>(), Ok(policy));
        }
    }
}
