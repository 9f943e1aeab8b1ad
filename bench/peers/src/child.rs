//! A driver as a child process: what it prints, and what the operating system says that it used.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::request::Failure;
use crate::samples::{Metric, Sample};

/// Whoever takes longer hangs.
const LIMIT: Duration = Duration::from_secs(180);
/// Lines of a driver that are not its last.
const WORDS: [&str; 4] = ["started", "held", "quiet", "idle"];

/// What became of a driver.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its last line.
    pub line: String,
    pub cpu: Duration,
    pub peak_kb: u64,
    /// What `watch` answered at its words.
    pub watched: Sample,
}

/// Runs a driver to its end. When it says one of [`WORDS`], `watch` may look at it; after `held` its input
/// is closed, which ends it.
pub fn run(
    words: &[String],
    log: std::fs::File,
    mut watch: impl FnMut(&str, u32) -> Option<(Metric, f64)>,
) -> Result<Ended, Failure> {
    let mut command = Command::new("setpriv");
    // It must not outlive us.
    command.args(["--pdeathsig", "KILL"]).args(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
    let mut child = command.spawn()?;
    let output = BufReader::new(child.stdout.take().ok_or("no output")?);
    let (say, said) = channel();
    let reader = std::thread::spawn(move || {
        output.lines().map_while(Result::ok).take_while(|line| say.send(line.clone()).is_ok()).count()
    });
    let begin = Instant::now();
    let (mut line, mut watched) = (String::new(), Sample::new());
    let hangs = loop {
        match said.recv_timeout(LIMIT.saturating_sub(begin.elapsed())) {
            Ok(word) if WORDS.contains(&word.as_str()) => {
                watched.extend(watch(&word, child.id()));
                if word == "held" {
                    child.stdin = None;
                }
                line = word;
            }
            Ok(last) => line = last,
            Err(RecvTimeoutError::Disconnected) => break false,
            Err(RecvTimeoutError::Timeout) => break true,
        }
    };
    if hangs {
        child.kill()?;
    }
    let (code, usage) = wait(&child)?;
    let _lines = reader.join();
    if hangs || code != 0 {
        let why = if hangs { "takes too long".to_owned() } else { format!("ends with {code}") };
        return Err(format!("{} {why}: {line}", words.join(" ")).into());
    }
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    let cpu = time(usage.ru_utime) + time(usage.ru_stime);
    Ok(Ended { line, cpu, peak_kb: usage.ru_maxrss.unsigned_abs(), watched })
}

/// Waits for the end of a process; its status and what it used. std's own wait does not tell the latter.
fn wait(child: &Child) -> Result<(i32, libc::rusage), Failure> {
    let pid = libc::pid_t::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: `rusage` is numbers, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals that live as long as the call.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    if waited != pid {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok((if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) }, usage))
}

/// User and system time of running processes.
pub fn cpu_of(pids: &[u32]) -> Duration {
    pids.iter().filter_map(|pid| ticks(*pid)).sum()
}

/// The kernel counts in hundredths of a second (USER_HZ).
fn ticks(pid: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; fields 14 and 15 are 12 and 13 behind it.
    let mut fields = text.rsplit_once(") ")?.1.split(' ').skip(11);
    let [user, system] = [fields.next()?, fields.next()?].map(|field| field.parse::<u64>().unwrap_or(0));
    Some(Duration::from_millis((user + system) * 10))
}

/// Resident bytes of a running process.
pub fn resident_bytes(pid: u32) -> Option<f64> {
    value_of(&format!("/proc/{pid}/status"), "VmRSS:").map(|kilobytes| kilobytes * 1024.0)
}

/// How often the threads of a process have gone to sleep.
pub fn voluntary_switches(pid: u32) -> Option<f64> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let paths = tasks.filter_map(|task| Some(task.ok()?.path().join("status").display().to_string()));
    Some(paths.filter_map(|path| value_of(&path, "voluntary_ctxt_switches:")).sum())
}

fn value_of(path: &str, name: &str) -> Option<f64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
