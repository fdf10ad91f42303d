//! What was to be read, and when: one small recording for each rule.

#[path = "common/checked.rs"]
mod checked;

use checked::{checked, header, out, typed};
use replay::format::{Event, Size, What};
use replay::span::{Kind, LINE_BYTES_MAX};

#[test]
fn a_text_seen_for_fifty_milliseconds_is_on_a_numbered_screen() {
    // Other output goes on all the time, so that there is no quiet moment.
    let mut events = vec![out(1000, "\x1b[3;1Hbriefly here")];
    events.extend((1..10).map(|step| out(1000 + 5 * step, format!("\x1b[1;1Hcount {step}"))));
    events.push(out(1050, "\x1b[3;1H\x1b[K"));
    events.push(out(3000, "end"));
    let indexed = checked(&header(40, 5), &events);
    let span = indexed.one("briefly here");
    assert!(!span.passed_by);
    assert_eq!((span.appeared_us, span.disappeared_us), (1_000_000, 1_050_000));
}

#[test]
fn a_line_that_scrolled_away_inside_one_chunk_is_kept() {
    let lines: String = (1..=100).map(|line| format!("line number {line}\r\n")).collect();
    let indexed = checked(&header(40, 5), &[out(0, "$\r\n"), out(1000, lines), out(2000, "$ ")]);
    for line in 1..=100 {
        let span = indexed.one(&format!("line number {line}"));
        assert_eq!(span.passed_by, line <= 96, "{span:?}");
        assert_eq!((span.first, span.clearest, span.appeared_us), (2, 2, 1_000_000));
    }
}

#[test]
fn a_text_that_was_cleared_inside_one_chunk_is_kept() {
    for clear in [
        "\x1b[2J",
        "\x1b[H\x1b[J",
        "\x1bc",
        "\x1b[1K\x1b[2K",
        "\x1b[?1049h",
        "\r\x1b[9X",
        "\r\x1b[20P",
        "\rTHE OTHER TEXT",
    ] {
        let indexed = checked(&header(40, 5), &[out(0, "$ "), out(1000, format!("secret {clear}after"))]);
        let span = indexed.one("$ secret");
        assert!(span.passed_by, "{clear:?}");
        assert_eq!((span.first, span.last, span.clearest), (2, 2, 2), "{clear:?}");
    }
}

#[test]
fn what_scrolls_inside_margins_is_kept() {
    for scroll in ["\x1b[4;1H\n", "\x1b[S", "\x1b[2;1H\x1b[M", "\x1b[2;1H\x1bM\x1b[4;1H\n\n", "\x1b[T\x1b[T\x1b[T"] {
        let setup = "\x1b[2;4r\x1b[1;1Htop\x1b[5;1Hbottom\x1b[2;1Hone\r\ntwo\r\nthree";
        let indexed = checked(&header(20, 5), &[out(0, format!("{setup}{scroll}")), out(1000, "x")]);
        for text in ["top", "bottom", "one", "three"] {
            assert!(indexed.texts(Kind::Text).contains(&text), "{text} with {scroll:?}: {:#?}", indexed.spans);
        }
    }
}

/// Each found by a random terminal.
#[test]
fn what_is_changed_in_ways_that_are_rare_is_kept_too() {
    for (columns, rows, output, lost) in [
        // The same letters again, in the set for lines and boxes.
        (20, 3, "word\r\x1b(0word", "word"),
        // Below the margins nothing scrolls: the last row is written over.
        (8, 6, "\x1b[1;2r\x1b[6;1Hlast rowX", "last row"),
        // A blank is put into the middle of a word.
        (20, 3, "together\r\x1b[4C\x1b[@", "together"),
        (20, 3, "together\r\x1b[4C\x1b[4h \x1b[4l", "together"),
    ] {
        let indexed = checked(&header(columns, rows), &[out(0, output), out(1000, "x")]);
        assert!(indexed.texts(Kind::Text).contains(&lost), "{output:?}: {:#?}", indexed.spans);
    }
    // The changed beginning of a line leaves at the top before anybody saw it, the unchanged rest stays.
    let changed = "\x1b[1;1HWORD\x1b[3;1Hone\r\ntwo";
    let indexed = checked(&header(10, 3), &[out(0, "some words and more"), out(1000, changed)]);
    assert!(indexed.spans.iter().any(|span| span.text.starts_with("WORD words and")), "{:#?}", indexed.spans);
    // Only blanks that belonged to a line are left of it: it is gone.
    let indexed =
        checked(&header(4, 6), &[out(0, "text          "), out(1000, "\x1b[1;2r\x1b[S"), out(1000, "a\n  bcd")]);
    assert_eq!(indexed.one("text").last, 1);
}

#[test]
fn a_word_split_by_a_wrap_is_one_word() {
    let indexed = checked(&header(10, 5), &[out(0, "the password is"), out(1000, "\r\nx")]);
    assert!(!indexed.one("the password is").passed_by);
    // And one that was wide enough until the terminal was not.
    let narrow = Event { at_us: 1_000_000, what: What::Resize(Size::new(7, 3).expect("a size")) };
    let wide = Event { at_us: 2_000_000, what: What::Resize(Size::new(30, 3).expect("a size")) };
    let indexed =
        checked(&header(20, 3), &[out(0, "x\r\n$ cat\r\nincomprehensible"), narrow, wide, out(3000, "\x1b[H")]);
    let span = indexed.one("incomprehensible");
    assert_eq!((span.first, span.last), (1, indexed.summary.screens));
}

#[test]
fn a_long_line_is_one_line_also_while_it_scrolls_off() {
    let long: String = (0..30).map(|word| format!("word{word} ")).collect();
    let long = long.trim_end();
    // In one chunk, and slowly, on a screen that shows only a part of it.
    let indexed = checked(&header(20, 4), &[out(0, long), out(1000, "\r\n$ ")]);
    assert!(indexed.one(long).passed_by);
    let slowly: Vec<Event> = long
        .as_bytes()
        .chunks(7)
        .zip(0..)
        .map(|(piece, step)| out(step * 100, piece))
        .chain([out(9000, "\r\n$ ")])
        .collect();
    let indexed = checked(&header(20, 4), &slowly);
    assert!(indexed.spans.iter().any(|span| span.text == long), "{:#?}", indexed.spans);
}

#[test]
fn a_line_without_end_is_several_spans() {
    let long = "0123456789".repeat(LINE_BYTES_MAX / 5);
    let indexed = checked(&header(80, 24), &[out(0, &long), out(1000, "\r\n$ ")]);
    let texts = indexed.texts(Kind::Text);
    assert!(texts.iter().all(|text| text.len() <= LINE_BYTES_MAX + 80 * 24));
    assert!(texts.iter().map(|text| text.len()).sum::<usize>() >= long.len());
}

#[test]
fn a_password_typed_without_echo_is_nowhere() {
    let indexed = checked(
        &header(40, 10),
        &[
            out(0, "$ "),
            typed(1000, "sudo id\r"),
            out(1001, "sudo id\r\n"),
            out(1010, "Password: "),
            typed(2000, "hunter2"),
            typed(2500, "\r"),
            out(2501, "\r\n"),
            out(2600, "uid=0\r\n$ "),
        ],
    );
    assert!(indexed.spans.iter().all(|span| !span.text.contains("hunter")), "{:#?}", indexed.spans);
    assert_eq!(indexed.texts(Kind::Command), ["sudo id"]);
}

#[test]
fn commands_are_what_was_typed_and_echoed() {
    let mut events = vec![out(0, "$ ")];
    for (index, key) in "ls -l".chars().enumerate() {
        let at = 1000 + 200 * index as u64;
        events.extend([typed(at, &key.to_string()), out(at + 5, key.to_string())]);
    }
    events.extend([typed(2500, "\r"), out(2501, "\r\n"), out(2510, "total 0\r\n$ ")]);
    // Completion: what the shell made of it is the command.
    events.extend([typed(4000, "cat /etc/ho"), out(4001, "cat /etc/ho"), typed(4200, "\t"), out(4201, "sts ")]);
    events.extend([typed(4500, "\r"), out(4501, "\r\n127.0.0.1\r\n$ ")]);
    // From the history.
    events.extend([
        typed(6000, "\x1b[A"),
        out(6001, "cat /etc/hosts "),
        typed(6300, "\r"),
        out(6301, "\r\n127.0.0.1\r\n$ "),
    ]);
    let indexed = checked(&header(40, 20), &events);
    assert_eq!(indexed.texts(Kind::Command), ["ls -l", "cat /etc/hosts", "cat /etc/hosts"]);
    let first = indexed.spans.iter().find(|span| span.kind == Kind::Command).expect("a command");
    assert_eq!((first.appeared_us, first.exit, first.passed_by), (2_500_000, None, false));
    assert!(indexed.screens[(first.clearest - 1) as usize].contains(&"$ ls -l".to_owned()));
}

#[test]
fn commands_that_the_shell_marks_have_their_exit_status() {
    let events = [
        out(0, "\x1b]133;A\x07$ \x1b]133;B\x07"),
        typed(500, "fals"),
        out(501, "false"),
        out(1000, "\r\n\x1b]133;C\x07"),
        out(3000, "\x1b]133;D;1\x07\x1b]133;A\x07$ \x1b]133;B\x07"),
        out(4000, "for i in 1 2\r\n> do echo $i; done\r\n\x1b]133;C\x071\r\n2\r\n\x1b]133;D;0\x07"),
    ];
    let indexed = checked(&header(40, 20), &events);
    let commands: Vec<_> = indexed.spans.iter().filter(|span| span.kind == Kind::Command).collect();
    assert_eq!(commands.len(), 2, "{commands:#?}");
    assert_eq!((commands[0].text.as_str(), commands[0].exit), ("false", Some(1)));
    assert_eq!((commands[0].appeared_us, commands[0].disappeared_us), (1_000_000, 3_000_000));
    assert_eq!((commands[1].text.as_str(), commands[1].exit), ("for i in 1 2\n> do echo $i; done", Some(0)));
}

#[test]
fn a_line_that_grows_is_one_span() {
    let indexed =
        checked(&header(40, 5), &[out(0, "$ "), out(1000, "e"), out(2000, "c"), out(3000, "ho hi"), out(4000, "\r\n")]);
    let span = indexed.one("$ echo hi");
    assert_eq!((span.first, span.clearest, span.last), (1, 4, indexed.summary.screens));
    assert_eq!(span.appeared_us, 0);
    assert_eq!(indexed.spans.len(), 1);
}

#[test]
fn a_line_that_moves_is_one_span() {
    // By scrolling, and by being drawn anew one row higher.
    let indexed = checked(
        &header(20, 3),
        &[out(0, "one\r\ntwo\r\nthree"), out(1000, "\r\nfour"), out(2000, "\x1b[H\x1b[Jthree\r\nfour\r\nfive")],
    );
    let three = indexed.one("three");
    assert_eq!((three.first, three.last), (1, 3));
    let two = indexed.one("two");
    assert_eq!((two.first, two.last, two.disappeared_us), (1, 2, 2_000_000));
    assert_eq!(indexed.one("five").first, 3);
}

#[test]
fn a_text_in_place_of_another_is_another_span() {
    let indexed = checked(&header(20, 3), &[out(0, "10%"), out(1000, "\r20%"), out(2000, "\r30%\r40%\r50%")]);
    for (text, passed_by) in [("10%", false), ("20%", false), ("30%", true), ("40%", true), ("50%", false)] {
        assert_eq!(indexed.one(text).passed_by, passed_by, "{text}");
    }
    assert_eq!(indexed.spans.len(), 5);
}

#[test]
fn full_screen_programs_are_read_too() {
    let indexed = checked(
        &header(30, 4),
        &[
            out(0, "$ vim"),
            out(1000, "\x1b[?1049h\x1b[H\x1b[2Jhello from vim\r\n~\r\n~"),
            out(2000, "\x1b[1;1H\x1b[Lnew first line"),
            out(3000, "\x1b[?1049l\r\n$ "),
        ],
    );
    let inside = indexed.one("hello from vim");
    assert_eq!((inside.first, inside.last), (2, 3));
    assert_eq!((inside.appeared_us, inside.disappeared_us), (1_000_000, 3_000_000));
    assert_eq!(indexed.one("new first line").first, 3);
    // The line below the program was hidden for a while: it is there twice.
    assert_eq!(indexed.texts(Kind::Text).iter().filter(|text| **text == "$ vim").count(), 2);
}

#[test]
fn characters_that_are_split_between_events_are_whole() {
    let text = "split: é界😀";
    let events: Vec<Event> = text.bytes().zip(0..).map(|(byte, step)| out(step * 100, [byte])).collect();
    let indexed = checked(&header(30, 4), &events);
    assert_eq!(indexed.texts(Kind::Text), [text]);
}

#[test]
fn marks_are_part_of_the_text() {
    let text = "cafe\u{301} か\u{3099} x";
    let indexed = checked(&header(30, 4), &[out(0, text), out(1000, "\r\n")]);
    assert_eq!(indexed.texts(Kind::Text), [text]);
}

#[test]
fn titles_are_spans() {
    let events =
        [out(0, "a"), out(1000, "\x1b]0;one\x07b"), out(2000, "\x1b]2;two\x1b\\\x1b]2;three\x07c"), out(3000, "d")];
    let indexed = checked(&header(30, 4), &events);
    assert_eq!(indexed.texts(Kind::Title), ["one", "two", "three"]);
    let one = indexed.spans.iter().find(|span| span.text == "one").expect("a title");
    assert_eq!((one.first, one.last, one.appeared_us, one.disappeared_us), (2, 2, 1_000_000, 2_000_000));
}

#[test]
fn a_recording_without_output_has_one_screen() {
    let indexed = checked(&header(30, 4), &[]);
    assert_eq!((indexed.summary.screens, indexed.summary.spans), (1, 0));
}

#[test]
fn changing_one_letter_of_a_long_line_for_ever_does_not_fill_the_disk() {
    let mut output = "x".repeat(2000);
    for step in 0..20_000 {
        output.push_str(if step % 2 == 0 { "\ry" } else { "\rz" });
    }
    let indexed = checked::index(&header(1000, 3), &[out(0, &output)], 100_000);
    let bytes: usize = indexed.spans.iter().map(|span| span.text.len()).sum();
    assert!(bytes < (1 << 20) + 5 * output.len(), "{bytes}");
    assert!(indexed.summary.overwritten > 0 || indexed.spans.len() < 10);
}
