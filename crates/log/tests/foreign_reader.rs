//! `docs/format.md` is enough: a reader written from it, in another language, reaches the signed heads.
//!
//! Needs `python3`, and a zstd for it; where they are missing this test says so and shows nothing.

mod common;

use std::process::Command;

use common::{Fixture, LOG, event};
use log::{LogId, Options};

fn read(fixture: &Fixture) -> Option<(i32, String)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/read_log.py");
    let output = Command::new("python3").arg(script).arg(fixture.folder().join("log")).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    output.status.code().map(|code| (code, text))
}

#[test]
fn a_reader_in_python_reaches_the_signed_heads_and_notices_a_change() {
    // Without segments the reader needs no zstd.
    for (commit_file_bytes, needs_zstd) in [(1 << 20, false), (20_000, true)] {
        let options = Options { commit_file_bytes, block_bytes: 3_000, ..Options::default() };
        let mut fixture = Fixture::in_folder(options);
        let other = LogId([2; 16]);
        fixture.logs().create(LOG).unwrap();
        fixture.logs().create(other).unwrap();
        for batch in 0..30_u64 {
            fixture.logs().append_blocking(LOG, (0..13).map(|i| event(batch * 13 + i)).collect()).unwrap();
            fixture.logs().append_blocking(other, vec![event(batch)]).unwrap();
            fixture.clock.advance(1_234_567);
        }
        fixture.close();
        let Some((code, text)) = read(&fixture) else { return println!("skipped: no python3 here") };
        if code == 3 && needs_zstd {
            return println!("skipped: {text}");
        }
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("391 entries, root as signed") && text.contains("31 entries, root as signed"), "{text}");

        let dir = fixture.folder().join("log/commit");
        let path = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(9).rposition(|window| window == b"{\"event\":").unwrap();
        bytes[at + 9] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let (code, text) = read(&fixture).unwrap();
        assert_eq!(code, 1, "{text}");
    }
}
