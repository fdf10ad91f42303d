//! A deterministic automaton over characters that is driven by the bytes of UTF-8.

use super::derivative::Table;

/// Decides on whole tokens. State 0 is where it begins.
pub(crate) struct Automaton {
    states: Vec<Row>,
}

/// One state. `ranges`: the first character of each range and where it leads, in order, from the first character there is.
pub(super) struct Row {
    pub(super) accepts: bool,
    /// An accepting state can be reached from here.
    pub(super) alive: bool,
    pub(super) ranges: Vec<(u32, u32)>,
}

/// Where the automaton stands: a state, and what has been seen of a character that is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    state: u32,
    partial: u32,
    /// Bytes still due of that character.
    due: u8,
}

const DEAD: State = State { state: u32::MAX, partial: 0, due: 0 };

impl Automaton {
    pub(super) fn new(table: Table) -> Automaton {
        Automaton { states: table.rows }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        use tantivy_fst::Automaton as _;
        let end = text.bytes().fold(self.start(), |state, byte| self.accept(&state, byte));
        self.is_match(&end)
    }

    fn row(&self, state: State) -> Option<&Row> {
        self.states.get(state.state as usize)
    }

    fn step(&self, state: State, character: u32) -> State {
        let Some(row) = self.row(state) else { return DEAD };
        let after = row.ranges.partition_point(|&(first, _)| first <= character);
        // The first range begins with the first character, so there is always one before.
        let next = row.ranges[after - 1].1;
        if self.states[next as usize].alive { State { state: next, partial: 0, due: 0 } } else { DEAD }
    }
}

impl tantivy_fst::Automaton for Automaton {
    type State = State;

    fn start(&self) -> State {
        if self.states[0].alive { State { state: 0, partial: 0, due: 0 } } else { DEAD }
    }

    fn is_match(&self, state: &State) -> bool {
        state.due == 0 && self.row(*state).is_some_and(|row| row.accepts)
    }

    fn can_match(&self, state: &State) -> bool {
        *state != DEAD
    }

    /// Tokens are UTF-8 and are given from their beginning, so a byte that cannot come here does not come.
    fn accept(&self, state: &State, byte: u8) -> State {
        if *state == DEAD {
            return DEAD;
        }
        if state.due > 0 {
            let partial = state.partial << 6 | u32::from(byte & 0x3f);
            let due = state.due - 1;
            return if due == 0 { self.step(*state, partial) } else { State { partial, due, ..*state } };
        }
        match byte {
            0..0x80 => self.step(*state, u32::from(byte)),
            0x80..0xe0 => State { partial: u32::from(byte & 0x1f), due: 1, ..*state },
            0xe0..0xf0 => State { partial: u32::from(byte & 0x0f), due: 2, ..*state },
            0xf0.. => State { partial: u32::from(byte & 0x07), due: 3, ..*state },
        }
    }
}
