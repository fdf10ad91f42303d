//! From an expression to a deterministic automaton, by derivatives: what is left to match after each character is again
//! an expression (Brzozowski 1964; Owens, Reppy, Turon 2009), and expressions that are left over are the states. Complement
//! and intersection need no construction of their own this way.
//!
//! Expressions are kept in normal form and only once each, so that there are finitely many, and equal ones are one number.

use std::collections::HashMap;

use super::automaton::{Automaton, Row};
use super::syntax::{ANY, Node};
use super::{PatternError, STATES_MAX};

/// Expressions made on the way to the automaton. Only reached by what has too many states, or nearly.
const EXPRESSIONS_MAX: usize = 400_000;
/// Steps of derivation, over all expressions.
const STEPS_MAX: usize = 1_000_000;

/// What an automaton is made of.
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
}

/// The automaton of an expression, and the steps it took.
pub(super) fn automaton(node: &Node) -> Result<(Automaton, usize), PatternError> {
    let mut arena = Arena::default();
    let start = arena.of(node)?;
    let mut numbers = HashMap::from([(start, 0)]);
    let mut waiting = vec![start];
    let mut rows = Vec::new();
    while rows.len() < waiting.len() {
        let state = waiting[rows.len()];
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for first in arena.boundaries(state)? {
            let next = arena.derivative(state, first)?;
            let number = *numbers.entry(next).or_insert_with(|| {
                waiting.push(next);
                waiting.len() as u32 - 1
            });
            if ranges.last().is_none_or(|&(_, before)| before != number) {
                ranges.push((first, number));
            }
        }
        rows.push(Row { accepts: arena.nullable(state), alive: false, ranges });
        if waiting.len() > STATES_MAX {
            return Err(PatternError::TooComplex);
        }
    }
    mark_alive(&mut rows);
    Ok((Automaton::new(Table { rows }), arena.steps))
}

/// Marks the states from which an accepting one can be reached.
fn mark_alive(rows: &mut [Row]) {
    let mut from: Vec<Vec<usize>> = vec![Vec::new(); rows.len()];
    for (number, row) in rows.iter().enumerate() {
        row.ranges.iter().for_each(|&(_, next)| from[next as usize].push(number));
    }
    let mut waiting: Vec<usize> = (0..rows.len()).filter(|&number| rows[number].accepts).collect();
    while let Some(number) = waiting.pop() {
        if !rows[number].alive {
            rows[number].alive = true;
            waiting.extend(&from[number]);
        }
    }
}

/// The number of an expression in its arena.
type Id = u32;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Expression {
    /// One character out of these ranges, which are in order; without any it matches nothing.
    Set(Vec<(u32, u32)>),
    /// The empty text.
    Nil,
    /// The first is never itself a sequence.
    Then(Id, Id),
    /// Two or more, in order of number, each once.
    Either(Vec<Id>),
    Both(Vec<Id>),
    Not(Id),
    Repeat(Id, u32, Option<u32>),
}

#[derive(Default)]
struct Arena {
    expressions: Vec<(Expression, bool)>,
    ids: HashMap<Expression, Id>,
    derivatives: HashMap<(Id, u32), Id>,
    steps: usize,
}

impl Arena {
    fn nullable(&self, id: Id) -> bool {
        self.expressions[id as usize].1
    }

    fn get(&self, id: Id) -> &Expression {
        &self.expressions[id as usize].0
    }

    fn step(&mut self, count: usize) -> Result<(), PatternError> {
        self.steps += count;
        if self.steps > STEPS_MAX { Err(PatternError::TooComplex) } else { Ok(()) }
    }

    fn intern(&mut self, expression: Expression) -> Result<Id, PatternError> {
        if let Some(&id) = self.ids.get(&expression) {
            return Ok(id);
        }
        let nullable = match &expression {
            Expression::Set(_) => false,
            Expression::Nil => true,
            Expression::Then(first, second) => self.nullable(*first) && self.nullable(*second),
            Expression::Either(ids) => ids.iter().any(|&id| self.nullable(id)),
            Expression::Both(ids) => ids.iter().all(|&id| self.nullable(id)),
            Expression::Not(id) => !self.nullable(*id),
            Expression::Repeat(id, min, _) => *min == 0 || self.nullable(*id),
        };
        if self.expressions.len() == EXPRESSIONS_MAX {
            return Err(PatternError::TooComplex);
        }
        let id = self.expressions.len() as Id;
        self.expressions.push((expression.clone(), nullable));
        self.ids.insert(expression, id);
        Ok(id)
    }

    fn nothing(&mut self) -> Result<Id, PatternError> {
        self.intern(Expression::Set(Vec::new()))
    }

    fn everything(&mut self) -> Result<Id, PatternError> {
        let nothing = self.nothing()?;
        self.intern(Expression::Not(nothing))
    }

    fn is_nothing(&self, id: Id) -> bool {
        matches!(self.get(id), Expression::Set(ranges) if ranges.is_empty())
    }

    fn is_everything(&self, id: Id) -> bool {
        matches!(self.get(id), Expression::Not(inner) if self.is_nothing(*inner))
    }

    fn set(&mut self, ranges: &[(char, char)]) -> Result<Id, PatternError> {
        // A range across the surrogates may hold them too: they never come.
        self.intern(Expression::Set(ranges.iter().map(|&(first, last)| (first as u32, last as u32)).collect()))
    }

    fn of(&mut self, node: &Node) -> Result<Id, PatternError> {
        match node {
            Node::Set(ranges) => self.set(ranges),
            Node::Sequence(nodes) => {
                let ids = nodes.iter().map(|node| self.of(node)).collect::<Result<Vec<_>, _>>()?;
                self.sequence(&ids)
            }
            Node::Either(nodes) => {
                let ids = nodes.iter().map(|node| self.of(node)).collect::<Result<Vec<_>, _>>()?;
                self.either(ids)
            }
            Node::Both(nodes) => {
                let ids = nodes.iter().map(|node| self.of(node)).collect::<Result<Vec<_>, _>>()?;
                self.both(ids)
            }
            Node::Not(node) => {
                let id = self.of(node)?;
                self.not(id)
            }
            Node::Repeat { inner, min, max } => {
                let id = self.of(inner)?;
                self.repeat(id, *min, *max)
            }
            Node::Interval { min, max, digits } => self.interval(*min, *max, *digits),
        }
    }

    fn sequence(&mut self, ids: &[Id]) -> Result<Id, PatternError> {
        let nil = self.intern(Expression::Nil)?;
        ids.iter().rev().try_fold(nil, |rest, &id| self.then(id, rest))
    }

    fn then(&mut self, first: Id, second: Id) -> Result<Id, PatternError> {
        if self.is_nothing(first) || self.is_nothing(second) {
            return self.nothing();
        }
        // To the right: what stands first is what the next character decides on.
        let mut firsts = Vec::new();
        let mut last = first;
        while let Expression::Then(head, tail) = *self.get(last) {
            firsts.push(head);
            last = tail;
        }
        firsts.push(last);
        self.step(firsts.len())?;
        firsts.into_iter().rev().try_fold(second, |rest, id| match (self.get(id), self.get(rest)) {
            (Expression::Nil, _) => Ok(rest),
            (_, Expression::Nil) => Ok(id),
            _ => self.intern(Expression::Then(id, rest)),
        })
    }

    fn either(&mut self, ids: Vec<Id>) -> Result<Id, PatternError> {
        let mut flat = Vec::new();
        let mut sets: Vec<(u32, u32)> = Vec::new();
        for id in ids {
            match self.get(id) {
                Expression::Either(inner) => {
                    for &id in inner {
                        match self.get(id) {
                            Expression::Set(ranges) => sets.extend(ranges),
                            _ => flat.push(id),
                        }
                    }
                }
                Expression::Set(ranges) => sets.extend(ranges),
                _ => flat.push(id),
            }
        }
        self.step(flat.len() + sets.len())?;
        if flat.iter().any(|&id| self.is_everything(id)) {
            return self.everything();
        }
        if !sets.is_empty() {
            flat.push(self.intern(Expression::Set(union(sets)))?);
        }
        flat.sort_unstable();
        flat.dedup();
        match flat[..] {
            [] => self.nothing(),
            [id] => Ok(id),
            _ => self.intern(Expression::Either(flat)),
        }
    }

    fn both(&mut self, ids: Vec<Id>) -> Result<Id, PatternError> {
        let mut flat = Vec::new();
        for id in ids {
            match self.get(id) {
                Expression::Both(inner) => flat.extend(inner),
                _ => flat.push(id),
            }
        }
        self.step(flat.len())?;
        if flat.iter().any(|&id| self.is_nothing(id)) {
            return self.nothing();
        }
        flat.retain(|&id| !self.is_everything(id));
        flat.sort_unstable();
        flat.dedup();
        match flat[..] {
            [] => self.everything(),
            [id] => Ok(id),
            _ => self.intern(Expression::Both(flat)),
        }
    }

    fn not(&mut self, id: Id) -> Result<Id, PatternError> {
        match *self.get(id) {
            Expression::Not(inner) => Ok(inner),
            _ => self.intern(Expression::Not(id)),
        }
    }

    fn repeat(&mut self, id: Id, min: u32, max: Option<u32>) -> Result<Id, PatternError> {
        if max.is_some_and(|max| min > max) {
            return self.nothing();
        }
        match (self.get(id), min, max) {
            (Expression::Nil, _, _) | (_, _, Some(0)) => self.intern(Expression::Nil),
            (_, 1, Some(1)) => Ok(id),
            (Expression::Set(ranges), 0, None) if ranges[..] == [(ANY.0 as u32, ANY.1 as u32)] => self.everything(),
            // Once more or twice more is the same for what never ends: a star of a star is the star.
            (Expression::Repeat(_, 0, None), _, None) => Ok(id),
            // What matches the empty text does so as often as is asked for.
            _ if self.nullable(id) && min > 0 => self.intern(Expression::Repeat(id, 0, max)),
            _ => self.intern(Expression::Repeat(id, min, max)),
        }
    }

    /// Numbers between two, written with exactly so many digits, or with as many leading zeros as one likes.
    fn interval(&mut self, min: u32, max: u32, digits: Option<usize>) -> Result<Id, PatternError> {
        if let Some(digits) = digits {
            return self.between(&decimal(min, digits), &decimal(max, digits));
        }
        let mut lengths = Vec::new();
        for length in decimal(min, 1).len()..=decimal(max, 1).len() {
            let first = u64::from(min).max(if length == 1 { 0 } else { 10_u64.pow(length as u32 - 1) });
            let last = u64::from(max).min(10_u64.pow(length as u32) - 1);
            lengths.push(self.between(&decimal(first, length), &decimal(last, length))?);
        }
        let number = self.either(lengths)?;
        let zero = self.set(&[('0', '0')])?;
        let zeros = self.repeat(zero, 0, None)?;
        self.then(zeros, number)
    }

    /// Texts of digits between two of the same length.
    fn between(&mut self, first: &[u8], last: &[u8]) -> Result<Id, PatternError> {
        let (Some((&low, first_rest)), Some((&high, last_rest))) = (first.split_first(), last.split_first()) else {
            return self.intern(Expression::Nil);
        };
        if low == high {
            let rest = self.between(first_rest, last_rest)?;
            return self.digits_then(low, low, rest);
        }
        let nines = vec![b'9'; first_rest.len()];
        let zeros = vec![b'0'; first_rest.len()];
        let above = self.between(first_rest, &nines)?;
        let below = self.between(&zeros, last_rest)?;
        let mut ways = vec![self.digits_then(low, low, above)?, self.digits_then(high, high, below)?];
        if low + 1 < high {
            let any = self.between(&zeros, &nines)?;
            ways.push(self.digits_then(low + 1, high - 1, any)?);
        }
        self.either(ways)
    }

    fn digits_then(&mut self, first: u8, last: u8, rest: Id) -> Result<Id, PatternError> {
        let digit = self.set(&[(char::from(first), char::from(last))])?;
        self.then(digit, rest)
    }

    /// The first characters of the ranges within which all characters lead to the same expression.
    fn boundaries(&mut self, id: Id) -> Result<Vec<u32>, PatternError> {
        let mut boundaries = vec![0];
        let mut waiting = vec![id];
        let mut seen = std::collections::HashSet::new();
        while let Some(id) = waiting.pop() {
            if !seen.insert(id) {
                continue;
            }
            self.step(1)?;
            match self.get(id) {
                Expression::Nil => {}
                Expression::Set(ranges) => {
                    boundaries.extend(ranges.iter().flat_map(|&(first, last)| [first, last + 1]));
                }
                Expression::Then(first, second) => {
                    waiting.push(*first);
                    waiting.extend(self.nullable(*first).then_some(*second));
                }
                Expression::Either(ids) | Expression::Both(ids) => waiting.extend(ids),
                Expression::Not(id) | Expression::Repeat(id, ..) => waiting.push(*id),
            }
        }
        self.step(boundaries.len())?;
        boundaries.sort_unstable();
        boundaries.dedup();
        boundaries.retain(|&boundary| boundary <= char::MAX as u32);
        Ok(boundaries)
    }

    /// What is left to match after `character`.
    fn derivative(&mut self, id: Id, character: u32) -> Result<Id, PatternError> {
        if let Some(&known) = self.derivatives.get(&(id, character)) {
            return Ok(known);
        }
        self.step(1)?;
        let derivative = match self.get(id).clone() {
            Expression::Nil => self.nothing()?,
            Expression::Set(ranges) => {
                let within = ranges.iter().any(|&(first, last)| (first..=last).contains(&character));
                if within { self.intern(Expression::Nil)? } else { self.nothing()? }
            }
            Expression::Then(..) => self.derivative_of_sequence(id, character)?,
            Expression::Either(ids) => {
                let ids = self.derivatives(&ids, character)?;
                self.either(ids)?
            }
            Expression::Both(ids) => {
                let ids = self.derivatives(&ids, character)?;
                self.both(ids)?
            }
            Expression::Not(inner) => {
                let inner = self.derivative(inner, character)?;
                self.not(inner)?
            }
            Expression::Repeat(inner, min, max) => {
                let first = self.derivative(inner, character)?;
                let rest = self.repeat(inner, min.saturating_sub(1), max.map(|max| max - 1))?;
                self.then(first, rest)?
            }
        };
        self.derivatives.insert((id, character), derivative);
        Ok(derivative)
    }

    fn derivatives(&mut self, ids: &[Id], character: u32) -> Result<Vec<Id>, PatternError> {
        ids.iter().map(|&id| self.derivative(id, character)).collect()
    }

    /// Along the sequence as far as what stands before may be empty: by a loop, since it can be long.
    fn derivative_of_sequence(&mut self, id: Id, character: u32) -> Result<Id, PatternError> {
        let mut ways = Vec::new();
        let mut at = id;
        while let Expression::Then(first, second) = *self.get(at) {
            let derived = self.derivative(first, character)?;
            ways.push(self.then(derived, second)?);
            if !self.nullable(first) {
                return self.either(ways);
            }
            at = second;
        }
        ways.push(self.derivative(at, character)?);
        self.either(ways)
    }
}

fn decimal(number: impl Into<u64>, digits: usize) -> Vec<u8> {
    format!("{:0digits$}", number.into()).into_bytes()
}

fn union(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges.sort_unstable();
    let mut union: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match union.last_mut() {
            Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
            _ => union.push((first, last)),
        }
    }
    union
}
