//! The drivers, one program per client: built when they are wanted. Each package that includes this has its own
//! sources in `driver/`, `java/` and `franz/`, with the same names, and its own place for what is made of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whose producer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    Kurier,
    Librdkafka,
    Java,
    Franz,
}

impl Client {
    pub const ALL: [Self; 4] = [Self::Kurier, Self::Librdkafka, Self::Java, Self::Franz];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|client| client.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Kurier => "kurier",
            Self::Librdkafka => "librdkafka",
            Self::Java => "java",
            Self::Franz => "franz-go",
        }
    }
}

/// How a driver is started: the program and its first words.
#[derive(Clone, Debug)]
pub struct Program {
    pub client: Client,
    pub words: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("KURIER_ROOT"))
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn directory() -> PathBuf {
    root().join("target").join(concat!(env!("CARGO_PKG_NAME"), "-drivers"))
}

/// Builds the driver of `client`, or says why it cannot. Java takes `java_flags`.
pub fn build(client: Client, class_path: &str, java_flags: &[&str]) -> Result<Program, String> {
    fs::create_dir_all(directory()).map_err(|error| error.to_string())?;
    let words = match client {
        Client::Kurier => {
            run(Command::new("make").args(["-s", "-C"]).arg(root().join("examples-c")).arg("library"))?;
            let library = root().join("examples-c/build");
            let link = [format!("-L{}", library.display()), "-lkurier".into(), rpath(&library)];
            compile("kurier.c", &root().join("include"), &link)?
        }
        Client::Librdkafka => {
            let made = Path::new(env!("LIBRDKAFKA")).join("src");
            if env!("LIBRDKAFKA").is_empty() {
                return Err("built without the feature `librdkafka`".into());
            }
            let mut link = vec![made.join("librdkafka.a").display().to_string()];
            // Its codecs, where the package asked for them.
            let codecs = [("z", option_env!("LIBRDKAFKA_ZLIB")), ("zstd", option_env!("LIBRDKAFKA_ZSTD"))];
            for (name, place) in codecs {
                if let Some(place) = place.filter(|place| !place.is_empty()) {
                    link.push(found(Path::new(place), name)?);
                }
            }
            link.extend(["-lm".into(), "-ldl".into(), "-lrt".into()]);
            compile("librdkafka.c", &made, &link)?
        }
        Client::Java => {
            let source = package().join("java/Drive.java");
            run(Command::new("javac").arg("-d").arg(directory()).arg("-cp").arg(class_path).arg(source))?;
            let level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn";
            let words = ["java"].into_iter().chain(java_flags.iter().copied()).chain([level, "-cp"]);
            let class_path = format!("{}:{class_path}", directory().display());
            words.map(str::to_owned).chain([class_path, "Drive".to_owned()]).collect()
        }
        Client::Franz => {
            let program = directory().join("franz-go").display().to_string();
            let mut go = Command::new("go");
            run(go.args(["build", "-o", &program, "."]).current_dir(package().join("franz")))?;
            vec![program]
        }
    };
    Ok(Program { client, words })
}

fn rpath(library: &Path) -> String {
    format!("-Wl,-rpath,{}", library.display())
}

/// The archive of a C library, in the directory of its package or right below.
fn found(directory: &Path, name: &str) -> Result<String, String> {
    let file = format!("lib{name}.a");
    let mut places = ["", "lib", "build"].into_iter().map(|below| directory.join(below).join(&file));
    let place = places.find(|path| path.exists());
    place.map(|path| path.display().to_string()).ok_or_else(|| format!("there is no {file}"))
}

/// The driver in C over one client.
fn compile(client: &str, headers: &Path, link: &[String]) -> Result<Vec<String>, String> {
    let source = package().join("driver");
    let program = directory().join(client.trim_end_matches(".c")).display().to_string();
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-g", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]).arg("-isystem").arg(headers);
    cc.arg(source.join("driver.c")).arg(source.join(client)).args(["-o", &program]).args(link).arg("-lpthread");
    run(&mut cc)?;
    Ok(vec![program])
}

fn run(command: &mut Command) -> Result<(), String> {
    // cargo, where a make asks for it, is to build into the library's own directory, not into ours.
    let output = command.env_remove("CARGO_TARGET_DIR").output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat())))
}
