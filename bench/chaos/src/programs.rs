//! The drivers, one program per client: built when they are wanted, into `target/chaos-drivers`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whose producer is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

fn directory() -> PathBuf {
    root().join("target/chaos-drivers")
}

/// Builds the driver of `client`, or says why it cannot.
pub fn build(client: Client, class_path: &str) -> Result<Program, String> {
    fs::create_dir_all(directory()).map_err(|error| error.to_string())?;
    let words = match client {
        Client::Kurier => {
            run(Command::new("make").args(["-s", "-C"]).arg(root().join("examples-c")).arg("build/libkurier.so.0"))?;
            let library = root().join("examples-c/build");
            let link = [format!("-L{}", library.display()), "-lkurier".into(), rpath(&library)];
            compile("kurier.c", &root().join("include"), &link)?
        }
        Client::Librdkafka => {
            let made = Path::new(env!("LIBRDKAFKA")).join("src");
            if env!("LIBRDKAFKA").is_empty() {
                return Err("built without the feature `librdkafka`".into());
            }
            let link = [made.join("librdkafka.a").display().to_string(), "-lm".into(), "-ldl".into(), "-lrt".into()];
            compile("librdkafka.c", &made, &link)?
        }
        Client::Java => {
            let source = root().join("bench/chaos/java/Drive.java").display().to_string();
            let words =
                ["java", "-XX:+UseSerialGC", "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp"];
            words.into_iter().map(str::to_owned).chain([class_path.to_owned(), source]).collect()
        }
        Client::Franz => {
            let program = directory().join("franz-go").display().to_string();
            let mut go = Command::new("go");
            run(go.args(["build", "-o", &program, "."]).current_dir(root().join("bench/chaos/franz")))?;
            vec![program]
        }
    };
    Ok(Program { client, words })
}

fn rpath(library: &Path) -> String {
    format!("-Wl,-rpath,{}", library.display())
}

/// The driver in C over one client.
fn compile(client: &str, headers: &Path, link: &[String]) -> Result<Vec<String>, String> {
    let source = root().join("bench/chaos/driver");
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
