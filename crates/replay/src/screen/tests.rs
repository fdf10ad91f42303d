use super::*;

fn screen(columns: u64, rows: u64, output: &str) -> Screen {
    let mut screen = Screen::new(Size::new(columns, rows).expect("a size"));
    screen.output(output.as_bytes());
    screen
}

fn rows(columns: u64, rows: u64, output: &str) -> Vec<String> {
    screen(columns, rows, output).rows_text()
}

#[test]
fn wide_characters_take_two_cells() {
    let screen = screen(6, 2, "a界b世");
    assert_eq!(screen.rows_text(), ["a界b世", ""]);
    let widths: Vec<u8> = screen.row(0).iter().map(|cell| cell.width).collect();
    assert_eq!(widths, [1, 2, 0, 1, 2, 0]);
    // One that does not fit goes to the next row, and it is still one line.
    assert_eq!(rows(3, 2, "ab界"), ["ab", "界"]);
}

#[test]
fn marks_stand_in_the_cell_of_their_character() {
    let screen = screen(8, 2, "cafe\u{301}!");
    assert_eq!(screen.rows_text()[0], "cafe\u{301}!");
    let cells = screen.row(0);
    assert_eq!((cells[3].character, cells[3].marks.as_deref()), ('e', Some("\u{301}")));
    assert_eq!((cells[4].character, cells[4].width), ('!', 1));
    assert_eq!(screen.cursor().column, 5);
}

#[test]
fn marks_find_their_character_at_the_edges() {
    // After the last column, where the cursor waits to wrap; the next character still wraps.
    assert_eq!(rows(3, 2, "abe\u{301}x"), ["abe\u{301}", "x"]);
    // On a wide character; on one that has a mark already; at the very beginning.
    assert_eq!(rows(6, 1, "か\u{3099}x"), ["か\u{3099}x"]);
    assert_eq!(rows(6, 1, "a\u{301}\u{323}b"), ["a\u{301}\u{323}b"]);
    assert_eq!(rows(6, 1, "\u{301}b"), [" \u{301}".to_owned().replace(' ', "b").chars().take(1).collect::<String>()]);
    // While characters are inserted.
    assert_eq!(rows(8, 1, "xyz\r\u{1b}[4he\u{301}f"), ["e\u{301}fxyz"]);
}

#[test]
fn characters_with_marks_move_and_go_like_others() {
    let mut screen = screen(4, 2, "e\u{301}bcdefg\r\n");
    assert_eq!(screen.rows_text(), ["efg", ""]);
    screen.output("\u{1b}[H\u{1b}[2Jo\u{308}abcde".as_bytes());
    screen.resize(Size::new(6, 2).expect("a size"));
    assert_eq!(screen.rows_text(), ["o\u{308}abcde", ""]);
    screen.output(b"\x1b[H\x1b[P");
    assert_eq!(screen.rows_text(), ["abcde", ""]);
}

#[test]
fn a_character_that_looks_like_a_code_stays_itself() {
    let text = "\u{100001}e\u{301}\u{100000}";
    assert_eq!(rows(8, 1, text), [text]);
}

#[test]
fn more_marks_than_a_cell_takes_are_not_lost() {
    let text = format!("a{}b", "\u{301}".repeat(40));
    let shown = rows(20, 1, &text);
    assert_eq!(shown[0].matches('\u{301}').count(), 40);
    assert!(shown[0].ends_with('b'));
}

#[test]
fn titles_and_unfinished_sequences_are_kept() {
    let mut screen = screen(10, 1, "\u{1b}]0;one\u{7}x\u{1b}]2;tw");
    assert_eq!(screen.title(), Some("one"));
    let mut again = Screen::from_frame(&screen.frame()).expect("a key frame");
    for screen in [&mut screen, &mut again] {
        screen.output(b"o\x1b\\y");
        assert_eq!((screen.title(), screen.rows_text()[0].as_str()), (Some("two"), "xy"));
    }
}

#[test]
fn a_key_frame_can_stand_anywhere() {
    let output = "ab\u{1b}[31mc\u{1b}[?1049h\u{1b}[2;3Hvim 界e\u{301}\u{1b}[4h\u{1b}(0qq\u{1b}(B\u{1b}[1;2r\u{1b}7\u{1b}[?1049lend\u{100000}é";
    let size = Size::new(9, 3).expect("a size");
    for cut in 0..output.len() {
        let mut straight = Screen::new(size);
        straight.output(&output.as_bytes()[..cut]);
        let mut framed = Screen::from_frame(&straight.frame()).expect("a key frame");
        assert_eq!(framed, straight, "at {cut}");
        for screen in [&mut straight, &mut framed] {
            screen.output(&output.as_bytes()[cut..]);
        }
        assert_eq!(framed, straight, "after {cut}");
        assert_eq!(framed.dump(), straight.dump(), "after {cut}");
    }
}

#[test]
fn a_dump_brings_another_terminal_to_the_same_screen() {
    let screen = screen(12, 3, "\u{1b}[1;32mgreen\u{1b}[0m e\u{301}界\r\n\u{1b}[7mx");
    let mut again = Screen::new(screen.size());
    again.output(screen.dump().as_bytes());
    assert_eq!(again, screen);
}

#[test]
fn lines_join_what_was_wrapped() {
    let lines = screen(5, 4, "abcdefg\r\nh").lines();
    let told: Vec<_> = lines.iter().map(|line| (line.row, line.rows, line.text.as_str())).collect();
    assert_eq!(told, [(0, 2, "abcdefg"), (2, 1, "h"), (3, 1, "")]);
}

#[test]
fn broken_key_frames_are_refused() {
    let frame = screen(5, 4, "abc\u{1b}[3").frame();
    assert!(Screen::from_frame(&frame).is_ok());
    for cut in 0..frame.len() {
        assert!(Screen::from_frame(&frame[..cut]).is_err(), "cut at {cut}");
    }
    assert!(Screen::from_frame(&[&frame[..], b"x"].concat()).is_err());
}
