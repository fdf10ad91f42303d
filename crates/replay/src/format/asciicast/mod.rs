//! asciicast, the format of asciinema, in its three versions; read and written.
//!
//! Source of the fields: the format's own pages (docs.asciinema.org, "asciicast v1", "v2", "v3"), and its fixtures.

mod json;
mod lines;
mod theme;
mod v1;
mod writer;

pub use writer::{Version, Writer};

use super::damage::Damage;
use super::event::Format;
use super::reader::{Notices, Opened};
use super::source::Source;

pub(super) fn open<'a>(format: Format, source: Source<'a>, notices: &mut Notices) -> Result<Opened<'a>, Damage> {
    match format {
        Format::AsciicastV1 => v1::open(source),
        _ => lines::open(format, source, notices),
    }
}
