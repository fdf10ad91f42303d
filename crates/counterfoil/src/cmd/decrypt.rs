//! `decrypt`: extracted `ENC` records in, clear records out, one JSON object a line. Streams; needs no server.
//!
//! In: records one per line, arrays of them, pages (`{"logs":[…]}`). Records that are not encrypted pass through as they
//! are. Out: number and time as they stood outside, then the members that were inside, as extraction would have given them
//! in clear. Every record that does not open is named on standard error, and then the exit status is 1.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use seal::{PrivateKey, Scheme};
use service::extraction::{CANONICAL, scan};

use crate::cli;
use crate::import::records::{Piece, Records};
use crate::output;

/// Longest key file that is read, in bytes.
const KEY_BYTES_MAX: u64 = 64 << 10;

/// Longest record that is read, in bytes: the longest event, encrypted and in base64, fits.
const RECORD_BYTES_MAX: usize = 4 << 20;

/// `counterfoil decrypt …`
pub fn run(args: &cli::Decrypt) -> anyhow::Result<ExitCode> {
    let keys = Keys::read(&args.keys)?;
    let mut out = BufWriter::with_capacity(256 << 10, io::stdout().lock());
    let mut counts = Counts::default();
    let stdin = [std::path::PathBuf::from("-")];
    let files = if args.files.is_empty() { &stdin[..] } else { &args.files };
    for path in files {
        let input: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).with_context(|| format!("opening {}", path.display()))?)
        };
        let input = BufReader::with_capacity(256 << 10, input);
        let mut records = Records::with_bytes_max(input, &["logs"], RECORD_BYTES_MAX);
        loop {
            let next = records.next().with_context(|| format!("reading {}", path.display()))?;
            match next {
                None => break,
                Some(Piece::Broken { line, reason, .. }) => {
                    counts.broken += 1;
                    eprintln!("{}:{line}: not a record: {reason}", path.display());
                }
                Some(Piece::Record { line, bytes }) => match keys.open(&bytes) {
                    Ok(Opened::Clear) => {
                        counts.clear += 1;
                        one_line(&bytes, &mut out)?;
                    }
                    Ok(Opened::Record(inner)) => {
                        counts.opened += 1;
                        let merged = merged(&bytes, &inner, args.with_event);
                        one_line(&merged, &mut out)?;
                    }
                    Err(why) => {
                        counts.broken += 1;
                        eprintln!("{}:{line}: {}", path.display(), output::printable(&why));
                    }
                },
            }
        }
    }
    out.flush().context("writing the records")?;
    eprintln!("{} opened, {} were in clear, {} could not be opened", counts.opened, counts.clear, counts.broken);
    Ok(if counts.broken == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

#[derive(Default)]
struct Counts {
    opened: u64,
    clear: u64,
    broken: u64,
}

/// What became of a record.
enum Opened {
    /// It was not encrypted.
    Clear,
    /// The text inside: one JSON object.
    Record(Vec<u8>),
}

/// Private keys, some for one key name only.
struct Keys(Vec<(Option<String>, PrivateKey)>);

impl Keys {
    /// `[NAME=]FILE` each: a PEM private key, or a file whose first line is a passphrase.
    fn read(arguments: &[String]) -> anyhow::Result<Keys> {
        let mut keys = Vec::new();
        for argument in arguments {
            // A file name with an equals sign needs a name in front of it; `=FILE` is for any key name.
            let (name, file) = match argument.split_once('=') {
                Some((name, file)) => (Some(name.to_owned()).filter(|name| !name.is_empty()), file),
                None => (None, argument.as_str()),
            };
            let key = read_key(Path::new(file)).with_context(|| format!("the key in {file}"))?;
            keys.push((name, key));
        }
        if keys.is_empty() {
            bail!("no key: give --key FILE, or --key NAME=FILE for each key name");
        }
        Ok(Keys(keys))
    }

    fn open(&self, record: &[u8]) -> Result<Opened, String> {
        let member = |wanted: &str| {
            let found = scan::members(record)?.filter(|(name, _)| name.is(wanted)).last();
            found.and_then(|(_, value)| scan::string(value)).map(|text| text.into_owned())
        };
        match member("type").as_deref() {
            Some("ENC") => {}
            Some(_) => return Ok(Opened::Clear),
            None => return Err("no log record: no member `type`; of a reply, give the array `logs`".to_owned()),
        }
        let of = || {
            let number = scan::members(record).into_iter().flatten().find(|(name, _)| name.is("seq_id"));
            number.map_or("record".to_owned(), |(_, value)| format!("record {}", String::from_utf8_lossy(value)))
        };
        let name = member("key_name").unwrap_or_default();
        let sealed = member("enc").ok_or_else(|| format!("{}: no member `enc`", of()))?;
        let sealed = base64::engine::general_purpose::STANDARD
            .decode(sealed.trim())
            .map_err(|error| format!("{}: `enc` is not base64: {error}", of()))?;
        // Anything but `Standard` means the legacy scheme, absence too. Source: `specs/silo.md` §6.3.
        let scheme = match member("encryption_type").as_deref() {
            Some("Standard") => Scheme::Standard,
            _ => Scheme::Legacy,
        };
        let fits = |key: &&(Option<String>, PrivateKey)| {
            key.1.scheme() == scheme && key.0.as_ref().is_none_or(|of| *of == name)
        };
        let mut why = format!("{}: no {scheme} key for key name {name:?} was given", of());
        for (_, key) in self.0.iter().filter(fits) {
            match key.decrypt(&sealed) {
                Ok(inner) if scan::members(&inner).is_some() && std::str::from_utf8(&inner).is_ok() => {
                    return Ok(Opened::Record(inner));
                }
                Ok(_) => why = format!("{}: it opens, but holds no JSON object", of()),
                Err(error) => why = format!("{}: key name {name:?}: {error}", of()),
            }
        }
        Err(why)
    }
}

fn read_key(file: &Path) -> anyhow::Result<PrivateKey> {
    let mut bytes = Vec::new();
    File::open(file)?.take(KEY_BYTES_MAX).read_to_end(&mut bytes)?;
    if let Ok(text) = std::str::from_utf8(&bytes)
        && text.contains("-----BEGIN ")
    {
        return Ok(PrivateKey::from_pem(text)?);
    }
    // What the tools do: the first line, without its line end, is the passphrase.
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let passphrase = line.strip_suffix(b"\r").unwrap_or(line);
    if passphrase.is_empty() {
        bail!("the file is empty; it should hold a PEM private key, or a passphrase on its first line");
    }
    Ok(PrivateKey::from_passphrase(passphrase))
}

/// The record as it would have come in clear: type first, then number and time from outside, then what was inside.
fn merged(outer: &[u8], inner: &[u8], with_event: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(inner.len() + 100);
    out.push(b'{');
    let mut put = |name: &[u8], value: &[u8]| {
        if out.len() > 1 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(name);
        out.extend_from_slice(b"\":");
        out.extend_from_slice(value);
    };
    let members = |json| scan::members(json).into_iter().flatten();
    if let Some((name, value)) = members(inner).find(|(name, _)| name.is("type")) {
        put(name.text(), value);
    }
    for (name, value) in members(outer).filter(|(name, _)| ["seq_id", "create_ts"].iter().any(|own| name.is(own))) {
        put(name.text(), value);
    }
    for (name, value) in members(inner) {
        let placed = ["type", "seq_id", "create_ts"].iter().any(|own| name.is(own));
        if !placed && (with_event || !name.is(CANONICAL)) {
            put(name.text(), value);
        }
    }
    out.push(b'}');
    out
}

/// One record, one line: line feeds can only stand between tokens.
fn one_line(json: &[u8], out: &mut impl Write) -> anyhow::Result<()> {
    if json.contains(&b'\n') || json.contains(&b'\r') {
        let flat: Vec<u8> = json.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
        out.write_all(&flat)?;
    } else {
        out.write_all(json)?;
    }
    out.write_all(b"\n").context("writing a record")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clear_record_has_number_and_time_from_outside_and_the_rest_from_inside() {
        let check = |outer: &str, inner: &str, with_event: bool, expected: &str| {
            let got = merged(outer.as_bytes(), inner.as_bytes(), with_event);
            assert_eq!(String::from_utf8(got).unwrap(), expected);
        };
        let outer = r#"{"type":"ENC","seq_id":7,"create_ts":1.5,"key_name":"k","enc":"x"}"#;
        let inner = r#"{"type":"URL","org_id":"a","seq_id":1,"url":"u","counterfoil":{"action":"x"}}"#;
        check(outer, inner, false, r#"{"type":"URL","seq_id":7,"create_ts":1.5,"org_id":"a","url":"u"}"#);
        check(
            outer,
            inner,
            true,
            r#"{"type":"URL","seq_id":7,"create_ts":1.5,"org_id":"a","url":"u","counterfoil":{"action":"x"}}"#,
        );
    }

    #[test]
    fn each_record_is_opened_with_the_key_of_its_name_and_scheme() {
        let (right, wrong) = ("right", "wrong");
        let key = |passphrase: &str| PrivateKey::from_passphrase(passphrase.as_bytes());
        let sealed = key(right).public_key().encrypt(br#"{"type":"SMS","data":"hello"}"#, &mut seal::SystemRng);
        let enc = base64::engine::general_purpose::STANDARD.encode(sealed);
        let record = format!(r#"{{"type":"ENC","seq_id":1,"create_ts":1.0,"key_name":"k1","enc":"{enc}"}}"#);
        let open = |keys: Vec<(Option<&str>, &str)>, record: &str| {
            let keys = keys.into_iter().map(|(name, passphrase)| (name.map(str::to_owned), key(passphrase)));
            let keys = Keys(keys.collect());
            keys.open(record.as_bytes()).map(|opened| match opened {
                Opened::Clear => "clear".to_owned(),
                Opened::Record(inner) => String::from_utf8(inner).unwrap(),
            })
        };
        let inner = r#"{"type":"SMS","data":"hello"}"#;
        assert_eq!(open(vec![(None, right)], &record).unwrap(), inner);
        assert_eq!(open(vec![(None, wrong), (Some("k1"), right)], &record).unwrap(), inner);
        assert!(open(vec![(Some("k2"), right)], &record).unwrap_err().contains("k1"));
        assert!(open(vec![(None, wrong)], &record).is_err());
        let standard = record.replace("\"enc\"", "\"encryption_type\":\"Standard\",\"enc\"");
        assert!(open(vec![(None, right)], &standard).unwrap_err().contains("no standard key"));
        assert_eq!(open(vec![(None, right)], r#"{"type":"URL"}"#).unwrap(), "clear");
    }
}
