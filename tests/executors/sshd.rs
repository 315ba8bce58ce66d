//! A real sshd on the loopback address, for one test.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::home::{Laptop, kill};
use crate::support::{is_alive, processes, wait_for};

/// Ends with the test, with every session that it has.
pub struct Sshd {
    config: PathBuf,
    log: PathBuf,
    pid_file: PathBuf,
}

impl Sshd {
    /// Starts it, and makes `ssh here` of this laptop reach it. Further names:
    /// `stranger` offers a key that is refused, `nobody` has no sshd.
    pub fn start(laptop: &mut Laptop) -> Self {
        let dir = laptop.host.join("sshd");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::create_dir_all("/run/sshd").unwrap();
        for key in ["host", "user", "other"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(dir.join(key))
                .status();
            assert!(made.unwrap().success());
        }
        let port = free_port();
        let sshd = Self {
            config: dir.join("sshd_config"),
            log: dir.join("log"),
            pid_file: dir.join("pid"),
        };
        let d = dir.display();
        let bin = laptop.bin.display();
        std::fs::write(
            &sshd.config,
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {d}/host\nPidFile {d}/pid\n\
                 AuthorizedKeysFile {d}/user.pub\nStrictModes no\nUsePAM no\n\
                 PasswordAuthentication no\nPermitRootLogin prohibit-password\nSetEnv PATH={bin}:/usr/bin:/bin\n\
                 AcceptEnv XDG_CACHE_HOME SOTA_LOOP_* SLURM_CONF\n"
            ),
        )
        .unwrap();
        let host = laptop.host.display();
        let slurm = laptop
            .get("SLURM_CONF")
            .map_or_else(String::new, |conf| format!(" SLURM_CONF={conf}"));
        let common = format!(
            "  HostName 127.0.0.1\n  Port {port}\n  User root\n  IdentitiesOnly yes\n  StrictHostKeyChecking accept-new\n  \
             UserKnownHostsFile {d}/known\n"
        );
        std::fs::write(
            dir.join("ssh_config"),
            format!(
                "Host here\n{common}  IdentityFile {d}/user\n  SetEnv XDG_CACHE_HOME={host}/cache SOTA_LOOP_STATE_DIR={host}/state SOTA_LOOP_LOCK_DIR={host}/locks{slurm}\n\
                 Host full\n{common}  IdentityFile {d}/user\n  SetEnv XDG_CACHE_HOME={host}/full SOTA_LOOP_STATE_DIR={host}/state\n\
                 Host barred\n{common}  IdentityFile {d}/user\n  SetEnv XDG_CACHE_HOME=/proc/version SOTA_LOOP_STATE_DIR={host}/state\n\
                 Host stranger\n{common}  IdentityFile {d}/other\n\
                 Host nobody\n  HostName 127.0.0.1\n  Port 1\n"
            ),
        )
        .unwrap();
        laptop.script(
            "ssh",
            &format!("#!/bin/sh\nexec /usr/bin/ssh -F {d}/ssh_config \"$@\"\n"),
        );
        sshd.listen();
        sshd
    }

    pub fn listen(&self) {
        let started = Command::new("/usr/sbin/sshd")
            .arg("-f")
            .arg(&self.config)
            .arg("-E")
            .arg(&self.log)
            .stdin(Stdio::null())
            .status();
        assert!(started.unwrap().success());
        wait_for("sshd to listen", || self.pid_file.exists());
    }

    /// Ends sshd and every connection through it, as a network that breaks.
    pub fn cut(&self) {
        let Ok(pid) = std::fs::read_to_string(&self.pid_file) else {
            return;
        };
        let pid: u32 = pid.trim().parse().unwrap();
        let sessions = children(pid);
        kill(pid, "TERM");
        for session in sessions {
            if is_alive(session) {
                kill(session, "KILL");
            }
        }
        wait_for("sshd to be gone", || !is_alive(pid));
        let _ = std::fs::remove_file(&self.pid_file);
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.cut();
        // Masters of shared connections end with their connection.
        let word = self.config.parent().unwrap().join("ssh_config");
        wait_for("ssh to be gone", || {
            processes(word.to_str().unwrap()).is_empty()
        });
    }
}

fn children(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
