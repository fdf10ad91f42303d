//! Where ink is in a cell: one byte for each pixel, from 0 (background) to [`FULL`] (text colour).

/// Pixels across a cell.
pub(super) const WIDTH: usize = 9;
/// Pixels down a cell.
pub(super) const HEIGHT: usize = 18;
/// Full ink. More steps than seven are not seen at this size, and a third more bytes.
pub(super) const FULL: u8 = 7;

/// The ink of one character, one or two cells wide, row by row from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mask {
    width: usize,
    ink: Box<[u8]>,
}

impl Mask {
    /// Without ink.
    pub(super) fn blank(cells: usize) -> Mask {
        let width = cells * WIDTH;
        Mask { width, ink: vec![0; width * HEIGHT].into_boxed_slice() }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn row(&self, y: usize) -> &[u8] {
        &self.ink[y * self.width..(y + 1) * self.width]
    }

    /// Puts ink where none or less is. Outside the cell it is lost.
    pub(super) fn put(&mut self, x: isize, y: isize, ink: u8) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else {
            return;
        };
        if x < self.width && y < HEIGHT {
            let pixel = &mut self.ink[y * self.width + x];
            *pixel = (*pixel).max(ink.min(FULL));
        }
    }

    /// Fills `x0..x1` by `y0..y1`.
    pub(super) fn fill(&mut self, x: std::ops::Range<usize>, y: std::ops::Range<usize>, ink: u8) {
        for y in y {
            for x in x.clone() {
                self.put(x as isize, y as isize, ink);
            }
        }
    }

    /// Draws another character over this one.
    pub(super) fn cover(&mut self, other: &Mask) {
        for y in 0..HEIGHT {
            for (x, ink) in other.row(y).iter().enumerate() {
                self.put(x as isize, y as isize, *ink);
            }
        }
    }

    /// Inks every pixel by how many of its 4×4 samples `inside` accepts. Samples are in sixteenths of a pixel, at odd
    /// multiples of 2, so that a shape that is symmetrical in the cell is drawn symmetrically.
    pub(super) fn sample(&mut self, inside: impl Fn(i32, i32) -> bool) {
        for y in 0..HEIGHT {
            for x in 0..self.width {
                let hits =
                    (0..16).filter(|n| inside(x as i32 * 16 + 2 + n % 4 * 4, y as i32 * 16 + 2 + n / 4 * 4)).count();
                self.put(x as isize, y as isize, (hits * usize::from(FULL) / 16) as u8);
            }
        }
    }
}
