//! `campaign start_loop`: preflight, plan, runtime, and the event that says so.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::companion::{CompanionPaths, Companions, companions};
use super::error::RlcrError;
use super::facts::{Base, plan_facts, prompt_facts};
use super::folders::Folders;
use super::humanize::SetUp;
use super::plan::{self, PLAN_FILE};
use super::{builtin, exclude, humanize, prompt, rounds};
use crate::campaign::checkout::{Git, Head};
use crate::campaign::events::{CommandSeen, LoopRuntime, LoopStarted, RoundStarted};
use crate::campaign::gates;
use crate::campaign::{self, Campaign, NewEvent, State};
use crate::fault::Fault;
use crate::{disk, job, sha256};

/// How a loop is to be started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StartRequest {
    /// Default: `humanize` where it is installed and `codex` is on PATH, else `builtin`.
    pub runtime: Option<LoopRuntime>,
    /// Local branch that changes are compared with; default: the remote's
    /// default branch, else main, else master, else the present branch.
    pub base_branch: Option<String>,
    pub companions: CompanionPaths,
}

/// A loop that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StartedLoop {
    pub runtime: LoopRuntime,
    pub plan_path: PathBuf,
    /// The loop's `state.md`.
    pub state_path: PathBuf,
    /// What the agent reads next.
    pub prompt_path: PathBuf,
    /// False: it was running already.
    pub started: bool,
    /// Patterns that were added to `.git/info/exclude`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Starts a loop on the campaign, or returns the one that runs. `project` is the
/// host's project folder.
pub fn start_loop(
    campaign: &Campaign,
    request: &StartRequest,
    project: &Path,
    folders: &Folders,
) -> Result<StartedLoop, Fault> {
    rounds::observe(campaign)?;
    let state = campaign.state()?;
    if state.is_finished() {
        return Err(RlcrError::Finished.into());
    }
    if let Some(running) = running(&state) {
        return Ok(running);
    }
    let (found, problems) = companions(&request.companions, folders);
    let (runtime, warnings) = choose(request, &found, problems)?;
    let checkout = state.checkout().ok_or(RlcrError::NoCheckout)?;
    let excluded = keep_out(checkout, &campaign.root)?;
    let world = campaign.look(&state);
    gates::require([
        gates::baseline(&state, &world),
        gates::fairness(&state, &world),
        gates::preflight(&state, &world, request.base_branch.as_deref()),
    ])?;
    let head = world.checkout.head().ok_or(RlcrError::NoCheckout)?.clone();
    let base = base(&head, request.base_branch.as_deref())?;
    let state = campaign::seal(campaign)?;
    let plan_path = head.path.join(PLAN_FILE);
    let facts = plan_facts(campaign, &state, &head, &base, &found);
    disk::write_atomic(&plan_path, plan::render(&facts)?.as_bytes())?;
    let start = Start {
        campaign,
        state: &state,
        head: &head,
        base: &base,
        project,
    };
    let up = start.set_up(runtime, &found)?;
    start.record(runtime, &plan_path, &up)?;
    Ok(StartedLoop {
        runtime,
        plan_path,
        state_path: up.state_path,
        prompt_path: up.prompt_path,
        started: true,
        excluded,
        warnings,
    })
}

/// This campaign's own loop, where it goes on.
fn running(state: &State) -> Option<StartedLoop> {
    let present = state.current_loop().filter(|_| state.in_loop())?;
    let body = &present.body;
    body.state_path.is_file().then(|| StartedLoop {
        runtime: body.runtime,
        plan_path: body.plan_path.clone(),
        state_path: body.state_path.clone(),
        prompt_path: rounds::present_prompt(state).unwrap_or_else(|| body.prompt_path.clone()),
        started: false,
        excluded: Vec::new(),
        warnings: vec!["this loop was running already; nothing was started".to_owned()],
    })
}

/// Humanize where it is asked for, or is there with all that it needs.
fn choose(
    request: &StartRequest,
    found: &Companions,
    problems: Vec<RlcrError>,
) -> Result<(LoopRuntime, Vec<String>), RlcrError> {
    let mut warnings = Vec::new();
    for problem in problems {
        let is_humanize =
            matches!(&problem, RlcrError::NoCompanion { name, .. } if name == "humanize");
        if is_humanize && request.runtime != Some(LoopRuntime::Builtin) {
            return Err(problem);
        }
        warnings.push(problem.to_string());
    }
    let runtime = match (request.runtime, &found.humanize) {
        (Some(LoopRuntime::Builtin), _) => LoopRuntime::Builtin,
        (Some(LoopRuntime::Humanize), None) => return Err(RlcrError::NoHumanize),
        (Some(LoopRuntime::Humanize), Some(_)) => LoopRuntime::Humanize,
        (None, None) => LoopRuntime::Builtin,
        (None, Some(companion)) => {
            let missing = humanize::missing_programs();
            if missing.is_empty() {
                LoopRuntime::Humanize
            } else {
                warnings.push(format!(
                    "Humanize is at {}, but needs {} on PATH; the built-in runtime is used",
                    companion.path.display(),
                    missing.join(", ")
                ));
                LoopRuntime::Builtin
            }
        }
    };
    Ok((runtime, warnings))
}

/// What the loop writes must not make the checkout dirty.
fn keep_out(checkout: &Path, root: &Path) -> Result<Vec<String>, RlcrError> {
    let git = |arguments: &[&str]| git(checkout, arguments);
    // A folder that is no checkout is refused by the preflight, which says so.
    let Ok(top) = git(&["rev-parse", "--show-toplevel"]) else {
        return Ok(Vec::new());
    };
    let path = git(&["rev-parse", "--git-path", "info/exclude"])?;
    let root = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    let patterns = exclude::patterns(Path::new(&top), &root);
    exclude::append(&checkout.join(path), &patterns)
}

fn git(checkout: &Path, arguments: &[&str]) -> Result<String, RlcrError> {
    Git::at(checkout)
        .line(arguments)
        .map_err(|reason| RlcrError::Git {
            checkout: checkout.to_path_buf(),
            arguments: arguments.iter().map(|part| (*part).to_owned()).collect(),
            reason,
        })
}

/// The base branch and its commit; a branch that is asked for must be local.
fn base(head: &Head, asked: Option<&str>) -> Result<Base, RlcrError> {
    let is_local = |name: &str| head.branches.iter().any(|branch| branch == name);
    let branch = match asked {
        Some(name) if is_local(name) => name.to_owned(),
        Some(name) => {
            return Err(RlcrError::NoBase {
                name: name.to_owned(),
                branches: head.branches.clone(),
            });
        }
        None => default_base(head, is_local),
    };
    let commit = git(
        &head.path,
        &["rev-parse", "--verify", &format!("refs/heads/{branch}")],
    )?;
    Ok(Base { branch, commit })
}

fn default_base(head: &Head, is_local: impl Fn(&str) -> bool) -> String {
    let remote = git(
        &head.path,
        &[
            "symbolic-ref",
            "--quiet",
            "--short",
            "refs/remotes/origin/HEAD",
        ],
    );
    let remote = remote.unwrap_or_default();
    let named = remote.strip_prefix("origin/").unwrap_or_default();
    [named, "main", "master"]
        .into_iter()
        .find(|name| is_local(name))
        .map(str::to_owned)
        .or_else(|| head.branch.clone())
        .unwrap_or_default()
}

/// Everything that a runtime's setup needs.
struct Start<'a> {
    campaign: &'a Campaign,
    state: &'a State,
    head: &'a Head,
    base: &'a Base,
    project: &'a Path,
}

impl Start<'_> {
    fn set_up(&self, runtime: LoopRuntime, found: &Companions) -> Result<SetUp, RlcrError> {
        let branch = self.head.branch.as_deref().unwrap_or_default();
        match (runtime, &found.humanize) {
            (LoopRuntime::Humanize, Some(companion)) => humanize::set_up(humanize::Setup {
                runtime: &companion.path,
                checkout: &self.head.path,
                project: self.project,
                base_branch: Some(&self.base.branch),
            }),
            (LoopRuntime::Humanize, None) => Err(RlcrError::NoHumanize),
            (LoopRuntime::Builtin, _) => {
                let facts = prompt_facts(self.campaign, self.state, &[], branch);
                builtin::set_up(builtin::Setup {
                    checkout: &self.head.path,
                    campaign: &self.campaign.id,
                    start_branch: branch,
                    base_branch: &self.base.branch,
                    base_commit: &self.base.commit,
                    prompt: &prompt::render(&facts)?,
                })
            }
        }
    }

    fn record(&self, runtime: LoopRuntime, plan: &Path, up: &SetUp) -> Result<(), Fault> {
        let setup = self.setup_seen(up)?;
        let log = setup.as_ref().map(|seen| seen.log.clone());
        let body = LoopStarted {
            runtime,
            plan_path: plan.to_path_buf(),
            state_path: up.state_path.clone(),
            prompt_path: up.prompt_path.clone(),
            setup,
            base_branch: self.base.branch.clone(),
            start_branch: self.head.branch.clone().unwrap_or_default(),
            base_commit: self.base.commit.clone(),
            strict_success: up.strict_success,
        };
        let (commit, tree) = (Some(self.head.commit.clone()), Some(self.head.tree.clone()));
        let round = Some(self.state.round());
        let mut event = NewEvent::of(&body)
            .at(commit.clone(), tree.clone())
            .in_round(round);
        if let Some(log) = log {
            event = event.on(log);
        }
        campaign::note(self.campaign, event)?;
        let first = RoundStarted {
            prompt_path: up.prompt_path.clone(),
            full_alignment: false,
        };
        campaign::note(
            self.campaign,
            NewEvent::of(&first).at(commit, tree).in_round(round),
        )?;
        Ok(())
    }

    /// The setup's whole output, kept in the campaign.
    fn setup_seen(&self, up: &SetUp) -> Result<Option<CommandSeen>, RlcrError> {
        if up.argv.is_empty() {
            return Ok(None);
        }
        let stamp: String = job::now()
            .chars()
            .filter(char::is_ascii_digit)
            .take(14)
            .collect();
        let log = self
            .campaign
            .root
            .join(format!("humanize/setup-{stamp}.log"));
        disk::write_atomic(&log, up.output.as_bytes())?;
        Ok(Some(CommandSeen {
            argv: up.argv.clone(),
            exit: Some(up.exit),
            log_sha256: sha256::hex(up.output.as_bytes()),
            log,
        }))
    }
}
