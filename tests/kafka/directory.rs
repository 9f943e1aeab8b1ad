//! Where a cluster's logs lie: below `target/`, removed with the cluster, and what a killed test process left behind
//! is removed by the next one.

use std::fs::{self, File};
use std::path::Path;

/// A directory of our own.
#[derive(Debug)]
pub struct Directory {
    directory: tempfile::TempDir,
    _lock: File,
}

impl Directory {
    /// Makes one; `KURIER_KEEP_KAFKA=1` keeps it until the next test that needs one.
    pub fn new() -> Self {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kafka-logs");
        fs::create_dir_all(&all).unwrap();
        // So that nobody takes a directory for left behind that its maker is about to lock.
        let making = File::create(all.join("lock")).unwrap();
        making.lock().unwrap();
        remove_left_behind(&all);
        let mut directory = tempfile::Builder::new().prefix("cluster-").tempdir_in(&all).unwrap();
        directory.disable_cleanup(std::env::var_os("KURIER_KEEP_KAFKA").is_some());
        let lock = File::create(directory.path().join("lock")).unwrap();
        lock.lock().unwrap();
        Self { directory, _lock: lock }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

fn remove_left_behind(all: &Path) {
    for entry in fs::read_dir(all).unwrap() {
        let path = entry.unwrap().path();
        let is_ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("cluster-"));
        let is_free = || File::open(path.join("lock")).is_ok_and(|lock| lock.try_lock().is_ok());
        if is_ours && is_free() {
            // Another process may be at the removal of its own.
            let _gone = fs::remove_dir_all(&path);
        }
    }
}
