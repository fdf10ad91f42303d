//! `record`: a command in a pseudo-terminal, its output on the terminal and in a file, and the file on its way to a server.
//!
//! ```text
//! command ⇄ pseudo-terminal ⇄ our terminal
//!                └─▶ asciicast v3 ─▶ spool file ─▶ sender ─▶ server
//! ```
//!
//! The file comes first, so that nothing of the session is lost when the server is away: the sender follows the file and
//! goes on where the server says that the recording ends. What could not be sent stays in the spool, with a note beside it
//! that says what it is; `counterfoil upload --spooled` sends it later.

pub mod sender;
pub mod spool;
pub mod terminal;
