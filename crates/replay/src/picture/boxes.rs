//! Box drawing (U+2500 to U+257F), drawn so that lines meet at the edges of cells.

use super::mask::{FULL, HEIGHT, Mask, WIDTH};

/// For each character from U+2500 on the weights of its arms, up, right, down, left: none, light (1), heavy (2), double (3).
/// Dashed lines, arcs and diagonals have none here.
const ARMS: &[u8; 128 * 4] = b"\
    0101020210102020000000000000000000000000000000000110021001200220\
    0011001200210022110012002100220010011002200120021110121021101120\
    2120221012202220101110122011102120212012102220220111011202110212\
    0121012202210222110111021201120221012102220122021111111212111212\
    2111112121212112221111221221221212222122222122220000000000000000\
    0303303003100130033000130031003313003100330010033001300313103130\
    3330101330313033031301310333130331013303131331313333000000000000\
    0000000000000000000110000100001000022000020000200201102001022010";

/// Half the distance between the centres of the two lines of a double one.
const DOUBLE: usize = 2;
const CENTRE_X: usize = WIDTH / 2;
const CENTRE_Y: usize = HEIGHT / 2;

pub(super) fn draw(character: char, mask: &mut Mask) -> bool {
    let Some(number) = (character as usize).checked_sub(0x2500).filter(|number| *number < 128) else {
        return false;
    };
    match number {
        0x04..=0x0b => dashes(mask, if number < 0x08 { 3 } else { 4 }, number % 4 >= 2, number % 2 == 1),
        0x4c..=0x4f => dashes(mask, 2, number >= 0x4e, number % 2 == 1),
        0x6d..=0x70 => arc(mask, number - 0x6d),
        0x71..=0x73 => {
            if number != 0x72 {
                diagonal(mask, true);
            }
            if number != 0x71 {
                diagonal(mask, false);
            }
        }
        _ => {
            let arms = &ARMS[number * 4..number * 4 + 4];
            lines(mask, [0, 1, 2, 3].map(|arm| arms[arm] - b'0'));
        }
    }
    true
}

/// How far ink reaches to each side of the centre of a line.
fn reach(weight: u8) -> usize {
    usize::from(weight == 2)
}

fn lines(mask: &mut Mask, [up, right, down, left]: [u8; 4]) {
    // Horizontal arms end where the vertical ones are crossed, and the other way round; one function for both.
    for (weight, opposite, before, behind, horizontal, forward) in [
        (right, left, up, down, true, true),
        (left, right, up, down, true, false),
        (down, up, left, right, false, true),
        (up, down, left, right, false, false),
    ] {
        let arm = Arm { weight, opposite, before, behind };
        for (offset, start) in arm.strokes() {
            stroke(mask, horizontal, forward, offset, start, reach(weight));
        }
    }
}

/// One of the four arms. `before` and `behind` are the weights of those across it, on the side of smaller and of larger
/// coordinates.
struct Arm {
    weight: u8,
    opposite: u8,
    before: u8,
    behind: u8,
}

impl Arm {
    /// Its strokes: how far each lies beside the centre line, and how far from the centre it starts (negative: before it).
    fn strokes(&self) -> Vec<(isize, isize)> {
        let double = DOUBLE as isize;
        match self.weight {
            0 => Vec::new(),
            3 => {
                // Each line turns into the nearer line of a double arm across it, or runs on around the corner.
                let start = |near: u8, far: u8| match (near, far) {
                    (3, _) => double,
                    (_, 3) => -double,
                    _ => 0,
                };
                vec![(-double, start(self.before, self.behind)), (double, start(self.behind, self.before))]
            }
            _ => {
                let start = match (self.before, self.behind) {
                    (3, 3) if self.opposite == 0 => double,
                    (3, _) | (_, 3) if self.opposite == 0 => -double,
                    (before, behind) => -(reach(before).max(reach(behind)) as isize),
                };
                vec![(0, start)]
            }
        }
    }
}

fn stroke(mask: &mut Mask, horizontal: bool, forward: bool, offset: isize, start: isize, reach: usize) {
    let (along, across, length) = if horizontal { (CENTRE_X, CENTRE_Y, WIDTH) } else { (CENTRE_Y, CENTRE_X, HEIGHT) };
    let (along, across, reach) = (along as isize, across as isize + offset, reach as isize);
    let steps = if forward { along + start..=length as isize - 1 } else { 0..=along - start };
    for step in steps {
        for beside in across - reach..=across + reach {
            let (x, y) = if horizontal { (step, beside) } else { (beside, step) };
            mask.put(x, y, FULL);
        }
    }
}

fn dashes(mask: &mut Mask, count: usize, vertical: bool, heavy: bool) {
    let (length, across) = if vertical { (HEIGHT, CENTRE_X) } else { (WIDTH, CENTRE_Y) };
    let reach = usize::from(heavy);
    for dash in 0..count {
        let (begin, end) = (dash * length / count, (dash + 1) * length / count);
        let (along, beside) = (begin..end - (end - begin).div_ceil(4), across - reach..across + reach + 1);
        if vertical {
            mask.fill(beside, along, FULL);
        } else {
            mask.fill(along, beside, FULL);
        }
    }
}

/// A quarter of a circle between two arms: 0 down and right, 1 down and left, 2 up and left, 3 up and right.
fn arc(mask: &mut Mask, corner: usize) {
    let (to_right, to_bottom) = (matches!(corner, 0 | 3), corner < 2);
    let radius = CENTRE_X as i32 * 16;
    let (centre_x, centre_y) = (CENTRE_X as i32 * 16 + 8, CENTRE_Y as i32 * 16 + 8);
    let middle_x = if to_right { centre_x + radius } else { centre_x - radius };
    let middle_y = if to_bottom { centre_y + radius } else { centre_y - radius };
    mask.sample(|x, y| {
        let in_quarter = (x < middle_x) == to_right && (y < middle_y) == to_bottom;
        let distance = (x - middle_x).pow(2) + (y - middle_y).pow(2);
        in_quarter && ((radius - 8).pow(2)..=(radius + 8).pow(2)).contains(&distance)
    });
    // From the quarter on the vertical arm goes straight to the edge.
    let rows = if to_bottom { CENTRE_Y + CENTRE_X..HEIGHT } else { 0..CENTRE_Y - CENTRE_X + 1 };
    mask.fill(CENTRE_X..CENTRE_X + 1, rows, FULL);
}

/// From corner to corner; `rising` from the bottom left.
pub(super) fn diagonal(mask: &mut Mask, rising: bool) {
    let (width, height) = (mask.width() as i32 * 16, HEIGHT as i32 * 16);
    // The length of the diagonal, to within one sixteenth of a pixel.
    let length = (width * width + height * height).isqrt();
    mask.sample(|x, y| {
        let y = if rising { height - y } else { y };
        (x * height - y * width).abs() <= 8 * length
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(character: char) -> Mask {
        let mut mask = Mask::blank(1);
        assert!(draw(character, &mut mask), "{character} is a box");
        mask
    }

    /// Ink at the middle of each edge: up, right, down, left.
    fn edges(mask: &Mask) -> [bool; 4] {
        let row = |y: usize| mask.row(y)[CENTRE_X - DOUBLE..=CENTRE_X + DOUBLE].iter().any(|ink| *ink > 0);
        let column = |x: usize| (CENTRE_Y - DOUBLE..=CENTRE_Y + DOUBLE).any(|y| mask.row(y)[x] > 0);
        [row(0), column(WIDTH - 1), row(HEIGHT - 1), column(0)]
    }

    #[test]
    fn every_box_character_reaches_the_edges_that_its_name_says() {
        for (number, arms) in ARMS.chunks(4).enumerate() {
            if arms == b"0000" {
                continue;
            }
            let character = char::from_u32(0x2500 + number as u32).expect("a character");
            let expected = [0, 1, 2, 3].map(|arm| arms[arm] != b'0');
            assert_eq!(edges(&drawn(character)), expected, "{character}");
        }
        for (character, expected) in [
            ('╭', [false, true, true, false]),
            ('╮', [false, false, true, true]),
            ('╯', [true, false, false, true]),
            ('╰', [true, true, false, false]),
        ] {
            assert_eq!(edges(&drawn(character)), expected, "{character}");
        }
    }

    #[test]
    fn the_table_knows_these_boxes() {
        for (character, arms) in [
            ('─', "0101"),
            ('┃', "2020"),
            ('┌', "0110"),
            ('┛', "2002"),
            ('├', "1110"),
            ('┫', "2022"),
            ('┬', "0111"),
            ('┻', "2202"),
            ('┼', "1111"),
            ('╋', "2222"),
            ('═', "0303"),
            ('║', "3030"),
            ('╔', "0330"),
            ('╝', "3003"),
            ('╠', "3330"),
            ('╬', "3333"),
            ('╓', "0130"),
            ('╕', "0013"),
            ('╢', "3031"),
            ('╤', "0313"),
            ('╪', "1313"),
            ('╴', "0001"),
            ('╿', "2010"),
            ('╾', "0102"),
            ('╃', "2112"),
            ('╊', "2221"),
            ('┡', "2210"),
            ('╇', "2212"),
        ] {
            let number = character as usize - 0x2500;
            assert_eq!(&ARMS[number * 4..number * 4 + 4], arms.as_bytes(), "{character}");
        }
    }

    #[test]
    fn lines_of_neighbouring_cells_meet_and_corners_are_closed() {
        let (cross, corner, double) = (drawn('┼'), drawn('┘'), drawn('╔'));
        assert!(cross.row(CENTRE_Y).iter().all(|ink| *ink == FULL));
        assert!((0..HEIGHT).all(|y| cross.row(y)[CENTRE_X] == FULL));
        assert_eq!(corner.row(CENTRE_Y)[CENTRE_X], FULL);
        assert!(corner.row(CENTRE_Y)[CENTRE_X + 1..].iter().all(|ink| *ink == 0));
        // The outer lines of a double corner meet, the inner ones too, and nothing is between.
        assert_eq!(double.row(CENTRE_Y - DOUBLE)[CENTRE_X - DOUBLE], FULL);
        assert_eq!(double.row(CENTRE_Y + DOUBLE)[CENTRE_X + DOUBLE], FULL);
        assert!(double.row(CENTRE_Y)[CENTRE_X..].iter().all(|ink| *ink == 0));
        assert_eq!(drawn('╳').row(0)[0], drawn('╳').row(0)[WIDTH - 1]);
    }
}
