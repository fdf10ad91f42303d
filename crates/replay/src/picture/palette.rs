//! Which colours a picture needs, and how they fit into 256.

use std::collections::HashMap;

use super::mask::FULL;
use crate::cell::{Attributes, Cell, Colour, Rgb};
use crate::format::Theme;

/// Most colours of an indexed picture.
const COLOURS_MAX: usize = 256;

/// The sixteen colours of a terminal that has no theme: each can be read on the background below, which xterm's blue cannot.
const USUAL: [Rgb; 16] = [
    Rgb(0, 0, 0),
    Rgb(205, 49, 49),
    Rgb(13, 188, 121),
    Rgb(209, 180, 40),
    Rgb(66, 126, 230),
    Rgb(188, 63, 188),
    Rgb(17, 168, 205),
    Rgb(229, 229, 229),
    Rgb(118, 118, 118),
    Rgb(241, 76, 76),
    Rgb(35, 209, 139),
    Rgb(245, 245, 67),
    Rgb(95, 160, 255),
    Rgb(214, 112, 214),
    Rgb(41, 184, 219),
    Rgb(255, 255, 255),
];
const USUAL_TEXT: Rgb = Rgb(204, 204, 204);
const USUAL_BACKGROUND: Rgb = Rgb(18, 19, 20);

/// A theme made ready: every colour that a cell can name.
pub(super) struct Colours {
    foreground: Rgb,
    background: Rgb,
    indexed: [Rgb; 256],
}

impl Colours {
    pub(super) fn of(theme: Option<&Theme>) -> Colours {
        let mut indexed = [Rgb(0, 0, 0); 256];
        indexed[..16].copy_from_slice(&USUAL);
        if let Some(theme) = theme {
            let count = theme.palette.len().min(16);
            indexed[..count].copy_from_slice(&theme.palette[..count]);
            if count == 8 {
                indexed.copy_within(..8, 8);
            }
        }
        for (number, colour) in indexed.iter_mut().enumerate().skip(16) {
            let step = |n: usize| if n == 0 { 0 } else { (55 + 40 * n) as u8 };
            let grey = |n: usize| (8 + 10 * n) as u8;
            *colour = match number {
                16..=231 => Rgb(step((number - 16) / 36), step((number - 16) / 6 % 6), step((number - 16) % 6)),
                _ => Rgb(grey(number - 232), grey(number - 232), grey(number - 232)),
            };
        }
        Colours {
            foreground: theme.map_or(USUAL_TEXT, |theme| theme.foreground),
            background: theme.map_or(USUAL_BACKGROUND, |theme| theme.background),
            indexed,
        }
    }

    fn resolve(&self, colour: Colour, default: Rgb) -> Rgb {
        match colour {
            Colour::Default => default,
            Colour::Indexed(number) => self.indexed[usize::from(number)],
            Colour::Rgb(colour) => colour,
        }
    }

    /// Text and background of a cell, after inversion and fading. `cursor`: the cursor stands on it, which inverts once more.
    pub(super) fn of_cell(&self, cell: &Cell, cursor: bool) -> Pair {
        let mut text = self.resolve(cell.foreground, self.foreground);
        let mut behind = self.resolve(cell.background, self.background);
        if cell.attributes.has(Attributes::INVERSE) {
            std::mem::swap(&mut text, &mut behind);
        }
        if cell.attributes.has(Attributes::FAINT) {
            text = blend(behind, text, 3, 5);
        }
        if cursor {
            std::mem::swap(&mut text, &mut behind);
        }
        Pair { text, behind }
    }
}

/// The two colours of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Pair {
    pub(super) text: Rgb,
    pub(super) behind: Rgb,
}

/// `part` of `whole` parts of the way from one colour to another.
fn blend(from: Rgb, to: Rgb, part: u32, whole: u32) -> Rgb {
    let mix = |from: u8, to: u8| ((u32::from(from) * (whole - part) + u32::from(to) * part + whole / 2) / whole) as u8;
    Rgb(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

/// Counts the pairs that a picture uses, in the order in which they are met.
#[derive(Default)]
pub(super) struct Pairs {
    numbers: HashMap<Pair, usize>,
    met: Vec<Met>,
}

struct Met {
    pair: Pair,
    cells: u64,
    /// Some cell shows text in it; otherwise only the background is seen.
    text: bool,
}

impl Pairs {
    /// Returns the pair's number.
    pub(super) fn count(&mut self, pair: Pair, text: bool) -> usize {
        let number = *self.numbers.entry(pair).or_insert_with(|| {
            self.met.push(Met { pair, cells: 0, text: false });
            self.met.len() - 1
        });
        self.met[number].cells += 1;
        self.met[number].text |= text;
        number
    }

    /// Chooses the colours. Those of backgrounds and of full ink are kept exactly, if they are not too many; shades between
    /// them are joined where there is no room for all, which at the edges of letters nobody sees.
    ///
    /// Sixteen colours are preferred: the picture is packed into half the bytes, and three rows of text instead of one and a
    /// half lie within reach of the packer, which looks back 32 KiB.
    pub(super) fn palette(&self) -> Palette {
        let (mut exact, mut shades) = (Needed::default(), Needed::default());
        for met in &self.met {
            exact.add(met.pair.behind, met.cells * 8);
            if met.text {
                exact.add(met.pair.text, met.cells * 4);
            }
        }
        for met in self.met.iter().filter(|met| met.text) {
            for ink in 1..FULL {
                shades.add(shade(met.pair, ink), met.cells);
            }
        }
        shades.forget(&exact);
        let all = exact.colours.len() + shades.colours.len();
        let colours_max = match exact.colours.len() {
            few if few <= SMALL_EXACT_MAX || all <= SMALL => SMALL,
            _ => COLOURS_MAX,
        };
        let (mut colours, mut numbers) = if exact.colours.len() <= EXACT_MAX {
            (exact.colours, exact.numbers)
        } else {
            exact.reduce(COLOURS_MAX - SHADES_LEAST.min(shades.colours.len()))
        };
        let (between, between_numbers) = shades.reduce(colours_max - colours.len());
        numbers.extend(between_numbers.into_iter().map(|(colour, number)| (colour, number + colours.len())));
        colours.extend(between);
        let ramp = |met: &Met| {
            let mut ramp = [0; FULL as usize + 1];
            for (ink, entry) in (0..).zip(&mut ramp) {
                let colour = if met.text { shade(met.pair, ink) } else { met.pair.behind };
                // There are at most 256 colours, so each number fits.
                *entry = numbers[&colour] as u8;
            }
            ramp
        };
        Palette { ramps: self.met.iter().map(ramp).collect(), colours }
    }
}

/// What four bits hold.
const SMALL: usize = 16;
/// With so many exact colours at most, six are left for shades and sixteen are enough.
const SMALL_EXACT_MAX: usize = 10;
/// So many are kept exactly at most; beyond, they are joined, too.
const EXACT_MAX: usize = 224;
/// What is left for shades then.
const SHADES_LEAST: usize = COLOURS_MAX - EXACT_MAX;

/// No ink is the background, [`FULL`] is the text.
fn shade(pair: Pair, ink: u8) -> Rgb {
    blend(pair.behind, pair.text, ink.into(), FULL.into())
}

/// The colours of a picture, and for each pair which of them stands for how much ink.
pub(super) struct Palette {
    pub(super) colours: Vec<Rgb>,
    pub(super) ramps: Vec<[u8; FULL as usize + 1]>,
}

/// Colours in the order in which they are met, with their weights.
#[derive(Default)]
struct Needed {
    colours: Vec<Rgb>,
    weights: Vec<u64>,
    numbers: HashMap<Rgb, usize>,
}

impl Needed {
    fn add(&mut self, colour: Rgb, weight: u64) {
        let number = *self.numbers.entry(colour).or_insert_with(|| {
            self.colours.push(colour);
            self.weights.push(0);
            self.colours.len() - 1
        });
        self.weights[number] += weight;
    }

    /// Those of `others` are taken out.
    fn forget(&mut self, others: &Needed) {
        let mut left = Needed::default();
        for (colour, weight) in self.colours.iter().zip(&self.weights) {
            if !others.numbers.contains_key(colour) {
                left.add(*colour, *weight);
            }
        }
        *self = left;
    }

    /// As many colours as given at most, and for each colour the number of the one that stands for it.
    fn reduce(self, colours_max: usize) -> (Vec<Rgb>, HashMap<Rgb, usize>) {
        if self.colours.len() <= colours_max {
            return (self.colours, self.numbers);
        }
        reduce(self.colours.into_iter().zip(self.weights).collect(), colours_max)
    }
}

/// Median cut: the colours are parted at the middle of their widest channel until there are enough groups, each of which
/// is then shown as its weighted mean. Integers only and ties broken by value, so the same everywhere.
fn reduce(mut all: Vec<(Rgb, u64)>, colours_max: usize) -> (Vec<Rgb>, HashMap<Rgb, usize>) {
    all.sort_unstable();
    let mut groups = vec![all];
    while groups.len() < colours_max {
        let spread = |group: &[(Rgb, u64)]| widest(group).1 * group.iter().map(|(_, weight)| weight).sum::<u64>();
        let most = (0..groups.len()).max_by_key(|place| (spread(&groups[*place]), std::cmp::Reverse(*place)));
        let Some(place) = most.filter(|place| groups[*place].len() > 1) else {
            break;
        };
        let mut group = std::mem::take(&mut groups[place]);
        let (channel, _) = widest(&group);
        group.sort_unstable_by_key(|(colour, _)| (channels(*colour)[channel], *colour));
        let half = group.iter().map(|(_, weight)| weight).sum::<u64>() / 2;
        let mut before = 0;
        let middle = group.iter().position(|(_, weight)| {
            before += weight;
            before > half
        });
        let upper = group.split_off(middle.unwrap_or(0).clamp(1, group.len() - 1));
        groups[place] = group;
        groups.push(upper);
    }
    let mut numbers = HashMap::new();
    let colours = groups.iter().enumerate().map(|(number, group)| {
        numbers.extend(group.iter().map(|(colour, _)| (*colour, number)));
        mean(group)
    });
    (colours.collect(), numbers)
}

fn channels(Rgb(red, green, blue): Rgb) -> [u8; 3] {
    [red, green, blue]
}

/// The channel in which a group differs most, and by how much.
fn widest(group: &[(Rgb, u64)]) -> (usize, u64) {
    let range = |channel: usize| {
        let values = group.iter().map(|(colour, _)| channels(*colour)[channel]);
        let (least, most) = values.fold((u8::MAX, 0), |(least, most), value| (least.min(value), most.max(value)));
        u64::from(most.saturating_sub(least))
    };
    // Green counts most for the eye; it comes first among equals.
    [1, 0, 2]
        .map(|channel| (channel, range(channel)))
        .into_iter()
        .rev()
        .max_by_key(|(_, range)| *range)
        .unwrap_or((1, 0))
}

fn mean(group: &[(Rgb, u64)]) -> Rgb {
    let total = group.iter().map(|(_, weight)| weight).sum::<u64>().max(1);
    let channel = |channel: usize| {
        let sum: u64 = group.iter().map(|(colour, weight)| u64::from(channels(*colour)[channel]) * weight).sum();
        ((sum + total / 2) / total) as u8
    };
    Rgb(channel(0), channel(1), channel(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cube_and_the_greys_are_those_of_xterm() {
        let colours = Colours::of(None);
        for (number, expected) in [
            (16, Rgb(0, 0, 0)),
            (21, Rgb(0, 0, 255)),
            (208, Rgb(255, 135, 0)),
            (231, Rgb(255, 255, 255)),
            (232, Rgb(8, 8, 8)),
            (255, Rgb(238, 238, 238)),
        ] {
            assert_eq!(colours.indexed[number], expected, "{number}");
        }
    }

    #[test]
    fn few_colours_are_kept_exactly_and_many_nearly() {
        for (count, worst) in [(3_u32, 0_u32), (60, 0), (220, 0), (250, 12), (5000, 40)] {
            let mut pairs = Pairs::default();
            let colour = |n: u32| Rgb((n * 37 % 256) as u8, (n * 11 / 3 % 256) as u8, (n / 7 % 256) as u8);
            for n in 0..count {
                pairs.count(Pair { text: colour(n), behind: Rgb(0, 0, 0) }, true);
            }
            let palette = pairs.palette();
            assert!(palette.colours.len() <= COLOURS_MAX, "{count}");
            for (n, ramp) in (0..count).zip(&palette.ramps) {
                let shown = channels(palette.colours[usize::from(ramp[usize::from(FULL)])]);
                let off = channels(colour(n))
                    .iter()
                    .zip(shown)
                    .map(|(wanted, shown)| u32::from(wanted.abs_diff(shown)))
                    .max();
                assert!(off.is_some_and(|off| off <= worst), "{count} colours, the {n}th is off by {off:?}");
            }
        }
    }
}
