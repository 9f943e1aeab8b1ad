//! Builds C programs against the library of this test run, and runs them.
//!
//! `KURIER_CFLAGS` (as `-fsanitize=address`) and `KURIER_WRAP` (as `valgrind --error-exitcode=9 -q`) change how.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A program that hangs is a failed test, not a test run that never ends. `make` has the library to build.
const LIMIT: Duration = Duration::from_secs(1200);

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn words(variable: &str) -> Vec<String> {
    std::env::var(variable).unwrap_or_default().split_whitespace().map(String::from).collect()
}

/// A folder with the shared library under the names that linker and loader look for.
pub(crate) fn library() -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    let library = test.parent().expect("deps").join("libkurier.so");
    assert!(library.exists(), "{} is not there", library.display());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c");
    std::fs::create_dir_all(&folder).expect("a folder");
    for name in ["libkurier.so".to_owned(), format!("libkurier.so.{}", kurier::ffi::library::KURIER_ABI_VERSION)] {
        match std::os::unix::fs::symlink(&library, folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => panic!("a link: {error}"),
            _ => {}
        }
    }
    folder
}

/// Compiles one file to a program beside the library.
pub(crate) fn build(source: &Path, flags: &[&str]) -> PathBuf {
    let library = library();
    let program = library.join(source.file_stem().expect("a name"));
    let output = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".into()))
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g", "-O1", "-pthread"])
        .args(flags)
        .args(words("KURIER_CFLAGS"))
        .arg("-I")
        .arg(root().join("include"))
        .arg("-o")
        .arg(&program)
        .arg(source)
        .arg("-L")
        .arg(&library)
        .args(["-lkurier", &format!("-Wl,-rpath,{}", library.display())])
        .output()
        .expect("a C compiler");
    assert!(output.status.success(), "{}:\n{}", source.display(), String::from_utf8_lossy(&output.stderr));
    program
}

/// How to start a program, wrapped if that is wanted.
pub(crate) fn command(program: &Path) -> Command {
    let mut wrap = words("KURIER_WRAP").into_iter();
    match wrap.next() {
        Some(first) => {
            let mut command = Command::new(first);
            command.args(wrap).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// Runs a program to its end. Its input is closed unless the command says otherwise.
pub(crate) fn run(mut command: Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a program");
    finish(child)
}

/// Waits for the end of a program whose outputs are pipes.
pub(crate) fn finish(mut child: Child) -> Output {
    let out = collect(child.stdout.take());
    let err = collect(child.stderr.take());
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a status") {
            break status;
        }
        if start.elapsed() > LIMIT {
            child.kill().expect("a kill");
            let _ = child.wait();
            let (out, err) = (out.join().expect("out"), err.join().expect("err"));
            panic!("it hangs\n{}\n{}", String::from_utf8_lossy(&out), String::from_utf8_lossy(&err));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Output { status, stdout: out.join().expect("out"), stderr: err.join().expect("err") }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes).expect("a pipe");
        }
        bytes
    })
}

/// What a program wrote, if it ended well.
pub(crate) fn good(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    out.into_owned()
}
