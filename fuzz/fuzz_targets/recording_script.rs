//! script: typescript, timing and input log, cut out of the input.
#![no_main]

mod recordings;

use libfuzzer_sys::fuzz_target;
use replay::format::Format;

fuzz_target!(|bytes: &[u8]| {
    recordings::check(Format::Script, &[("typescript", bytes)]);
    recordings::check(Format::Script, &recordings::parts(bytes, ["timing", "typescript", "input"]));
});
