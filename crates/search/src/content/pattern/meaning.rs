//! What an expression matches, evaluated as it is written: the places where a match that begins here may end.

use super::syntax::Node;

/// Whether the whole text matches.
pub(super) fn matches(node: &Node, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    ends(node, &text, 0)[text.len()]
}

/// For each place up to the end of the text: whether a match from `start` can end there.
fn ends(node: &Node, text: &[char], start: usize) -> Vec<bool> {
    let nowhere = vec![false; text.len() + 1];
    match node {
        Node::Set(ranges) => {
            let mut ends = nowhere;
            if let Some(c) = text.get(start) {
                ends[start + 1] = ranges.iter().any(|(first, last)| (first..=last).contains(&c));
            }
            ends
        }
        Node::Sequence(nodes) => nodes.iter().fold(only(start, nowhere), |starts, node| step(node, text, &starts)),
        Node::Either(nodes) => {
            nodes.iter().fold(nowhere, |all, node| zip(&all, &ends(node, text, start), |a, b| a || b))
        }
        Node::Both(nodes) => {
            let all = vec![true; text.len() + 1];
            nodes.iter().fold(all, |all, node| zip(&all, &ends(node, text, start), |a, b| a && b))
        }
        Node::Not(node) => {
            let inner = ends(node, text, start);
            (0..=text.len()).map(|end| end >= start && !inner[end]).collect()
        }
        Node::Repeat { inner, min, max } => {
            let max = max.unwrap_or(u32::MAX);
            let mut all = nowhere.clone();
            let mut starts = only(start, nowhere);
            let mut seen: Vec<Vec<bool>> = Vec::new();
            for count in 0..=max {
                if count >= *min {
                    all = zip(&all, &starts, |a, b| a || b);
                    // The same places again: nothing new can come, however often it is repeated.
                    if seen.contains(&starts) {
                        break;
                    }
                    seen.push(starts.clone());
                }
                if !starts.contains(&true) {
                    break;
                }
                starts = step(inner, text, &starts);
            }
            if *min > max { vec![false; text.len() + 1] } else { all }
        }
        Node::Interval { min, max, digits } => {
            let value = |end: usize| text[start..end].iter().collect::<String>().parse::<u128>().ok();
            let decimal = |end: usize| end > start && text[start..end].iter().all(char::is_ascii_digit);
            let long_enough = |end: usize| digits.is_none_or(|digits| end - start == digits);
            let between = |value: u128| (u128::from(*min)..=u128::from(*max)).contains(&value);
            (0..=text.len()).map(|end| decimal(end) && long_enough(end) && value(end).is_some_and(between)).collect()
        }
    }
}

fn only(place: usize, mut places: Vec<bool>) -> Vec<bool> {
    places[place] = true;
    places
}

fn step(node: &Node, text: &[char], starts: &[bool]) -> Vec<bool> {
    let nowhere = vec![false; text.len() + 1];
    let starts = starts.iter().enumerate().filter(|(_, here)| **here).map(|(start, _)| start);
    starts.fold(nowhere, |all, start| zip(&all, &ends(node, text, start), |a, b| a || b))
}

fn zip(left: &[bool], right: &[bool], of: impl Fn(bool, bool) -> bool) -> Vec<bool> {
    left.iter().zip(right).map(|(&left, &right)| of(left, right)).collect()
}
