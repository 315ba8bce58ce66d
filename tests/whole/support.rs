//! A private home for one test, and ways to call the program in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

/// About 2,000 tokens: of these records about three bytes make one.
pub const MOST_BYTES: usize = 6_600;

/// The program under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_sota-loop");

/// A workspace with state and locks of its own.
pub struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        let home = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(home.workspace()).unwrap();
        home
    }

    pub fn workspace(&self) -> PathBuf {
        self.dir.path().join("workspace")
    }

    /// A word that the command lines of this home's engines hold.
    pub fn mark(&self) -> String {
        let name = self.dir.path().file_name().unwrap().to_string_lossy();
        format!("mark{}", name.replace('.', "-"))
    }

    /// Environment that keeps the program inside this home.
    pub fn env(&self) -> [(&'static str, PathBuf); 3] {
        [
            ("SOTA_LOOP_STATE_DIR", self.dir.path().join("state")),
            ("SOTA_LOOP_LOCK_DIR", self.dir.path().join("locks")),
            ("CLAUDE_PROJECT_DIR", self.workspace()),
        ]
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(arguments)
            .envs(self.env())
            .current_dir(self.workspace());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// `sota-loop call`: the record, or the error object. By default a record is
    /// short, whatever it is about.
    pub fn call(&self, tool: &str, arguments: &Value) -> Result<Value, Value> {
        let output = self.run(&["call", tool, &arguments.to_string()]);
        let text = String::from_utf8(output.stdout).unwrap();
        let value: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        if output.status.success() {
            let is_short = arguments["detail"] != "full";
            assert!(
                !is_short || text.len() <= MOST_BYTES,
                "{tool} {arguments}: {} bytes",
                text.len()
            );
            Ok(value)
        } else {
            Err(value)
        }
    }

    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.workspace().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Processes whose command line holds this home's mark.
    pub fn engines(&self) -> Vec<u32> {
        processes(&self.mark())
    }

    /// Waits until no engine of this home is left.
    pub fn wait_until_no_engine(&self) {
        wait_for("the engines to be gone", || self.engines().is_empty());
    }
}

/// Pids of processes whose command line holds `word`.
pub fn processes(word: &str) -> Vec<u32> {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(word))
        })
        .collect()
}

/// Polls for a condition; a test that waits for ever is a failure.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "waited 60 s for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether a process is alive and no zombie.
pub fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .trim()
            .starts_with('Z')
    })
}

pub fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path.as_ref()).unwrap()
}
