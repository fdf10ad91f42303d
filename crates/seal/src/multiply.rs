//! `k·G` and `k·Q` for many secret scalars `k` at once.
//!
//! `G` never changes and `Q` is one organisation's key, so their multiples are tabulated once and a multiplication
//! becomes a sum of 43 table entries without a single doubling. The sums of a whole batch are taken together, as a
//! tree: at each level all additions of all records are ordinary additions of affine points, which cost one field
//! inversion each, and the inversions of a level become one (Montgomery's trick). Six inversions serve the whole batch.
//!
//! ```text
//! k = d0 + d1·2^6 + d2·2^12 + … + d42·2^252         every digit odd, -63..=63
//!
//! d0·B  d1·2^6·B  d2·2^12·B  …  d42·2^252·B         43 entries, looked up without a secret address
//!    └──┬──┘         └────┬─ …      │               level 1: 21 additions, the last entry waits
//!       └────────┬────────┘         │               level 2 …
//!          d0..d31 │ d32..d42                       level 6: one addition, and that is k·B
//! ```
//!
//! # Why plain affine addition is enough
//!
//! `(x1, y1) + (x2, y2)` by the chord fails where `x1 = x2`, that is where the two summands are equal or opposite. That
//! never happens here. An addition joins the sum `A` of a block of digits with the sum `B` of the block right above it;
//! let `2^s` be the weight of the lowest digit of `B`. As integers, `0 < |A| < 2^s <= |B|`: digits are odd, so no block
//! sums to zero. Equal or opposite points mean that `A - B` or `A + B` is a multiple of `n`, not zero, so at least `n`
//! in size.
//! - Below the last level, a block that holds the lowest digit is at most the lower 32 digits: all is under 2^192,
//!   less than n. Other blocks are even, so `A ± B` is even; it is under 2^256 + 2^252 in size (the top digit is in
//!   1..=15), so it would have to be ±n, which is odd.
//! - At the last level (`s` = 192), `A + B = k` is in `1..n`, no multiple. `A - B = ±n` with `B > 0` means
//!   `B = n + A`: `B` is an odd multiple of 2^192 within 2^192 of `n`, and of the two multiples around
//!   `n = 0xffffffff00000000·2^192 + r` only `0xffffffff00000001·2^192` is odd; then `A = B - n > 0` and
//!   `k = A + B > n`, which `k` is not.
//!
//! Should this reasoning be wrong, a zero meets the inversion and we panic; a wrong point never comes out.
//!
//! Field arithmetic is that of the crate `p256`; this module adds no arithmetic on limbs.

use std::hint::black_box;
use std::sync::OnceLock;

use p256::elliptic_curve::hazmat::FieldArithmetic;
use p256::elliptic_curve::point::AffineCoordinates;
use p256::elliptic_curve::subtle::{Choice, ConditionallySelectable};
use p256::elliptic_curve::{BatchNormalize, PrimeField};
use p256::{AffinePoint, NistP256, NonZeroScalar, ProjectivePoint, Scalar};
use primefield::MontyFieldElement;
use zeroize::{Zeroize, Zeroizing};

use crate::curve::{Coordinate, Point};

type FieldElement = <NistP256 as FieldArithmetic>::FieldElement;

/// Bits of a digit. The argument at the head of this file is for six: with seven, whose last addition joins at 2^224,
/// there is a scalar for which it fails.
const WINDOW_BITS: usize = 6;
/// Digits of a scalar: 43 · 6 = 258 bits.
const WINDOWS: usize = 256_usize.div_ceil(WINDOW_BITS);
/// Odd multiples kept for a window: 1, 3, … 63.
const WINDOW_ENTRIES: usize = 1 << (WINDOW_BITS - 1);

/// The odd multiples `1·2^6i·B`, `3·2^6i·B`, … `63·2^6i·B` of a point, for each window `i`. Public data, 88 KiB.
pub(crate) struct Table {
    /// Entry `i · WINDOW_ENTRIES + j` is `(2j + 1)·2^(6i)·B`.
    entries: Box<[Entry]>,
}

/// x and y in Montgomery form, in words, as the constant-time look-up wants them.
type Entry = [u64; 8];

impl Table {
    /// Tabulates the multiples of a point. Takes a few milliseconds.
    pub(crate) fn new(point: &Point) -> Table {
        let mut multiples = Vec::with_capacity(WINDOWS * WINDOW_ENTRIES);
        let mut base = ProjectivePoint::from(point.to_affine());
        for _ in 0..WINDOWS {
            let twice = base + base;
            let mut multiple = base;
            for _ in 0..WINDOW_ENTRIES {
                multiples.push(multiple);
                multiple += twice;
            }
            for _ in 0..WINDOW_BITS {
                base = base + base;
            }
        }
        let affine: Vec<AffinePoint> = ProjectivePoint::batch_normalize(multiples.as_slice());
        Table { entries: affine.iter().map(entry).collect() }
    }

    /// The table of the base point, made on first use.
    pub(crate) fn of_base_point() -> &'static Table {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(|| Table::new(&Point::from_affine(&AffinePoint::GENERATOR)))
    }

    /// The multiple that `digit` names in `window`; every entry of the window is read, whatever the digit.
    fn look_up(&self, window: usize, digit: Digit) -> Affine {
        let entries = &self.entries[window * WINDOW_ENTRIES..][..WINDOW_ENTRIES];
        let mut masks = [0_u64; WINDOW_ENTRIES];
        for (index, mask) in (0_u64..).zip(masks.iter_mut()) {
            // All ones where the index is the one wanted: only zero minus one borrows into the top bit.
            let difference = index ^ u64::from(digit.entry);
            *mask = ((difference.wrapping_sub(1) as i64) >> 63) as u64;
        }
        // The compiler must not learn that one mask is set, or it may turn the loop below into a branch.
        let masks = black_box(masks);
        let mut found: Entry = [0; 8];
        for (entry, mask) in entries.iter().zip(masks) {
            for (word, entry_word) in found.iter_mut().zip(entry) {
                *word |= entry_word & mask;
            }
        }
        let [x0, x1, x2, x3, y0, y1, y2, y3] = found;
        let x = field_element([x0, x1, x2, x3]);
        let y = field_element([y0, y1, y2, y3]);
        Affine { x, y: FieldElement::conditional_select(&y, &-y, Choice::from(digit.negative)) }
    }
}

fn entry(affine: &AffinePoint) -> Entry {
    let words = |coordinate: &[u8]| {
        let bytes = Coordinate::try_from(coordinate).expect("a coordinate has 32 bytes");
        let element = FieldElement::from_repr(bytes.into()).expect("a coordinate is below the prime");
        let montgomery: MontyFieldElement<_, 4> = element.into();
        montgomery.to_montgomery_words()
    };
    let ([x0, x1, x2, x3], [y0, y1, y2, y3]) = (words(&affine.x()), words(&affine.y()));
    [x0, x1, x2, x3, y0, y1, y2, y3]
}

/// `words`: Montgomery form, below the prime, which is what [`entry`] put into the table.
fn field_element(words: [u64; 4]) -> FieldElement {
    MontyFieldElement::<_, 4>::from_montgomery_words(words).into()
}

/// An ephemeral key's public point, and what it shares with the recipient.
pub(crate) struct Ephemeral {
    /// `k·G`.
    pub(crate) public: Point,
    /// The x of `k·Q`.
    pub(crate) shared_x: Zeroizing<Coordinate>,
}

/// `k·G` and `k·Q` for each scalar `k`, in order; `table` is that of `Q`.
///
/// Time and addresses depend on how many scalars there are, not on which.
pub(crate) fn ephemerals(table: &Table, scalars: &[NonZeroScalar]) -> Vec<Ephemeral> {
    let base_table = Table::of_base_point();
    let mut sums = Sums::with_capacity(2 * scalars.len());
    let mut flipped = Vec::with_capacity(scalars.len());
    for scalar in scalars {
        // n is odd, so of k and n - k one is odd; k·P = -((n - k)·P), and a point's negative has the same x.
        let odd = Zeroizing::new(Scalar::conditional_select(scalar, &-**scalar, scalar.is_even()));
        flipped.push(scalar.is_even());
        let digits = Zeroizing::new(digits(&odd));
        sums.push(base_table, &digits);
        sums.push(table, &digits);
    }
    let totals = sums.total();
    let ephemerals = totals.chunks_exact(2).zip(flipped).map(|(pair, flipped)| {
        let public = pair[0];
        let y = FieldElement::conditional_select(&public.y, &-public.y, flipped);
        Ephemeral {
            public: Point { x: public.x.to_repr().into(), y: y.to_repr().into() },
            shared_x: Zeroizing::new(pair[1].x.to_repr().into()),
        }
    });
    ephemerals.collect()
}

/// An odd digit `±(2·entry + 1)`.
#[derive(Debug, Clone, Copy, Default)]
struct Digit {
    entry: u8,
    /// 1 for a negative digit, else 0.
    negative: u8,
}

impl Zeroize for Digit {
    fn zeroize(&mut self) {
        self.entry.zeroize();
        self.negative.zeroize();
    }
}

/// Writes an odd scalar with odd digits only, lowest first.
///
/// A bit 0 at position i + 1 above a bit at position i is worth the same as a bit 1 there with a -1 below it. So reading
/// the scalar shifted right by one, each bit as +1 or -1, with a 1 on top, gives the scalar back:
/// `k = 2^258 - 1 - 2·(inverted bits)`; six such signs are one odd digit. No branch, no carry.
fn digits(odd: &Scalar) -> [Digit; WINDOWS] {
    let bytes = Zeroizing::new(Coordinate::from(odd.to_repr()));
    let bit = |index: usize| if index < 256 { bytes[31 - index / 8] >> (index % 8) & 1 } else { 0 };
    let mut digits = [Digit::default(); WINDOWS];
    for (window, digit) in digits.iter_mut().enumerate() {
        // Sign i is bit i + 1 of the scalar; the topmost sign is +1.
        let signs = (0..WINDOW_BITS).fold(0_u8, |signs, offset| {
            let index = window * WINDOW_BITS + offset + 1;
            let sign = if index == WINDOWS * WINDOW_BITS { 1 } else { bit(index) };
            signs | sign << offset
        });
        // The digit is 2·signs - 63: positive exactly if its top sign is +1.
        let negative = 1 - (signs >> (WINDOW_BITS - 1));
        // Positive: (digit - 1) / 2 = signs - 32. Negative: (-digit - 1) / 2 = 31 - signs.
        let low = signs & (WINDOW_ENTRIES as u8 - 1);
        let inverted = 0_u8.wrapping_sub(negative) & (WINDOW_ENTRIES as u8 - 1);
        *digit = Digit { entry: low ^ inverted, negative };
    }
    digits
}

/// A point on the curve, not at infinity.
#[derive(Debug, Clone, Copy)]
struct Affine {
    x: FieldElement,
    y: FieldElement,
}

/// Sums of 43 points each, taken level by level.
struct Sums {
    /// `WINDOWS` summands for each sum, the sums one after another. Secret; wiped on drop.
    points: Vec<Affine>,
}

impl Drop for Sums {
    fn drop(&mut self) {
        for point in &mut self.points {
            point.x.zeroize();
            point.y.zeroize();
        }
    }
}

impl Sums {
    fn with_capacity(sums: usize) -> Sums {
        Sums { points: Vec::with_capacity(sums * WINDOWS) }
    }

    fn push(&mut self, table: &Table, digits: &[Digit; WINDOWS]) {
        self.points.extend(digits.iter().enumerate().map(|(window, digit)| table.look_up(window, *digit)));
    }

    /// The totals, in the order pushed.
    fn total(mut self) -> Vec<Affine> {
        let sums = self.points.len() / WINDOWS;
        let mut width = WINDOWS;
        let mut products = Zeroizing::new(Vec::with_capacity(sums * WINDOWS / 2));
        while width > 1 {
            self.halve(width, &mut products);
            width = width.div_ceil(2);
        }
        std::mem::take(&mut self.points)
    }

    /// Adds neighbours: each sum had `width` summands and then has half as many, rounded up.
    fn halve(&mut self, width: usize, products: &mut Vec<FieldElement>) {
        let pairs = width / 2;
        // The running product of all differences before each addition; backwards, it yields each one's inverse.
        products.clear();
        let mut product = FieldElement::ONE;
        for summands in self.points.chunks_exact(width) {
            for pair in summands.chunks_exact(2) {
                products.push(product);
                product *= pair[1].x - pair[0].x;
            }
        }
        let mut inverse = product.invert().expect("no two summands share an x, see the head of this file");
        for summands in self.points.chunks_exact_mut(width).rev() {
            for index in (0..pairs).rev() {
                let (left, right) = (summands[2 * index], summands[2 * index + 1]);
                let before = products.pop().expect("one product was pushed for each addition");
                let difference_inverse = inverse * before;
                inverse *= right.x - left.x;
                let slope = (right.y - left.y) * difference_inverse;
                let x = slope.square() - left.x - right.x;
                let y = slope * (left.x - x) - left.y;
                // Written over a summand already used; the next loop closes the gaps.
                summands[2 * index] = Affine { x, y };
            }
        }
        let half = width.div_ceil(2);
        let sums = self.points.len() / width;
        for sum in 0..sums {
            for index in 0..half {
                self.points[sum * half + index] = self.points[sum * width + 2 * index];
            }
        }
        for point in &mut self.points[sums * half..] {
            point.x.zeroize();
            point.y.zeroize();
        }
        self.points.truncate(sums * half);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The scalar `n - 1 - subtrahend`.
    fn below_order(subtrahend: u64) -> Scalar {
        -Scalar::ONE - Scalar::from(subtrahend)
    }

    /// Scalars where a recoding or an addition would go wrong first: both ends, every power of two and its neighbours,
    /// the multiples of 2^192 next to n (see the head of the file), long runs of equal bits.
    fn edge_scalars() -> Vec<Scalar> {
        let mut scalars: Vec<Scalar> = (1_u64..70).map(Scalar::from).collect();
        scalars.extend((0..70).map(below_order));
        let mut power = Scalar::ONE;
        for exponent in 0..256 {
            scalars.extend([power, power + Scalar::ONE, power - Scalar::ONE, -power]);
            if exponent == 192 {
                for top in [0xffff_ffff_0000_0001_u64, 0xffff_ffff_0000_0000, 0xffff_fffe_ffff_ffff] {
                    let near = power * Scalar::from(top);
                    scalars.extend([near, near + near, -near, near + Scalar::ONE, near - Scalar::ONE]);
                }
            }
            power = power + power;
        }
        scalars
    }

    fn check(scalars: &[NonZeroScalar]) {
        let point = Point::of_scalar(&NonZeroScalar::new(Scalar::from(0xc0ffee_u64)).expect("not zero"));
        let table = Table::new(&point);
        let ephemerals = ephemerals(&table, scalars);
        assert_eq!(ephemerals.len(), scalars.len());
        for (scalar, ephemeral) in scalars.iter().zip(&ephemerals) {
            assert_eq!(ephemeral.public, Point::of_scalar(scalar), "k·G for k = {:?}", scalar.to_repr());
            assert_eq!(*ephemeral.shared_x, *point.shared_x(scalar), "k·Q for k = {:?}", scalar.to_repr());
        }
    }

    #[test]
    fn sums_of_table_entries_are_the_multiples_that_plain_multiplication_gives() {
        let scalars: Vec<NonZeroScalar> =
            edge_scalars().into_iter().filter_map(|scalar| NonZeroScalar::new(scalar).into_option()).collect();
        assert!(scalars.len() > 1_000);
        check(&scalars);
    }

    #[test]
    fn batches_of_every_small_size_agree_with_plain_multiplication() {
        let scalars: Vec<NonZeroScalar> = (1_u64..=9)
            .map(|seed| NonZeroScalar::new(Scalar::from(seed).invert().expect("not zero")).expect("not zero"))
            .collect();
        for size in 0..=scalars.len() {
            check(&scalars[..size]);
        }
    }

    #[test]
    fn digits_are_odd_and_add_up_to_the_scalar() {
        for scalar in edge_scalars().into_iter().filter(|scalar| bool::from(scalar.is_odd())) {
            let sum = digits(&scalar).iter().rev().fold(Scalar::ZERO, |sum, digit| {
                let value = Scalar::from(2 * u64::from(digit.entry) + 1);
                let value = if digit.negative == 1 { -value } else { value };
                sum * Scalar::from(1_u64 << WINDOW_BITS) + value
            });
            assert_eq!(sum, scalar);
        }
    }
}
