//! What a framework of the plan is on this host: version, file, flags. Found
//! out once a job, before anything is launched, and kept under `help/`.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use indexmap::IndexMap;
use regex::Regex;
use serde_json::json;

use super::BenchError;
use super::container::container_of;
use super::plan::{Framework, Plan};
use super::server::{engine_of, entry_of, environment};
use crate::disk;
use crate::engine::{
    Engine, EngineError, Entry, KnownFlags, Probe, help_commands, parse_help, probe_command,
    read_probe,
};
use crate::job::JobHandle;
use crate::launch::{CaptureSpec, Captured, Container, ContainerKind, capture};
use crate::sha256;
use crate::shell_words::shell_words;
use crate::state_dir::state_dir;

/// What was found out about one framework.
#[derive(Debug, Clone, Default)]
pub struct Installation {
    pub probe: Probe,
    /// The flags of this very version; none where no help could be read.
    pub flags: Option<KnownFlags>,
    pub help: Option<PathBuf>,
    pub warnings: Vec<String>,
}

/// Large frameworks import for half a minute before they print their help.
const HELP_LIMIT: Duration = Duration::from_secs(240);
const PROBE_LIMIT: Duration = Duration::from_secs(60);

/// Asks the framework for its version and flags; `dir` keeps the answers.
pub async fn inspect(
    plan: &Plan,
    name: &str,
    framework: &Framework,
    dir: &Path,
    job: &JobHandle,
) -> Result<Installation, BenchError> {
    let engine = engine_of(name, framework)?;
    let inspector = Inspector {
        name,
        engine,
        entry: entry_of(name, framework)?,
        env: quiet(environment(plan, framework)),
        cwd: None,
        dir,
        container: container_of(plan, framework, job).await?,
    };
    let mut found = Installation {
        probe: inspector.probe().await?,
        ..Installation::default()
    };
    if framework.checks_flags() {
        inspector.read_help(&mut found).await?;
    }
    Ok(found)
}

/// Asks again what the interpreter would import in a folder.
pub async fn probe_in(
    plan: &Plan,
    name: &str,
    framework: &Framework,
    cwd: &Path,
    job: &JobHandle,
) -> Result<Probe, BenchError> {
    let inspector = Inspector {
        name,
        engine: engine_of(name, framework)?,
        entry: entry_of(name, framework)?,
        env: environment(plan, framework),
        cwd: Some(cwd.to_path_buf()),
        dir: cwd,
        container: container_of(plan, framework, job).await?,
    };
    let mut probe = inspector.probe().await?;
    if let (Some(container), Some(path)) = (&inspector.container, &probe.module_path)
        && let Some(on_host) = container.on_host(path)
    {
        probe.module_path = Some(on_host);
    }
    Ok(probe)
}

/// Help texts should look the same wherever they are printed.
fn quiet(mut env: IndexMap<String, String>) -> IndexMap<String, String> {
    for (name, value) in [
        ("COLUMNS", "100"),
        ("NO_COLOR", "1"),
        ("PYTHON_COLORS", "0"),
        ("TERM", "dumb"),
    ] {
        env.insert(name.to_owned(), value.to_owned());
    }
    env
}

struct Inspector<'a> {
    name: &'a str,
    engine: &'static Engine,
    entry: Entry,
    env: IndexMap<String, String>,
    /// Python looks here first.
    cwd: Option<PathBuf>,
    dir: &'a Path,
    container: Option<Container>,
}

impl Inspector<'_> {
    async fn ask(
        &self,
        argv: Vec<String>,
        log: &Path,
        limit: Duration,
    ) -> Result<Captured, BenchError> {
        Ok(capture(CaptureSpec {
            argv,
            env: self.env.clone(),
            cwd: self.cwd.clone(),
            log: log.to_path_buf(),
            limit,
            container: self.container.clone(),
        })
        .await?)
    }

    async fn probe(&self) -> Result<Probe, BenchError> {
        disk::create_dir(self.dir)?;
        let log = self.dir.join(format!("{}-version.txt", self.name));
        let command = match &self.entry.interpreter {
            Some(interpreter) => probe_command(self.engine, interpreter),
            None => None,
        };
        let Some(command) = command else {
            return self.program_version(&log).await;
        };
        let asked = self.ask(command, &log, PROBE_LIMIT).await?;
        let probe = read_probe(&asked.output).unwrap_or_default();
        if probe.module_path.is_none() && !self.entry.is_command {
            return Err(EngineError::NoModule {
                framework: self.name.to_owned(),
                interpreter: self.entry.interpreter.clone().unwrap_or_default(),
                module: self.engine.module.clone().unwrap_or_default(),
                tried: if self.entry.template == self.engine.python_entry {
                    String::new()
                } else {
                    self.engine.name.clone()
                },
            }
            .into());
        }
        Ok(probe)
    }

    /// The version of a program that is no Python package.
    async fn program_version(&self, log: &Path) -> Result<Probe, BenchError> {
        static NUMBER: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"\d+\.\d+[0-9A-Za-z.+-]*").ok());
        let Some(program) = help_commands(self.engine, &self.entry)
            .and_then(|commands| commands.first()?.first().cloned())
        else {
            return Ok(Probe::default());
        };
        let argv = vec![program, "--version".to_owned()];
        let asked = self.ask(argv, log, PROBE_LIMIT).await?;
        let version = NUMBER
            .as_ref()
            .and_then(|number| number.find(&asked.output))
            .map(|found| found.as_str().to_owned());
        Ok(Probe {
            version,
            ..Probe::default()
        })
    }

    async fn read_help(&self, found: &mut Installation) -> Result<(), BenchError> {
        let Some(commands) = help_commands(self.engine, &self.entry) else {
            found.warnings.push(format!(
                "{}: flags are not checked: the command does not tell which program it starts",
                self.name
            ));
            return Ok(());
        };
        let path = self.dir.join(format!("{}-server.txt", self.name));
        found.help = Some(path.clone());
        let cached = self.cache(&commands, &found.probe);
        if let Ok(text) = disk::read_text(&cached) {
            disk::write_atomic(&path, text.as_bytes())?;
            found.flags = Some(self.known(&[&text]));
            return self.own_flags_are_known(found, &commands);
        }
        let mut texts = Vec::new();
        for command in &commands {
            let shown = shell_words(command);
            let asked = self.ask(command.clone(), &path, HELP_LIMIT).await?;
            texts.push(format!("$ {shown}\n{}", asked.output));
            disk::write_atomic(&path, texts.join("\n").as_bytes())?;
            if asked.timed_out || parse_help(&asked.output).is_empty() {
                found.warnings.push(format!(
                    "{}: flags are not checked: `{shown}` lists none ({}); see {}",
                    self.name,
                    super::failure::telling_line(&asked.output).unwrap_or("it printed nothing"),
                    path.display()
                ));
                return Ok(());
            }
        }
        let whole = texts.join("\n");
        found.flags = Some(self.known(&[&whole]));
        disk::write_atomic(&cached, whole.as_bytes())?;
        self.own_flags_are_known(found, &commands)
    }

    fn known(&self, texts: &[&str]) -> KnownFlags {
        let mut known = KnownFlags::default();
        for text in texts {
            known.merge(parse_help(text));
        }
        known.add_unlisted(&self.engine.unlisted_flags);
        if self.engine.flags_in_full {
            known.refuse_abbreviations();
        }
        known
    }

    /// A command that is told to use a flag that its help does not have is
    /// another program than the one that gave the help.
    fn own_flags_are_known(
        &self,
        found: &mut Installation,
        commands: &[Vec<String>],
    ) -> Result<(), BenchError> {
        if !self.entry.is_command {
            return Ok(());
        }
        let Some(flags) = &found.flags else {
            return Ok(());
        };
        if let Some(problem) = flags.check(&self.entry.template).first() {
            found.warnings.push(format!(
                "{}: flags are not checked: `{}` does not list `{}` of the plan's own command",
                self.name,
                commands
                    .first()
                    .map(|command| shell_words(command))
                    .unwrap_or_default(),
                problem.flag()
            ));
            found.flags = None;
        }
        Ok(())
    }

    /// Where the help of exactly this program is kept for later jobs.
    fn cache(&self, commands: &[Vec<String>], probe: &Probe) -> PathBuf {
        let program = commands
            .first()
            .and_then(|command| which::which(command.first()?).ok());
        let facts = json!([
            commands,
            self.env,
            program.as_deref().map(stamp),
            probe,
            probe.module_path.as_deref().map(stamp),
            env!("CARGO_PKG_VERSION"),
            self.container
                .as_ref()
                .map(|container| match &container.kind {
                    ContainerKind::Image(name) | ContainerKind::Running(name) => name,
                }),
        ]);
        state_dir()
            .join("help")
            .join(format!("{}.txt", sha256::hex(facts.to_string().as_bytes())))
    }
}

/// Path, size and time of a file: enough to see that it was replaced.
fn stamp(path: &Path) -> serde_json::Value {
    let data = std::fs::metadata(path).ok();
    let time = data
        .as_ref()
        .and_then(|data| data.modified().ok())
        .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    json!([
        path,
        data.map(|data| data.len()),
        time.map(|time| time.as_nanos().to_string())
    ])
}
