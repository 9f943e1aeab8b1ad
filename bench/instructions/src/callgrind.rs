//! Runs a path under callgrind: the instructions inside the function `counted`, divided by what they were spent on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How often each path is counted. Threads that are not counted can delay the one that is, which then takes a longer
/// way round a lock: the least is what the path costs.
const RUNS: usize = 3;

/// What counts, and where it leaves its profiles.
pub struct Programs {
    /// The calls: `face.c`, over the shared library.
    pub face: PathBuf,
    /// This program.
    pub own: PathBuf,
    /// Profiles, one per path.
    pub profiles: PathBuf,
}

/// One path and its program.
pub struct Route {
    pub path: &'static str,
    pub is_call: bool,
}

impl Programs {
    /// Instructions per unit, and the most that a run counted.
    pub fn count(&self, route: &Route) -> Result<(f64, f64), String> {
        fs::create_dir_all(&self.profiles).map_err(|error| error.to_string())?;
        let profile = self.profiles.join(format!("{}.callgrind", route.path));
        let mut counts = Vec::new();
        for _ in 0..RUNS {
            counts.push(self.run(route, &profile).map_err(|why| format!("{}: {why}", route.path))?);
        }
        let least = counts.iter().copied().fold(f64::INFINITY, f64::min);
        Ok((least, counts.into_iter().fold(0.0, f64::max)))
    }

    fn run(&self, route: &Route, profile: &Path) -> Result<f64, String> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=counted"]);
        command.args(["--quiet"]).arg(format!("--callgrind-out-file={}", profile.display()));
        match route.is_call {
            true => command.arg(&self.face).arg(route.path),
            false => command.arg(&self.own).args(["inside", route.path]),
        };
        // The stack begins behind the environment: its length must not decide what is aligned.
        command.env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let output = command.output().map_err(|error| format!("valgrind: {error}"))?;
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            return Err(format!("{}: {said}{complained}", output.status));
        }
        let units: u32 = said.trim().parse().map_err(|_| format!("not a number: {said}"))?;
        let text = fs::read_to_string(profile).map_err(|error| format!("{}: {error}", profile.display()))?;
        let instructions = total(&text).ok_or("the profile has no totals")?;
        if instructions == 0 || units == 0 {
            return Err("nothing was counted".into());
        }
        Ok(f64::from(instructions) / f64::from(units))
    }
}

/// Every instruction of a profile.
fn total(profile: &str) -> Option<u32> {
    profile.lines().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_found() {
        let profile = "# callgrind format\nevents: Ir\nsummary: 5\n\nfn=(1) counted\n3 1432000\ntotals: 1432000\n";
        assert_eq!(total(profile), Some(1_432_000));
        assert_eq!(total("events: Ir\n"), None);
    }
}
