//! A laptop and its host: two homes on one machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::{Home, is_alive, read, wait_for};

/// A home whose program finds stand-ins of `bin/` first.
pub struct Laptop {
    pub home: Home,
    /// Programs that come before the system's.
    pub bin: PathBuf,
    /// What the host has: its cache and state.
    pub host: PathBuf,
    further: Vec<(String, String)>,
}

impl Laptop {
    /// Waits until a job's first row has come back here.
    pub fn wait_for_a_row(&self) {
        let rows = self.home.workspace().join("out/candidates.jsonl");
        wait_for("a row", || rows.exists());
    }

    pub fn new() -> Self {
        let home = Home::new();
        let root = home.workspace().parent().unwrap().to_path_buf();
        let (bin, host) = (root.join("bin"), root.join("host"));
        std::fs::create_dir(&bin).unwrap();
        std::fs::create_dir(&host).unwrap();
        Self {
            home,
            bin,
            host,
            further: Vec::new(),
        }
    }

    /// Sets a variable for every later call.
    pub fn set(&mut self, name: &str, value: impl AsRef<Path>) {
        let value = value.as_ref().display().to_string();
        self.further.push((name.to_owned(), value));
    }

    /// A program of `bin/`.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.bin.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A variable of later calls.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut further = self.further.iter();
        further.find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let path = std::env::var("PATH").unwrap();
        let mut command = self.home.command(arguments);
        command
            .env("PATH", format!("{}:{path}", self.bin.display()))
            .env("TMPDIR", &self.bin)
            .envs(self.further.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn bench(&self, arguments: &[&str]) -> Output {
        let mut all = vec!["--json", "bench"];
        all.extend(arguments);
        self.command(&all).output().unwrap()
    }

    /// Starts the plan and gives the job's id.
    pub fn start(&self, plan: &Value) -> String {
        let path = self.home.write("plan.json", &plan.to_string());
        let output = self.bench(&["--detach", path.to_str().unwrap()]);
        record(&output)["job_id"].as_str().unwrap().to_owned()
    }

    /// Runs the plan to its end, however it ends.
    pub fn run(&self, plan: &Value) -> Value {
        let path = self.home.write("plan.json", &plan.to_string());
        record(&self.bench(&[path.to_str().unwrap()]))
    }

    /// Follows a job to its end.
    pub fn follow(&self, id: &str) -> Value {
        record(&self.bench(&["--job", id]))
    }

    pub fn job_dir(&self, id: &str) -> PathBuf {
        self.home.workspace().join("out/jobs").join(id)
    }

    pub fn status(&self, id: &str) -> Value {
        serde_json::from_str(&read(self.job_dir(id).join("status.json"))).unwrap()
    }

    pub fn wait_for_message(&self, id: &str, word: &str) {
        wait_for(&format!("`{word}` in the status"), || {
            let status = self.status(id);
            let state = status["state"].as_str().unwrap();
            assert!(
                matches!(state, "queued" | "running"),
                "ended before `{word}`: {status:#}"
            );
            status["message"].as_str().unwrap().contains(word)
        });
    }

    /// Kills the local supervisor, as a laptop that is closed does.
    pub fn close(&self, id: &str) {
        let pid = self.status(id)["pid"].as_u64().unwrap() as u32;
        kill(pid, "KILL");
        wait_for("the local supervisor to be gone", || !is_alive(pid));
    }

    pub fn guest_jobs(&self) -> usize {
        std::fs::read_dir(self.host.join("state/guest-jobs")).map_or(0, Iterator::count)
    }
}

fn record(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    // A job that failed prints its record, then its error object.
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    values.next().and_then(Result::ok).unwrap_or_else(|| {
        panic!(
            "no record: {text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

pub fn kill(pid: u32, signal: &str) {
    let killed = Command::new("kill")
        .args(["-s", signal, &pid.to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
}

/// A plan whose frameworks all have this executor.
pub fn with_executor(mut plan: Value, executor: &Value) -> Value {
    for framework in plan["frameworks"].as_object_mut().unwrap().values_mut() {
        framework["executor"] = executor.clone();
    }
    plan
}

/// A plan that takes some seconds, in `repeats` sessions.
pub fn slow(mut plan: Value, repeats: u32) -> Value {
    plan["search"]["repeats"] = json!(repeats);
    plan["search"]["relaunch"] = json!("always");
    plan["dataset"]["output_len"] = json!([64]);
    plan
}

pub const SSH_NEEDS: [&str; 3] = ["ssh", "sshd", "ssh-keygen"];

/// Whether the programs are here; says so where they are not.
pub fn have(programs: &[&str]) -> bool {
    let found = |name: &&&str| {
        ["/usr/bin", "/usr/sbin", "/bin"]
            .iter()
            .any(|dir| Path::new(dir).join(**name).exists())
    };
    let missing: Vec<_> = programs.iter().filter(|name| !found(name)).collect();
    if !missing.is_empty() {
        eprintln!("not run: install {missing:?} (Debian: openssh-server slurm-wlm munge)");
        return false;
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not run: sshd and Slurm are started by root");
        return false;
    }
    true
}

/// Says that a test ran, also in the file that `SOTA_TEST_REPORT` names.
pub fn report(line: &str) {
    use std::io::Write;
    eprintln!("{line}");
    if let Some(path) = std::env::var_os("SOTA_TEST_REPORT") {
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path);
        writeln!(file.unwrap(), "{line}").unwrap();
    }
}
