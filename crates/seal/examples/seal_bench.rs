//! Records sealed in a second on one core: the bare scheme one record at a time, and ours.
//!
//! ```text
//! cargo run --release -p counterfoil-seal --example seal_bench [records] [plaintext bytes] [threads]
//! ```
//!
//! "Bare" is ring's P-256 (assembly) making an ephemeral key and agreeing on the secret for each record, then the
//! scheme's key derivation, cipher and tag from the same crates that `seal` uses. All contenders take turns in one run,
//! so that the ratios hold on a busy machine.

use std::hint::black_box;
use std::time::Instant;

use aes_gcm::aead::AeadInOut;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::rand::{SecureRandom, SystemRandom};
use seal::{PrivateKey, PublicKey, Scheme, SystemRng};
use sha2::{Digest, Sha256, Sha384, Sha512};

const ROUNDS: usize = 5;

/// Seals a share of the records.
type Contender<'a> = &'a (dyn Fn(&[Vec<u8>]) + Sync);

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().expect("arguments are numbers"));
    let records: usize = arguments.next().unwrap_or(4_000);
    let plaintext_bytes: usize = arguments.next().unwrap_or(600);
    let threads: usize = arguments.next().unwrap_or(1);
    let plaintexts = vec![vec![b'x'; plaintext_bytes]; records];
    println!("{records} records of {plaintext_bytes} bytes, {threads} threads, best of {ROUNDS} rounds; records/s");
    for scheme in [Scheme::Legacy, Scheme::Standard] {
        let public = key(scheme);
        let peer = peer();
        let contenders: [(&str, Contender); 3] = [
            ("bare, one at a time", &|batch| {
                batch.iter().for_each(|plaintext| drop(black_box(bare(scheme, &peer, plaintext))))
            }),
            ("ours, one at a time", &|batch| {
                batch.iter().for_each(|plaintext| drop(black_box(public.encrypt(plaintext, &mut SystemRng))))
            }),
            ("ours, batched", &|batch| drop(black_box(public.encrypt_many(batch, &mut SystemRng)))),
        ];
        let mut best = [0.0_f64; 3];
        for _ in 0..ROUNDS {
            for ((_, run), best) in contenders.iter().zip(&mut best) {
                let start = Instant::now();
                std::thread::scope(|scope| {
                    for share in plaintexts.chunks(records.div_ceil(threads)) {
                        scope.spawn(move || run(share));
                    }
                });
                *best = best.max(records as f64 / start.elapsed().as_secs_f64());
            }
        }
        for ((name, _), rate) in contenders.iter().zip(best) {
            println!("{scheme:>8}  {name:<20} {rate:>9.0}  {:>5.0} % of bare", 100.0 * rate / best[0]);
        }
    }
}

fn key(scheme: Scheme) -> PublicKey {
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE7kSpfzKNLRYZOV2IVon7H5Ld56Nj\n\
        0QRe7Vc82i7YXUjBGxqgzIcY5JG9pRPm/aznu/ecojXOSdfXQcBIvH8JAQ==\n-----END PUBLIC KEY-----\n";
    match scheme {
        Scheme::Legacy => PrivateKey::from_passphrase(b"counterfoil test passphrase 3").public_key(),
        Scheme::Standard => PublicKey::parse_text(PEM).expect("a valid key"),
    }
}

/// Any point will do to agree with; that of the legacy key would need its decompression.
fn peer() -> Vec<u8> {
    let private = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).expect("random bytes");
    private.compute_public_key().expect("a public key").as_ref().to_vec()
}

fn bare(scheme: Scheme, peer: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let rng = SystemRandom::new();
    let ephemeral = EphemeralPrivateKey::generate(&ECDH_P256, &rng).expect("random bytes");
    let public = ephemeral.compute_public_key().expect("a public key");
    let shared_x: [u8; 32] =
        agree_ephemeral(ephemeral, &UnparsedPublicKey::new(&ECDH_P256, peer), |x| x.try_into().expect("32 bytes"))
            .expect("the peer is on the curve");
    let mut sealed = Vec::with_capacity(plaintext.len() + scheme.overhead_bytes());
    match scheme {
        Scheme::Legacy => {
            let keys = Sha512::new_with_prefix(shared_x).chain_update(&public.as_ref()[1..]).finalize();
            let key: [u8; 32] = keys[..32].try_into().expect("half of 64");
            sealed.extend_from_slice(&public.as_ref()[..33]);
            sealed.extend_from_slice(plaintext);
            ctr::Ctr128BE::<aes::Aes256>::new(&key.into(), &Default::default()).apply_keystream(&mut sealed[33..]);
            let mut mac = Hmac::<Sha256>::new_from_slice(&keys[32..]).expect("any length");
            mac.update(&sealed[33..]);
            let tag = mac.finalize().into_bytes();
            sealed.extend_from_slice(&tag[..10]);
        }
        Scheme::Standard => {
            let mut key = [0; 32];
            hkdf::Hkdf::<Sha384>::new(None, &shared_x).expand(&[], &mut key).expect("32 bytes");
            let mut nonce = [0; 12];
            rng.fill(&mut nonce).expect("random bytes");
            sealed.extend_from_slice(&nonce);
            sealed.extend_from_slice(&[0; 26]);
            sealed.extend_from_slice(public.as_ref());
            sealed.extend_from_slice(&[0; 16]);
            sealed.extend_from_slice(plaintext);
            let cipher = aes_gcm::Aes256Gcm::new(&key.into());
            let (head, content) = sealed.split_at_mut(119);
            let tag = cipher.encrypt_inout_detached(&nonce.into(), &[], content.into()).expect("short enough");
            head[103..].copy_from_slice(&tag);
        }
    }
    sealed
}
