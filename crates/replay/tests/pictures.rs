//! Pictures of screens: the same bytes everywhere, and on them what was on the screen.

use proptest::prelude::*;
use replay::cell::{Attributes, Cell, Colour, Rgb, Size};
use replay::format::Theme;
use replay::picture::{BadFont, Fonts, Style, View, draw, draw_screen};
use replay::screen::Screen;
use sha2::{Digest, Sha256};

fn plain(text: &str) -> Vec<Cell> {
    text.chars().map(|character| Cell { character, ..Cell::BLANK }).collect()
}

fn styled(text: &str, attributes: Attributes, foreground: Colour, background: Colour) -> Vec<Cell> {
    plain(text).into_iter().map(|cell| Cell { attributes, foreground, background, ..cell }).collect()
}

/// Each character in two cells.
fn wide(text: &str) -> Vec<Cell> {
    let pair = |cell: Cell| [Cell { width: 2, ..cell.clone() }, Cell { character: ' ', width: 0, ..cell }];
    plain(text).into_iter().flat_map(pair).collect()
}

fn size(columns: u64, rows: u64) -> Size {
    Size::new(columns, rows).expect("a size within the limits")
}

fn png(columns: u64, rows: &[Vec<Cell>], cursor: Option<(u16, u16)>) -> Vec<u8> {
    let view = View { size: size(columns, rows.len() as u64), rows, cursor };
    draw(&view, &Fonts::built_in(), &Style::default()).expect("a small screen")
}

struct Picture {
    width: usize,
    pixels: Vec<Rgb>,
    colours: usize,
}

impl Picture {
    /// Reads the file with the `png` crate.
    fn of(file: &[u8]) -> Picture {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().expect("a PNG");
        let colours = reader.info().palette.as_ref().map_or(0, |palette| palette.len() / 3);
        let mut bytes = vec![0; reader.output_buffer_size().expect("a small picture")];
        let info = reader.next_frame(&mut bytes).expect("a whole PNG");
        let pixels = bytes.chunks_exact(3).map(|rgb| Rgb(rgb[0], rgb[1], rgb[2])).collect();
        Picture { width: info.width as usize, pixels, colours }
    }

    /// The pixels of one cell.
    fn cell(&self, column: usize, row: usize) -> Vec<Rgb> {
        let line = |y: usize| &self.pixels[y * self.width + column * 9..y * self.width + column * 9 + 9];
        (row * 18..row * 18 + 18).flat_map(line).copied().collect()
    }

    fn count(&self, column: usize, row: usize, colour: Rgb) -> usize {
        self.cell(column, row).iter().filter(|pixel| **pixel == colour).count()
    }
}

const BEHIND: Rgb = Rgb(18, 19, 20);
const TEXT: Rgb = Rgb(204, 204, 204);

#[test]
fn the_same_screen_is_the_same_file_on_every_machine() {
    let marked = Cell { character: 'e', marks: Some("\u{301}".into()), ..Cell::BLANK };
    let rainbow = |count: u32| -> Vec<Cell> {
        let colour = |n: u32| Colour::Rgb(Rgb((n * 7 % 256) as u8, (n * 3 % 256) as u8, (n * 29 % 256) as u8));
        (0..count).map(|n| Cell { character: '#', foreground: colour(n), ..Cell::BLANK }).collect()
    };
    let hash = |rows: &[Vec<Cell>]| {
        let columns = rows.iter().map(Vec::len).max().expect("a row") as u64;
        let file = png(columns, rows, Some((1, 0)));
        // Once more with the masks that were kept, and with fonts of its own.
        let view = View { size: size(columns, rows.len() as u64), rows, cursor: Some((1, 0)) };
        let fonts = Fonts::built_in();
        for _ in 0..2 {
            assert_eq!(draw(&view, &fonts, &Style::default()).expect("a small screen"), file);
        }
        hex::encode(&Sha256::digest(&file)[..8])
    };
    let bold = Attributes::BOLD.with(Attributes::ITALIC).with(Attributes::UNDERLINE);
    let screens: [(&str, &[Vec<Cell>]); 6] = [
        ("letters", &[plain("$ cat żółć Ελλ Кир {}[]@#%"), vec![marked]]),
        ("boxes", &[plain("┌─┬╔═╦┏━┳╭╮╱╳░▒▓▟⣿⡇\u{e0b0}\u{e0b3}\u{1fb05}")]),
        ("missing", &[wide("日本"), plain("\u{f115}\u{5d0}")]),
        ("emoji", &[wide("😀🚀✅"), plain("✓✗★☺")]),
        ("styles", &[styled("all of it", bold, Colour::Indexed(1), Colour::Indexed(208))]),
        ("many colours", &[rainbow(600)]),
    ];
    let hashes = screens.map(|(name, rows)| format!("{name} {}", hash(rows)));
    let expected = [
        "letters 303da64c14415dd7",
        "boxes f83a2716207ce903",
        "missing a9f2d03a2d921d86",
        "emoji 51e8b5e575f8da07",
        "styles f99fc7656c9599cc",
        "many colours befb239154d907d1",
    ];
    assert_eq!(hashes, expected, "look at the pictures before you change a hash");
}

#[test]
fn colours_inversion_and_the_cursor_are_seen() {
    let red = Colour::Rgb(Rgb(200, 0, 0));
    let rows = [
        plain("M M"),
        styled("MM", Attributes::INVERSE, Colour::Default, red),
        styled(" M", Attributes::FAINT, Colour::Default, Colour::Indexed(16)),
    ];
    let picture = Picture::of(&png(4, &rows, Some((2, 0))));
    assert_eq!((picture.width, picture.pixels.len()), (36, 36 * 54));
    assert!(picture.count(0, 0, TEXT) > 20 && picture.count(0, 0, BEHIND) > 50);
    assert_eq!(picture.count(1, 0, BEHIND), 9 * 18);
    assert!(picture.count(2, 0, TEXT) > 50, "the cursor is a block in the colour of text");
    assert_eq!(picture.count(3, 0, BEHIND), 9 * 18, "what no row gives is blank");
    assert!(picture.count(0, 1, Rgb(200, 0, 0)) > 20 && picture.count(0, 1, TEXT) > 50);
    assert_eq!(picture.count(0, 2, Rgb(0, 0, 0)), 9 * 18);
    assert_eq!(picture.count(1, 2, TEXT), 0, "faint text is not as bright");
}

#[test]
fn lines_through_cells_are_unbroken_and_boxes_meet() {
    let rows = [
        styled("g j", Attributes::UNDERLINE, Colour::Default, Colour::Default),
        styled("abc", Attributes::STRIKE, Colour::Default, Colour::Default),
        plain("┌─┐"),
        plain("│ │"),
    ];
    let picture = Picture::of(&png(3, &rows, None));
    let line = |y: usize| &picture.pixels[y * 27..(y + 1) * 27];
    assert!(line(16).iter().all(|pixel| *pixel == TEXT), "underline");
    assert!(line(18 + 9).iter().all(|pixel| *pixel == TEXT), "strike");
    assert!(line(36 + 9)[4..23].iter().all(|pixel| *pixel == TEXT), "the top of the box");
    assert!((36 + 9..72).all(|y| line(y)[4] == TEXT && line(y)[22] == TEXT), "its sides");
}

#[test]
fn bold_and_italic_letters_differ_and_bold_has_more_ink() {
    let style = |attributes| {
        let picture = Picture::of(&png(1, &[styled("H", attributes, Colour::Default, Colour::Default)], None));
        (picture.count(0, 0, BEHIND), picture.pixels)
    };
    let (regular, bold, italic) = (style(Attributes::NONE), style(Attributes::BOLD), style(Attributes::ITALIC));
    assert!(bold.0 < regular.0, "less background is left");
    assert_ne!(italic.1, regular.1);
}

#[test]
fn no_character_vanishes() {
    // In fonts, drawn by code, and in none of them; the last two are no characters at all.
    let texts = [
        "a",
        "ż",
        "┼",
        "█",
        "⣿",
        "\u{e0b0}",
        "😀",
        "★",
        "✓",
        "א",
        "日",
        "\u{1f9ff}",
        "\u{e123}",
        "\u{10fffd}",
        "\u{378}",
    ];
    let picture = Picture::of(&png(texts.len() as u64, &[plain(&texts.concat())], None));
    for (column, text) in texts.iter().enumerate() {
        assert!(picture.count(column, 0, BEHIND) < 9 * 18 - 5, "{text:?} left no ink");
    }
    let two = Picture::of(&png(4, &[wide("日本")], None));
    assert_ne!((two.cell(0, 0), two.cell(1, 0)), (two.cell(2, 0), two.cell(3, 0)), "missing characters differ");
    let marked = |marks: Option<&str>| {
        Picture::of(&png(1, &[vec![Cell { character: 'e', marks: marks.map(Into::into), ..Cell::BLANK }]], None)).pixels
    };
    assert_ne!(marked(Some("\u{301}")), marked(None), "an accent is seen");
    assert_ne!(marked(Some("\u{1ab0}")), marked(None), "an accent that no font has is seen, too");
    assert_eq!(marked(Some("\u{200d}\u{fe0e}")), marked(None), "joiners have no look");
}

#[test]
fn a_theme_names_the_default_colours() {
    let palette = (0..16).map(|n| Rgb(n * 16, 0, n)).collect();
    let theme = Theme { foreground: Rgb(1, 2, 3), background: Rgb(250, 251, 252), palette };
    let rows = [styled("█", Attributes::NONE, Colour::Indexed(9), Colour::Default), plain("█ ")];
    let view = View { size: size(2, 2), rows: &rows, cursor: None };
    let file = draw(&view, &Fonts::built_in(), &Style { theme: Some(theme) }).expect("a small screen");
    let picture = Picture::of(&file);
    assert_eq!(picture.count(0, 0, Rgb(144, 0, 9)), 9 * 18);
    assert_eq!(picture.count(0, 1, Rgb(1, 2, 3)), 9 * 18);
    assert_eq!(picture.count(1, 1, Rgb(250, 251, 252)), 9 * 18);
}

#[test]
fn more_colours_than_a_palette_holds_are_shown_nearly() {
    let colour = |n: u32| Rgb((n % 64 * 4) as u8, (n / 64 * 8) as u8, 128);
    let row = |y: u32| (0..64).map(|x| Cell { background: Colour::Rgb(colour(y * 64 + x)), ..Cell::BLANK }).collect();
    let rows: Vec<Vec<Cell>> = (0..32).map(row).collect();
    let picture = Picture::of(&png(64, &rows, None));
    assert_eq!(picture.colours, 256);
    for n in 0..64 * 32 {
        let (Rgb(red, green, blue), wanted) = (picture.cell(n % 64, n / 64)[0], colour(n as u32));
        let off = red.abs_diff(wanted.0).max(green.abs_diff(wanted.1)).max(blue.abs_diff(wanted.2));
        assert!(off <= 16, "the {n}th colour is off by {off}");
    }
}

#[test]
fn a_full_screen_of_source_code_fits_into_forty_kilobytes() {
    // Forty lines of this file, every third word in another colour.
    let row = |line: &str| {
        let mut words = 0;
        let cell = |character: char| {
            words += usize::from(character == ' ');
            let foreground = if words % 3 == 0 { Colour::Indexed((words % 6 + 1) as u8) } else { Colour::Default };
            Cell { character, foreground, ..Cell::BLANK }
        };
        line.chars().take(120).map(cell).collect()
    };
    let rows: Vec<Vec<Cell>> = include_str!("pictures.rs").lines().skip(70).take(40).map(row).collect();
    let file = png(120, &rows, Some((3, 4)));
    assert!(file.len() <= 40 << 10, "{} bytes", file.len());
}

#[test]
fn a_terminals_screen_is_drawn_with_its_cursor() {
    let fonts = Fonts::built_in();
    let mut screen = Screen::new(size(20, 2));
    screen.output("ls \x1b[1;32mdone\x1b[0m 日e\u{301}".as_bytes());
    let shown = Picture::of(&draw_screen(&screen, &fonts, &Style::default()).expect("a small screen"));
    assert_eq!(shown.count(11, 0, TEXT), 9 * 18, "the cursor stands behind the text");
    assert!(shown.count(3, 0, Rgb(13, 188, 121)) > 10);
    screen.output(b"\x1b[?25l");
    let hidden = Picture::of(&draw_screen(&screen, &fonts, &Style::default()).expect("a small screen"));
    assert_eq!(hidden.count(11, 0, BEHIND), 9 * 18);
    let view = View { size: screen.size(), rows: &screen.rows(), cursor: None };
    assert_eq!(hidden.pixels, Picture::of(&draw(&view, &fonts, &Style::default()).expect("a small screen")).pixels);
}

#[test]
fn screens_beyond_the_limit_and_files_that_are_no_fonts_are_refused() {
    let view = View { size: size(2000, 1000), rows: &[], cursor: None };
    let refused = draw(&view, &Fonts::built_in(), &Style::default());
    assert_eq!(refused.map_err(|error| error.0), Err(size(2000, 1000)));
    let ubuntu = || epaint_default_fonts::UBUNTU_LIGHT.to_vec();
    assert_eq!(Fonts::with(vec![ubuntu(), b"no font".to_vec()]).err(), Some(BadFont { place: 1 }));
    assert_eq!(Fonts::with(vec![ubuntu(); 65]).err(), Some(BadFont { place: 64 }));
    let rows = [plain("\u{181}")];
    let view = View { size: size(1, 1), rows: &rows, cursor: None };
    let with = draw(&view, &Fonts::with(vec![ubuntu()]).expect("a font"), &Style::default());
    assert_ne!(
        with,
        draw(&view, &Fonts::built_in(), &Style::default()),
        "the caller's font draws what the others lack"
    );
}

fn cell() -> impl Strategy<Value = Cell> {
    let colour = || {
        prop_oneof![
            Just(Colour::Default),
            any::<u8>().prop_map(Colour::Indexed),
            any::<[u8; 3]>().prop_map(|[red, green, blue]| Colour::Rgb(Rgb(red, green, blue))),
        ]
    };
    let marks = prop::option::weighted(0.1, any::<String>().prop_map(String::into_boxed_str));
    (any::<char>(), marks, 0u8..4, colour(), colour(), any::<u8>()).prop_map(
        |(character, marks, width, foreground, background, bits)| {
            let attributes = Attributes::from_bits(bits);
            Cell { character, marks, width, foreground, background, attributes }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cells_make_a_picture_of_the_right_size(
        rows in prop::collection::vec(prop::collection::vec(cell(), 0..20), 0..8),
        columns in 1u64..20,
        count in 1u64..9,
        cursor in prop::option::of((0u16..20, 0u16..9)),
    ) {
        let view = View { size: size(columns, count), rows: &rows, cursor };
        let picture = Picture::of(&draw(&view, &Fonts::built_in(), &Style::default()).expect("a small screen"));
        prop_assert_eq!((picture.width, picture.pixels.len()), (columns as usize * 9, (columns * count) as usize * 9 * 18));
    }
}
