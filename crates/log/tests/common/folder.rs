//! What is in the files of a data folder, for tests that look for words in them, change them or copy them. Test binaries of
//! other crates include this file by its path.
#![allow(dead_code, reason = "each test binary uses some of it")]

use std::fs;
use std::path::{Path, PathBuf};

/// How often a folder is read again because its files changed in the meantime.
const ATTEMPTS_MAX: usize = 1_000;

/// The files below `folder`, in order of their paths.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // A folder that is gone by now holds nothing.
        for path in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// The files below `folder` with what they hold, all at one moment: a log that is open moves entries from file to file and
/// removes files as it does, so a listing that is no longer true when all of it was read is made again.
pub fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    assert!(folder.is_dir(), "{}", folder.display());
    for _ in 0..ATTEMPTS_MAX {
        let listed = files(folder);
        let read: Vec<_> = listed.iter().filter_map(|path| Some((path.clone(), fs::read(path).ok()?))).collect();
        if read.len() == listed.len() && files(folder) == listed {
            return read;
        }
    }
    panic!("{} never rests", folder.display());
}

/// The files below `folder` that hold `text`, in whatever case of its ASCII letters, as it is or within a zstd frame.
pub fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let found = contents(folder).into_iter().filter(|(_, bytes)| {
        // A frame begins with its magic; what follows the frame is not its business.
        let starts =
            (0..bytes.len().saturating_sub(4)).filter(|at| bytes[*at..].starts_with(&[0x28, 0xb5, 0x2f, 0xfd]));
        let unpacked = starts.filter_map(|at| {
            let mut raw = Vec::new();
            let mut decoder = zstd::stream::read::Decoder::new(&bytes[at..]).ok()?.single_frame();
            std::io::Read::read_to_end(&mut decoder, &mut raw).ok()?;
            Some(raw)
        });
        holds(bytes, text.as_bytes()) || unpacked.into_iter().any(|raw| holds(&raw, text.as_bytes()))
    });
    found.map(|(path, _)| path).collect()
}

/// Whether `text` is in `bytes`, in whatever case of its ASCII letters.
pub fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text))
}

/// Flips one bit of the last byte of `text` at its first place in each file below `folder`; gives the number of files.
pub fn flip(folder: &Path, text: &[u8]) -> usize {
    let mut places = 0;
    for (path, mut bytes) in contents(folder) {
        if let Some(at) = bytes.windows(text.len()).position(|window| window == text) {
            bytes[at + text.len() - 1] ^= 1;
            fs::write(&path, bytes).unwrap();
            places += 1;
        }
    }
    places
}

/// Makes `to` a copy of the folder `from`; what was at `to` before is gone.
pub fn copy_folder(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
