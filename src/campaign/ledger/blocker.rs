//! `blocker`: what stands in the way, seen by the server itself.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use super::Moment;
use super::causes::{Own, Rule};
use super::request::{BlockerRequest, LedgerKind, invalid};
use crate::campaign::events::{Blocker, CommandSeen, Seen};
use crate::campaign::log::NewEvent;
use crate::campaign::{Campaign, State, seal};
use crate::fault::Fault;
use crate::job::{self, JobState};
use crate::{disk, redact, sha256};

const KIND: LedgerKind = LedgerKind::Blocker;
/// Most of a command's output that is kept.
const LONGEST_LOG: u64 = 4 << 20;

/// A fact that was looked at, and what it shows.
pub struct Fact {
    seen: Seen,
    shown_by: Option<String>,
    of_framework: bool,
}

/// Looks at the fact itself; what is not so, or shows another cause, is refused.
pub fn see(campaign: &Campaign, request: &BlockerRequest) -> Result<Fact, Fault> {
    if request.detail.trim().is_empty() {
        return Err(invalid(KIND, "detail is empty"));
    }
    let state = campaign.state()?;
    let own = own(campaign, &state, request.framework.as_deref());
    match (
        &request.missing_path,
        request.command.as_slice(),
        &request.job_id,
    ) {
        (Some(path), [], None) => missing(path.clone(), &own),
        (None, [_, ..], None) => command(campaign, request, &own),
        (None, [], Some(id)) => failed_job(campaign, &state, request, id),
        (None, [], None) => excluded(&state, request),
        _ => Err(invalid(
            KIND,
            "give exactly one of missing_path, command and job_id",
        )),
    }
}

/// The named framework, as the newest plan that has it starts it.
fn own(campaign: &Campaign, state: &State, framework: Option<&str>) -> Own {
    let Some(name) = framework else {
        return Own::default();
    };
    let jobs = state.benchmarks_started.iter();
    let plans = seal::plans(campaign, jobs.map(|job| job.body.job_id.as_str()));
    let newest = plans
        .values()
        .rev()
        .find(|plan| plan.frameworks.contains_key(name));
    Own::of(name, newest)
}

fn missing(path: PathBuf, own: &Own) -> Result<Fact, Fault> {
    if !path.is_absolute() {
        return Err(invalid(KIND, "missing_path is not absolute"));
    }
    match path.try_exists() {
        Ok(false) => Ok(Fact {
            of_framework: own.names(&path),
            seen: Seen::MissingPath { path },
            shown_by: None,
        }),
        Ok(true) => Err(invalid(KIND, format!("{} exists", path.display()))),
        Err(error) => Err(invalid(
            KIND,
            format!("{} cannot be looked at: {error}", path.display()),
        )),
    }
}

fn rule(request: &BlockerRequest) -> Result<Rule, Fault> {
    Rule::of(request.cause).map_err(|problem| invalid(KIND, problem))
}

fn failed_job(
    campaign: &Campaign,
    state: &State,
    request: &BlockerRequest,
    id: &str,
) -> Result<Fact, Fault> {
    let job = job::open(id)?;
    if !job.dir.starts_with(campaign.root.join("jobs")) {
        return Err(invalid(KIND, format!("job {id} is none of this campaign")));
    }
    let status = job.status()?;
    let mut reasons = failures(state, request.framework.as_deref(), id);
    // A benchmark goes on when one framework fails; its rows have the reason.
    let of_framework = request.framework.is_some() && !reasons.is_empty();
    if status.state == JobState::Failed {
        reasons.push(status.message.clone());
        reasons.extend(status.fault.map(|fault| fault.message));
    }
    if reasons.is_empty() {
        let whose = request
            .framework
            .as_deref()
            .unwrap_or("one of its frameworks");
        return Err(invalid(
            KIND,
            format!("job {id} did not fail, nor did every row of {whose}"),
        ));
    }
    let shown_by = rule(request)?
        .shown_by(reasons.iter().map(String::as_str))
        .map_err(|problem| invalid(KIND, problem))?;
    Ok(Fact {
        seen: Seen::Job {
            job_id: id.to_owned(),
            reason: redact::redact(&status.message).into_owned(),
        },
        shown_by: Some(redact::redact(&shown_by).into_owned()),
        of_framework,
    })
}

/// Why every row of a framework failed in a benchmark, or why its capture did;
/// of no framework in particular, of any.
fn failures(state: &State, framework: Option<&str>, id: &str) -> Vec<String> {
    let is_asked = |name: &str| framework.is_none_or(|asked| asked == name);
    let benchmarks = state
        .benchmarks
        .iter()
        .filter(|ended| ended.body.job_id == id)
        .flat_map(|ended| &ended.body.frameworks)
        .filter(|outcome| outcome.ok_rows == 0 && is_asked(&outcome.framework))
        .flat_map(|outcome| outcome.failures.iter().cloned());
    let captures = state
        .captures
        .iter()
        .map(|ended| &ended.body)
        .filter(|body| body.job_id == id && body.sealed_winner && is_asked(&body.framework))
        .filter_map(|body| body.failure.clone());
    benchmarks.chain(captures).collect()
}

fn excluded(state: &State, request: &BlockerRequest) -> Result<Fact, Fault> {
    let named = request.framework.as_deref().unwrap_or_default();
    let reason = state
        .inputs()
        .and_then(|inputs| inputs.excluded.as_ref())
        .and_then(|excluded| excluded.get(named));
    match reason {
        Some(reason) => Ok(Fact {
            seen: Seen::Excluded {
                framework: named.to_owned(),
                reason: reason.clone(),
            },
            shown_by: None,
            of_framework: true,
        }),
        None => Err(invalid(
            KIND,
            rule(request)?.refuse("a blocker needs a fact that the server can see; nothing shows"),
        )),
    }
}

/// Runs the command; it must fail, and say why.
fn command(campaign: &Campaign, request: &BlockerRequest, own: &Own) -> Result<Fact, Fault> {
    if !(1..=600).contains(&request.timeout_s) {
        return Err(invalid(KIND, "timeout_s must be 1 to 600"));
    }
    let rule = rule(request)?;
    let of_framework = rule
        .judge_command(&request.command, own)
        .map_err(|problem| invalid(KIND, problem))?;
    let folder = campaign.root.join("blockers");
    disk::create_dir(&folder)?;
    let stamp: String = job::now().chars().filter(char::is_ascii_digit).collect();
    let log = folder.join(format!("{stamp}-{}.log", std::process::id()));
    let limit = Duration::from_secs(request.timeout_s.into());
    let exit = run(&request.command, &campaign.root, &log, limit)
        .map_err(|problem| invalid(KIND, problem))?;
    if exit == Some(0) {
        return Err(invalid(
            KIND,
            format!(
                "the command ended well, so it shows no blocker; its output: {}",
                log.display()
            ),
        ));
    }
    let text = disk::read_text(&log)?;
    // The first line is the command itself.
    let shown_by = rule
        .shown_by(text.lines().skip(1))
        .map_err(|problem| invalid(KIND, format!("{problem}; its output: {}", log.display())))?;
    let (log_sha256, _) = sha256::of_file(&log, None)?;
    Ok(Fact {
        seen: Seen::Command(CommandSeen {
            argv: redact::redact_argv(&request.command),
            exit,
            log,
            log_sha256,
        }),
        shown_by: Some(shown_by),
        of_framework,
    })
}

/// Runs a command to its end or its limit, its output in `log`, secrets
/// replaced. A program that is not there is written down as exit 127.
pub fn run(
    argv: &[String],
    cwd: &std::path::Path,
    log: &std::path::Path,
    limit: Duration,
) -> Result<Option<i32>, String> {
    use std::io::{Read, Seek, SeekFrom};
    use std::os::unix::process::CommandExt;
    let (program, arguments) = argv.split_first().ok_or("the command is empty")?;
    let wrap = |error: std::io::Error| format!("{}: {error}", log.display());
    let mut output = tempfile_in(log).map_err(wrap)?;
    let mut head = format!("$ {}\n", redact::redact_argv(argv).join(" "));
    let spawned = std::process::Command::new(program)
        .args(arguments)
        .current_dir(cwd)
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(wrap)?)
        .stderr(output.try_clone().map_err(wrap)?)
        .process_group(0)
        .spawn();
    let exit = match spawned {
        Err(error) => {
            head.push_str(&format!("{program}: {error}\n"));
            Some(127)
        }
        Ok(mut child) => wait(&mut child, limit).map_err(wrap)?,
    };
    let mut text = Vec::new();
    output.seek(SeekFrom::Start(0)).map_err(wrap)?;
    output
        .take(LONGEST_LOG)
        .read_to_end(&mut text)
        .map_err(wrap)?;
    head.push_str(&redact::redact(&String::from_utf8_lossy(&text)));
    head.push_str(&match exit {
        Some(code) => format!("\nexit {code}\n"),
        None => format!("\nended by a signal or after {} s\n", limit.as_secs()),
    });
    disk::write_atomic(log, head.as_bytes()).map_err(|error| error.to_string())?;
    Ok(exit)
}

/// Waits; at the limit the command's whole process group is killed.
fn wait(child: &mut std::process::Child, limit: Duration) -> std::io::Result<Option<i32>> {
    let deadline = std::time::Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        if std::time::Instant::now() >= deadline {
            let group = nix::unistd::Pid::from_raw(child.id().cast_signed());
            // Gone already is as good as killed.
            let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A file without a name beside the log, for what is not yet redacted.
fn tempfile_in(log: &std::path::Path) -> std::io::Result<std::fs::File> {
    let path = log.with_extension("raw");
    let file = std::fs::OpenOptions::new()
        .create_new(true)
        .read(true)
        .write(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

pub fn check(moment: &Moment<'_>, request: BlockerRequest, fact: Fact) -> Result<NewEvent, Fault> {
    let log = match &fact.seen {
        Seen::Command(command) => Some(command.log.clone()),
        _ => None,
    };
    let body = Blocker {
        cause: request.cause,
        detail: request.detail,
        framework: request.framework,
        seen: fact.seen,
        shown_by: fact.shown_by,
        of_framework: fact.of_framework,
    };
    let event = moment.event(&body);
    Ok(match log {
        Some(log) => event.on(log),
        None => event,
    })
}
