//! Tiles and entry bundles: how a tree is cut into files (C2SP tlog-tiles), their names and their bytes.
//!
//! A tile is 256 consecutive nodes of the tree levels 0, 8, 16…; a *full* one never changes, a partial one is the first
//! `width` hashes of what will be full one day. A bundle holds the entries under one level-0 tile.
//!
//! ```text
//! tile/1/x001/234.p/17   level 1, index 1234, 17 hashes wide       tile/entries/000   the first 256 entries
//! ```

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::error::malformed;
use crate::{Error, Hash, TREE_SIZE_MAX, batch, text};

/// Tree levels spanned by one tile.
pub const HEIGHT: u8 = 8;
/// Hashes in a full tile, entries in a full bundle.
pub const WIDTH: u64 = 1 << HEIGHT;
/// Bytes of a full tile.
pub const FULL_TILE_BYTES: usize = WIDTH as usize * 32;
/// Longest entry a bundle can hold, as its length takes two bytes.
pub const BUNDLE_ENTRY_BYTES_MAX: usize = u16::MAX as usize;
/// Tile levels a tree of [`TREE_SIZE_MAX`] leaves can have.
pub const LEVELS: u8 = 8;
/// Largest tile index this format's readers take: the last level-0 tile of the largest tree.
pub const INDEX_MAX: u64 = TREE_SIZE_MAX / WIDTH;

/// Name of one tile of hashes, full or partial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// 0 for leaf hashes; a tile of level L holds nodes of the tree level 8·L.
    pub level: u8,
    /// Position in its level, from 0.
    pub index: u64,
    /// Hashes in it, 1..=256; 256 is full.
    pub width: u16,
}

/// Name of one bundle of entries, full or partial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleId {
    /// Position, from 0; the bundle starts with entry `index * 256`.
    pub index: u64,
    /// Entries in it, 1..=256; 256 is full.
    pub width: u16,
}

/// Anything that lies under `tile/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// `tile/<L>/<N>[.p/<W>]`
    Tile(TileId),
    /// `tile/entries/<N>[.p/<W>]`
    Bundle(BundleId),
}

impl TileId {
    /// The tile as it is in a tree of `size` leaves: full, partial, or none if it is empty there.
    pub fn at_size(level: u8, index: u64, size: u64) -> Option<TileId> {
        let hashes = if level < LEVELS { size >> (HEIGHT * level) } else { 0 };
        width_at(index, hashes).map(|width| TileId { level, index, width })
    }

    /// Whether the tile holds all its 256 hashes.
    pub fn is_full(&self) -> bool {
        u64::from(self.width) == WIDTH
    }

    /// Whether a tree of `size` leaves has this tile at this width or wider, so that its bytes are fixed.
    pub fn is_within(&self, size: u64) -> bool {
        TileId::at_size(self.level, self.index, size).is_some_and(|tile| tile.width >= self.width)
    }
}

impl BundleId {
    /// The bundle as it is in a tree of `size` leaves: full, partial, or none if it is empty there.
    pub fn at_size(index: u64, size: u64) -> Option<BundleId> {
        width_at(index, size).map(|width| BundleId { index, width })
    }

    /// Whether the bundle holds all its 256 entries.
    pub fn is_full(&self) -> bool {
        u64::from(self.width) == WIDTH
    }

    /// Indexes of the entries in it.
    pub fn entries(&self) -> Range<u64> {
        let first = self.index * WIDTH;
        first..first + u64::from(self.width)
    }
}

fn width_at(index: u64, hashes: u64) -> Option<u16> {
    let width = hashes.saturating_sub(index.checked_mul(WIDTH)?).min(WIDTH);
    (width > 0).then_some(width as u16)
}

/// The path, from `tile/` on.
impl fmt::Display for TileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        write_position(f, self.index, self.width)
    }
}

/// The path, from `tile/` on.
impl fmt::Display for BundleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tile/entries/")?;
        write_position(f, self.index, self.width)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Tile(tile) => tile.fmt(f),
            Resource::Bundle(bundle) => bundle.fmt(f),
        }
    }
}

/// Reads a path that starts with `tile/`; only the one spelling of each name is accepted, so that caches hold it once.
impl FromStr for Resource {
    type Err = Error;

    fn from_str(path: &str) -> Result<Resource, Error> {
        let Some((kind, position)) = path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')) else {
            return malformed("tile path", "does not start with tile/ and a level");
        };
        let (index, width) = parse_position(position)?;
        if kind == "entries" {
            return Ok(Resource::Bundle(BundleId { index, width }));
        }
        match text::from_decimal(kind) {
            Some(level) if level < u64::from(LEVELS) => Ok(Resource::Tile(TileId { level: level as u8, index, width })),
            Some(level) if level < 64 => malformed("tile path", "no tree is that high"),
            _ => malformed("tile path", "level is not a number from 0 to 63"),
        }
    }
}

impl FromStr for TileId {
    type Err = Error;

    fn from_str(path: &str) -> Result<TileId, Error> {
        match path.parse()? {
            Resource::Tile(tile) => Ok(tile),
            Resource::Bundle(_) => malformed("tile path", "names entries, not hashes"),
        }
    }
}

impl FromStr for BundleId {
    type Err = Error;

    fn from_str(path: &str) -> Result<BundleId, Error> {
        match path.parse()? {
            Resource::Bundle(bundle) => Ok(bundle),
            Resource::Tile(_) => malformed("tile path", "names hashes, not entries"),
        }
    }
}

/// `1234067` → `x001/x234/067`, then `.p/<W>` unless full.
fn write_position(f: &mut fmt::Formatter<'_>, index: u64, width: u16) -> fmt::Result {
    let groups = (1..7).take_while(|group| index >= 1000u64.pow(*group)).count() as u32;
    for group in (1..=groups).rev() {
        write!(f, "x{:03}/", index / 1000u64.pow(group) % 1000)?;
    }
    write!(f, "{:03}", index % 1000)?;
    if u64::from(width) == WIDTH { Ok(()) } else { write!(f, ".p/{width}") }
}

fn parse_position(position: &str) -> Result<(u64, u16), Error> {
    let (groups, width) = match position.split_once(".p/") {
        None => (position, WIDTH as u16),
        Some((groups, width)) => match text::from_decimal(width) {
            Some(width) if (1..WIDTH).contains(&width) => (groups, width as u16),
            _ => return malformed("tile path", "width is not a number from 1 to 255"),
        },
    };
    let mut index = 0u64;
    let mut rest = groups;
    let mut first = true;
    loop {
        let (group, after) = match rest.split_once('/') {
            Some((group, after)) => match group.strip_prefix('x') {
                Some(group) => (group, Some(after)),
                None => return malformed("tile path", "all but the last group start with x"),
            },
            None => (rest, None),
        };
        if group.len() != 3 || !group.bytes().all(|b| b.is_ascii_digit()) {
            return malformed("tile path", "groups have three digits");
        }
        // A leading group of zeros would be a second name for the same tile.
        if first && after.is_some() && group == "000" {
            return malformed("tile path", "leading zeros");
        }
        first = false;
        let value: u64 = group.parse().expect("three digits");
        index = match index.checked_mul(1000).and_then(|index| index.checked_add(value)) {
            Some(index) if index <= INDEX_MAX => index,
            _ => return malformed("tile path", "index too large"),
        };
        match after {
            Some(after) => rest = after,
            None => return Ok((index, width)),
        }
    }
}

/// Where the node (`level`, `index`) of the tree is to be found: which hashes of which tile reduce to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Level of the tile.
    pub tile_level: u8,
    /// Index of the tile in its level.
    pub tile_index: u64,
    /// Positions in the tile, a power of two of them; [`batch::reduce`] makes the node of these.
    pub hashes: Range<usize>,
}

/// Where the root of the perfect subtree `[index << level, (index + 1) << level)` is to be found.
///
/// The tile must be at least `hashes.end` wide, which it is at every tree size that contains the subtree.
pub fn locate(level: u8, index: u64) -> Location {
    let tile_level = level / HEIGHT;
    let height = level % HEIGHT;
    let first = index << height;
    let start = (first % WIDTH) as usize;
    Location { tile_level, tile_index: first / WIDTH, hashes: start..start + (1 << height) }
}

/// The node at `location`, from the hashes of its tile.
///
/// # Errors
/// `OutOfRange` if the tile is not wide enough.
pub fn node(tile: &[Hash], location: &Location) -> Result<Hash, Error> {
    match tile.get(location.hashes.clone()) {
        Some(hashes) => Ok(batch::reduce(hashes)),
        None => Err(Error::OutOfRange("the tile is narrower than asked for")),
    }
}

/// Bytes of a tile: the hashes end to end.
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(hashes.len() * 32);
    for hash in hashes {
        bytes.extend_from_slice(&hash.0);
    }
    bytes
}

/// Hashes of a tile of exactly `width`.
///
/// # Errors
/// `Malformed` for any other length.
pub fn decode_hashes(bytes: &[u8], width: u16) -> Result<Vec<Hash>, Error> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || hashes.len() != usize::from(width) {
        return malformed("tile", "not 32 bytes for each hash");
    }
    Ok(hashes.iter().map(|hash| Hash(*hash)).collect())
}

/// Bytes of a bundle: each entry after its length in two bytes, big-endian.
///
/// # Errors
/// `OutOfRange` if an entry is longer than [`BUNDLE_ENTRY_BYTES_MAX`].
pub fn encode_bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    for entry in entries {
        let Ok(length) = u16::try_from(entry.len()) else {
            return Err(Error::OutOfRange("the entry is too long for a bundle"));
        };
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// Entries of a bundle of exactly `width`, in order.
///
/// # Errors
/// `Malformed` if there are more or fewer, or bytes are missing or left over.
pub fn decode_bundle(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, Error> {
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bytes;
    while entries.len() < usize::from(width) {
        let Some((length, after)) = rest.split_first_chunk::<2>() else {
            return malformed("entry bundle", "too few entries");
        };
        let Some((entry, after)) = after.split_at_checked(usize::from(u16::from_be_bytes(*length))) else {
            return malformed("entry bundle", "an entry is cut off");
        };
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { malformed("entry bundle", "bytes after the last entry") }
}
