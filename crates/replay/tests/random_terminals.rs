//! Everything that must hold of screens, spans and replay files, on sessions that nobody would type.

#[path = "common/checked.rs"]
mod checked;

use checked::{checked, header};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use replay::file::Replay;
use replay::format::{Event, Size, What};
use replay::screen::Screen;
use replay::span::file::Spans;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-d ]{1,12}",
        2 => "[a-d]{1,3}(\r\n|\r|\n)",
        1 => "(界|世|😀|é|e\u{301}|か\u{3099}|\u{200d}|\u{100000}|x\u{fe0f}){1,6}",
        1 => "[\t\u{8}\u{b}\u{85}\u{8d}\u{7}]{1,3}",
    ]
}

fn control() -> impl Strategy<Value = String> {
    let number = prop_oneof![Just(String::new()), (0u16..12).prop_map(|n| n.to_string()), Just("999".to_owned())];
    let pair = (number.clone(), number.clone()).prop_map(|(first, second)| format!("{first};{second}"));
    prop_oneof![
        6 => (number, "[@A-PSTXZ`abdefgr]").prop_map(|(n, end)| format!("\x1b[{n}{end}")),
        3 => (pair.clone(), "[Hfr]").prop_map(|(n, end)| format!("\x1b[{n}{end}")),
        1 => pair.prop_map(|n| format!("\x1b[{n}m")),
        2 => "\x1b\\[(\\?1049|\\?1047|\\?7|\\?6|4|20|\\?25)[hl]",
        1 => "\x1b[78cDEMH]|\x1b\\([0B]|\u{e}|\u{f}|\x1b#8|\x1b\\[!p|\x1b\\[s|\x1b\\[u",
        1 => "\x1b\\]0;[a-c]{0,3}\u{7}",
        1 => "\x1b\\]133;(A|B|C|D|D;[01])\u{7}",
        1 => "\x1b[PX^_\\]][0-9a-c]{0,5}",
    ]
}

fn event() -> impl Strategy<Value = What> {
    let piece = prop_oneof![3 => text(), 2 => control()];
    let output = prop::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat().into_bytes());
    let bytes = prop::collection::vec(any::<u8>(), 1..20);
    let size = (1u64..20, 1u64..8).prop_map(|(columns, rows)| Size::new(columns, rows).expect("a size"));
    prop_oneof![
        12 => output.prop_map(What::Output),
        1 => bytes.prop_map(What::Output),
        1 => size.prop_map(What::Resize),
        2 => "[a-d]{0,3}(\r|\u{7f}|\t|\x1b\\[A)?".prop_map(|typed| What::Input(typed.into_bytes())),
    ]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let pause = prop_oneof![Just(0u64), Just(1_000), Just(20_000), Just(100_000)];
    prop::collection::vec((pause, event(), any::<prop::sample::Index>()), 0..30).prop_map(|events| {
        let mut at_us = 0;
        let mut split = Vec::new();
        for (pause, what, cut) in events {
            at_us += pause;
            match what {
                // Characters and sequences go on in the next event.
                What::Output(bytes) => {
                    let (first, rest) = bytes.split_at(cut.index(bytes.len()));
                    split.push(Event { at_us, what: What::Output(first.to_vec()) });
                    at_us += pause;
                    split.push(Event { at_us, what: What::Output(rest.to_vec()) });
                }
                what => split.push(Event { at_us, what }),
            }
        }
        split
    })
}

/// Long runs, of as many cases as the environment says, look at others each time; the suite always at the same ones.
fn config() -> ProptestConfig {
    match std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()) {
        Some(cases) => ProptestConfig::with_cases(cases),
        None => ProptestConfig {
            cases: 400,
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn all_that_must_hold_holds(columns in 1u16..20, rows in 1u16..8, events in events()) {
        checked(&header(columns, rows), &events);
    }

    #[test]
    fn a_key_frame_and_the_rest_are_the_whole(columns in 1u16..20, rows in 1u16..8, events in events(), cut in any::<prop::sample::Index>()) {
        let cut = if events.is_empty() { 0 } else { cut.index(events.len()) };
        let mut straight = Screen::new(header(columns, rows).size.expect("a size"));
        events[..cut].iter().for_each(|event| straight.play(&event.what));
        let mut framed = Screen::from_frame(&straight.frame()).expect("a key frame");
        prop_assert_eq!(&framed, &straight);
        for event in &events[cut..] {
            framed.play(&event.what);
            straight.play(&event.what);
            prop_assert_eq!(&framed, &straight);
        }
        prop_assert_eq!(framed.dump(), straight.dump());
    }

    #[test]
    fn arbitrary_bytes_are_no_file(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Replay::open(&bytes).is_err());
        prop_assert!(Spans::open(&bytes).is_err());
        let _ = Screen::from_frame(&bytes);
    }
}

/// A word that cannot come about by accident: the same letter four times.
fn words_of(screen: &Screen, seen: &mut std::collections::BTreeSet<String>) {
    for line in screen.lines() {
        for word in line.text.split(' ') {
            if word.len() == 4 && word.bytes().all(|byte| byte == word.as_bytes()[0]) {
                seen.insert(word.to_owned());
            }
        }
    }
}

fn with_words() -> impl Strategy<Value = String> {
    let word = "[a-z]".prop_map(|letter| letter.repeat(4));
    let breaks = prop_oneof![6 => Just(" "), 3 => Just("\r\n"), 1 => Just("\r"), 1 => Just("\n")];
    let words = prop::collection::vec((word, breaks), 1..8)
        .prop_map(|words| words.into_iter().map(|(word, after)| word + after).collect::<String>());
    let piece = prop_oneof![3 => words, 2 => control()];
    prop::collection::vec(piece, 1..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(config())]

    /// The oracle looks at the screen after every single character.
    #[test]
    fn no_word_that_was_ever_on_the_screen_is_lost(columns in 8u16..30, rows in 1u16..8, outputs in prop::collection::vec((0u64..3, with_words()), 1..4)) {
        let mut at_ms = 0;
        let events: Vec<Event> = outputs.iter().map(|(pause, output)| {
            at_ms += pause * 30;
            Event { at_us: at_ms * 1000, what: What::Output(output.clone().into_bytes()) }
        }).collect();
        let indexed = checked::index(&header(columns, rows), &events, 2000);
        let mut screen = Screen::new(header(columns, rows).size.expect("a size"));
        let mut seen = std::collections::BTreeSet::new();
        for character in outputs.iter().flat_map(|(_, output)| output.chars()) {
            screen.output(character.encode_utf8(&mut [0; 4]).as_bytes());
            words_of(&screen, &mut seen);
        }
        for word in &seen {
            // A row may be all that is left of a longer line, whose span it is in.
            let told = indexed.spans.iter().any(|span| span.text.contains(word.as_str()));
            prop_assert!(told, "{} of {:?} in {:#?}", word, outputs, indexed.spans);
        }
    }
}
