//! The simulated engine as a process that fails.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::client::{completion, events, http, post};

struct Process {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sota-loop"))
            .args(["sim", "--port", "0", "--time-scale", "20"])
            .args(arguments)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log }
    }

    /// Reads the log up to a line with `text`.
    fn line(&mut self, text: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(
                self.log.read_line(&mut line).unwrap() > 0,
                "no line with {text}"
            );
            if line.contains(text) {
                return line;
            }
        }
    }

    fn address(&mut self) -> SocketAddr {
        let line = self.line("server is ready on http://");
        line.trim().rsplit('/').next().unwrap().parse().unwrap()
    }

    fn code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    fn terminate(&self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn too_much_memory_ends_the_load_with_pytorchs_words() {
    for dialect in ["openai", "sglang", "vllm"] {
        let mut engine =
            Process::start(&["--dialect", dialect, "--gpu-memory-utilization", "0.97"]);
        engine.line("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.");
        assert_eq!(engine.code(), Some(1));
    }
}

#[test]
fn memory_may_also_run_out_under_load() {
    let mut engine = Process::start(&["--fault", "oom-after=2"]);
    let address = engine.address();
    assert!(post(address, "/v1/completions", &completion(5, 5)).complete);
    let broken = http(
        address,
        "POST",
        "/v1/completions",
        &completion(5, 5_000).to_string(),
    );
    assert!(broken.is_none_or(|reply| !reply.complete));
    engine.line("CUDA out of memory");
    assert_eq!(engine.code(), Some(1));
}

#[test]
fn a_crash_breaks_its_streams() {
    let mut engine = Process::start(&["--fault", "crash-after=30"]);
    let address = engine.address();
    let reply = post(address, "/v1/completions", &completion(5, 5_000));
    assert!(!reply.complete);
    assert!(events(&reply.body).len() >= 20);
    assert_eq!(engine.code(), Some(139));
}

#[test]
fn a_signal_ends_it_unless_it_is_told_to_hang() {
    let mut engine = Process::start(&[]);
    engine.address();
    engine.terminate();
    engine.line("cleaning up before exit");
    assert_eq!(engine.code(), Some(0));

    let mut engine = Process::start(&["--fault", "ignore-sigterm"]);
    let address = engine.address();
    engine.terminate();
    engine.line("cleaning up before exit");
    assert_eq!(http(address, "GET", "/health", "").unwrap().status, 200);
}
