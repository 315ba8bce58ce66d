//! A real Slurm of one node on this machine, for one test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::home::kill;
use crate::sshd::free_port;
use crate::support::{is_alive, processes, wait_for};

/// Ends with the test: its daemons, and every step that they started.
pub struct Cluster {
    dir: PathBuf,
}

impl Cluster {
    /// Two CPUs, and two null devices that stand in for GPUs.
    pub fn start(dir: &Path) -> Self {
        let cluster = Self {
            dir: dir.to_path_buf(),
        };
        for part in ["state", "spool", "log", "munge"] {
            std::fs::create_dir_all(dir.join(part)).unwrap();
        }
        run("chmod", &["711", &cluster.path("munge")]);
        for gpu in ["fakegpu0", "fakegpu1"] {
            run("mknod", &["-m", "666", &cluster.path(gpu), "c", "1", "3"]);
        }
        let key: Vec<u8> = (0..1024u32).map(|i| (i * 7 % 251) as u8).collect();
        std::fs::write(dir.join("munge/key"), key).unwrap();
        run("chmod", &["400", &cluster.path("munge/key")]);
        std::fs::write(
            dir.join("gres.conf"),
            format!("Name=gpu File={}/fakegpu[0-1]\n", dir.display()),
        )
        .unwrap();
        std::fs::write(dir.join("slurm.conf"), cluster.config()).unwrap();
        run(
            "munged",
            &[
                &format!("--key-file={}", cluster.path("munge/key")),
                &format!("--socket={}", cluster.path("munge/socket")),
                &format!("--pid-file={}", cluster.path("munge/pid")),
                &format!("--log-file={}", cluster.path("munge/log")),
                &format!("--seed-file={}", cluster.path("munge/seed")),
                "--force",
            ],
        );
        cluster.daemon("slurmctld", &["-c"]);
        cluster.start_node();
        cluster
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    pub fn conf(&self) -> PathBuf {
        self.dir.join("slurm.conf")
    }

    fn config(&self) -> String {
        let dir = self.dir.display();
        let (controller, node) = (free_port(), free_port());
        let host = nix::unistd::gethostname().unwrap();
        let host = host.to_string_lossy();
        let host = host.split('.').next().unwrap();
        format!(
            "ClusterName=one\nSlurmctldHost=localhost(127.0.0.1)\n\
             SlurmctldPort={controller}\nSlurmdPort={node}\n\
             AuthType=auth/munge\nAuthInfo=socket={dir}/munge/socket\nCredType=cred/munge\n\
             SlurmUser=root\nSlurmdUser=root\n\
             StateSaveLocation={dir}/state\nSlurmdSpoolDir={dir}/spool\n\
             SlurmctldPidFile={dir}/slurmctld.pid\nSlurmdPidFile={dir}/slurmd.pid\n\
             SlurmctldLogFile={dir}/log/slurmctld\nSlurmdLogFile={dir}/log/slurmd\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n\
             JobAcctGatherType=jobacct_gather/none\nAccountingStorageType=accounting_storage/none\n\
             SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\n\
             SchedulerType=sched/builtin\nSchedulerParameters=batch_sched_delay=0,sched_interval=1\n\
             MpiDefault=none\nSwitchType=switch/none\nReturnToService=2\nGresTypes=gpu\n\
             SlurmdTimeout=4\nKillWait=5\nSlurmdParameters=config_overrides\n\
             NodeName=localhost NodeAddr=127.0.0.1 NodeHostname={host} CPUs=2 Sockets=1 \
             CoresPerSocket=2 ThreadsPerCore=1 RealMemory=1000 Gres=gpu:2 State=UNKNOWN\n\
             PartitionName=p Nodes=localhost Default=YES MaxTime=INFINITE State=UP\n"
        )
    }

    fn daemon(&self, program: &str, arguments: &[&str]) {
        let started = Command::new(program)
            .args(arguments)
            .env("SLURM_CONF", self.conf())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(started.unwrap().success(), "{program}");
    }

    pub fn start_node(&self) {
        self.daemon("slurmd", &["-c", "-N", "localhost"]);
        wait_for("the node to be idle", || {
            self.ask("sinfo", &["--noheader", "--format=%T"]).trim() == "idle"
        });
    }

    /// One of Slurm's commands.
    pub fn ask(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program)
            .args(arguments)
            .env("SLURM_CONF", self.conf())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn queue(&self) -> String {
        self.ask("squeue", &["--noheader", "--format=%i %j %T"])
    }

    /// The node as if its power were cut: its daemon and all that it runs.
    pub fn kill_node(&self) {
        self.end("slurmd.pid", "KILL");
        self.kill_steps();
        // The controller finds out by itself after half a minute.
        self.ask(
            "scontrol",
            &["update", "nodename=localhost", "state=down", "reason=dead"],
        );
    }

    fn kill_steps(&self) {
        let steps = || processes("slurmstepd");
        for pid in steps() {
            for pid in descendants(pid).into_iter().chain([pid]) {
                if is_alive(pid) {
                    let _ = Command::new("kill")
                        .args(["-s", "KILL", &pid.to_string()])
                        .stderr(Stdio::null())
                        .status();
                }
            }
        }
        wait_for("the steps to be gone", || {
            steps().iter().all(|pid| !is_alive(*pid))
        });
    }

    fn end(&self, pid_file: &str, signal: &str) {
        let path = self.dir.join(pid_file);
        let Some(pid) = std::fs::read_to_string(&path)
            .ok()
            .and_then(|text| text.trim().parse::<u32>().ok())
        else {
            return;
        };
        if is_alive(pid) {
            kill(pid, signal);
        }
        wait_for("a daemon to be gone", || !is_alive(pid));
        let _ = std::fs::remove_file(path);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.ask("scancel", &["--full", "--signal=KILL", "--user=root"]);
        self.end("slurmd.pid", "TERM");
        self.end("slurmctld.pid", "TERM");
        self.kill_steps();
        self.end("munge/pid", "TERM");
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

fn descendants(pid: u32) -> Vec<u32> {
    // Each thread has children of its own.
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let text: String = threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .collect();
    let children: Vec<u32> = text
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect();
    let below: Vec<u32> = children.iter().flat_map(|pid| descendants(*pid)).collect();
    children.into_iter().chain(below).collect()
}
