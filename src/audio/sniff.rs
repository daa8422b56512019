//! Files that are no sound, known by their first bytes.
//!
//! MPEG audio has a 12-bit marker that any file holds by chance, so a picture or a page given by mistake could be "decoded" into
//! noise. What is surely something else is refused by name first.

use crate::error::{Error, Result};

/// First bytes of common files, and what they are.
const OTHER_FILES: [(&[u8], &str); 20] = [
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\0asm", "a WebAssembly module"),
    (b"MThd", "a MIDI file: notes, not sound"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM file"),
    (b"caff", "a Core Audio file"),
    (b"wvpk", "a WavPack file"),
    (b"MAC ", "a Monkey's Audio file"),
    (b"OTFP", "an otolith fingerprint"),
    (b"0&\xb2u\x8ef\xcf\x11", "a Windows Media file"),
    (b"#!AMR", "an AMR file"),
];

/// Bytes looked at when deciding whether a file is text.
const TEXT_BYTES: usize = 1_024;

/// Refuses an empty file and files that are known to be something else.
///
/// # Errors
/// [`Error::InvalidInput`] for no bytes, [`Error::UnsupportedFormat`] naming what was found.
pub(super) fn refuse_other_files(bytes: &[u8], hint: &str) -> Result<()> {
    if bytes.is_empty() {
        return Err(Error::invalid(format!("{} is empty (0 bytes): give a sound file", name(hint))));
    }
    if let Some((_, what)) = OTHER_FILES.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(found(hint, what));
    }
    let start = bytes.get(..TEXT_BYTES).unwrap_or(bytes);
    if let Ok(text) = std::str::from_utf8(start).or_else(|error| std::str::from_utf8(start.get(..error.valid_up_to()).unwrap_or(&[])))
        && text.len() + 4 > start.len()
        && !text.chars().any(|c| c.is_control() && !c.is_whitespace())
    {
        let what = if text.trim_start_matches('\u{feff}').trim_start().starts_with('<') { "an HTML or XML page" } else { "text" };
        return Err(found(hint, what));
    }
    Ok(())
}

/// How messages call the file: by its hint if there is one.
pub(super) fn name(hint: &str) -> String {
    if hint.is_empty() { "the file".to_owned() } else { format!("\"{}\"", hint.chars().take(80).collect::<String>()) }
}

fn found(hint: &str, what: &str) -> Error {
    Error::UnsupportedFormat { found: format!("{} is {what}", name(hint)) }
}

#[cfg(test)]
mod tests {
    use super::refuse_other_files;

    #[test]
    fn pages_text_and_pictures_are_named() {
        for (bytes, what) in [
            (&b"\n <!doctype html><p>Not found"[..], "HTML"),
            ("Ein Brief \u{fc}ber T\u{f6}ne".as_bytes(), "text"),
            (b"\x89PNG\r\n\x1a\n\0\0", "PNG"),
        ] {
            let error = refuse_other_files(bytes, "song.mp3").unwrap_err();
            assert_eq!(error.kind(), "unsupported-format");
            assert!(error.to_string().contains(what) && error.to_string().contains("song.mp3"), "{error}");
        }
    }

    #[test]
    fn an_empty_file_is_invalid_input() {
        assert_eq!(refuse_other_files(b"", "").unwrap_err().kind(), "invalid-input");
    }

    #[test]
    fn the_beginnings_of_sound_files_pass() {
        for bytes in
            [&b"RIFF\x24\0\0\0WAVEfmt "[..], b"fLaC\0\0\0\x22", b"OggS\0\x02", b"ID3\x04\0\0", b"\xff\xfb\x90\x64", b"FORM\0\0\0\x20AIFF"]
        {
            refuse_other_files(bytes, "").unwrap();
        }
    }
}
