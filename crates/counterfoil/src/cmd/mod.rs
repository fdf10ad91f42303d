//! One module for each group of verbs. Each takes parsed arguments and returns what to exit with.

pub mod admin;
pub mod decrypt;
pub mod demo;
pub mod events;
pub mod import;
pub mod init;
pub mod key;
pub mod log;
pub mod play;
pub mod prove;
pub mod record;
pub mod rules;
pub mod serve;
pub mod sessions;
pub mod upload;
pub mod users;
pub mod verify;
pub mod watch;
pub mod witness;
