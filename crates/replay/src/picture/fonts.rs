//! Fonts, and the ink of their glyphs, which is worked out once and kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ab_glyph::{Font, FontArc, FontVec, GlyphId, Outline, OutlineCurve, Point};
use ab_glyph_rasterizer::Rasterizer;

use super::mask::{FULL, HEIGHT, Mask, WIDTH};
use super::shapes;
use crate::cell::{Attributes, Cell};

/// Most masks that are kept, about 200 bytes each. Beyond it all are forgotten and made again as needed.
const MASKS_MAX: usize = 50_000;
/// Most fonts that a caller may add.
pub const EXTRA_FONTS_MAX: usize = 64;
/// A glyph larger than this many pixels in either direction is none of a text font; its character is drawn as missing.
const GLYPH_PIXELS_MAX: f32 = 200.0;
/// How far italics lean: this share of the height.
const LEAN: f32 = 0.2;
/// How far beside itself a bold glyph is drawn again, in pixels.
const BOLD: f32 = 0.8;

/// The fonts that pictures are drawn with, in the order in which a character is looked for: Hack, those of the caller, Noto
/// Emoji, emoji-icon-font (stars, crosses and the like). Wide characters are looked for in Noto Emoji first. Never the system's fonts, so that the same screen is the same picture everywhere.
///
/// Also keeps the ink of every character drawn so far. One value serves all threads.
pub struct Fonts {
    fonts: Vec<Face>,
    emoji: [Face; 2],
    masks: Mutex<HashMap<Key, Arc<Mask>>>,
}

/// Says how many there are.
impl std::fmt::Debug for Fonts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fonts").field("count", &(self.fonts.len() + self.emoji.len())).finish_non_exhaustive()
    }
}

/// A caller's font that cannot be read, or one too many.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("font {place} (from 0) is no font that can be read")]
pub struct BadFont {
    /// Its place among those given.
    pub place: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    character: char,
    wide: bool,
    bold: bool,
    italic: bool,
    /// Asked to look like an emoji (variation selector 16).
    emoji: bool,
}

struct Face {
    font: FontArc,
    units_per_em: f32,
}

/// Pixels of the em at which Hack's letters are exactly as wide as a cell, and where its baseline then is.
struct Metrics {
    em: f32,
    baseline: f32,
}

impl Fonts {
    /// The fonts that are built in.
    pub fn built_in() -> Fonts {
        Fonts::with(Vec::new()).expect("no font was added")
    }

    /// The built-in fonts and others (TrueType or OpenType; of a collection the first), each as the bytes of its file. The
    /// order matters: the first that has a character draws it.
    ///
    /// # Errors
    /// The first font that cannot be read, or that is over [`EXTRA_FONTS_MAX`].
    pub fn with(extra: Vec<Vec<u8>>) -> Result<Fonts, BadFont> {
        let built_in = |bytes: &'static [u8]| {
            let font = FontArc::try_from_slice(bytes).ok().and_then(Face::new);
            font.expect("the fonts of epaint_default_fonts can be read")
        };
        let mut fonts = vec![built_in(epaint_default_fonts::HACK_REGULAR)];
        for (place, bytes) in extra.into_iter().enumerate() {
            let font = FontVec::try_from_vec_and_index(bytes, 0).ok().map(FontArc::from).and_then(Face::new);
            fonts.push(font.filter(|_| place < EXTRA_FONTS_MAX).ok_or(BadFont { place })?);
        }
        let emoji = [epaint_default_fonts::NOTO_EMOJI_REGULAR, epaint_default_fonts::EMOJI_ICON].map(built_in);
        Ok(Fonts { fonts, emoji, masks: Mutex::new(HashMap::new()) })
    }

    /// The ink of each of these cells, in their order; `None` for those without any.
    pub(super) fn masks<'c>(&self, cells: impl Iterator<Item = &'c Cell>) -> Vec<Option<Arc<Mask>>> {
        let mut kept = self.masks.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() > MASKS_MAX {
            kept.clear();
        }
        cells.map(|cell| self.mask(&mut kept, cell)).collect()
    }

    fn mask(&self, kept: &mut HashMap<Key, Arc<Mask>>, cell: &Cell) -> Option<Arc<Mask>> {
        if cell.width == 0 || (cell.character == ' ' && cell.marks.is_none()) {
            return None;
        }
        let marks = cell.marks.as_deref().unwrap_or_default();
        let key = Key {
            character: cell.character,
            wide: cell.width > 1,
            bold: cell.attributes.has(Attributes::BOLD),
            italic: cell.attributes.has(Attributes::ITALIC),
            emoji: marks.contains('\u{fe0f}'),
        };
        let base = Arc::clone(kept.entry(key).or_insert_with(|| Arc::new(self.draw(key))));
        if marks.chars().all(is_invisible) {
            return Some(base);
        }
        let mut all = Mask::clone(&base);
        for mark in marks.chars().filter(|mark| !is_invisible(*mark)) {
            let key = Key { character: mark, ..key };
            all.cover(kept.entry(key).or_insert_with(|| Arc::new(self.draw_mark(key))));
        }
        Some(Arc::new(all))
    }

    fn draw(&self, key: Key) -> Mask {
        let cells = if key.wide { 2 } else { 1 };
        if key.character.is_whitespace() || key.character.is_control() || is_invisible(key.character) {
            return Mask::blank(cells);
        }
        if let Some(mask) = shapes::draw(key.character) {
            return mask;
        }
        self.glyph(key, false).unwrap_or_else(|| shapes::code_point(key.character, cells))
    }

    /// A mark that no font has is drawn as a dot above, so that the character is seen not to stand alone.
    fn draw_mark(&self, key: Key) -> Mask {
        self.glyph(key, true).unwrap_or_else(|| {
            let mut dot = Mask::blank(1);
            dot.fill(WIDTH / 2 - 1..WIDTH / 2 + 1, 0..2, FULL);
            dot
        })
    }

    fn glyph(&self, key: Key, mark: bool) -> Option<Mask> {
        let character = look_alike(key.character);
        let has = |face: &&Face| face.font.glyph_id(character) != GlyphId(0);
        let (mut text, mut emoji) = (self.fonts.iter().filter(has), self.emoji.iter().filter(has));
        let face = if key.emoji || key.wide { emoji.next().or(text.next()) } else { text.next().or(emoji.next()) }?;
        let mut mask = Mask::blank(if key.wide { 2 } else { 1 });
        face.ink(Key { character, ..key }, mark, &self.metrics(), &mut mask).then_some(mask)
    }

    fn metrics(&self) -> Metrics {
        let hack = &self.fonts[0];
        let em = WIDTH as f32 * hack.units_per_em / hack.font.h_advance_unscaled(hack.font.glyph_id('0'));
        let pixels = |units: f32| units * em / hack.units_per_em;
        let (above, below) = (pixels(hack.font.ascent_unscaled()), -pixels(hack.font.descent_unscaled()));
        Metrics { em, baseline: ((HEIGHT as f32 - above - below) / 2.0 + above).round() }
    }
}

/// The check mark that every test runner prints is in none of the fonts; its heavy sister is.
fn look_alike(character: char) -> char {
    if character == '\u{2713}' { '\u{2714}' } else { character }
}

/// Joiners, variation selectors, skin tones: they change how another character looks and have no look of their own.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0000}'..='\u{e0fff}')
}

impl Face {
    fn new(font: FontArc) -> Option<Face> {
        let units_per_em = font.units_per_em().filter(|units| *units >= 1.0)?;
        Some(Face { font, units_per_em })
    }

    /// Draws a glyph. `false` if the font draws nothing for it that could be shown.
    fn ink(&self, key: Key, mark: bool, metrics: &Metrics, mask: &mut Mask) -> bool {
        let id = self.font.glyph_id(key.character);
        let Some(outline) = self.font.outline(id) else {
            return false;
        };
        let bounds = &outline.bounds;
        let natural = metrics.em / self.units_per_em;
        // Wider than its cells, as emoji are: made smaller. Narrower: put in the middle.
        let advance = self.font.h_advance_unscaled(id);
        let room = mask.width() as f32;
        let widest = advance.max(if mark { 0.0 } else { bounds.max.x - bounds.min.x });
        let scale = if widest * natural > room { room / widest } else { natural };
        let mut left = if mark { 0.0 } else { (room - advance * scale) / 2.0 };
        // Some fonts put marks over the character before them, that is left of their own place.
        if mark && (bounds.min.x + bounds.max.x) / 2.0 < 0.0 {
            left += room;
        }
        // Made smaller, it would stand on the baseline like a footnote; it goes into the middle of the line.
        let mut baseline = metrics.baseline;
        if scale < natural {
            baseline = (HEIGHT as f32 + (bounds.max.y + bounds.min.y) * scale) / 2.0;
        }
        let lean = if key.italic { LEAN } else { 0.0 };
        let place = |point: Point| {
            let (x, y) = (point.x * scale, point.y * scale);
            Point { x: left + x + lean * y, y: baseline - y }
        };
        let drawn = rasterize(&outline, &place, 0.0, mask);
        if key.bold {
            rasterize(&outline, &place, BOLD, mask);
        }
        drawn
    }
}

fn points(curve: &OutlineCurve) -> [Point; 4] {
    match *curve {
        OutlineCurve::Line(from, to) => [from, from, to, to],
        OutlineCurve::Quad(from, by, to) => [from, by, by, to],
        OutlineCurve::Cubic(from, by, near, to) => [from, by, near, to],
    }
}

/// Only additions, multiplications and square roots of 32-bit floats happen here and below, which are the same on every
/// machine; and the result is rounded to [`FULL`] steps.
fn rasterize(outline: &Outline, place: &impl Fn(Point) -> Point, shift: f32, mask: &mut Mask) -> bool {
    let (mut least, mut most) = (Point { x: f32::MAX, y: f32::MAX }, Point { x: f32::MIN, y: f32::MIN });
    for point in outline.curves.iter().flat_map(points).map(place) {
        least = Point { x: least.x.min(point.x), y: least.y.min(point.y) };
        most = Point { x: most.x.max(point.x), y: most.y.max(point.y) };
    }
    let (left, top) = (least.x.floor() - 1.0, least.y.floor() - 1.0);
    let (width, height) = (most.x - left + BOLD + 3.0, most.y - top + 3.0);
    // Also false for what is no number.
    let sane = |length: f32| (0.0..=GLYPH_PIXELS_MAX).contains(&length);
    if outline.curves.is_empty() || !sane(width) || !sane(height) || !sane(left.abs()) || !sane(top.abs()) {
        return false;
    }
    let mut raster = Rasterizer::new(width as usize, height as usize);
    let local = |point: Point| {
        let point = place(point);
        ab_glyph_rasterizer::point(point.x - left + shift, point.y - top)
    };
    for curve in &outline.curves {
        match *curve {
            OutlineCurve::Line(from, to) => raster.draw_line(local(from), local(to)),
            OutlineCurve::Quad(from, by, to) => raster.draw_quad(local(from), local(by), local(to)),
            OutlineCurve::Cubic(from, by, near, to) => {
                raster.draw_cubic(local(from), local(by), local(near), local(to))
            }
        }
    }
    raster.for_each_pixel_2d(|x, y, share| {
        let ink = (share * f32::from(FULL) + 0.5) as u8;
        mask.put(x as isize + left as isize, y as isize + top as isize, ink);
    });
    true
}
