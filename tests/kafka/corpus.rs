//! A text file of any number of real lines that is the same on every machine: our own licence and sources, repeated.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Writes `count` lines to `path` and returns them, without their newlines.
pub fn write_corpus(path: &Path, count: usize) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("LICENSE")];
    let mut waiting = vec![root.join("src")];
    while let Some(directory) = waiting.pop() {
        let mut inside: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        inside.sort();
        let (directories, sources): (Vec<_>, Vec<_>) = inside.into_iter().partition(|path| path.is_dir());
        waiting.extend(directories);
        files.extend(sources);
    }
    let texts: Vec<u8> = files.iter().flat_map(|file| fs::read(file).unwrap()).collect();
    let lines = texts.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
    let lines: Vec<Vec<u8>> = lines.cycle().take(count).collect();
    let mut out = BufWriter::new(fs::File::create(path).unwrap());
    for line in &lines {
        out.write_all(line).unwrap();
        out.write_all(b"\n").unwrap();
    }
    out.flush().unwrap();
    lines
}
