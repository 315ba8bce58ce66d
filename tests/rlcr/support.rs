//! A private home for one test, and ways to call the program in it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

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

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn workspace(&self) -> PathBuf {
        self.path("workspace")
    }

    /// Environment that keeps the program inside this home.
    pub fn env(&self) -> [(&'static str, PathBuf); 6] {
        [
            ("HOME", self.path("home")),
            ("XDG_CACHE_HOME", self.path("home/.cache")),
            ("SOTA_LOOP_STATE_DIR", self.path("state")),
            ("SOTA_LOOP_LOCK_DIR", self.path("locks")),
            ("CLAUDE_PROJECT_DIR", self.workspace()),
            ("CODEX_HOME", self.path("home/.codex")),
        ]
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(arguments)
            .envs(self.env())
            .env_remove("CLAUDE_CONFIG_DIR")
            .env_remove("HUMANIZE_RUNTIME_ROOT")
            .env_remove("SOTA_HISTORY_ROOT")
            .current_dir(self.workspace());
        command
    }

    /// `sota-loop call`: the record, or the error object.
    pub fn call(&self, tool: &str, arguments: &Value) -> Result<Value, Value> {
        let output = self
            .command(&["call", tool, &arguments.to_string()])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let value: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        if output.status.success() {
            Ok(value)
        } else {
            Err(value)
        }
    }

    /// `sota-loop gate` with this input; it must always end well.
    pub fn gate(&self, input: &str) -> Value {
        let mut child = self
            .command(&["gate"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        serde_json::from_slice(&output.stdout).unwrap()
    }
}
