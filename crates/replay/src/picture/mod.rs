//! Draws a screen as an indexed PNG: the same bytes for the same cells on every machine.
//!
//! A cell is 9 by 18 pixels. Letters come from the fonts in [`Fonts`], boxes, blocks, Braille and prompts' triangles are
//! drawn by code, and a character that no font has is drawn as its code point in small hexadecimal digits. Colours beyond the 256 of
//! an indexed picture are shown as near as the palette allows.
//!
//! Out of scope: shaping (ligatures, right-to-left, joined emoji), coloured emoji, blinking.
//!
//! Limits: [`CELLS_MAX`].
//!
//! ```
//! use replay::cell::{Cell, Size};
//! use replay::picture::{Fonts, Style, View, draw};
//!
//! let size = Size::new(2, 1).expect("a size within the limits");
//! let row = vec![Cell { character: 'H', ..Cell::BLANK }, Cell { character: 'i', ..Cell::BLANK }];
//! let png = draw(&View { size, rows: &[row], cursor: None }, &Fonts::built_in(), &Style::default())?;
//! assert!(png.starts_with(b"\x89PNG"));
//! # Ok::<(), replay::picture::TooLarge>(())
//! ```

mod boxes;
mod fonts;
mod mask;
mod palette;
mod shapes;

use crate::cell::{Attributes, Cell, Size};
use crate::format::Theme;
use crate::screen::Screen;
use mask::{FULL, HEIGHT, Mask, WIDTH};
use palette::{Colours, Pair, Pairs, Palette};

pub use fonts::{BadFont, EXTRA_FONTS_MAX, Fonts};

/// Most cells that are drawn, for example 1000 by 400: 65 million pixels, as many bytes of memory.
pub const CELLS_MAX: usize = 400_000;

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub struct View<'s> {
    /// How large the picture is, in cells.
    pub size: Size,
    /// Rows from the top. What is missing is blank, what is beyond `size` is not drawn.
    pub rows: &'s [Vec<Cell>],
    /// Column and row of the cursor, from 0, if it is to be seen.
    pub cursor: Option<(u16, u16)>,
}

/// How it is drawn.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// Colours that cells do not name themselves; without it light grey on near black, and those of xterm.
    pub theme: Option<Theme>,
}

/// The screen has more than [`CELLS_MAX`] cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a screen of {0} has more than {CELLS_MAX} cells and is not drawn")]
pub struct TooLarge(pub Size);

/// Draws a screen. Returns the bytes of a PNG file, 9 pixels for each column and 18 for each row.
///
/// # Errors
/// The screen is larger than [`CELLS_MAX`].
pub fn draw(view: &View<'_>, fonts: &Fonts, style: &Style) -> Result<Vec<u8>, TooLarge> {
    let (columns, rows) = (usize::from(view.size.columns()), usize::from(view.size.rows()));
    if columns * rows > CELLS_MAX {
        return Err(TooLarge(view.size));
    }
    let colours = Colours::of(style.theme.as_ref());
    let cells = |row: usize| view.rows.get(row).map(Vec::as_slice).unwrap_or_default().iter().take(columns);
    let masks = fonts.masks((0..rows).flat_map(cells));
    let mut masks = masks.iter().map(Option::as_deref);
    let mut pairs = Pairs::default();
    let mut last: Option<(Pair, bool, usize)> = None;
    let mut painted = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        let mut given = cells(row);
        for column in 0..columns {
            let (cell, mask) = given.next().map_or((&Cell::BLANK, None), |cell| (cell, masks.next().flatten()));
            let cursor = view.cursor == Some((column as u16, row as u16));
            let pair = colours.of_cell(cell, cursor);
            let lines = Lines::of(cell);
            let text = mask.is_some() || lines != Lines::default();
            // Most cells look like their neighbour, so that the table is rarely asked.
            let number = match last {
                Some((known, shown, number)) if known == pair && shown == text => number,
                _ => pairs.count(pair, text),
            };
            last = Some((pair, text, number));
            painted.push(Painted { mask, lines, pair: number, covered: cell.width == 0 });
        }
    }
    Ok(encode(&pairs.palette(), &painted, columns, rows))
}

/// Draws a screen as it is now, with its cursor if that is shown. See [`draw`].
///
/// # Errors
/// As [`draw`].
pub fn draw_screen(screen: &Screen, fonts: &Fonts, style: &Style) -> Result<Vec<u8>, TooLarge> {
    let cursor = screen.cursor();
    let rows = screen.rows();
    let cursor = cursor.visible.then_some((cursor.column, cursor.row));
    draw(&View { size: screen.size(), rows: &rows, cursor }, fonts, style)
}

/// Lines through a cell, whatever stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Lines {
    under: bool,
    through: bool,
}

impl Lines {
    fn of(cell: &Cell) -> Lines {
        Lines { under: cell.attributes.has(Attributes::UNDERLINE), through: cell.attributes.has(Attributes::STRIKE) }
    }

    fn are_at(self, y: usize) -> bool {
        (self.under && y == HEIGHT - 2) || (self.through && y == HEIGHT / 2)
    }
}

/// A cell ready to be painted.
struct Painted<'m> {
    mask: Option<&'m Mask>,
    lines: Lines,
    pair: usize,
    /// The second half of a wide character, whose ink the first half brings.
    covered: bool,
}

fn encode(palette: &Palette, cells: &[Painted<'_>], columns: usize, rows: usize) -> Vec<u8> {
    let depth = match palette.colours.len() {
        0..=2 => png::BitDepth::One,
        3..=4 => png::BitDepth::Two,
        5..=16 => png::BitDepth::Four,
        _ => png::BitDepth::Eight,
    };
    let width = columns * WIDTH;
    let bits = depth as usize;
    let mut pixels = Vec::with_capacity((width * bits).div_ceil(8) * rows * HEIGHT);
    let mut band = vec![0; width * HEIGHT];
    for row in cells.chunks_exact(columns) {
        paint(&mut band, row, palette, width);
        for line in band.chunks_exact(width) {
            pack(line, bits, &mut pixels);
        }
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, (rows * HEIGHT) as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(depth);
    encoder.set_palette(palette.colours.iter().flat_map(|colour| [colour.0, colour.1, colour.2]).collect::<Vec<u8>>());
    // The levels above 4 take twice the time for a tenth of the bytes; those below give half as much again. Filters, made for
    // photographs, only hide from the packer that the same letters come again.
    encoder.set_deflate_compression(png::DeflateCompression::Level(4));
    encoder.set_filter(png::Filter::NoFilter);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&pixels)?;
        writer.finish()
    });
    written.expect("memory takes every picture whose size and palette are right");
    file
}

/// Paints one row of cells: palette indices, one byte each.
fn paint(band: &mut [u8], cells: &[Painted<'_>], palette: &Palette, width: usize) {
    for (column, cell) in cells.iter().enumerate() {
        let (left, ramp) = (column * WIDTH, &palette.ramps[cell.pair]);
        for y in 0..HEIGHT {
            let line = &mut band[y * width + left..(y + 1) * width];
            if cell.lines.are_at(y) {
                line[..WIDTH].fill(ramp[usize::from(FULL)]);
                continue;
            }
            match cell.mask {
                // Of a wide character that stands in the last column only its first half is there.
                Some(mask) => {
                    for (pixel, ink) in line.iter_mut().zip(mask.row(y)) {
                        *pixel = ramp[usize::from((*ink).min(FULL))];
                    }
                }
                None if cell.covered
                    && column > 0
                    && cells[column - 1].mask.is_some_and(|mask| mask.width() > WIDTH) => {}
                None => line[..WIDTH].fill(ramp[0]),
            }
        }
    }
}

/// Packs palette indices of `bits` bits each, the first into the highest.
fn pack(line: &[u8], bits: usize, pixels: &mut Vec<u8>) {
    if bits == 8 {
        pixels.extend_from_slice(line);
        return;
    }
    let in_byte = 8 / bits;
    pixels.extend(line.chunks(in_byte).map(|group| {
        group.iter().enumerate().fold(0, |byte, (place, index)| byte | index << (8 - bits * (place + 1)))
    }));
}
