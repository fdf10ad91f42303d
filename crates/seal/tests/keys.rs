//! Key texts as people paste them: what is accepted, and what each mistake is told. The files in `keys/` were made with
//! OpenSSL for these tests.

use seal::{KeyError, PrivateKey, PublicKey, Scheme};

macro_rules! key {
    ($name:literal) => {
        include_str!(concat!("keys/", $name, ".pem"))
    };
}

const LEGACY: &str = "$T%TftpgGhhN&h*1&@>=uf(l:!Avj>k{o<?k9dT8";

/// A public key is refused with this case, and its message has these words.
fn check_public(text: &str, expected: KeyError, words: &str) {
    let error = PublicKey::parse_text(text).expect_err(words);
    assert_eq!(error, expected);
    assert!(error.to_string().contains(words), "{error}");
}

fn check_private(text: &str, expected: KeyError, words: &str) {
    let error = PrivateKey::from_pem(text).expect_err(words);
    assert_eq!(error, expected);
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn the_same_key_is_read_from_every_form() {
    let public = PublicKey::parse_text(key!("p256_public")).expect("openssl's form");
    assert_eq!(public.scheme(), Scheme::Standard);
    assert_eq!(public.to_text(), key!("p256_public"));
    let with_crlf = key!("p256_public").replace('\n', "\r\n");
    let one_line = key!("p256_public").replace('\n', "");
    let in_a_mail = format!("Hello,\nhere it is:\n\n{}\nBye\n", key!("p256_public"));
    for text in [with_crlf.as_str(), &one_line, &in_a_mail, key!("p256_public_compressed")] {
        assert_eq!(PublicKey::parse_text(text), Ok(public.clone()), "{text}");
    }
    for text in [key!("p256_pkcs8"), key!("p256_sec1")] {
        assert_eq!(PrivateKey::from_pem(text).expect("openssl's forms").public_key(), public);
    }
    let both = format!("{}{}", key!("p256_public"), key!("p256_pkcs8"));
    assert_eq!(PrivateKey::from_pem(&both).expect("a pair").public_key(), public);
}

#[test]
fn white_space_around_a_legacy_key_is_dropped() {
    let public = PublicKey::parse_text(&format!("  {LEGACY}\r\n")).expect("a key");
    assert_eq!(public.scheme(), Scheme::Legacy);
    assert_eq!(public.to_text(), LEGACY);
}

#[test]
fn a_key_of_25_characters_is_told_to_be_of_the_default_curve() {
    // seccure-key without -c, passphrase "x".
    check_public(";fGA0GzdJ#aERmvv**$qFL~]E", KeyError::DefaultCurve, "seccure-key -c p256");
    check_public(";fGA0GzdJ#aERmvv**$qFL~]E\n", KeyError::DefaultCurve, "default 160-bit curve");
}

#[test]
fn other_mistakes_in_legacy_keys_are_named() {
    check_public("", KeyError::Empty, "empty");
    check_public(" \n", KeyError::Empty, "40 characters");
    check_public(&LEGACY[1..], KeyError::Length { characters: 39 }, "this has 39;");
    // seccure-key -c p384, passphrase "x".
    let p384 = "#2YW?{@4J*Bey?+&IsoLEZ#leOJQ^rJBH8C]1oXtQ(1+>K#73quC=,I8^YAN";
    check_public(p384, KeyError::Length { characters: 60 }, "384-bit");
    let quoted = format!("{}\"{}", &LEGACY[..5], &LEGACY[6..]);
    check_public(&quoted, KeyError::Character { character: '"', position: 6 }, "position 6");
    let foreign = format!("{}é{}", &LEGACY[..5], &LEGACY[6..]);
    check_public(&foreign, KeyError::Character { character: 'é', position: 6 }, "'é'");
    check_public(&"!".repeat(40), KeyError::NotOnCurve, "no point");
    check_public(&"~".repeat(40), KeyError::NotOnCurve, "no point");
}

#[test]
fn a_private_key_where_a_public_one_belongs_is_named() {
    for text in [key!("p256_pkcs8"), key!("p256_sec1"), key!("p256_encrypted"), key!("p256_encrypted_sec1")] {
        check_public(text, KeyError::PrivateGiven, "openssl pkey -in private.pem -pubout");
    }
    // Also when the public one stands beside it.
    check_public(&format!("{}{}", key!("p256_public"), key!("p256_pkcs8")), KeyError::PrivateGiven, "private key");
}

#[test]
fn keys_for_other_curves_and_algorithms_are_named() {
    let curve = |curve: &str| KeyError::Curve { curve: curve.to_owned() };
    let algorithm = |algorithm: &str| KeyError::Algorithm { algorithm: algorithm.to_owned() };
    check_public(key!("p384_public"), curve("P-384"), "P-256 (prime256v1) key is needed");
    check_public(key!("secp256k1_public"), curve("secp256k1"), "secp256k1");
    check_public(key!("ed25519_public"), algorithm("Ed25519"), "Ed25519");
    check_public(key!("rsa_public"), algorithm("RSA"), "RSA");
    check_private(key!("p384_pkcs8"), curve("P-384"), "P-384");
}

#[test]
fn other_pem_texts_are_told_what_to_do() {
    let error = PublicKey::parse_text(key!("p256_certificate")).expect_err("a certificate").to_string();
    assert!(error.contains("openssl x509 -in certificate.pem -pubkey -noout"), "{error}");
    check_private(key!("p256_public"), KeyError::PublicGiven, "public key");
    check_private(key!("p256_encrypted"), KeyError::Encrypted, "decrypt it first");
    check_private(key!("p256_encrypted_sec1"), KeyError::Encrypted, "decrypt it first");
    check_private(LEGACY, KeyError::Pem { what: "there is no BEGIN line" }, "BEGIN");
    let pem = key!("p256_public");
    check_public(&pem[..100], KeyError::Pem { what: "its END line is missing" }, "whole file");
    check_public(&format!("{pem}{pem}"), KeyError::Pem { what: "it has more than one key" }, "more than one");
    check_public(&pem.replacen('A', "*", 1), KeyError::Pem { what: "its inside is not base64" }, "base64");
}

#[test]
fn a_private_key_whose_halves_differ_is_refused() {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let inside: String = key!("p256_pkcs8").lines().filter(|line| !line.starts_with('-')).collect();
    let mut der = engine.decode(inside).expect("base64");
    // The scalar's last byte: after 36 bytes of headers.
    der[36 + 31] ^= 1;
    let text = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", engine.encode(der));
    check_private(&text, KeyError::Der { what: "its public half belongs to another key" }, "another key");
}
