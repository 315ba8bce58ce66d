//! A container for one job's commands, through the `docker` program.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use super::mount::{Mount, argument_inside};
use crate::launch::ending::Ending;
use crate::launch::process::CommandSpec;
use crate::launch::{Ended, LaunchError};

/// Which container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerKind {
    /// One of this image, for each launch anew.
    Image(String),
    /// One that runs already, by name or id.
    Running(String),
}

/// Where a job's commands run inside docker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub kind: ContainerKind,
    /// The job that the container is labelled with.
    pub job: String,
    pub mounts: Vec<Mount>,
    /// GPUs that a new container gets; they count from 0 inside.
    pub gpus: Vec<u32>,
}

/// `docker ps --filter` and people find the containers of a job by it.
const LABEL: &str = "sota-loop.job";
/// Every process of a launch inherits it.
const MARK: &str = "SOTA_LOOP_LAUNCH";
const QUESTION: Duration = Duration::from_secs(30);

/// Notes the command's process group in a file, then becomes the command.
const START: &str = r#"file=$1; shift; read -r _ _ _ _ group _ < /proc/$$/stat; if [ "$group" != "$$" ]; then echo "sota-loop: docker exec gave no process group of its own" >&2; exit 70; fi; echo "$group" > "$file" && exec "$@""#;
const STOP: &str = r#"kill -s TERM -- "-$(cat "$1")""#;
const KILL: &str = r#"exec 2> /dev/null; if [ -r "$1" ]; then kill -s KILL -- "-$(cat "$1")"; rm -f "$1"; fi; for entry in /proc/[0-9]*; do if grep -q -- "$2" "$entry/environ"; then kill -s KILL "${entry#/proc/}"; fi; done; true"#;

impl Container {
    /// Where and how a container that runs already runs, read from docker.
    pub async fn running(name: &str, job: &str) -> Result<Self, LaunchError> {
        let facts = inspect(name).await?;
        let refuse = |problem: String, hint: &str| LaunchError::Container {
            name: name.to_owned(),
            problem,
            hint: hint.to_owned(),
        };
        if facts["State"]["Running"] != Value::Bool(true) {
            return Err(refuse(
                "is not running".to_owned(),
                "start it, or name an image instead",
            ));
        }
        let network = facts["HostConfig"]["NetworkMode"].as_str().unwrap_or("");
        if network != "host" {
            return Err(refuse(
                format!("has the network `{network}`, so that no server in it can be reached"),
                "start it with --network=host",
            ));
        }
        let mounts = facts["Mounts"].as_array().into_iter().flatten();
        Ok(Self {
            kind: ContainerKind::Running(name.to_owned()),
            job: job.to_owned(),
            mounts: mounts
                .filter_map(|mount| {
                    Some(Mount {
                        host: PathBuf::from(mount["Source"].as_str()?),
                        inside: PathBuf::from(mount["Destination"].as_str()?),
                        read_only: mount["RW"] == Value::Bool(false),
                    })
                })
                .collect(),
            gpus: Vec::new(),
        })
    }

    /// Where a path of the host lies inside.
    pub fn inside(&self, path: &Path) -> Option<PathBuf> {
        super::to_inside(&self.mounts, path)
    }

    /// Where a path inside lies on the host.
    pub fn on_host(&self, path: &Path) -> Option<PathBuf> {
        super::to_host(&self.mounts, path)
    }

    /// The command as `docker` runs it, and how it is ended.
    pub(in crate::launch) fn wrap(&self, spec: CommandSpec) -> (CommandSpec, Ending) {
        static LAUNCHES: AtomicU32 = AtomicU32::new(1);
        let name = format!(
            "sota-loop-{}-{}-{}",
            self.job,
            std::process::id(),
            LAUNCHES.fetch_add(1, Ordering::Relaxed)
        );
        self.wrap_as(spec, &name)
    }

    fn wrap_as(&self, mut spec: CommandSpec, name: &str) -> (CommandSpec, Ending) {
        let inside: Vec<String> = spec
            .argv
            .iter()
            .map(|argument| argument_inside(&self.mounts, argument))
            .collect();
        for value in spec.env.values_mut() {
            *value = argument_inside(&self.mounts, value);
        }
        let mut options = self.options(&mut spec, name);
        // The client itself needs no folder of its own.
        if let Some(cwd) = spec.cwd.take().and_then(|cwd| self.inside(&cwd)) {
            options.push(format!("--workdir={}", cwd.display()));
        }
        let (argv, ending) = match &self.kind {
            ContainerKind::Image(image) => (
                in_new(options, image, inside),
                Ending {
                    stop: None,
                    cleanup: vec![words(&["docker", "rm", "--force", "--volumes", name])],
                },
            ),
            ContainerKind::Running(container) => in_running(options, container, name, inside),
        };
        spec.argv = argv;
        (spec, ending)
    }

    /// Values of variables never stand in arguments: `docker` takes them from
    /// its own environment.
    fn options(&self, spec: &mut CommandSpec, name: &str) -> Vec<String> {
        let mut options: Vec<String> = Vec::new();
        if matches!(self.kind, ContainerKind::Image(_)) {
            options.extend(words(&["run", "--rm", "--init"]));
            options.push(format!("--name={name}"));
            options.push(format!("--label={LABEL}={}", self.job));
            options.extend(words(&[
                "--network=host",
                "--ipc=host",
                "--ulimit=memlock=-1",
            ]));
            if !self.gpus.is_empty() {
                let ids: Vec<String> = self.gpus.iter().map(u32::to_string).collect();
                options.push(format!("--gpus=\"device={}\"", ids.join(",")));
                // They are the only ones inside, and count from 0.
                spec.env.shift_remove("CUDA_VISIBLE_DEVICES");
            }
            options.extend(self.mounts.iter().map(Mount::option));
        } else {
            options.push("exec".to_owned());
        }
        options.push(format!("--env={MARK}={name}"));
        options.extend(spec.env.keys().map(|variable| format!("--env={variable}")));
        options
    }

    /// Removes containers that an earlier supervisor of this job left.
    pub async fn sweep(job: &str) -> Result<(), LaunchError> {
        let filter = format!("--filter=label={LABEL}={job}");
        let listed = docker(&["ps", "--all", "--quiet", &filter]).await?;
        for id in listed.split_whitespace() {
            docker(&["rm", "--force", "--volumes", id]).await?;
        }
        Ok(())
    }
}

fn in_new(options: Vec<String>, image: &str, inside: Vec<String>) -> Vec<String> {
    let mut inside = inside.into_iter();
    let mut argv = words(&["docker"]);
    argv.extend(options);
    // The whole command is ours, whatever the image would start.
    argv.push(format!(
        "--entrypoint={}",
        inside.next().unwrap_or_default()
    ));
    argv.push(image.to_owned());
    argv.extend(inside);
    argv
}

fn in_running(
    options: Vec<String>,
    container: &str,
    name: &str,
    inside: Vec<String>,
) -> (Vec<String>, Ending) {
    let file = format!("/tmp/{name}.group");
    let mark = format!("{MARK}={name}");
    let script = |text: &str, further: &[&str]| {
        let mut argv = words(&["docker", "exec", container, "sh", "-c", text, "sh", &file]);
        argv.extend(words(further));
        argv
    };
    let mut argv = words(&["docker"]);
    argv.extend(options);
    argv.extend(words(&[container, "sh", "-c", START, "sh", &file]));
    argv.extend(inside);
    let ending = Ending {
        stop: Some(script(STOP, &[])),
        cleanup: vec![script(KILL, &[&mark])],
    };
    (argv, ending)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

async fn inspect(name: &str) -> Result<Value, LaunchError> {
    let text = docker(&[
        "inspect",
        "--type=container",
        "--format={{json .}}",
        "--",
        name,
    ])
    .await?;
    serde_json::from_str(&text).map_err(|error| LaunchError::Container {
        name: name.to_owned(),
        problem: format!("docker describes it in a way that cannot be read: {error}"),
        hint: "see `docker inspect`".to_owned(),
    })
}

/// Asks docker something short.
async fn docker(arguments: &[&str]) -> Result<String, LaunchError> {
    let program = which::which("docker").map_err(|error| LaunchError::NotFound {
        program: "docker".to_owned(),
        reason: error.to_string(),
    })?;
    let asked = Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let refuse = |problem: String| LaunchError::Docker {
        command: format!("docker {}", arguments.join(" ")),
        problem,
    };
    let output = tokio::time::timeout(QUESTION, asked)
        .await
        .map_err(|_| refuse(format!("no answer within {} s", QUESTION.as_secs())))?
        .map_err(|error| refuse(error.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(refuse(said.trim().to_owned()))
    }
}

impl Ended {
    /// Whether `docker` itself failed, before the command ran.
    pub fn is_dockers(&self) -> bool {
        self.code == Some(125)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> CommandSpec {
        CommandSpec {
            argv: words(&[
                "python3",
                "-m",
                "server",
                "--model-path",
                "/data/m",
                "--x=$(id)",
            ]),
            env: [
                ("CUDA_VISIBLE_DEVICES".to_owned(), "2,3".to_owned()),
                ("HF_TOKEN".to_owned(), "hf_secret".to_owned()),
            ]
            .into_iter()
            .collect(),
            cwd: None,
            log: PathBuf::from("/tmp/log"),
            stop: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_new_container_has_the_exact_arguments() {
        let container = Container {
            kind: ContainerKind::Image("lmsysorg/sglang:v1".to_owned()),
            job: "bench-1".to_owned(),
            mounts: vec![Mount::parse("/data:/models:ro").unwrap()],
            gpus: vec![2, 3],
        };
        let (wrapped, ending) = container.wrap_as(spec(), "sota-loop-bench-1-7-1");
        assert_eq!(
            wrapped.argv,
            [
                "docker",
                "run",
                "--rm",
                "--init",
                "--name=sota-loop-bench-1-7-1",
                "--label=sota-loop.job=bench-1",
                "--network=host",
                "--ipc=host",
                "--ulimit=memlock=-1",
                "--gpus=\"device=2,3\"",
                "--mount=type=bind,source=/data,target=/models,readonly",
                "--env=SOTA_LOOP_LAUNCH=sota-loop-bench-1-7-1",
                "--env=HF_TOKEN",
                "--entrypoint=python3",
                "lmsysorg/sglang:v1",
                "-m",
                "server",
                "--model-path",
                "/models/m",
                "--x=$(id)",
            ]
        );
        assert_eq!(wrapped.env["HF_TOKEN"], "hf_secret");
        assert_eq!(
            ending.cleanup,
            [words(&[
                "docker",
                "rm",
                "--force",
                "--volumes",
                "sota-loop-bench-1-7-1"
            ])]
        );
        assert_eq!(ending.stop, None);
    }

    #[test]
    fn in_a_running_container_its_own_group_is_killed_inside() {
        let container = Container {
            kind: ContainerKind::Running("dev".to_owned()),
            job: "bench-1".to_owned(),
            mounts: vec![Mount::parse("/data:/models").unwrap()],
            gpus: Vec::new(),
        };
        let (wrapped, ending) = container.wrap_as(spec(), "n");
        assert_eq!(
            wrapped.argv[..10],
            [
                "docker",
                "exec",
                "--env=SOTA_LOOP_LAUNCH=n",
                "--env=CUDA_VISIBLE_DEVICES",
                "--env=HF_TOKEN",
                "dev",
                "sh",
                "-c",
                START,
                "sh",
            ]
        );
        assert_eq!(wrapped.argv[10..12], ["/tmp/n.group", "python3"]);
        let stop = ending.stop.unwrap();
        assert_eq!(stop[..5], ["docker", "exec", "dev", "sh", "-c"]);
        assert_eq!(stop[5..], [STOP, "sh", "/tmp/n.group"]);
        assert_eq!(
            ending.cleanup[0][5..],
            [KILL, "sh", "/tmp/n.group", "SOTA_LOOP_LAUNCH=n"]
        );
    }
}
