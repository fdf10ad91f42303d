//! Further fonts for pictures of screens, from a folder.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use replay::picture::{EXTRA_FONTS_MAX, Fonts};

/// Endings of files that are fonts.
const ENDINGS: [&str; 3] = ["ttf", "otf", "ttc"];
/// Largest font file; the largest of the CJK fonts have some 20 MB.
const FONT_BYTES_MAX: u64 = 64 << 20;

/// The built-in fonts and those of a folder, in the order of their names. Other files in it are passed over, with a warning.
///
/// # Errors
/// No such folder, no font in it, more than [`EXTRA_FONTS_MAX`], or one that cannot be read; the error names it.
pub fn read(folder: &Path) -> anyhow::Result<Fonts> {
    let what = || format!("reading the fonts in {} (recordings.fonts)", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(what)? {
        let path = entry.with_context(what)?.path();
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        if ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) {
            files.push(path);
        } else {
            tracing::warn!(file = %path.display(), "no font by its name (ttf, otf, ttc); it is passed over");
        }
    }
    files.sort();
    if files.is_empty() {
        bail!("{}: no file in it ends in .ttf, .otf or .ttc", what());
    }
    if files.len() > EXTRA_FONTS_MAX {
        bail!("{}: it holds {} fonts; at most {EXTRA_FONTS_MAX} are taken", what(), files.len());
    }
    let mut fonts = Vec::new();
    for file in &files {
        let bytes = fs::metadata(file).with_context(|| format!("reading {}", file.display()))?.len();
        if bytes > FONT_BYTES_MAX {
            bail!("{} has {bytes} bytes; a font has at most {FONT_BYTES_MAX}", file.display());
        }
        fonts.push(fs::read(file).with_context(|| format!("reading {}", file.display()))?);
    }
    Fonts::with(fonts).map_err(|bad| {
        let file = files.get(bad.place).map_or_else(String::new, |file| file.display().to_string());
        anyhow::anyhow!("{file} is no TrueType or OpenType font that can be read (recordings.fonts)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_holds_no_fonts_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let refused = |path: &Path| {
            let Err(error) = read(path) else { panic!("{} was taken", path.display()) };
            format!("{error:#}")
        };
        assert!(refused(&folder.path().join("missing")).contains("missing"));
        fs::write(folder.path().join("README"), "no font").expect("a file");
        assert!(refused(folder.path()).contains(".ttf"));
        fs::write(folder.path().join("a.ttf"), epaint_font()).expect("a file");
        assert!(read(folder.path()).is_ok());
        fs::write(folder.path().join("b.OTF"), "no font").expect("a file");
        assert!(refused(folder.path()).contains("b.OTF"));
    }

    /// A font of this build, as a file would hold it.
    fn epaint_font() -> &'static [u8] {
        epaint_default_fonts::UBUNTU_LIGHT
    }
}
