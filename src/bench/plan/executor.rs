//! Where a framework's servers run: here, in a container, on a host, or under Slurm.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Framework, Plan};
use crate::launch::Mount;
use crate::nearest::nearest;
use crate::remote::{How, Placement, SlurmOptions};

/// `frameworks.<name>.executor`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Executor {
    pub kind: ExecutorKind,
    /// An ssh destination: a name of the user's ssh configuration, or
    /// `user@host`. With `slurm`: the host on which `sbatch` is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Image of which a container is started for each launch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// A container that runs already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// `/host/folder:/folder/inside`, with `:ro` where it is read-only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Slurm's time limit of each task: minutes, `h:m:s` or `d-h:m:s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<String>,
    /// Further arguments of `sbatch`, such as `--qos=long`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutorKind {
    /// This host.
    #[default]
    Local,
    /// A container on this host.
    Docker,
    /// Another host.
    Ssh,
    /// A node that Slurm gives.
    Slurm,
}

impl ExecutorKind {
    fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Docker => "docker",
            Self::Ssh => "ssh",
            Self::Slurm => "slurm",
        }
    }

    /// The keys that mean something to this kind, besides `kind`.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Local => &[],
            Self::Docker => &["image", "container", "mounts"],
            Self::Ssh => &["host", "image", "container", "mounts"],
            Self::Slurm => &["host", "partition", "account", "time_limit", "arguments"],
        }
    }
}

impl Executor {
    /// Whether servers and load generator run on another host than this one.
    pub fn is_remote(&self) -> bool {
        matches!(self.kind, ExecutorKind::Ssh | ExecutorKind::Slurm)
    }

    /// Whether the servers run in a container.
    pub fn in_container(&self) -> bool {
        self.image.is_some() || self.container.is_some()
    }

    /// The same executor as the engine's own host sees it.
    pub fn on_its_host(&self) -> Self {
        if self.kind == ExecutorKind::Ssh && self.in_container() {
            Self {
                kind: ExecutorKind::Docker,
                host: None,
                ..self.clone()
            }
        } else if self.is_remote() {
            Self::default()
        } else {
            self.clone()
        }
    }

    /// Where a job of so many GPUs goes.
    pub fn placement(&self, gpus: u32) -> Placement {
        Placement {
            host: self.host.clone(),
            how: match self.kind {
                ExecutorKind::Slurm => How::Slurm(SlurmOptions {
                    partition: self.partition.clone(),
                    account: self.account.clone(),
                    time_limit: self.time_limit.clone(),
                    gpus,
                    arguments: self.arguments.clone(),
                }),
                _ => How::Detached,
            },
            patience: Duration::from_secs(60),
            env_from: Vec::new(),
        }
    }

    fn given(&self) -> Vec<&'static str> {
        [
            ("host", self.host.is_some()),
            ("image", self.image.is_some()),
            ("container", self.container.is_some()),
            ("mounts", !self.mounts.is_empty()),
            ("partition", self.partition.is_some()),
            ("account", self.account.is_some()),
            ("time_limit", self.time_limit.is_some()),
            ("arguments", !self.arguments.is_empty()),
        ]
        .into_iter()
        .filter_map(|(key, given)| given.then_some(key))
        .collect()
    }
}

impl Framework {
    /// Where its servers run.
    pub fn executor(&self) -> Executor {
        self.executor.clone().unwrap_or_default()
    }
}

impl Plan {
    /// The plan as the engine's own host sees it: there everything is local.
    pub fn on_its_host(&self) -> Self {
        let mut own = self.clone();
        for framework in own.frameworks.values_mut() {
            framework.executor = framework
                .executor
                .take()
                .map(|executor| executor.on_its_host())
                .filter(|executor| executor.kind != ExecutorKind::Local);
        }
        own
    }

    /// Where a job of this plan goes, and how it is started there.
    pub fn placement(&self, executor: &Executor) -> Placement {
        let names = self
            .enabled()
            .flat_map(|(_, framework)| &framework.env_from);
        Placement {
            patience: Duration::from_secs(self.timeouts.stop_s.saturating_add(30)),
            env_from: names.cloned().collect(),
            ..executor.placement(self.hardware.gpu_count)
        }
    }

    /// The executor of a plan that is measured on another host.
    pub fn remote(&self) -> Option<Executor> {
        let (_, first) = self.enabled().next()?;
        first
            .executor
            .clone()
            .filter(|executor| executor.is_remote())
    }
}

/// A key of the plan that cannot be followed.
pub(super) struct Misfit {
    pub key: String,
    pub problem: String,
    pub hint: String,
}

fn misfit(
    framework: &str,
    key: &str,
    problem: impl Into<String>,
    hint: impl Into<String>,
) -> Result<(), Misfit> {
    let key = match key {
        "" => format!("frameworks.{framework}.executor"),
        key => format!("frameworks.{framework}.executor.{key}"),
    };
    Err(Misfit {
        key,
        problem: problem.into(),
        hint: hint.into(),
    })
}

/// Refuses executors that mean nothing, alone or together.
pub(super) fn check(plan: &Plan) -> Result<(), Misfit> {
    for (name, framework) in plan.enabled() {
        let Some(executor) = &framework.executor else {
            continue;
        };
        keys_fit(name, executor)?;
        values_fit(name, executor)?;
        if framework.url.is_some()
            && (executor.in_container() || executor.kind == ExecutorKind::Slurm)
        {
            misfit(
                name,
                "kind",
                "cannot be set for a server that runs already",
                "with url, only kind ssh says something: from which host the url is reached",
            )?;
        }
        let builds = framework
            .source
            .as_ref()
            .is_some_and(|source| !source.build.is_empty());
        if builds && executor.image.is_some() {
            misfit(
                name,
                "image",
                "stands beside source.build, whose result would be lost with its container",
                "use a container that runs already, or an image in which the checkout is installed",
            )?;
        }
        if executor.kind == ExecutorKind::Slurm && !plan.hardware.gpu_ids.is_empty() {
            return Err(Misfit {
                key: "hardware.gpu_ids".to_owned(),
                problem: format!("names GPUs, but Slurm chooses those of `{name}`"),
                hint: "leave gpu_ids out; gpu_count says how many are asked for".to_owned(),
            });
        }
    }
    one_host(plan)
}

fn keys_fit(name: &str, executor: &Executor) -> Result<(), Misfit> {
    let kind = executor.kind;
    let fitting = kind.keys();
    for key in executor.given() {
        if fitting.contains(&key) {
            continue;
        }
        let hint = match (nearest(key, fitting.iter().copied()), fitting) {
            (Some(meant), _) => format!("did you mean `{meant}`?"),
            (None, []) => format!(
                "leave it out, or choose a kind that has it: {}",
                kinds_with(key)
            ),
            (None, keys) => format!(
                "kind {} has {}; `{key}` belongs to {}",
                kind.name(),
                keys.join(", "),
                kinds_with(key)
            ),
        };
        misfit(
            name,
            key,
            format!("means nothing to kind {}", kind.name()),
            hint,
        )?;
    }
    if executor.image.is_some() && executor.container.is_some() {
        misfit(
            name,
            "container",
            "is given beside image",
            "image starts a container for each launch, container names one that runs: keep one of them",
        )?;
    }
    if executor.container.is_some() && !executor.mounts.is_empty() {
        misfit(
            name,
            "mounts",
            "cannot be added to a container that runs already",
            "its own mounts are read from docker; leave the key out, or use image",
        )?;
    }
    let missing = match kind {
        ExecutorKind::Docker if !executor.in_container() => Some("image"),
        ExecutorKind::Ssh if executor.host.is_none() => Some("host"),
        _ => None,
    };
    match missing {
        Some(key) => misfit(
            name,
            "kind",
            format!("is {}, but `{key}` is missing", kind.name()),
            format!("add `{key}`"),
        ),
        None => Ok(()),
    }
}

fn kinds_with(key: &str) -> String {
    [ExecutorKind::Docker, ExecutorKind::Ssh, ExecutorKind::Slurm]
        .into_iter()
        .filter(|kind| kind.keys().contains(&key))
        .map(ExecutorKind::name)
        .collect::<Vec<_>>()
        .join(", ")
}

fn values_fit(name: &str, executor: &Executor) -> Result<(), Misfit> {
    let plain = |extra: &'static str| {
        move |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c) || extra.contains(c)
    };
    let words = [
        ("host", &executor.host, "@%:[]"),
        ("image", &executor.image, "/:@+"),
        ("container", &executor.container, ""),
        ("partition", &executor.partition, ",+"),
        ("account", &executor.account, "@+"),
        ("time_limit", &executor.time_limit, ":"),
    ];
    for (key, value, extra) in words {
        let Some(value) = value else { continue };
        if value.is_empty() || value.starts_with('-') || !value.chars().all(plain(extra)) {
            misfit(
                name,
                key,
                format!("`{value}` is no name that can be passed on"),
                format!(
                    "letters, digits, `-`, `_`, `.` and any of `{extra}`, not starting with `-`"
                ),
            )?;
        }
    }
    if let Some(limit) = &executor.time_limit
        && !is_time_limit(limit)
    {
        misfit(
            name,
            "time_limit",
            format!("`{limit}` is no time that Slurm reads"),
            "minutes, `h:m:s`, `d-h` or `d-h:m:s`",
        )?;
    }
    for mount in &executor.mounts {
        if let Err(problem) = Mount::parse(mount) {
            misfit(
                name,
                "mounts",
                format!("`{mount}` {problem}"),
                "`/host/folder:/folder/inside` or `/host/folder:/folder/inside:ro`",
            )?;
        }
    }
    executor
        .arguments
        .iter()
        .try_for_each(|argument| argument_fits(name, argument))
}

/// Options of `sbatch` that decide whether a task is found again.
const OWN_OPTIONS: [&str; 16] = [
    "--array",
    "--wrap",
    "--output",
    "--error",
    "--open-mode",
    "--job-name",
    "--parsable",
    "--no-requeue",
    "--requeue",
    "--dependency",
    "--kill-on-invalid-dep",
    "--chdir",
    "--partition",
    "--account",
    "--time",
    "--wait",
];

fn argument_fits(name: &str, argument: &str) -> Result<(), Misfit> {
    let option = argument.split('=').next().unwrap_or(argument);
    if !argument.starts_with("--") || option.len() < 3 || argument.contains(['\n', '\0']) {
        return misfit(
            name,
            "arguments",
            format!("`{argument}` is no long option of sbatch"),
            "write each as `--option` or `--option=value`",
        );
    }
    if OWN_OPTIONS.contains(&option) {
        let key = nearest(
            option.trim_start_matches('-'),
            ["partition", "account", "time_limit"],
        );
        return misfit(
            name,
            "arguments",
            format!("`{option}` is set by sota-loop itself"),
            match key {
                Some(key) => format!("use the key `{key}`"),
                None => "leave it out".to_owned(),
            },
        );
    }
    Ok(())
}

fn is_time_limit(text: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (Some(days), clock),
        None => (None, text),
    };
    let parts: Vec<&str> = clock.split(':').collect();
    days.is_none_or(number) && parts.len() <= 3 && parts.into_iter().all(number)
}

/// A comparison is fair on one host only, so that a plan has one.
fn one_host(plan: &Plan) -> Result<(), Misfit> {
    let place = |executor: &Executor| {
        executor.is_remote().then(|| Executor {
            image: None,
            container: None,
            mounts: Vec::new(),
            ..executor.clone()
        })
    };
    let mut enabled = plan.enabled();
    let Some((first_name, first)) = enabled.next() else {
        return Ok(());
    };
    let first_place = place(&first.executor());
    for (name, framework) in enabled {
        if place(&framework.executor()) != first_place {
            return misfit(
                name,
                "",
                format!("is another place than that of `{first_name}`"),
                "frameworks are compared on one host: give all of them the same kind, host, partition, account, time_limit and arguments, or make two plans",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "executor_tests.rs"]
mod tests;
