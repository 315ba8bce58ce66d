//! Servers in containers, against a stand-in for `docker` that records its
//! arguments and runs the command as a container would: apart from the client,
//! whose death does not end it.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::home::{Laptop, SSH_NEEDS, have, slow, with_executor};
use crate::plans::{plan, rows, sim};
use crate::sshd::Sshd;
use crate::support::{is_alive, read, wait_for};

/// A container is a folder that holds the id of its first process. The client
/// passes SIGTERM on, as `docker run` does; `docker exec` does not.
const DOCKER: &str = r#"#!/bin/bash
dir=@DIR@
printf '%s\n' "$(printf '%q ' "$@")" >> "$dir/calls"
inside() {
  # Values of `--env NAME` come from the client's environment, as with docker.
  setsid env SOTA_TEST_IN_CONTAINER=1 "${vars[@]}" "$@" < /dev/null &
}
vars=()
case "$1" in
run)
  shift
  while [[ "$1" == --* ]]; do
    case "$1" in
      --name=*) name=${1#--name=} ;;
      --label=*) label=${1#--label=} ;;
      --entrypoint=*) entry=${1#--entrypoint=} ;;
      --env=*=*) vars+=("${1#--env=}") ;;
    esac
    shift
  done
  [[ "$1" == absent ]] && { echo "docker: Error: No such image: absent" >&2; exit 125; }
  shift
  mkdir "$dir/$name"; echo "$label" > "$dir/$name/label"
  inside "$entry" "$@"
  pid=$!
  echo $pid > "$dir/$name/pid"
  trap 'kill -TERM $pid' TERM
  wait $pid; code=$?
  while kill -0 $pid 2> /dev/null; do wait $pid; code=$?; done
  rm -rf "$dir/$name"
  exit $code ;;
exec)
  shift
  while [[ "$1" == --* ]]; do
    [[ "$1" == --env=*=* ]] && vars+=("${1#--env=}")
    shift
  done
  shift
  inside "$@"
  wait $! ;;
rm)
  shift
  while [[ "$1" == --* ]]; do shift; done
  for name in "$@"; do
    [[ -d "$dir/$name" ]] || { echo "No such container: $name" >&2; exit 1; }
    kill -KILL -- -$(cat "$dir/$name/pid")
    rm -rf "$dir/$name"
  done ;;
ps)
  for arg in "$@"; do [[ "$arg" == --filter=label=* ]] && label=${arg#--filter=label=}; done
  cd "$dir"; for file in */label; do
    [[ -f "$file" && "$(cat "$file")" == "$label" ]] && dirname "$file"
  done; true ;;
inspect)
  cat "$dir/inspect.json" ;;
esac
"#;

pub struct Docker {
    pub dir: PathBuf,
}

impl Docker {
    pub fn stand_in(laptop: &Laptop) -> Self {
        let dir = laptop.host.join("docker");
        std::fs::create_dir(&dir).unwrap();
        laptop.script("docker", &DOCKER.replace("@DIR@", dir.to_str().unwrap()));
        Self { dir }
    }

    pub fn calls(&self) -> Vec<String> {
        let calls = read(self.dir.join("calls"));
        calls.lines().map(|line| line.trim().to_owned()).collect()
    }

    pub fn containers(&self) -> usize {
        std::fs::read_dir(&self.dir)
            .unwrap()
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .count()
    }

    /// What `docker inspect` says of the container.
    pub fn describe(&self, running: bool, network: &str, mounts: Value) {
        let facts = json!({
            "State": {"Running": running},
            "HostConfig": {"NetworkMode": network},
            "Mounts": mounts,
        });
        std::fs::write(self.dir.join("inspect.json"), facts.to_string()).unwrap();
    }
}

fn one(laptop: &Laptop, executor: &Value) -> Value {
    let frameworks = json!({"sglang": {"command": sim(&laptop.home, "sglang", &[])}});
    with_executor(plan(frameworks), executor)
}

#[test]
fn an_image_gets_a_container_a_launch_that_is_labelled_and_removed() {
    let laptop = Laptop::new();
    let docker = Docker::stand_in(&laptop);
    let executor =
        json!({"kind": "docker", "image": "lab/sglang:1", "mounts": ["/srv/models:/models:ro"]});
    let mut plan = one(&laptop, &executor);
    plan["frameworks"]["sglang"]["env"] = json!({"SOME": "value"});
    let record = laptop.run(&plan);
    assert_eq!(record["state"], "done", "{record:#}");
    let id = record["job_id"].as_str().unwrap();
    let calls = docker.calls();
    let served = |call: &&String| call.starts_with("run ") && call.contains("--dialect");
    let run = calls.iter().find(served).unwrap();
    let lead = "run --rm --init --name=sota-loop-";
    assert!(run.starts_with(lead), "{run}");
    for part in [
        &format!(" --label=sota-loop.job={id} --network=host --ipc=host --ulimit=memlock=-1 "),
        " --mount=type=bind\\,source=/srv/models\\,target=/models\\,readonly ",
        " --env=SOME ",
        &format!(
            " --entrypoint={} lab/sglang:1 sim --dialect sglang ",
            crate::support::BINARY
        ),
    ] {
        assert!(run.contains(part), "{part}\n{run}");
    }
    let row = &rows(&laptop.home)[0];
    assert_eq!(
        row["executor"],
        json!({"kind": "docker", "image": "lab/sglang:1", "node": row["executor"]["node"]})
    );
    assert!(
        row["server_command"]
            .as_str()
            .unwrap()
            .starts_with("docker run --rm")
    );
    assert!(
        calls
            .iter()
            .any(|call| call.starts_with("rm --force --volumes sota-loop-"))
    );
    assert_eq!(docker.containers(), 0);
    laptop.home.wait_until_no_engine();
}

#[test]
fn a_container_is_gone_whatever_dies() {
    let laptop = Laptop::new();
    let docker = Docker::stand_in(&laptop);
    let plan = slow(
        one(&laptop, &json!({"kind": "docker", "image": "lab/sglang:1"})),
        4,
    );
    let id = laptop.start(&plan);
    wait_for("a container", || docker.containers() == 1);
    wait_for("an engine", || {
        laptop.status(&id)["progress"]["done"].as_f64() >= Some(1.0)
    });
    laptop.close(&id);
    wait_for("the container to be gone", || docker.containers() == 0);
    laptop.home.wait_until_no_engine();
    // One that even its guard left behind is removed by the next supervisor.
    let left = docker.dir.join("left-behind");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("label"), format!("sota-loop.job={id}\n")).unwrap();
    let mut sleeper = std::process::Command::new("setsid")
        .args(["sleep", "300"])
        .spawn()
        .unwrap();
    std::fs::write(left.join("pid"), sleeper.id().to_string()).unwrap();
    assert_eq!(laptop.run(&plan)["state"], "done");
    sleeper.wait().unwrap();
    assert_eq!(docker.containers(), 0);
}

#[test]
fn in_a_running_container_paths_are_translated_and_its_processes_killed() {
    let laptop = Laptop::new();
    let docker = Docker::stand_in(&laptop);
    let data = laptop.home.workspace().display().to_string();
    docker.describe(
        true,
        "host",
        json!([{"Source": data, "Destination": "/inside", "RW": true}]),
    );
    let model = format!("{data}/models/tiny");
    let mut plan = slow(
        one(&laptop, &json!({"kind": "docker", "container": "dev"})),
        6,
    );
    plan["model"] = json!({"name": "sim-8b", "path": model});
    plan["frameworks"]["sglang"]["command"]
        .as_array_mut()
        .unwrap()
        .extend([
            // The served name stays, the path is the container's.
            json!("--served-model-name"),
            json!("sim-8b"),
        ]);
    let id = laptop.start(&plan);
    wait_for("a row", || {
        laptop.status(&id)["progress"]["done"].as_f64() >= Some(1.0)
    });
    let engines = laptop.home.engines();
    assert!(laptop.bench(&["--job", &id, "--cancel"]).status.success());
    assert_eq!(laptop.status(&id)["state"], "cancelled");
    wait_for("its processes to be gone", || {
        engines.iter().all(|pid| !is_alive(*pid))
    });
    let calls = docker.calls();
    let exec = calls
        .iter()
        .find(|call| call.contains("exec ") && call.contains("--dialect"))
        .unwrap();
    assert!(exec.contains(" dev sh -c "), "{exec}");
    assert!(exec.contains(" --model /inside/models/tiny "), "{exec}");
    assert!(
        calls
            .iter()
            .any(|call| call.starts_with("exec dev sh -c ") && call.contains("kill\\ -s\\ TERM"))
    );
    assert!(
        calls
            .iter()
            .any(|call| call.starts_with("exec dev sh -c ") && call.contains("kill\\ -s\\ KILL"))
    );
    let left = std::fs::read_dir("/tmp").unwrap().flatten().any(|entry| {
        entry
            .file_name()
            .to_string_lossy()
            .starts_with(&format!("sota-loop-{id}"))
    });
    assert!(!left, "the file of the process group stays in /tmp");
}

#[test]
fn a_host_may_run_its_servers_in_containers() {
    if !have(&SSH_NEEDS) {
        return;
    }
    let mut laptop = Laptop::new();
    let docker = Docker::stand_in(&laptop);
    let _sshd = Sshd::start(&mut laptop);
    let executor = json!({"kind": "ssh", "host": "here", "image": "lab/sglang:1"});
    let record = laptop.run(&one(&laptop, &executor));
    assert_eq!(record["state"], "done", "{record:#}");
    let row = &rows(&laptop.home)[0];
    let place = &row["executor"];
    assert_eq!(
        *place,
        json!({"kind": "ssh", "host": "here", "image": "lab/sglang:1", "node": place["node"]})
    );
    assert!(
        row["server_command"]
            .as_str()
            .unwrap()
            .starts_with("docker run --rm")
    );
    assert_eq!(docker.containers(), 0);
}

#[test]
fn containers_that_cannot_be_used_say_why() {
    let laptop = Laptop::new();
    let docker = Docker::stand_in(&laptop);
    let reason = |executor: Value| {
        laptop.run(&one(&laptop, &executor));
        let rows = rows(&laptop.home);
        rows.last().unwrap()["failure_reason"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let absent = reason(json!({"kind": "docker", "image": "absent"}));
    assert!(absent.contains("No such image: absent"), "{absent}");
    docker.describe(false, "host", json!([]));
    let stopped = reason(json!({"kind": "docker", "container": "dev"}));
    assert!(
        stopped.contains("the container `dev` is not running"),
        "{stopped}"
    );
    docker.describe(true, "bridge", json!([]));
    let bridged = reason(json!({"kind": "docker", "container": "dev2"}));
    assert!(bridged.contains("has the network `bridge`"), "{bridged}");
}
