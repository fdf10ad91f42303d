//! P-256 keys as OpenSSL writes them: PEM around SubjectPublicKeyInfo, PKCS#8 or SEC1.
//!
//! Reading PEM is lenient where that is harmless (line lengths, text around the block), as keys come through forms and
//! mail; DER is strict.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::NonZeroScalar;
use p256::pkcs8::PrivateKeyInfoRef;
use p256::pkcs8::der::Decode;
use p256::pkcs8::der::asn1::ObjectIdentifier;
use p256::pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use sec1::{EcParameters, EcPrivateKey};
use zeroize::Zeroizing;

use crate::KeyError;
use crate::curve::{COORDINATE_BYTES, Coordinate, Point};
use crate::standard;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// `id-ecPublicKey` (RFC 5480 §2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `secp256r1` (RFC 5480 §2.1.1.1).
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// Whether a text wants to be PEM. No SECCURE key contains this, though its digits would allow a `-----`.
pub(crate) fn is_pem(text: &str) -> bool {
    text.contains(BEGIN)
}

/// Reads a public key.
pub(crate) fn parse_public(text: &str) -> Result<Point, KeyError> {
    let blocks = blocks(text)?;
    if blocks.iter().any(|block| block.label.ends_with("PRIVATE KEY")) {
        return Err(KeyError::PrivateGiven);
    }
    let block = one_of(&blocks, &["PUBLIC KEY"])?;
    let der = block.der()?;
    let info =
        SubjectPublicKeyInfoRef::from_der(&der).map_err(|_| KeyError::Der { what: "it is no SubjectPublicKeyInfo" })?;
    check_algorithm(&info.algorithm)?;
    let bytes = info.subject_public_key.as_bytes().ok_or(KeyError::Der { what: "its point is cut within a byte" })?;
    parse_point(bytes)
}

/// Writes a public key, in lines of 64 characters, each with its line end.
pub(crate) fn format_public(point: &Point) -> String {
    let base64 = STANDARD.encode(standard::spki(point));
    let mut text = format!("{BEGIN}PUBLIC KEY{DASHES}\n");
    for line in base64.as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str(&format!("{END}PUBLIC KEY{DASHES}\n"));
    text
}

/// Reads a private key.
pub(crate) fn parse_private(text: &str) -> Result<NonZeroScalar, KeyError> {
    let blocks = blocks(text)?;
    if !blocks.is_empty() && blocks.iter().all(|block| block.label == "PUBLIC KEY") {
        return Err(KeyError::PublicGiven);
    }
    let block = one_of(&blocks, &["PRIVATE KEY", "EC PRIVATE KEY"])?;
    let der = block.der()?;
    if block.label == "EC PRIVATE KEY" {
        return parse_sec1(&der);
    }
    let info = PrivateKeyInfoRef::from_der(&der).map_err(|_| KeyError::Der { what: "it is no PKCS#8 private key" })?;
    check_algorithm(&info.algorithm)?;
    parse_sec1(info.private_key.as_bytes())
}

fn parse_sec1(der: &[u8]) -> Result<NonZeroScalar, KeyError> {
    let key = EcPrivateKey::from_der(der).map_err(|_| KeyError::Der { what: "it is no EC private key" })?;
    if let Some(EcParameters::NamedCurve(curve)) = key.parameters {
        check_curve(curve)?;
    }
    let bytes = Coordinate::try_from(key.private_key)
        .map(Zeroizing::new)
        .map_err(|_| KeyError::Der { what: "its number is not 32 bytes long" })?;
    let scalar = NonZeroScalar::from_repr((*bytes).into())
        .into_option()
        .ok_or(KeyError::Der { what: "its number is zero or not below the order of P-256" })?;
    if let Some(public) = key.public_key
        && parse_point(public)? != Point::of_scalar(&scalar)
    {
        return Err(KeyError::Der { what: "its public half belongs to another key" });
    }
    Ok(scalar)
}

fn check_algorithm(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<(), KeyError> {
    if algorithm.oid != EC_PUBLIC_KEY {
        return Err(KeyError::Algorithm { algorithm: name(algorithm.oid) });
    }
    let curve = algorithm.parameters_oid().map_err(|_| KeyError::Der { what: "it does not name its curve" })?;
    check_curve(curve)
}

fn check_curve(curve: ObjectIdentifier) -> Result<(), KeyError> {
    if curve == P256 { Ok(()) } else { Err(KeyError::Curve { curve: name(curve) }) }
}

/// What people call the algorithms and curves that come in place of P-256; else the numbers.
fn name(oid: ObjectIdentifier) -> String {
    let oid = oid.to_string();
    let name = match oid.as_str() {
        "1.2.840.113549.1.1.1" => "RSA",
        "1.2.840.113549.1.1.10" => "RSA-PSS",
        "1.2.840.10040.4.1" => "DSA",
        "1.2.840.113549.1.3.1" => "Diffie-Hellman",
        "1.3.101.110" => "X25519",
        "1.3.101.111" => "X448",
        "1.3.101.112" => "Ed25519",
        "1.3.101.113" => "Ed448",
        "1.2.840.10045.3.1.1" => "P-192",
        "1.3.132.0.33" => "P-224",
        "1.3.132.0.34" => "P-384",
        "1.3.132.0.35" => "P-521",
        "1.3.132.0.10" => "secp256k1",
        "1.3.36.3.3.2.8.1.1.7" => "brainpoolP256r1",
        _ => return oid,
    };
    name.to_owned()
}

/// A point as SEC1 has it (SEC 1 §2.3.4): 4 and both coordinates, or 2 or 3 and x.
fn parse_point(bytes: &[u8]) -> Result<Point, KeyError> {
    let coordinate = |bytes: &[u8]| Coordinate::try_from(bytes).expect("32 bytes were counted");
    let point = match bytes {
        [4, xy @ ..] if xy.len() == 2 * COORDINATE_BYTES => {
            let (x, y) = xy.split_at(COORDINATE_BYTES);
            Point::from_coordinates(&coordinate(x), &coordinate(y))
        }
        [parity @ (2 | 3), x @ ..] if x.len() == COORDINATE_BYTES => Point::decompress(&coordinate(x), *parity == 3),
        _ => return Err(KeyError::Der { what: "its point has neither 65 bytes nor 33" }),
    };
    point.ok_or(KeyError::NotOnCurve)
}

/// A PEM block: `-----BEGIN label-----`, a body, `-----END label-----`.
struct Block<'a> {
    label: &'a str,
    body: &'a str,
}

/// All blocks of a text, in order.
fn blocks(text: &str) -> Result<Vec<Block<'_>>, KeyError> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let (label, after) = after.split_once(DASHES).ok_or(KeyError::Pem { what: "its BEGIN line has no end" })?;
        let end = format!("{END}{label}{DASHES}");
        let (body, after) = after.split_once(&end).ok_or(KeyError::Pem { what: "its END line is missing" })?;
        blocks.push(Block { label, body });
        rest = after;
    }
    Ok(blocks)
}

/// The one block that has one of these labels, or an error that tells what the text has instead.
fn one_of<'a, 'text>(blocks: &'a [Block<'text>], labels: &[&str]) -> Result<&'a Block<'text>, KeyError> {
    let mut wanted = blocks.iter().filter(|block| labels.contains(&block.label));
    if let Some(block) = wanted.next() {
        return match wanted.next() {
            Some(_) => Err(KeyError::Pem { what: "it has more than one key" }),
            None => Ok(block),
        };
    }
    let other = blocks.iter().find(|block| block.label != "EC PARAMETERS").or(blocks.first());
    let label = other.ok_or(KeyError::Pem { what: "there is no BEGIN line" })?.label;
    let hint = match label {
        "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted),
        "RSA PRIVATE KEY" | "RSA PUBLIC KEY" => return Err(KeyError::Algorithm { algorithm: "RSA".to_owned() }),
        "CERTIFICATE" => "take the public key out of it: openssl x509 -in certificate.pem -pubkey -noout",
        "EC PARAMETERS" => "that names a curve only; give the block with the key",
        "OPENSSH PRIVATE KEY" => "turn it into PKCS#8: ssh-keygen -p -m PKCS8 -f private",
        _ => "make a pair: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    };
    Err(KeyError::Label { label: label.to_owned(), hint })
}

impl Block<'_> {
    fn der(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        // The old way to encrypt a key (RFC 1421 §4.6.1.1): headers, then base64 of the ciphertext.
        if self.body.contains("Proc-Type:") {
            return Err(KeyError::Encrypted);
        }
        let mut base64 = Zeroizing::new(String::with_capacity(self.body.len()));
        base64.extend(self.body.chars().filter(|character| !character.is_ascii_whitespace()));
        let der = STANDARD.decode(base64.as_bytes());
        der.map(Zeroizing::new).map_err(|_| KeyError::Pem { what: "its inside is not base64" })
    }
}
