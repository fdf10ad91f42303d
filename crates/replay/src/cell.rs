//! The words that all of `replay` shares: how large a screen is and what stands in one of its cells.

/// Most columns a screen may have. A recorder that claims more is wrong or malicious; memory grows with the area.
pub const COLUMNS_MAX: u16 = 2000;
/// Most rows a screen may have, see [`COLUMNS_MAX`].
pub const ROWS_MAX: u16 = 1000;

/// The size of a screen: 1..=[`COLUMNS_MAX`] columns by 1..=[`ROWS_MAX`] rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    columns: u16,
    rows: u16,
}

impl Size {
    /// What a terminal is taken to be when nothing says so: 80×24.
    pub const USUAL: Size = Size { columns: 80, rows: 24 };

    /// Returns `None` outside the limits. Takes wide integers so that foreign numbers need no cast first.
    pub fn new(columns: u64, rows: u64) -> Option<Size> {
        let columns = u16::try_from(columns).ok().filter(|n| (1..=COLUMNS_MAX).contains(n))?;
        let rows = u16::try_from(rows).ok().filter(|n| (1..=ROWS_MAX).contains(n))?;
        Some(Size { columns, rows })
    }

    /// Cells in a row, at least 1.
    pub fn columns(self) -> u16 {
        self.columns
    }

    /// Rows, at least 1.
    pub fn rows(self) -> u16 {
        self.rows
    }
}

/// Written as recorders do: `80x24`, columns first.
impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.columns, self.rows)
    }
}

/// Red, green, blue; sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// A cell's foreground or background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Colour {
    /// What the theme says.
    #[default]
    Default,
    /// 0..=15 the theme's palette, 16..=231 the 6×6×6 cube, 232..=255 the greys.
    Indexed(u8),
    /// Given by the program.
    Rgb(Rgb),
}

/// Which of the flags below a cell carries; a set in one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Attributes(u8);

impl Attributes {
    /// None of them.
    pub const NONE: Attributes = Attributes(0);
    /// SGR 1.
    pub const BOLD: Attributes = Attributes(1);
    /// SGR 2.
    pub const FAINT: Attributes = Attributes(1 << 1);
    /// SGR 3.
    pub const ITALIC: Attributes = Attributes(1 << 2);
    /// SGR 4.
    pub const UNDERLINE: Attributes = Attributes(1 << 3);
    /// SGR 9.
    pub const STRIKE: Attributes = Attributes(1 << 4);
    /// SGR 5; a picture shows it as if it did not blink.
    pub const BLINK: Attributes = Attributes(1 << 5);
    /// SGR 7: foreground and background change places.
    pub const INVERSE: Attributes = Attributes(1 << 6);

    /// Those of either.
    #[must_use]
    pub const fn with(self, other: Attributes) -> Attributes {
        Attributes(self.0 | other.0)
    }

    /// Whether all of `other` are in here.
    pub const fn has(self, other: Attributes) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set as bits, for writing it down; [`Attributes::from_bits`] reads it back.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Bits that mean nothing are dropped.
    pub const fn from_bits(bits: u8) -> Attributes {
        Attributes(bits & 0x7f)
    }
}

/// One cell of a screen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cell {
    /// What stands in it; a blank cell holds a space.
    pub character: char,
    /// Combining marks, variation selectors and joiners that follow the character, in order. Almost always none.
    pub marks: Option<Box<str>>,
    /// 1; 2 for the first cell of a wide character; 0 for the second one, whose character is not shown.
    pub width: u8,
    /// Colour of the text.
    pub foreground: Colour,
    /// Colour behind it.
    pub background: Colour,
    /// Bold, underlined and so on.
    pub attributes: Attributes,
}

impl Cell {
    /// A space in the theme's colours.
    pub const BLANK: Cell = Cell {
        character: ' ',
        marks: None,
        width: 1,
        foreground: Colour::Default,
        background: Colour::Default,
        attributes: Attributes::NONE,
    };

    /// Adds the character with its marks; adds nothing for the second cell of a wide one.
    pub fn push_to(&self, text: &mut String) {
        if self.width == 0 {
            return;
        }
        text.push(self.character);
        if let Some(marks) = &self.marks {
            text.push_str(marks);
        }
    }
}

impl Default for Cell {
    fn default() -> Cell {
        Cell::BLANK
    }
}
