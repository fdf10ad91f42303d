//! A sudo I/O log: files of its folder, cut out of the input.
#![no_main]

mod recordings;

use libfuzzer_sys::fuzz_target;
use replay::format::Format;

fuzz_target!(|bytes: &[u8]| {
    recordings::check(Format::SudoIolog, &recordings::parts(bytes, ["timing", "ttyout", "log", "ttyin", "log.json"]));
    recordings::check(Format::SudoIolog, &recordings::parts(bytes, ["1", "2", "3"]));
});
