//! A small file system below one broker's logs, which can be filled: the storage error of the real world.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One log directory for each broker, of which that of broker 3 is a file system of its own.
#[derive(Debug)]
pub struct Disk {
    directory: tempfile::TempDir,
    is_mounted: bool,
}

/// Room for the half of a broker's logs that is on it.
const SIZE: &str = "size=6g";

impl Disk {
    /// Makes the directories; mounts where that is allowed.
    pub fn new(scratch: &Path) -> Self {
        let directory = tempfile::Builder::new().prefix("disk-").tempdir_in(scratch).unwrap();
        (1..=3).for_each(|id| fs::create_dir(directory.path().join(id.to_string())).unwrap());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", SIZE, "chaos"]).arg(directory.path().join("3"));
        let is_mounted = mount.output().is_ok_and(|output| output.status.success());
        Self { directory, is_mounted }
    }

    /// The second of a broker's `log.dirs`, for every broker.
    pub fn log_directory(&self) -> String {
        self.directory.path().join("{id}").display().to_string()
    }

    /// Whether it can be filled.
    pub fn is_mounted(&self) -> bool {
        self.is_mounted
    }

    fn filler(&self) -> PathBuf {
        self.directory.path().join("3/filler")
    }

    /// Leaves no byte free.
    pub fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        let zeros = vec![0; 1 << 20];
        while file.write_all(&zeros).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
    }

    /// Gives the room back.
    pub fn free(&self) {
        let _none = fs::remove_file(self.filler());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            let _busy = Command::new("umount").arg("--lazy").arg(self.directory.path().join("3")).output();
        }
    }
}
