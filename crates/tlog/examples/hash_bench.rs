//! Millions of hashes per second and core by each backend, for the three shapes that a log hashes; and of signatures.
//!
//! `cargo run --release -p counterfoil-tlog --example hash_bench`

use std::hint::black_box;
use std::time::{Duration, Instant};

use tlog::Hash;
use tlog::batch::{self, Backend};
use tlog::note::{self, SignerKey};

const BATCH: usize = 4096;
const FOR: Duration = Duration::from_millis(400);

fn main() {
    println!("chosen: {}\n", batch::backend());
    println!("{:28} {:>8} {:>8}   M hashes/s, times the plain one", "", "M/s", "x plain");

    let entries: Vec<u8> = (0..BATCH * 80).map(|i| (i * 31) as u8).collect();
    let mut leaves = vec![Hash::default(); BATCH];
    compare("80-byte entries", |backend| backend.fixed_leaf_hashes_into(&entries, 80, &mut leaves));

    let children: Vec<Hash> = (0..2 * BATCH).map(|i| Hash([i as u8; 32])).collect();
    let mut parents = vec![Hash::default(); BATCH];
    compare("nodes", |backend| backend.node_hashes_into(&children, &mut parents));

    let salt = [7; 16];
    for (name, lengths) in [("bodies of 450 bytes", 450..=450), ("bodies of 200 to 700 bytes", 200..=700)] {
        let spread = lengths.end() - lengths.start() + 1;
        let bodies: Vec<Vec<u8>> = (0..BATCH).map(|i| vec![i as u8; lengths.start() + i * 7919 % spread]).collect();
        let items: Vec<(&[u8; 16], &[u8])> = bodies.iter().map(|body| (&salt, &body[..])).collect();
        let mut out = vec![Hash::default(); BATCH];
        compare(name, |backend| backend.commitments_into(&items, &mut out));
    }

    for tiles in [1, 4, 64] {
        let space: Vec<Hash> = (0..tiles * 256).map(|i| Hash([i as u8; 32])).collect();
        let mut work = space.clone();
        let mut roots = vec![Hash::default(); tiles];
        let per_second = rate(255 * tiles, || {
            work.copy_from_slice(&space);
            batch::reduce_into(&mut work, 256, &mut roots);
        });
        println!("{:28} {:8.2}", format!("reducing {tiles} tiles at once"), per_second / 1e6);
    }

    println!();
    signatures();
}

fn signatures() {
    let key = SignerKey::from_seed("example.org/l/log", &[7; 32]).expect("a good name");
    let text = "example.org/l/log\n3\n6IHuDE1uter/E8sSIt58E9ifVZEVeSBw0vqV9qB79uQ=\n";
    let signed = note::sign(text, &[&key]).expect("a good text");
    let keys = [key.verifier().clone()];
    report_us(
        "sign (ed25519-dalek)",
        rate(1, || {
            black_box(key.sign(text));
        }),
    );
    report_us(
        "open (ed25519-dalek strict)",
        rate(1, || {
            black_box(note::open(&signed, &keys)).expect("just signed");
        }),
    );
    report_us(
        "derive a log's key",
        rate(1, || {
            let seed = note::derive_log_seed(&[7; 32], "example.org/l/log", 1);
            black_box(SignerKey::from_seed("example.org/l/log", &seed)).expect("a good name");
        }),
    );

    let ring_key = ring::signature::Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("32 bytes");
    let signature = ring_key.sign(text.as_bytes());
    let public = ring::signature::KeyPair::public_key(&ring_key).as_ref().to_vec();
    let public = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, public);
    report_us(
        "sign (ring, to compare)",
        rate(1, || {
            black_box(ring_key.sign(text.as_bytes()));
        }),
    );
    report_us(
        "verify (ring, to compare)",
        rate(1, || {
            black_box(public.verify(text.as_bytes(), signature.as_ref())).expect("just signed");
        }),
    );
}

fn compare(name: &str, mut hash: impl FnMut(Backend)) {
    let plain = rate(BATCH, || hash(Backend::Plain));
    for backend in Backend::ALL {
        let per_second = rate(BATCH, || hash(backend));
        println!("{name:28} {:8.2} {:7.2}x   {}", per_second / 1e6, per_second / plain, backend.name());
    }
}

fn report_us(name: &str, per_second: f64) {
    println!("{name:28} {:8.2} µs", 1e6 / per_second);
}

/// How many per second, when `work` does `count` of them; the best of three runs, as others use this machine too.
fn rate(count: usize, mut work: impl FnMut()) -> f64 {
    let mut best: f64 = 0.0;
    for _ in 0..3 {
        let start = Instant::now();
        let mut done = 0;
        while start.elapsed() < FOR / 3 {
            work();
            done += count;
        }
        best = best.max(done as f64 / start.elapsed().as_secs_f64());
    }
    best
}
