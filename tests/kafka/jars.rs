//! The jars of one Kafka version, taken once by Maven into `target/kafka/VERSION/jars`, and our Java programs compiled
//! against them into `target/kafka/VERSION/classes`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// Where the classes of one version are.
#[derive(Clone, Debug)]
pub struct Jars {
    directory: PathBuf,
}

impl Jars {
    /// What `java -cp` wants: our classes and all jars.
    pub fn class_path(&self) -> String {
        format!("{}:{}/*", self.directory.join("classes").display(), self.directory.join("jars").display())
    }
}

/// The jars and classes of `version`, or one sentence that says why there are none.
pub fn jars(version: &str) -> Result<Jars, String> {
    static KNOWN: Mutex<BTreeMap<String, Result<Jars, String>>> = Mutex::new(BTreeMap::new());
    // Held while Maven runs: the other tests of this process want the same answer.
    let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    known.entry(version.to_owned()).or_insert_with(|| provide(version)).clone()
}

fn provide(version: &str) -> Result<Jars, String> {
    answers("java", "-version")?;
    answers("javac", "-version")?;
    // CARGO_TARGET_TMPDIR is `target/tmp`, wherever the target directory is.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no target directory")?;
    let directory = target.join("kafka").join(version);
    let failed = |what: &str, error: std::io::Error| format!("{what} {}: {error}", directory.display());
    fs::create_dir_all(&directory).map_err(|error| failed("cannot create", error))?;
    // Two test processes at once: the second one waits here and then finds everything done.
    let lock = File::create(directory.join("lock")).map_err(|error| failed("cannot lock", error))?;
    lock.lock().map_err(|error| failed("cannot lock", error))?;

    // Another package of this repository that includes these modules says where they are.
    let tests = Path::new(option_env!("KURIER_ROOT").unwrap_or(env!("CARGO_MANIFEST_DIR"))).join("tests");
    let pom = tests.join("kafka/pom.xml");
    once(&directory, "jars", &read(&pom)?, |into| take(&pom, version, into))?;
    let mut sources: Vec<PathBuf> = fs::read_dir(tests.join("java"))
        .map_err(|error| failed("cannot list tests/java for", error))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "java"))
        .collect();
    sources.sort();
    let text = sources.iter().map(|path| read(path)).collect::<Result<String, String>>()?;
    let class_path = format!("{}/*", directory.join("jars").display());
    once(&directory, "classes", &text, |into| compile(&class_path, &sources, into))?;
    Ok(Jars { directory })
}

/// Makes `directory/name` unless it was made completely from the same `source` before.
fn once(
    directory: &Path,
    name: &str,
    source: &str,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<(), String> {
    let marker = directory.join(format!("{name}.complete"));
    if fs::read_to_string(&marker).is_ok_and(|made_from| made_from == source) {
        return Ok(());
    }
    let failed = |error: std::io::Error| format!("{}: {error}", marker.display());
    let (partial, complete) = (directory.join(format!("{name}.partial")), directory.join(name));
    for old in [&partial, &complete, &marker] {
        let removed = if old.is_dir() { fs::remove_dir_all(old) } else { fs::remove_file(old) };
        removed
            .or_else(|error| if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(failed(error)) })?;
    }
    fs::create_dir_all(&partial).map_err(failed)?;
    make(&partial)?;
    fs::rename(&partial, &complete).map_err(failed)?;
    // Last, so that a process killed above leaves nothing that looks whole.
    fs::write(&marker, source).map_err(failed)
}

fn take(pom: &Path, version: &str, into: &Path) -> Result<(), String> {
    answers("mvn", "-version")?;
    let mut maven = Command::new("mvn");
    maven.arg("-q").arg("-B").arg("-f").arg(pom).arg(format!("-Dkafka.version={version}"));
    maven.arg("dependency:copy-dependencies").arg(format!("-DoutputDirectory={}", into.display()));
    run(&mut maven, "Maven could not take the jars")
}

fn compile(class_path: &str, sources: &[PathBuf], into: &Path) -> Result<(), String> {
    let mut javac = Command::new("javac");
    javac.arg("-Xlint:all,-path,-classfile").arg("-cp").arg(class_path).arg("-d").arg(into).args(sources);
    // Java is there and so are the jars: then our own sources are wrong, and that must not pass as "skipped".
    if let Err(why) = run(&mut javac, "javac") {
        panic!("tests/java does not compile: {why}");
    }
    Ok(())
}

fn run(command: &mut Command, what: &str) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{what}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let line = said.lines().find(|line| line.contains("ERROR") || line.contains("error")).unwrap_or(&said);
    Err(format!("{what}: {}", line.trim()))
}

fn answers(program: &str, argument: &str) -> Result<(), String> {
    let status = Command::new(program)
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("{program} cannot be run ({error})"))?;
    if status.success() { Ok(()) } else { Err(format!("{program} {argument} failed")) }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
