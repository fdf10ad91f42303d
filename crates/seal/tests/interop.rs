//! Records sealed by us open with other people's tools, and theirs with us.
//!
//! The tools: PyPI `seccure` and `cryptography` (looked for in `.tools/venv` of the workspace, then with the `python3` on
//! the path) and `seccure-encrypt`, `seccure-decrypt`, `seccure-key` of Debian's package `seccure`. Without a tool its
//! part is skipped and says so on standard error; with `COUNTERFOIL_REQUIRE_TOOLS=1` it fails.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use seal::{PrivateKey, PublicKey, Scheme, SystemRng};
use serde_json::{Value, json};

const PASSPHRASE: &str = "interop passphrase, with a blank and a \u{263a}";

/// Lengths around the block size of the cipher, one record as they are, one long enough for many counter steps.
fn plaintexts() -> Vec<Vec<u8>> {
    let mut plaintexts: Vec<Vec<u8>> = [0, 1, 15, 16, 17, 33, 70_000].map(|length| vec![b'z'; length]).into();
    plaintexts.push("{\"type\":\"URL\",\"domain\":\"na\u{ef}ve.example\"}".as_bytes().to_vec());
    // Enough for a second batch.
    plaintexts.extend((0..40).map(|number| format!("record {number}").into_bytes()));
    plaintexts
}

/// Says what was skipped, or fails where skipping is forbidden.
fn skip(what: &str) {
    assert!(
        std::env::var_os("COUNTERFOIL_REQUIRE_TOOLS").is_none_or(|value| value != "1"),
        "{what}, and COUNTERFOIL_REQUIRE_TOOLS=1 forbids to skip"
    );
    eprintln!("SKIPPED: {what}");
}

/// The first Python that can import `module`.
fn python_with(module: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    [workspace.join(".tools/venv/bin/python3"), PathBuf::from("python3")].into_iter().find(|python| {
        let import = Command::new(python).args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
        import.is_ok_and(|status| status.success())
    })
}

/// Runs a command with this input; returns its output, and fails if it failed.
fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} starts: {error}"));
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    let input = input.to_vec();
    // On a thread of its own: the child may fill its output before it has read all input.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("the child ends");
    let written = writer.join().expect("the writing thread ends");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} fails: {complaints}");
    written.unwrap_or_else(|error| panic!("{command:?} reads its input: {error}; it says: {complaints}"));
    output.stdout
}

/// Runs a Python program that reads one JSON document and writes one.
fn run_python(python: &Path, program: &str, input: &Value) -> Value {
    let output = run(Command::new(python).args(["-c", program]), input.to_string().as_bytes());
    serde_json::from_slice(&output).expect("the program writes JSON")
}

fn encode(records: &[Vec<u8>]) -> Vec<String> {
    records.iter().map(|record| STANDARD.encode(record)).collect()
}

fn decode(records: &Value) -> Vec<Vec<u8>> {
    let records = records.as_array().expect("a list");
    records.iter().map(|record| STANDARD.decode(record.as_str().expect("a text")).expect("base64")).collect()
}

#[test]
fn pypi_seccure_opens_ours_and_we_open_theirs() {
    const PROGRAM: &str = r#"
import base64, json, sys, seccure
ask = json.load(sys.stdin)
curve = "secp256r1/nistp256"
passphrase = ask["passphrase"].encode()
encode = lambda record: base64.b64encode(record).decode()
json.dump({
    "key": str(seccure.passphrase_to_pubkey(passphrase, curve=curve)),
    "opened": [encode(seccure.decrypt(base64.b64decode(r), passphrase, curve=curve)) for r in ask["ours"]],
    "theirs": [encode(seccure.encrypt(base64.b64decode(r), ask["key"].encode(), curve=curve)) for r in ask["plain"]],
}, sys.stdout)
"#;
    let Some(python) = python_with("seccure") else {
        return skip("no python3 has the package seccure (pip install seccure)");
    };
    let private = PrivateKey::from_passphrase(PASSPHRASE.as_bytes());
    let public = private.public_key();
    let plaintexts = plaintexts();
    let ours = public.encrypt_many(&plaintexts, &mut SystemRng);
    // Their point arithmetic is slow: two dozen of each are enough.
    let (ours, theirs) = (&ours[..24], &plaintexts[..12]);
    let ask = json!({
        "passphrase": PASSPHRASE, "key": public.to_text(), "ours": encode(ours), "plain": encode(theirs),
    });
    let answer = run_python(&python, PROGRAM, &ask);
    assert_eq!(answer["key"].as_str(), Some(public.to_text().as_str()));
    assert_eq!(decode(&answer["opened"]), plaintexts[..24]);
    let opened: Vec<Vec<u8>> =
        decode(&answer["theirs"]).iter().map(|sealed| private.decrypt(sealed).expect("theirs opens")).collect();
    assert_eq!(opened, theirs);
    eprintln!("RAN: PyPI seccure with {}", python.display());
}

#[test]
fn the_seccure_tools_open_ours_and_we_open_theirs() {
    let tool = |name: &str| Command::new(name).arg("-?").output().is_ok();
    if !["seccure-key", "seccure-encrypt", "seccure-decrypt"].into_iter().all(tool) {
        return skip("seccure-key, seccure-encrypt or seccure-decrypt is missing (apt-get install seccure)");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let passphrase_file = folder.path().join("passphrase");
    // The tools take the first line, without its end.
    std::fs::write(&passphrase_file, format!("{PASSPHRASE}\n")).expect("the folder is writable");
    let with_passphrase = |name: &str| {
        let mut command = Command::new(name);
        command.args(["-q", "-c", "p256", "-F"]).arg(&passphrase_file);
        command
    };

    let private = PrivateKey::from_passphrase(PASSPHRASE.as_bytes());
    let printed = String::from_utf8(run(&mut with_passphrase("seccure-key"), b"")).expect("ASCII");
    let key = printed.trim().rsplit(' ').next().expect("the key ends the line");
    let public = PublicKey::parse_text(key).expect("a key of the tool is accepted");
    assert_eq!(public, private.public_key());
    assert_eq!(public.to_text(), key);

    let plaintexts = plaintexts();
    let ours = public.encrypt_many(&plaintexts, &mut SystemRng);
    for (plaintext, ours) in plaintexts.iter().zip(&ours) {
        assert_eq!(&run(&mut with_passphrase("seccure-decrypt"), ours), plaintext);
        // It asks for no passphrase, but without -F it wants a terminal all the same.
        let theirs = run(with_passphrase("seccure-encrypt").arg("--").arg(key), plaintext);
        assert_eq!(&private.decrypt(&theirs).expect("theirs opens"), plaintext);
    }
    eprintln!("RAN: seccure-key, seccure-encrypt, seccure-decrypt");
}

#[test]
fn python_cryptography_opens_ours_and_we_open_theirs() {
    const PROGRAM: &str = r#"
import base64, json, os, sys
from cryptography.hazmat.primitives import hashes, serialization as s
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
ask = json.load(sys.stdin)
encode = lambda record: base64.b64encode(record).decode()
derive = lambda shared: HKDF(algorithm=hashes.SHA384(), length=32, salt=None, info=b"").derive(shared)
private = ec.generate_private_key(ec.SECP256R1())
def seal(plain):
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    nonce = os.urandom(12)
    sealed = AESGCM(derive(ephemeral.exchange(ec.ECDH(), private.public_key()))).encrypt(nonce, plain, None)
    spki = ephemeral.public_key().public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    return nonce + spki + sealed[-16:] + sealed[:-16]
def open_(record, key):
    key = derive(key.exchange(ec.ECDH(), s.load_der_public_key(record[12:103])))
    return AESGCM(key).decrypt(record[:12], record[119:] + record[103:119], None)
pem = lambda f: private.private_bytes(s.Encoding.PEM, f, s.NoEncryption()).decode()
known = s.load_pem_private_key(ask["private"].encode(), None)
json.dump({
    "public": private.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo).decode(),
    "pkcs8": pem(s.PrivateFormat.PKCS8),
    "sec1": pem(s.PrivateFormat.TraditionalOpenSSL),
    "theirs": [encode(seal(base64.b64decode(record))) for record in ask["plain"]],
    "opened": [encode(open_(base64.b64decode(record), known)) for record in ask["ours"]],
}, sys.stdout)
"#;
    /// Made with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`, for this test only.
    const PRIVATE: &str = include_str!("keys/p256_pkcs8.pem");
    let Some(python) = python_with("cryptography") else {
        return skip("no python3 has the package cryptography (pip install cryptography)");
    };
    let plaintexts = plaintexts();
    let public = PrivateKey::from_pem(PRIVATE).expect("a key of openssl").public_key();
    let ours = public.encrypt_many(&plaintexts, &mut SystemRng);
    let ask = json!({ "private": PRIVATE, "plain": encode(&plaintexts), "ours": encode(&ours) });
    let answer = run_python(&python, PROGRAM, &ask);
    assert_eq!(decode(&answer["opened"]), plaintexts);
    let text = |member: &str| answer[member].as_str().expect("a text");
    for form in ["pkcs8", "sec1"] {
        let private = PrivateKey::from_pem(text(form)).expect(form);
        assert_eq!(private.scheme(), Scheme::Standard);
        assert_eq!(private.public_key(), PublicKey::parse_text(text("public")).expect("their public key"));
        assert_eq!(private.public_key().to_text(), text("public"));
        let opened: Vec<Vec<u8>> =
            decode(&answer["theirs"]).iter().map(|sealed| private.decrypt(sealed).expect("theirs opens")).collect();
        assert_eq!(opened, plaintexts);
    }
    eprintln!("RAN: Python cryptography with {}", python.display());
}
