//! Instructions per record: counts every path, compares with the ratchet, and turns it when told to.

mod broker;
mod callgrind;
mod heap;
mod inside;
mod ratchet;

use callgrind::{Programs, Route};
use ratchet::{Ratchet, Verdict};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

#[global_allocator]
static HEAP: heap::Heap = heap::Heap::new();

/// Everything that is counted, in the order of a record's way, and what each count is of.
const ROUTES: [(Route, &str); 12] = [
    (call("send"), "record"),
    (call("send_keyed"), "record"),
    (call("send_two_headers"), "record"),
    (call("send_batch"), "record"),
    (below("open"), "batch with its first record"),
    (below("seal"), "batch"),
    (below("request_of_one_batch"), "request"),
    (below("request_of_100_batches"), "batch"),
    (below("request_of_8000_records"), "record"),
    (below("response_to_one_batch"), "response"),
    (below("response_to_100_batches"), "batch"),
    (call("poll"), "record"),
];

const WORDS: &str = "Instructions per unit of each path (README.md says what is counted). Lower counts come in with
`bench/instructions/run.sh --update`; higher ones only with --force, and a commit that says why.";

const USAGE: &str = "instructions FACE RATCHET PROFILES MACHINE [--update [--force]]
instructions inside PATH";

const fn call(path: &'static str) -> Route {
    Route { path, is_call: true }
}

const fn below(path: &'static str) -> Route {
    Route { path, is_call: false }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let ["inside", path] = words.as_slice() {
        return match inside::run(path) {
            Some(units) => {
                println!("{units}");
                ExitCode::SUCCESS
            }
            None => fail(&format!("there is no path {path}")),
        };
    }
    let [face, file, profiles, machine, flags @ ..] = words.as_slice() else { return fail(USAGE) };
    let (update, force) = match flags {
        [] => (false, false),
        ["--update"] => (true, false),
        ["--update", "--force"] => (true, true),
        _ => return fail(USAGE),
    };
    let own = match std::env::current_exe() {
        Ok(own) => own,
        Err(error) => return fail(&error.to_string()),
    };
    let programs = Programs { face: face.into(), own, profiles: profiles.into() };
    match guard(&programs, Path::new(file), machine, update, force) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => fail(&why),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(2)
}

/// Whether no count is above its limit.
fn guard(programs: &Programs, file: &Path, machine: &str, update: bool, force: bool) -> Result<bool, String> {
    let text =
        if file.exists() { std::fs::read_to_string(file).map_err(|error| error.to_string())? } else { "".into() };
    let mut ratchet = Ratchet::parse(&text)?;
    if !ratchet.machine.is_empty() && ratchet.machine != machine {
        println!(
            "The ratchet is of {}.\nThis is {machine}: what is above is so by more than a tenth.\n",
            ratchet.machine
        );
    }
    let width = ROUTES.iter().map(|(route, _)| route.path.len()).max().unwrap_or(0);
    println!("{:width$} {:>10} {:>10} {:>9}  per", "path", "limit", "counted", "");
    let (mut counts, mut higher) = (BTreeMap::new(), 0);
    for (route, unit) in &ROUTES {
        let (count, most) = programs.count(route)?;
        counts.insert(route.path.to_owned(), count);
        let limit = ratchet.limits.get(route.path).copied();
        let share = limit.map_or(String::new(), |limit| format!("{:+.2} %", (count / limit - 1.0) * 100.0));
        let verdict = match ratchet.judge(route.path, count, machine) {
            Verdict::Same => "",
            Verdict::Lower => ", LOWER: --update keeps it",
            Verdict::Higher => ", HIGHER",
            Verdict::New => ", new: --update adds it",
        };
        higher += usize::from(verdict == ", HIGHER");
        let spread = if most > count * 1.001 { format!(", a run counted {most:.2}") } else { String::new() };
        let limit = limit.map_or("-".into(), |limit| format!("{limit:.2}"));
        println!("{:width$} {limit:>10} {count:>10.2} {share:>9}  {unit}{verdict}{spread}", route.path);
    }
    if update {
        ratchet.turn(&counts, machine, force)?;
        std::fs::write(file, ratchet.text(WORDS)).map_err(|error| error.to_string())?;
        println!("\n{} is written.", file.display());
        return Ok(higher == 0 || force);
    }
    if higher > 0 {
        println!("\n{higher} above the limit: look into {} with callgrind_annotate.", programs.profiles.display());
    }
    Ok(higher == 0)
}
