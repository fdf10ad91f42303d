//! Records for log extraction: the form that is handed out by type and number, and the form that is encrypted.
//!
//! Events that are encrypted to a key of their organisation are encrypted as the record that extraction clients expect to
//! find when they decrypt, so the form belongs here, beneath the surface that hands it out. Source: `specs/silo.md` §6.

mod record;
pub mod scan;
pub mod time;
mod translate;
pub mod types;

pub use record::{CANONICAL, Writer, sealed_form};
