//! Characters that are shapes, not letters: drawn by code, because fonts disagree at the edges of cells or lack them.

use super::boxes;
use super::mask::{FULL, HEIGHT, Mask, WIDTH};

/// `None` if the character is to be looked for in the fonts.
pub(super) fn draw(character: char) -> Option<Mask> {
    let mut mask = Mask::blank(1);
    let drawn = match character {
        '\u{2500}'..='\u{257f}' => boxes::draw(character, &mut mask),
        '\u{2580}'..='\u{259f}' => block(character, &mut mask),
        '\u{2800}'..='\u{28ff}' => braille(character, &mut mask),
        '\u{e0b0}'..='\u{e0bf}' => powerline(character, &mut mask),
        '\u{1fb00}'..='\u{1fb3b}' => sextant(character, &mut mask),
        _ => false,
    };
    drawn.then_some(mask)
}

fn eighths(length: usize, count: usize) -> usize {
    (length * count + 4) / 8
}

fn block(character: char, mask: &mut Mask) -> bool {
    let (all_x, all_y) = (0..WIDTH, 0..HEIGHT);
    let number = character as usize - 0x2580;
    match number {
        0x00 => mask.fill(all_x, 0..HEIGHT / 2, FULL),
        0x01..=0x08 => mask.fill(all_x, HEIGHT - eighths(HEIGHT, number)..HEIGHT, FULL),
        0x0c => mask.fill(0..WIDTH / 2, all_y, FULL),
        0x09..=0x0f => mask.fill(0..eighths(WIDTH, 0x10 - number), all_y, FULL),
        0x10 => mask.fill(WIDTH / 2..WIDTH, all_y, FULL),
        0x11..=0x13 => mask.fill(all_x, all_y, [2, 4, 5][number - 0x11]),
        0x14 => mask.fill(all_x, 0..eighths(HEIGHT, 1), FULL),
        0x15 => mask.fill(WIDTH - eighths(WIDTH, 1)..WIDTH, all_y, FULL),
        _ => {
            // Upper left 1, upper right 2, lower left 4, lower right 8; from U+2596 on.
            let quadrants = [4, 8, 1, 13, 9, 7, 11, 2, 6, 14][number - 0x16];
            cells_of(mask, quadrants, 2);
        }
    }
    true
}

/// Two columns and `rows` rows of rectangles; bit 0 is the upper left, bit 1 right of it, and so on.
fn cells_of(mask: &mut Mask, bits: u32, rows: usize) {
    for place in 0..rows * 2 {
        if bits >> place & 1 == 1 {
            let (column, row) = (place % 2, place / 2);
            let x = if column == 0 { 0..WIDTH / 2 } else { WIDTH / 2..WIDTH };
            mask.fill(x, row * HEIGHT / rows..(row + 1) * HEIGHT / rows, FULL);
        }
    }
}

fn sextant(character: char, mask: &mut Mask) -> bool {
    // The patterns in order, without the empty one and those that are half blocks.
    let mut bits = character as u32 - 0x1fb00 + 1;
    bits += u32::from(bits >= 0b01_0101);
    bits += u32::from(bits >= 0b10_1010);
    cells_of(mask, bits, 3);
    true
}

fn braille(character: char, mask: &mut Mask) -> bool {
    // Dots 1 to 8 as column and row.
    const DOTS: [(usize, usize); 8] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)];
    let bits = character as usize - 0x2800;
    for (dot, (column, row)) in DOTS.into_iter().enumerate() {
        if bits >> dot & 1 == 1 {
            let (x, y) = (1 + column * 5, (2 * row + 1) * HEIGHT / 8 - 1);
            mask.fill(x..x + 2, y..y + 2, FULL);
        }
    }
    true
}

/// Triangles, half circles and their outlines, as prompts use them.
fn powerline(character: char, mask: &mut Mask) -> bool {
    let (width, height) = (WIDTH as i32 * 16, HEIGHT as i32 * 16);
    let middle = height / 2;
    // How far the shape that starts at the left edge reaches at this height: a triangle, or half an ellipse.
    let triangle = move |y: i32| width - (y - middle).abs() * width / middle;
    let ellipse = move |y: i32| (width * width - ((y - middle) * width / middle).pow(2)).max(0).isqrt();
    let outline = 20;
    match character {
        '\u{e0b0}' => mask.sample(|x, y| x < triangle(y)),
        '\u{e0b1}' => mask.sample(|x, y| (triangle(y) - outline..triangle(y)).contains(&x)),
        '\u{e0b2}' => mask.sample(|x, y| width - x < triangle(y)),
        '\u{e0b3}' => mask.sample(|x, y| (triangle(y) - outline..triangle(y)).contains(&(width - x))),
        '\u{e0b4}' => mask.sample(|x, y| x < ellipse(y)),
        '\u{e0b5}' => mask.sample(|x, y| (ellipse(y) - outline..ellipse(y)).contains(&x)),
        '\u{e0b6}' => mask.sample(|x, y| width - x < ellipse(y)),
        '\u{e0b7}' => mask.sample(|x, y| (ellipse(y) - outline..ellipse(y)).contains(&(width - x))),
        '\u{e0b8}' => mask.sample(|x, y| x * height < y * width),
        '\u{e0ba}' => mask.sample(|x, y| (width - x) * height < y * width),
        '\u{e0bc}' => mask.sample(|x, y| x * height < (height - y) * width),
        '\u{e0be}' => mask.sample(|x, y| (width - x) * height < (height - y) * width),
        '\u{e0b9}' | '\u{e0bf}' => boxes::diagonal(mask, false),
        '\u{e0bb}' | '\u{e0bd}' => boxes::diagonal(mask, true),
        _ => return false,
    }
    true
}

/// The code point in small hexadecimal digits, for a character that no font has: nothing vanishes from a picture.
pub(super) fn code_point(character: char, cells: usize) -> Mask {
    // Three bits for each of five rows, from the top.
    const DIGITS: [[u8; 5]; 16] = [
        [7, 5, 5, 5, 7],
        [2, 6, 2, 2, 7],
        [7, 1, 7, 4, 7],
        [7, 1, 7, 1, 7],
        [5, 5, 7, 1, 1],
        [7, 4, 7, 1, 7],
        [7, 4, 7, 5, 7],
        [7, 1, 2, 2, 2],
        [7, 5, 7, 5, 7],
        [7, 5, 7, 1, 7],
        [2, 5, 7, 5, 5],
        [6, 5, 6, 5, 6],
        [3, 4, 4, 4, 3],
        [6, 5, 5, 5, 6],
        [7, 4, 6, 4, 7],
        [7, 4, 6, 4, 4],
    ];
    let mut mask = Mask::blank(cells);
    let code = character as usize;
    let digits = if code > 0xffff { 6 } else { 4 };
    let in_row = if cells == 1 { 2 } else { digits / 2 };
    let rows = digits / in_row;
    let left = (mask.width() - (in_row * 4 - 1)) / 2;
    let top = (HEIGHT - (rows * 6 - 1)) / 2;
    for place in 0..digits {
        let digit = DIGITS[code >> (4 * (digits - 1 - place)) & 15];
        for (row, bits) in digit.into_iter().enumerate() {
            for column in (0..3).filter(|column| bits >> (2 - column) & 1 == 1) {
                let (x, y) = (left + place % in_row * 4 + column, top + place / in_row * 6 + row);
                mask.put(x as isize, y as isize, FULL);
            }
        }
    }
    if cells > 1 {
        let (right, bottom) = (mask.width() - 1, HEIGHT - 1);
        for (x, y) in
            [(1..right, 1..2), (1..right, bottom - 1..bottom), (1..2, 1..bottom), (right - 1..right, 1..bottom)]
        {
            mask.fill(x, y, FULL / 2);
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ink(character: char) -> usize {
        let mask = draw(character).expect("a shape");
        (0..HEIGHT).map(|y| mask.row(y).iter().filter(|ink| **ink > 0).count()).sum()
    }

    #[test]
    fn blocks_fill_what_their_names_say() {
        assert_eq!(ink('█'), WIDTH * HEIGHT);
        assert_eq!(ink('▀') + ink('▄'), WIDTH * HEIGHT);
        assert_eq!(ink('▌') + ink('▐'), WIDTH * HEIGHT);
        assert_eq!(ink('▙') + ink('▝'), WIDTH * HEIGHT);
        assert_eq!(ink('▚') + ink('▞'), WIDTH * HEIGHT);
        assert!("▁▂▃▄▅▆▇█".chars().map(ink).is_sorted_by(|less, more| less < more));
        assert!("▏▎▍▌▋▊▉█".chars().map(ink).is_sorted_by(|less, more| less < more));
    }

    #[test]
    fn braille_dots_are_all_apart_and_sextants_all_differ() {
        for bits in 0..256 {
            let character = char::from_u32(0x2800 + bits).expect("a character");
            assert_eq!(ink(character), bits.count_ones() as usize * 4, "{character}");
        }
        let mut all: Vec<Mask> = ('\u{1fb00}'..='\u{1fb3b}').filter_map(draw).collect();
        all.extend(['▌', '▐', '█', ' '].into_iter().filter_map(draw));
        let count = all.len();
        all.dedup();
        assert_eq!((all.len(), count), (63, 63));
    }

    #[test]
    fn a_code_point_is_legible_in_one_cell_and_in_two() {
        let show = |mask: &Mask| -> String {
            (0..HEIGHT)
                .map(|y| mask.row(y).iter().map(|ink| if *ink == FULL { '#' } else { '.' }).collect::<String>() + "\n")
                .collect()
        };
        let expected = "\
            .........\n.........\n.........\n..##..#..\n.#...#.#.\n.#...###.\n.#...#.#.\n..##.#.#.\n.........\n\
            .###.###.\n.#.....#.\n.##..###.\n.#...#...\n.###.###.\n.........\n.........\n.........\n.........\n";
        assert_eq!(show(&code_point('\u{cae2}', 1)), expected);
        assert_ne!(code_point('\u{1f600}', 2), code_point('\u{1f601}', 2));
        assert_ne!(code_point('\u{10ffff}', 1), code_point('\u{10fffe}', 1));
    }
}
