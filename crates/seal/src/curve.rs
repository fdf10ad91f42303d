//! P-256 as both schemes see it: coordinates of 32 bytes, scalars from 1 to n - 1.

use p256::elliptic_curve::Group as _;
use p256::elliptic_curve::point::{AffineCoordinates, DecompressPoint};
use p256::{AffinePoint, NonZeroScalar, ProjectivePoint};
use subtle::Choice;
use zeroize::Zeroizing;

/// Bytes of a coordinate, and of a scalar.
pub(crate) const COORDINATE_BYTES: usize = 32;

/// A coordinate, big-endian, left-padded, below the field prime.
pub(crate) type Coordinate = [u8; COORDINATE_BYTES];

/// A point other than the point at infinity, as bytes. Always on the curve: only this module makes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Point {
    pub(crate) x: Coordinate,
    pub(crate) y: Coordinate,
}

impl Point {
    /// The point with these coordinates, or `None` if it is not on the curve or a coordinate is not below the prime.
    pub(crate) fn from_coordinates(x: &Coordinate, y: &Coordinate) -> Option<Point> {
        let on_curve = AffinePoint::from_coordinates(&(*x).into(), &(*y).into());
        bool::from(on_curve.is_some()).then_some(Point { x: *x, y: *y })
    }

    /// The point with this x and a y of this parity, or `None` where there is none.
    pub(crate) fn decompress(x: &Coordinate, y_is_odd: bool) -> Option<Point> {
        let affine = AffinePoint::decompress(&(*x).into(), Choice::from(u8::from(y_is_odd)));
        affine.into_option().map(|affine| Point::from_affine(&affine))
    }

    pub(crate) fn from_affine(affine: &AffinePoint) -> Point {
        assert!(!bool::from(affine.is_identity()), "a multiple of a point by 1..n is never the point at infinity");
        Point { x: affine.x().into(), y: affine.y().into() }
    }

    pub(crate) fn to_affine(self) -> AffinePoint {
        AffinePoint::from_coordinates(&self.x.into(), &self.y.into()).expect("a Point is on the curve")
    }

    pub(crate) fn y_is_odd(&self) -> bool {
        self.y[COORDINATE_BYTES - 1] & 1 == 1
    }

    /// The x of `scalar` times this point: what ECDH shares. One multiplication, nothing precomputed.
    pub(crate) fn shared_x(&self, scalar: &NonZeroScalar) -> Zeroizing<Coordinate> {
        let product = (ProjectivePoint::from(self.to_affine()) * **scalar).to_affine();
        Zeroizing::new(product.x().into())
    }

    /// The public point of a private scalar.
    pub(crate) fn of_scalar(scalar: &NonZeroScalar) -> Point {
        Point::from_affine(&ProjectivePoint::mul_by_generator(scalar).to_affine())
    }
}
