//! ttyrec.
#![no_main]

mod recordings;

use libfuzzer_sys::fuzz_target;
use replay::format::Format;

fuzz_target!(|bytes: &[u8]| recordings::check(Format::Ttyrec, &[("a", bytes)]));
