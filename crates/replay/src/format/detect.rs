//! Says which format a recording is, by what stands in it.

use std::io::{self, Cursor, Read};

use flate2::read::MultiGzDecoder;

use super::event::Format;
use super::source::Part;
use super::{script, sudo, tlog, ttyrec};

/// How many of the first bytes of each part [`detect()`] should see. Fewer are enough for most recordings.
pub const DETECT_BYTES: usize = 64 << 10;

/// Says which format these parts are, each given as name and first bytes (see [`DETECT_BYTES`]; packed with gzip or not).
///
/// `None` if they are none, also if they are a tar (see [`super::tar`]). Names matter only for the files of a sudo I/O log.
pub fn detect(parts: &[(&str, &[u8])]) -> Option<Format> {
    let begins: Vec<Vec<u8>> = parts.iter().map(|(_, begin)| unpacked(begin)).collect();
    if let [begin] = begins.as_slice() {
        return of_one(begin);
    }
    // Of several parts one tells: a sudo log has its log file, a script its typescript.
    if begins.iter().any(|begin| sudo::looks_like_log(begin) || sudo::looks_like_log_json(begin)) {
        return Some(Format::SudoIolog);
    }
    if begins.iter().any(|begin| script::looks_like_timing(begin) || script::looks_like_typescript(begin)) {
        return Some(Format::Script);
    }
    begins.iter().any(|begin| sudo::looks_like_timing(begin)).then_some(Format::SudoIolog)
}

/// As [`detect()`], on parts that are about to be read; what was looked at is put back.
///
/// # Errors
/// A part cannot be read.
pub fn detect_in(parts: &mut [Part<'_>]) -> io::Result<Option<Format>> {
    let mut begins = Vec::new();
    for part in parts.iter_mut() {
        let mut begin = Vec::new();
        part.bytes.by_ref().take(DETECT_BYTES as u64).read_to_end(&mut begin)?;
        let rest = std::mem::replace(&mut part.bytes, Box::new(io::empty()));
        part.bytes = Box::new(Cursor::new(begin.clone()).chain(rest));
        begins.push(begin);
    }
    let named: Vec<(&str, &[u8])> =
        parts.iter().zip(&begins).map(|(part, begin)| (part.name.as_str(), begin.as_slice())).collect();
    Ok(detect(&named))
}

fn of_one(begin: &[u8]) -> Option<Format> {
    let text = begin.trim_ascii_start();
    if text.starts_with(b"{") {
        return of_json(text);
    }
    if script::looks_like_typescript(begin) || script::looks_like_timing(begin) {
        return Some(Format::Script);
    }
    if sudo::looks_like_timing(begin) || sudo::looks_like_log(begin) {
        return Some(Format::SudoIolog);
    }
    if tlog::looks_like(begin) {
        return Some(Format::Tlog);
    }
    ttyrec::looks_like(begin).then_some(Format::Ttyrec)
}

fn of_json(begin: &[u8]) -> Option<Format> {
    let fields = Fields::of(begin);
    match fields.value("version") {
        Some(b"1") => return Some(Format::AsciicastV1),
        Some(b"2") => return Some(Format::AsciicastV2),
        Some(b"3") => return Some(Format::AsciicastV3),
        _ => {}
    }
    let has = |name: &str| fields.value(name).is_some();
    if has("ver") && has("rec") || has("__CURSOR") || has("MESSAGE") {
        return Some(Format::Tlog);
    }
    sudo::looks_like_log_json(begin).then_some(Format::SudoIolog)
}

/// The fields of a JSON object whose text may be cut: names, and the bytes of each value up to the comma.
struct Fields<'b> {
    found: Vec<(&'b [u8], &'b [u8])>,
}

impl<'b> Fields<'b> {
    fn of(text: &'b [u8]) -> Fields<'b> {
        let mut found = Vec::new();
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        let (mut name, mut begin): (Option<&[u8]>, usize) = (None, 0);
        for (at, &byte) in text.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => {
                    depth += 1;
                    begin = if depth == 1 { at + 1 } else { begin };
                }
                b':' if depth == 1 && name.is_none() => {
                    name = Some(text[begin..at].trim_ascii());
                    begin = at + 1;
                }
                b',' | b'}' if depth == 1 => {
                    found.extend(name.take().map(|name| (name, text[begin..at].trim_ascii())));
                    begin = at + 1;
                    if byte == b'}' {
                        break;
                    }
                }
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        // A value that the cut runs through is still one.
        found.extend(name.map(|name| (name, text[begin..].trim_ascii())));
        Fields { found }
    }

    fn value(&self, name: &str) -> Option<&'b [u8]> {
        let quoted = format!("\"{name}\"");
        self.found.iter().find(|(found, _)| *found == quoted.as_bytes()).map(|(_, value)| *value)
    }
}

/// As much of a packed begin as can be unpacked; anything else as it is.
fn unpacked(begin: &[u8]) -> Vec<u8> {
    if !begin.starts_with(&[0x1f, 0x8b]) {
        return begin.to_vec();
    }
    let (mut decoder, mut text) = (MultiGzDecoder::new(begin), vec![0; DETECT_BYTES]);
    let mut filled = 0;
    // The begin ends inside the packed stream, so an error is expected and ends it.
    while let Ok(count @ 1..) = decoder.read(&mut text[filled..]) {
        filled += count;
    }
    text.truncate(filled);
    text
}
