//! The published vectors of both schemes, read from the specifications next to the workspace.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use seal::{OpenError, PrivateKey, PublicKey, Rng, Scheme};
use serde_json::Value;

/// Reads a vector file, or fails: a run without vectors must not look like a run that passed.
fn vectors(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs/vectors").join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("the vectors at {} are needed for this test: {error}", path.display()));
    serde_json::from_str(&text).expect("vectors are JSON")
}

fn list<'a>(file: &'a Value, name: &str) -> &'a Vec<Value> {
    let list = file[name].as_array().unwrap_or_else(|| panic!("the file has a list {name:?}"));
    assert!(!list.is_empty());
    list
}

fn text<'a>(vector: &'a Value, member: &str) -> &'a str {
    vector[member].as_str().unwrap_or_else(|| panic!("{} has a text {member:?}", vector["name"]))
}

fn hex_of(vector: &Value, member: &str) -> Vec<u8> {
    hex::decode(text(vector, member)).expect("hexadecimal")
}

fn base64_of(vector: &Value, member: &str) -> Vec<u8> {
    STANDARD.decode(text(vector, member)).expect("base64")
}

/// The plaintext of a vector.
fn plaintext(vector: &Value) -> Vec<u8> {
    text(vector, "plaintext_utf8").as_bytes().to_vec()
}

/// Returns prepared bytes, and fails when asked for more.
struct Script(Vec<u8>);

impl Rng for Script {
    fn fill(&mut self, buffer: &mut [u8]) {
        assert!(buffer.len() <= self.0.len(), "more random bytes were asked for than a record needs");
        let rest = self.0.split_off(buffer.len());
        buffer.copy_from_slice(&self.0);
        self.0 = rest;
    }
}

/// A SEC1 private key in PEM around a bare scalar.
fn pem_of_scalar(scalar: &[u8]) -> String {
    let mut der = hex::decode("30310201010420").expect("hexadecimal");
    der.extend_from_slice(scalar);
    der.extend(hex::decode("a00a06082a8648ce3d030107").expect("hexadecimal"));
    format!("-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n", STANDARD.encode(der))
}

/// Vectors whose passphrase is not the one their private scalar was made from: PyPI `seccure` 0.5.0 and Debian's
/// `seccure-key` derive the same other key from it that we do. Their scalars, keys and ciphertexts are right, so they
/// are tested by scalar. Listed here so that the day the file is mended, this fails and the list goes.
const PASSPHRASE_OF_ANOTHER_KEY: [&str; 2] = ["url-record", "public-key-text-padded-with-bang"];

fn scalar_key(scheme: Scheme, vector: &Value) -> PrivateKey {
    let scalar = hex_of(vector, "private_scalar_hex").try_into().expect("32 bytes");
    PrivateKey::from_scalar(scheme, &scalar).expect("a scalar of P-256")
}

#[test]
fn every_legacy_vector_opens_and_is_sealed_to_the_same_bytes() {
    let file = vectors("seccure.json");
    for vector in list(&file, "vectors") {
        let name = text(vector, "name");
        let private = scalar_key(Scheme::Legacy, vector);
        let public = PublicKey::parse_text(text(vector, "public_key_text")).expect(name);
        assert_eq!(public.scheme(), Scheme::Legacy);
        assert_eq!(private.public_key(), public, "{name}");
        assert_eq!(private.public_key().to_text(), text(vector, "public_key_text"), "{name}");

        let sealed = base64_of(vector, "ciphertext_base64");
        assert_eq!(sealed.len() as u64, vector["ciphertext_len"].as_u64().expect("a number"));
        assert_eq!(private.decrypt(&sealed).expect(name), plaintext(vector), "{name}");

        let mut rng = Script(hex_of(vector, "ephemeral_scalar_hex"));
        assert_eq!(public.encrypt(&plaintext(vector), &mut rng), sealed, "{name}");
        assert!(rng.0.is_empty());
    }
}

#[test]
fn legacy_private_keys_come_from_their_passphrases() {
    let file = vectors("seccure.json");
    for vector in list(&file, "vectors") {
        let name = text(vector, "name");
        let private = PrivateKey::from_passphrase(text(vector, "passphrase_utf8").as_bytes());
        let opened = private.decrypt(&base64_of(vector, "ciphertext_base64"));
        if PASSPHRASE_OF_ANOTHER_KEY.contains(&name) {
            assert_eq!(opened, Err(OpenError::WrongKeyOrAltered), "{name} was mended: take it off the list");
        } else {
            assert_eq!(private.public_key().to_text(), text(vector, "public_key_text"), "{name}");
            assert_eq!(opened.expect(name), plaintext(vector), "{name}");
        }
    }
}

#[test]
fn no_legacy_vector_that_must_not_open_does() {
    let file = vectors("seccure.json");
    // The altered records were made from this one; with its scalar the key is right and only the tag can refuse.
    let original = list(&file, "vectors").iter().find(|vector| text(vector, "name") == "url-record");
    let original = original.expect("the vector that the altered ones come from");
    let by_scalar = scalar_key(Scheme::Legacy, original);
    for vector in list(&file, "must_not_open") {
        let sealed = base64_of(vector, "ciphertext_base64");
        assert_eq!(sealed[..33], base64_of(original, "ciphertext_base64")[..33]);
        let by_passphrase = PrivateKey::from_passphrase(text(vector, "passphrase_utf8").as_bytes());
        for private in [&by_scalar, &by_passphrase] {
            assert_eq!(private.decrypt(&sealed), Err(OpenError::WrongKeyOrAltered), "{}", vector["name"]);
        }
    }
}

#[test]
fn a_record_of_the_shape_the_vendor_shows_fails_for_its_key_and_not_for_its_form() {
    let file = vectors("seccure.json");
    let shape = &file["vendor_sample_shape"];
    let mut sealed = hex::decode(shape["ephemeral_point_hex_33"].as_str().expect("a point")).expect("hexadecimal");
    sealed.resize(shape["total_len"].as_u64().expect("a length") as usize, 0x5a);
    assert_eq!(PrivateKey::from_passphrase(b"another").decrypt(&sealed), Err(OpenError::WrongKeyOrAltered));
}

#[test]
fn every_standard_vector_opens_and_is_sealed_to_the_same_bytes() {
    let file = vectors("silo-standard.json");
    for vector in list(&file, "vectors") {
        let name = text(vector, "name");
        let private = PrivateKey::from_pem(&pem_of_scalar(&hex_of(vector, "private_scalar_hex"))).expect(name);
        assert_eq!(scalar_key(Scheme::Standard, vector).public_key(), private.public_key(), "{name}");
        let public = PublicKey::parse_text(text(vector, "public_key_pem")).expect(name);
        assert_eq!(public.scheme(), Scheme::Standard);
        assert_eq!(private.public_key(), public, "{name}");
        assert_eq!(public.to_text(), text(vector, "public_key_pem"), "{name}");

        let sealed = base64_of(vector, "enc_base64");
        assert_eq!(sealed.len() as u64, vector["enc_len"].as_u64().expect("a number"));
        assert_eq!(private.decrypt(&sealed).expect(name), plaintext(vector), "{name}");

        let mut rng = Script([hex_of(vector, "ephemeral_scalar_hex"), hex_of(vector, "nonce_hex")].concat());
        assert_eq!(public.encrypt(&plaintext(vector), &mut rng), sealed, "{name}");
        assert!(rng.0.is_empty());
    }
}
