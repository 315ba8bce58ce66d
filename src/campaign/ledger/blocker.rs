//! `blocker`: what stands in the way, seen by the server itself.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use super::Moment;
use super::request::{BlockerRequest, LedgerKind, invalid};
use crate::campaign::Campaign;
use crate::campaign::events::{Blocker, CommandSeen, Seen};
use crate::campaign::log::NewEvent;
use crate::fault::Fault;
use crate::job::{self, JobState};
use crate::{disk, redact, sha256};

const KIND: LedgerKind = LedgerKind::Blocker;
/// Most of a command's output that is kept.
const LONGEST_LOG: u64 = 4 << 20;

/// Looks at the fact itself; what is not so is refused.
pub fn see(campaign: &Campaign, request: &BlockerRequest) -> Result<Seen, Fault> {
    if request.detail.trim().is_empty() {
        return Err(invalid(KIND, "detail is empty"));
    }
    match (
        &request.missing_path,
        request.command.as_slice(),
        &request.job_id,
    ) {
        (Some(path), [], None) => missing(path.clone()),
        (None, [_, ..], None) => command(campaign, request),
        (None, [], Some(id)) => failed_job(campaign, id),
        (None, [], None) => excluded(campaign, request),
        _ => Err(invalid(
            KIND,
            "give exactly one of missing_path, command and job_id",
        )),
    }
}

fn missing(path: PathBuf) -> Result<Seen, Fault> {
    if !path.is_absolute() {
        return Err(invalid(KIND, "missing_path is not absolute"));
    }
    match path.try_exists() {
        Ok(false) => Ok(Seen::MissingPath { path }),
        Ok(true) => Err(invalid(KIND, format!("{} exists", path.display()))),
        Err(error) => Err(invalid(
            KIND,
            format!("{} cannot be looked at: {error}", path.display()),
        )),
    }
}

fn failed_job(campaign: &Campaign, id: &str) -> Result<Seen, Fault> {
    let job = job::open(id)?;
    if !job.dir.starts_with(campaign.root.join("jobs")) {
        return Err(invalid(KIND, format!("job {id} is none of this campaign")));
    }
    let status = job.status()?;
    // A benchmark goes on when one framework fails; its rows have the reason.
    let failed_rows = campaign.state()?.benchmarks.iter().any(|ended| {
        let failed = |outcome: &crate::campaign::events::FrameworkOutcome| outcome.ok_rows == 0;
        ended.body.job_id == id && ended.body.frameworks.iter().any(failed)
    });
    if status.state != JobState::Failed && !failed_rows {
        return Err(invalid(
            KIND,
            format!("job {id} did not fail, nor did every row of one of its frameworks"),
        ));
    }
    Ok(Seen::Job {
        job_id: id.to_owned(),
        reason: redact::redact(&status.message).into_owned(),
    })
}

fn excluded(campaign: &Campaign, request: &BlockerRequest) -> Result<Seen, Fault> {
    let state = campaign.state()?;
    let named = request.framework.as_deref().unwrap_or_default();
    let reason = state
        .inputs()
        .and_then(|inputs| inputs.excluded.as_ref())
        .and_then(|excluded| excluded.get(named));
    match reason {
        Some(reason) => Ok(Seen::Excluded {
            framework: named.to_owned(),
            reason: reason.clone(),
        }),
        None => Err(invalid(
            KIND,
            "a blocker needs a fact that the server can see: missing_path, command or job_id",
        )),
    }
}

/// Runs the command; it must fail.
fn command(campaign: &Campaign, request: &BlockerRequest) -> Result<Seen, Fault> {
    if !(1..=600).contains(&request.timeout_s) {
        return Err(invalid(KIND, "timeout_s must be 1 to 600"));
    }
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
    let (log_sha256, _) = sha256::of_file(&log, None)?;
    Ok(Seen::Command(CommandSeen {
        argv: redact::redact_argv(&request.command),
        exit,
        log,
        log_sha256,
    }))
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

pub fn check(moment: &Moment<'_>, request: BlockerRequest, seen: Seen) -> Result<NewEvent, Fault> {
    let log = match &seen {
        Seen::Command(command) => Some(command.log.clone()),
        _ => None,
    };
    let body = Blocker {
        cause: request.cause,
        detail: request.detail,
        framework: request.framework,
        seen,
    };
    let event = moment.event(&body);
    Ok(match log {
        Some(log) => event.on(log),
        None => event,
    })
}
