//! Recordings of several parts: `script` and sudo, as they write them, cut, packed, in a tar, and with parts missing.

mod common;

use std::io::{Cursor, Write};
use std::process::Command;

use common::{Outcome, read_all, read_parts};
use replay::format::{Format, Part, Reader, What, detect, detect_in, tar};

/// One event on each line: milliseconds, what, the data.
fn show(outcome: &Outcome) -> String {
    let lines = outcome.events.iter().map(|event| {
        let what = match &event.what {
            What::Output(bytes) => format!("> {}", bytes.escape_ascii()),
            What::Input(bytes) => format!("< {}", bytes.escape_ascii()),
            What::Resize(size) => format!("= {size}"),
            What::Marker(text) => format!("m {text}"),
            What::Exit(status) => format!("exit {status}"),
            What::Other { code, data } => format!("{code} {data}"),
        };
        format!("{} {what}\n", event.at_us / 1000)
    });
    lines.collect::<String>() + outcome.reason()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).expect("memory takes it");
    packer.finish().expect("memory takes it")
}

// As `script -T t -m advanced -B io` of util-linux 2.38.1 wrote it in a terminal that was resized.
const ADVANCED: &[u8] =
    b"H 0.000000 START_TIME 2026-11-21 15:04:47+00:00\nH 0.000000 TERM xterm\nH 0.000000 TTY /dev/pts/0\n\
    H 0.000000 COLUMNS 100\nH 0.000000 LINES 40\nH 0.000000 SHELL /bin/bash\nH 0.000000 TIMING_LOG t\n\
    H 0.000000 OUTPUT_LOG io\nH 0.000000 INPUT_LOG io\nO 0.796903 2\nS 0.200748 SIGWINCH ROWS=30 COLS=90\n\
    I 0.501338 3\nO 0.000466 4\nS 0.100000 SIGTERM\nH 0.000000 DURATION 2.012940\nH 0.000000 EXIT_CODE 5\n";
const SHARED: &[u8] =
    b"Script started on 2026-11-21 15:04:47+00:00 [TERM=\"xterm\" TTY=\"/dev/pts/0\" COLUMNS=\"100\" LINES=\"40\"]\n\
    $ ls\rls\r\n\nScript done on 2026-11-21 15:04:49+00:00 [COMMAND_EXIT_CODE=\"5\"]\n";

#[test]
fn multi_stream_script_gives_output_input_signals_and_the_exit_status() {
    let outcome = read_parts(Format::Script, &[("io", SHARED), ("t", ADVANCED)]);
    let expected = "796 > $ \n997 = 90x30\n1498 < ls\\r\n1499 > ls\\r\\n\n1599 signal SIGTERM\n2012 exit 5\nwhole";
    assert_eq!(show(&outcome), expected);
    let header = outcome.header.expect("a header");
    assert_eq!(header.size.map(|size| size.to_string()).as_deref(), Some("100x40"));
    assert_eq!(header.started_at_us, Some(1_795_273_487_000_000));
    assert_eq!((header.tty.as_deref(), header.terminal_type.as_deref()), (Some("/dev/pts/0"), Some("xterm")));
}

#[test]
fn script_parts_are_told_apart_by_content_and_the_names_in_the_timing() {
    let timing = String::from_utf8_lossy(ADVANCED)
        .replace("LOG io\nH 0.000000 INPUT_LOG io", "LOG /tmp/out\nH 0.000000 INPUT_LOG in");
    let (output, input): (&[u8], &[u8]) = (b"Script started on x [TERM=\"a\"]\n$ ls\r\n", b"Script started on x\nls\r");
    for parts in [
        [("in", input), ("x", timing.as_bytes()), ("out", output)],
        [("rec/out", output), ("other-name", input), ("t", timing.as_bytes())],
    ] {
        assert_eq!(detect(&parts), Some(Format::Script));
        let outcome = read_parts(Format::Script, &parts);
        assert!(
            show(&outcome).starts_with("796 > $ \n997 = 90x30\n1498 < ls\\r\n1499 > ls\\r\\n\n"),
            "{}",
            show(&outcome)
        );
    }
    let without_input = read_parts(Format::Script, &[("t", timing.as_bytes()), ("out", output)]);
    assert_eq!((without_input.reason(), without_input.notices()), ("whole", vec!["in missing_part".to_owned()]));
}

#[test]
fn classic_script_counts_bytes_behind_its_first_line() {
    let typescript = b"Script started on 2026-11-21 15:04:27+00:00 [COMMAND=\"echo \"a\" b\" <not executed on terminal>]\nhello\xc5\n\nScript done on 2026-11-21 [COMMAND_EXIT_CODE=\"3\"]\n";
    let timing = b"0.010271 5\n1,5 1\n0.1 1\n";
    let parts: &[(&str, &[u8])] = &[("typescript", typescript), ("timing", timing)];
    let outcome = read_parts(Format::Script, parts);
    assert_eq!(show(&outcome), "10 > hello\n1510 > \\xc5\n1610 > \\n\n1610 exit 3\nwhole");
    assert_eq!(outcome.header.expect("a header").command.as_deref(), Some("echo \"a\" b"));

    let cut = read_parts(Format::Script, &[("typescript", &typescript[..typescript.len() - 70]), ("timing", timing)]);
    assert_eq!((cut.reason(), cut.events.len()), ("cut_short", 1), "{}", show(&cut));
    let cut_timing = read_parts(Format::Script, &[("typescript", typescript), ("timing", &timing[..11])]);
    assert!(show(&cut_timing).starts_with("10 > hello\n10 > \\xc5\\n\\nScript done"), "{}", show(&cut_timing));
    assert_eq!(cut_timing.reason(), "left_over");
    let broken = read_parts(Format::Script, &[("typescript", typescript), ("timing", b"0.010271 5\nlol\n")]);
    assert_eq!(show(&broken), "10 > hello\nbad_time");
}

#[test]
fn a_typescript_without_timing_is_one_moment() {
    let alone = read_parts(Format::Script, &[("typescript", SHARED)]);
    assert_eq!(show(&alone), "0 > $ ls\\rls\\r\\n\n0 exit 5\nwhole");
    assert_eq!(alone.notices(), ["timing missing_part"]);
    let long = [
        b"Script started on x\n".as_slice(),
        &b"0123456789".repeat(50_000),
        b"\n\nScript done on y [COMMAND_EXIT_CODE=\"0\"]\n",
    ]
    .concat();
    let outcome = read_parts(Format::Script, &[("typescript", &long)]);
    let lengths: usize =
        outcome.events.iter().map(|event| if let What::Output(bytes) = &event.what { bytes.len() } else { 0 }).sum();
    assert_eq!((lengths, outcome.events.last().map(|event| event.what.clone())), (500_001, Some(What::Exit(0))));
    // Somebody printed an old typescript: only the last line of the file is the recorder's.
    let nested = read_parts(Format::Script, &[("typescript", b"a\nScript done on z\nb")]);
    assert_eq!(show(&nested), "0 > a\\nScript done on z\\nb\nwhole");
}

#[test]
fn what_the_real_script_writes_is_read_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| {
        let status = Command::new("script")
            .current_dir(folder.path())
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .status()
            .expect("script runs");
        assert_eq!(status.code(), Some(0));
    };
    let part =
        |name: &str| Part::new(name, Cursor::new(std::fs::read(folder.path().join(name)).expect("it was written")));
    let text = |outcome: &Outcome| {
        outcome
            .events
            .iter()
            .filter_map(|event| match &event.what {
                What::Output(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
                _ => None,
            })
            .collect::<String>()
    };
    let command = "printf 'one\\n'; printf 'żó\\033[1mtwo'; exit 7";
    run(&["-q", "-c", command, "-T", "t", "-m", "advanced", "-B", "io"]);
    run(&["-q", "-c", command, "-T", "classic.t", "-m", "classic", "-O", "classic"]);
    for names in [["io", "t"], ["classic.t", "classic"]] {
        let mut parts: Vec<Part<'_>> = names.map(part).into();
        assert_eq!(detect_in(&mut parts).expect("memory is read"), Some(Format::Script));
        let outcome = read_all(Reader::open(Format::Script, parts));
        assert_eq!((outcome.reason(), text(&outcome).as_str()), ("whole", "one\r\nżó\u{1b}[1mtwo"), "{names:?}");
        assert_eq!(outcome.events.last().map(|event| event.what.clone()), Some(What::Exit(7)), "{names:?}");
        let header = outcome.header.expect("a header");
        assert!(header.started_at_us.is_some(), "{names:?}");
        assert_eq!(header.command.as_deref(), Some(command), "{names:?}");
    }
}

const SUDO_LOG: &[u8] = b"1795274827:ann:root::/dev/pts/0:40:100\n/home/ann\n/bin/bash -l\n";
const SUDO_TIMING: &[u8] =
    b"4 0.672809057 2\n5 0.300952173 30 90\n3 0.502139484 3\n6 0.001168231 4\n7 1.0 TSTP\n7 2.0 CONT\n2 0.5 3\n";

#[test]
fn a_sudo_log_folder_is_read_packed_or_not() {
    let packed = [gzip(b"$ ls\r\n"), gzip(b"ls\r"), gzip(b"err"), gzip(SUDO_TIMING)];
    let json =
        br#"{"timestamp": {"seconds": 1795274827, "nanoseconds": 5000}, "submituser": "ann", "command": "/bin/bash",
        "runuser": "root", "columns": 100, "lines": 40, "runargv": ["bash", "-l"], "runenv": ["TERM=xterm", "A=b=c"]}"#;
    let plain: &[(&str, &[u8])] = &[
        ("a/log", SUDO_LOG),
        ("a/timing", SUDO_TIMING),
        ("a/ttyout", b"$ ls\r\n"),
        ("a/ttyin", b"ls\r"),
        ("a/stderr", b"err"),
        ("a/stdin", b""),
    ];
    let gz: &[(&str, &[u8])] = &[
        ("log.json", json),
        ("log", SUDO_LOG),
        ("ttyout", &packed[0]),
        ("ttyin", &packed[1]),
        ("stderr.gz", &packed[2]),
        ("timing", &packed[3]),
        ("uuid", b"x"),
    ];
    for parts in [plain, gz] {
        assert_eq!(detect(parts), Some(Format::SudoIolog));
        let outcome = read_parts(Format::SudoIolog, parts);
        let expected = "672 > $ \n973 = 90x30\n1475 < ls\\r\n1477 > ls\\r\\n\n2477 suspend TSTP\n4477 suspend CONT\n4977 > err\nwhole";
        assert_eq!(show(&outcome), expected);
        assert_eq!(outcome.notices(), Vec::<String>::new());
        let header = outcome.header.expect("a header");
        assert_eq!(header.size.map(|size| size.to_string()).as_deref(), Some("100x40"));
        assert_eq!((header.user.as_deref(), header.run_as.as_deref()), (Some("ann"), Some("root")));
        assert_eq!(header.command.as_deref(), Some("/bin/bash -l"));
        assert_eq!(header.started_at_us.map(|at_us| at_us / 1_000_000), Some(1_795_274_827));
    }
}

#[test]
fn damaged_sudo_logs_give_what_was_before() {
    let check = |timing: &[u8], ttyout: &[u8], expected: &str| {
        let outcome = read_parts(Format::SudoIolog, &[("log", SUDO_LOG), ("timing", timing), ("ttyout", ttyout)]);
        assert_eq!(show(&outcome), expected);
    };
    check(b"4 0.1 2\n4 0.1 9\n", b"abcd", "100 > ab\n200 > cd\ncut_short");
    check(b"4 0.1 2\n", b"abcd", "100 > ab\n100 > cd\nleft_over");
    check(b"4 0.1 2\n9 0.1 2\n", b"abcd", "100 > ab\nbad_code");
    check(b"4 0.1 2\n4 -0.1 2\n", b"abcd", "100 > ab\nbad_time");
    check(b"4 0.1 2\n4 0.1\n", b"abcd", "100 > ab\nbad_record");
    check(b"4 0.1 2\n5 0.1 0 80\n", b"abcd", "100 > ab\nbad_size");
    check(b"4 0.1 99999999999\n", b"abcd", "bad_record");
    // sudo was killed while it packed: what can be unpacked is given.
    let packed = gzip(&b"0123456789".repeat(1000));
    let outcome = read_parts(
        Format::SudoIolog,
        &[("log", SUDO_LOG), ("timing", b"4 0.1 2\n"), ("ttyout", &packed[..packed.len() - 9])],
    );
    assert_eq!(
        (outcome.events.first().map(|event| event.what.clone()), outcome.reason()),
        (Some(What::Output(b"01".to_vec())), "cut_short")
    );
}

fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, bytes) in files {
        tar.extend_from_slice(&tar::header(name, bytes.len() as u64).expect("a short name"));
        tar.extend_from_slice(bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

#[test]
fn a_tar_gives_parts_that_are_read_in_turns() {
    let bytes = tar_of(&[
        ("00/log", SUDO_LOG),
        ("00/timing", SUDO_TIMING),
        ("00/ttyout", b"$ ls\r\n"),
        ("00/ttyin", b"ls\r"),
        ("00/stderr", b"err"),
    ]);
    assert!(tar::is_tar(&bytes));
    let mut parts = tar::parts_of_tar(Cursor::new(&bytes)).expect("a tar");
    assert_eq!(detect_in(&mut parts).expect("memory is read"), Some(Format::SudoIolog));
    let outcome = read_all(Reader::open(Format::SudoIolog, parts));
    assert_eq!((outcome.events.len(), outcome.reason()), (7, "whole"));

    let mut damaged = bytes.clone();
    damaged[512 * 2 + 5] ^= 1;
    assert_eq!(
        tar::parts_of_tar(Cursor::new(&damaged)).err().map(|damage| (damage.reason.name(), damage.offset)),
        Some(("bad_record", 1024))
    );
    let cut = &bytes[..1024 + 512 + 20];
    assert_eq!(tar::parts_of_tar(Cursor::new(cut)).err().map(|damage| damage.reason.name()), Some("cut_short"));
}

#[test]
fn tars_of_the_real_tar_are_read_in_each_of_its_dialects() {
    let folder = tempfile::tempdir().expect("a folder");
    let deep = format!("{}/{}", "long-folder-name".repeat(5), "n".repeat(120));
    std::fs::create_dir(folder.path().join("long-folder-name".repeat(5))).expect("a folder");
    for name in ["log", "timing", &deep] {
        std::fs::write(folder.path().join(name), name.as_bytes()).expect("a file");
    }
    for dialect in ["ustar", "gnu", "pax", "v7"] {
        let names: &[&str] = if matches!(dialect, "ustar" | "v7") { &["log", "timing"] } else { &["."] };
        let output = Command::new("tar")
            .current_dir(folder.path())
            .args(["--format", dialect, "-cf", "-"])
            .args(names)
            .output()
            .expect("tar runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(tar::is_tar(&output.stdout), dialect != "v7");
        let parts =
            tar::parts_of_tar(Cursor::new(&output.stdout)).unwrap_or_else(|damage| panic!("{dialect}: {damage}"));
        let mut found: Vec<String> = parts
            .into_iter()
            .map(|mut part| {
                let mut text = String::new();
                part.bytes.read_to_string(&mut text).expect("text");
                assert_eq!(part.name.trim_start_matches("./"), text, "{dialect}");
                text
            })
            .collect();
        found.sort();
        assert_eq!(found.len(), if names.len() == 1 { 3 } else { 2 }, "{dialect}: {found:?}");
    }
}
