//! Slurm's commands: the arguments of `sbatch`, what `scontrol` tells, `scancel`.

use std::path::Path;
use std::process::{Command, Stdio};

use indexmap::IndexMap;

use super::protocol::{Life, SlurmOptions};
use crate::fault::{Fault, FaultCode};

/// The batch script. `$1` is this program, `$2` the folder of the task, to
/// which an array (`$3`) adds its index. `srun` makes the supervisor a step,
/// which Slurm signals when the job is cancelled.
pub const SCRIPT: &str = "#!/bin/sh\n\
[ \"$3\" = array ] && index=$SLURM_ARRAY_TASK_ID\n\
exec srun --ntasks=1 --cpu-bind=none \"$1\" supervise \"$2$index\"\n";

/// What one call of `sbatch` submits.
#[derive(Debug)]
pub struct Submission<'a> {
    pub options: &'a SlurmOptions,
    pub job: &'a str,
    /// Where script and logs lie.
    pub dir: &'a Path,
    pub program: &'a str,
    /// Folder of the task, or for an array the part before the index.
    pub task: &'a str,
    /// Indices of an array.
    pub array: &'a [usize],
    /// A job that must have gone well before.
    pub after: Option<&'a str>,
}

/// Arguments that say how much of a node is taken.
const SHARES: [&str; 6] = [
    "--exclusive",
    "--oversubscribe",
    "--cpus-per-task",
    "--cpus-per-gpu",
    "--ntasks-per-node",
    "--mincpus",
];

impl Submission<'_> {
    /// The whole command.
    pub fn argv(&self) -> Vec<String> {
        let options = self.options;
        let given = |names: &[&str]| {
            options.arguments.iter().any(|argument| {
                let name = argument.split('=').next().unwrap_or(argument);
                names.contains(&name)
            })
        };
        let mut argv: Vec<String> = ["sbatch", "--parsable", "--no-requeue"]
            .map(str::to_owned)
            .to_vec();
        argv.push(format!("--job-name=sota-loop:{}", self.job));
        argv.push(format!("--chdir={}", self.dir.display()));
        let log = if self.array.is_empty() { "%j" } else { "%A_%a" };
        argv.push(format!("--output={}/slurm-{log}.log", self.dir.display()));
        for (name, value) in [
            ("partition", &options.partition),
            ("account", &options.account),
            ("time", &options.time_limit),
        ] {
            argv.extend(value.as_ref().map(|value| format!("--{name}={value}")));
        }
        if !given(&["--gres", "--gpus", "--gpus-per-node", "--gpus-per-task"]) {
            argv.push(format!("--gres=gpu:{}", options.gpus));
        }
        // A measurement shares its node with nobody, unless the user says how.
        if !given(&SHARES) {
            argv.push("--exclusive".to_owned());
        }
        argv.extend(options.arguments.iter().cloned());
        if !self.array.is_empty() {
            let indices: Vec<String> = self.array.iter().map(usize::to_string).collect();
            argv.push(format!("--array={}", indices.join(",")));
        }
        if let Some(after) = self.after {
            argv.push(format!("--dependency=afterok:{after}"));
            argv.push("--kill-on-invalid-dep=yes".to_owned());
        }
        argv.push(self.dir.join("task.sh").display().to_string());
        argv.push(self.program.to_owned());
        argv.push(self.dir.join(self.task).display().to_string());
        if !self.array.is_empty() {
            argv.push("array".to_owned());
        }
        argv
    }

    /// Submits it, and gives the id of Slurm's job.
    pub fn submit(&self, env: &IndexMap<String, String>) -> Result<String, Fault> {
        let argv = self.argv();
        let said = run(&argv, env)?;
        // `id` or `id;cluster`.
        let id = said.trim().split(';').next().unwrap_or_default();
        if !id.is_empty() && id.chars().all(|c| c.is_ascii_digit()) {
            return Ok(id.to_owned());
        }
        Err(Fault::new(
            FaultCode::HostUnusable,
            format!("sbatch did not give the id of a job: {}", said.trim()),
            "see what `sbatch --parsable` prints on that host",
        ))
    }
}

/// Asks Slurm to end jobs.
pub fn cancel(ids: &[&str], kill: bool) -> Result<(), Fault> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut argv = vec!["scancel".to_owned()];
    if kill {
        argv.extend(["--full", "--signal=KILL"].map(str::to_owned));
    }
    argv.extend(ids.iter().map(ToString::to_string));
    run(&argv, &IndexMap::new()).map(drop)
}

/// One line of `scontrol --oneliner show job`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueEntry {
    pub job: String,
    /// Indices of the array that it stands for; none: it is no array.
    pub indices: Option<Vec<usize>>,
    pub state: String,
    pub reason: String,
    pub nodes: String,
}

/// What Slurm knows of these jobs; none when it cannot be asked. Jobs that
/// ended some minutes ago are forgotten.
pub fn queue(ids: &[&str]) -> Option<Vec<QueueEntry>> {
    let mut entries = Vec::new();
    for id in ids {
        let argv = ["scontrol", "--oneliner", "show", "job", id].map(str::to_owned);
        match run(&argv, &IndexMap::new()) {
            Ok(text) => entries.extend(text.lines().filter_map(entry)),
            Err(fault) if fault.message.contains("Invalid job id") => {}
            Err(_) => return None,
        }
    }
    Some(entries)
}

fn entry(line: &str) -> Option<QueueEntry> {
    let field = |name: &str| {
        line.split_whitespace()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    let array = field("ArrayJobId");
    Some(QueueEntry {
        job: array.or_else(|| field("JobId"))?.to_owned(),
        indices: array.map(|_| indices(field("ArrayTaskId").unwrap_or_default())),
        state: field("JobState")?.to_owned(),
        reason: field("Reason").unwrap_or_default().to_owned(),
        nodes: field("NodeList").unwrap_or_default().to_owned(),
    })
}

/// Takes `0,2-4%1` apart; no array has more than a few thousand tasks.
fn indices(text: &str) -> Vec<usize> {
    const MOST: usize = 10_000;
    let list = text.split('%').next().unwrap_or_default();
    list.split(',')
        .filter_map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some(from.parse::<usize>().ok()?..=to.parse::<usize>().ok()?)
        })
        .flat_map(|range| range.take(MOST))
        .collect()
}

/// States of a job that Slurm will not come back to.
const ENDED: [&str; 10] = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
];

/// Whether a task lives by what Slurm says of it.
pub fn life(entries: &[QueueEntry], job: &str, index: Option<usize>) -> Life {
    let found = entries.iter().find(|entry| {
        entry.job == job
            && match (&entry.indices, index) {
                (Some(indices), Some(index)) => indices.contains(&index),
                (None, None) => true,
                _ => false,
            }
    });
    let Some(entry) = found else {
        return Life::Lost(format!("Slurm no longer knows its job {job}"));
    };
    let reason = match entry.reason.as_str() {
        "" | "None" | "(null)" => String::new(),
        reason => format!(" ({reason})"),
    };
    let on = match entry.nodes.as_str() {
        "" | "(null)" => String::new(),
        nodes => format!(" on {nodes}"),
    };
    let said = format!("Slurm job {job}: {}{reason}{on}", entry.state);
    if ENDED.contains(&entry.state.as_str()) {
        Life::Lost(said)
    } else {
        Life::Alive(Some(said))
    }
}

fn run(argv: &[String], env: &IndexMap<String, String>) -> Result<String, Fault> {
    let (program, arguments) = argv
        .split_first()
        .map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let output = Command::new(program)
        .args(arguments)
        .envs(env)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            Fault::new(
                FaultCode::HostUnusable,
                format!("cannot call `{program}`: {error}"),
                "name with `host` a host that has Slurm's commands",
            )
        })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Fault::new(
        FaultCode::HostUnusable,
        format!("`{program}` refuses: {}", said.trim()),
        "see partition, account, time_limit and arguments of the plan's executor",
    )
    .with_evidence(crate::shell_words::shell_words(argv)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sbatch_gets_the_exact_arguments() {
        let options = SlurmOptions {
            partition: Some("h100".to_owned()),
            time_limit: Some("2:00:00".to_owned()),
            gpus: 2,
            arguments: vec!["--qos=long".to_owned()],
            ..SlurmOptions::default()
        };
        let mut submission = Submission {
            options: &options,
            job: "bench-1",
            dir: Path::new("/s/jobs/bench-1"),
            program: "/c/bin/abc",
            task: "search-",
            array: &[0, 2],
            after: None,
        };
        assert_eq!(
            submission.argv(),
            [
                "sbatch",
                "--parsable",
                "--no-requeue",
                "--job-name=sota-loop:bench-1",
                "--chdir=/s/jobs/bench-1",
                "--output=/s/jobs/bench-1/slurm-%A_%a.log",
                "--partition=h100",
                "--time=2:00:00",
                "--gres=gpu:2",
                "--exclusive",
                "--qos=long",
                "--array=0,2",
                "/s/jobs/bench-1/task.sh",
                "/c/bin/abc",
                "/s/jobs/bench-1/search-",
                "array",
            ]
        );
        let own = SlurmOptions {
            arguments: vec!["--gres=none".to_owned(), "--cpus-per-task=8".to_owned()],
            ..SlurmOptions::default()
        };
        submission.options = &own;
        submission.array = &[];
        submission.task = "measure";
        submission.after = Some("12");
        assert_eq!(
            submission.argv()[5..],
            [
                "--output=/s/jobs/bench-1/slurm-%j.log",
                "--gres=none",
                "--cpus-per-task=8",
                "--dependency=afterok:12",
                "--kill-on-invalid-dep=yes",
                "/s/jobs/bench-1/task.sh",
                "/c/bin/abc",
                "/s/jobs/bench-1/measure",
            ]
        );
    }

    #[test]
    fn what_scontrol_says_decides_who_lives() {
        let text = "JobId=7 ArrayJobId=7 ArrayTaskId=1,3-4%2 JobName=x UserId=root(0) JobState=PENDING Reason=Resources NodeList=(null)\n\
                    JobId=8 ArrayJobId=7 ArrayTaskId=0 JobName=x JobState=NODE_FAIL Reason=NodeDown NodeList=n1\n\
                    JobId=9 JobName=y JobState=RUNNING Reason=None NodeList=n2\n";
        let entries: Vec<QueueEntry> = text.lines().filter_map(entry).collect();
        assert_eq!(
            life(&entries, "7", Some(4)),
            Life::Alive(Some("Slurm job 7: PENDING (Resources)".to_owned()))
        );
        assert_eq!(
            life(&entries, "7", Some(0)),
            Life::Lost("Slurm job 7: NODE_FAIL (NodeDown) on n1".to_owned())
        );
        assert_eq!(
            life(&entries, "9", None),
            Life::Alive(Some("Slurm job 9: RUNNING on n2".to_owned()))
        );
        assert!(matches!(life(&entries, "7", Some(2)), Life::Lost(_)));
    }

    #[test]
    fn a_hostile_array_is_bounded() {
        assert_eq!(indices("0-999999999999").len(), 10_000);
        assert_eq!(indices("(null)"), Vec::<usize>::new());
    }
}
