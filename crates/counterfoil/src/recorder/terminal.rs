//! Our own terminal while a command runs in another one: raw, and as it was afterwards, whatever happens.

use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// The size of a terminal that is none.
const SIZE_DEFAULT: (u16, u16) = (80, 24);

/// Puts standard input into raw mode; when it is dropped, everything is as before.
pub struct Raw {
    before: Option<Termios>,
}

impl Raw {
    /// Does nothing where standard input is no terminal.
    pub fn enter() -> io::Result<Raw> {
        let input = io::stdin();
        if !input.is_terminal() {
            return Ok(Raw { before: None });
        }
        let before = tcgetattr(input.as_fd())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(input.as_fd(), OptionalActions::Now, &raw)?;
        Ok(Raw { before: Some(before) })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.before
            && let Err(error) = tcsetattr(io::stdin().as_fd(), OptionalActions::Drain, before)
        {
            eprintln!("counterfoil: the terminal could not be restored ({error}); `reset` does it");
        }
    }
}

/// Columns and rows of our terminal.
pub fn size() -> (u16, u16) {
    match tcgetwinsize(io::stdout().as_fd()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
        _ => SIZE_DEFAULT,
    }
}
