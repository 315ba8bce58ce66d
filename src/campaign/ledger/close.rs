//! Closing an attempt: the server itself takes the diff and the patch.

use std::path::PathBuf;

use super::Moment;
use super::attempt::KIND;
use super::request::{AttemptRequest, invalid};
use crate::campaign::checkout::Git;
use crate::campaign::events::{AttemptClosed, AttemptOutcome, Measured};
use crate::campaign::gates::{self, Gate, GateState};
use crate::campaign::log::NewEvent;
use crate::campaign::state::Attempt;
use crate::campaign::{Campaign, checks, improvement, seen};
use crate::disk;
use crate::fault::Fault;
use crate::git::PATCH;

/// Starts the checks of the open attempt where this tree has none; the close
/// is refused until they have ended.
pub fn ensure_checked(campaign: &Campaign) -> Result<(), Fault> {
    let state = campaign.state()?;
    let world = campaign.look(&state);
    let (Some(attempt), Some(tree)) = (state.open_attempt(), world.checkout.present_tree()) else {
        return Ok(());
    };
    let is_base = attempt.opened.tree.as_deref() == Some(tree);
    if is_base || state.checks_of(attempt.id(), tree).is_some() {
        return Ok(());
    }
    gates::require([gates::started(&state, &world)])?;
    let started = checks::start(campaign)?;
    let gate = GateState::of(
        Gate::Optimization,
        vec![format!(
            "tests and greedy outputs at this tree: job {} runs them now",
            started.job_id
        )],
        "repeat the call when the job has ended: update_ledger {\"kind\": \"attempt\", \"state\": \"check\"} follows it",
    );
    let refused: crate::campaign::CampaignError = gate.into();
    Err(Fault::from(refused).retryable())
}

/// Accepts HEAD.
pub fn done(moment: &Moment<'_>, request: AttemptRequest) -> Result<NewEvent, Fault> {
    moment.require_round()?;
    let (state, world) = (&moment.state, &moment.world);
    let attempt = the_open_one(moment, &request)?;
    let outcome = said(&request)?;
    if matches!(
        outcome,
        AttemptOutcome::Regression | AttemptOutcome::Incorrect
    ) {
        return Err(invalid(
            KIND,
            "a regression or an incorrect change cannot be accepted: revert it and close as rejected",
        ));
    }
    let Some(tree) = world.checkout.present_tree() else {
        return Err(invalid(
            KIND,
            "the working tree is not clean: commit the change first",
        ));
    };
    let change = world.change.clone().unwrap_or_default();
    gates::require([
        gates::code(&change),
        gates::optimization(state, world, attempt, tree, Some(outcome)),
    ])?;
    let base = attempt.opened.tree.clone().unwrap_or_default();
    let measured = improvement::between(state, &base, tree).ok();
    let optimization = matches!(outcome, AttemptOutcome::Win | AttemptOutcome::PartialWin);
    let closing = Closing {
        tried_tree: Some(tree.to_owned()),
        patch: patch(moment, attempt.id(), &base, tree)?,
        commits: commits(moment, attempt)?,
        files: change.files.into_iter().map(|file| file.path).collect(),
        measured,
        accepted: true,
        optimization,
    };
    Ok(closing.event(moment, attempt, outcome, request))
}

/// Gives an attempt up; its tree must be gone from HEAD.
pub fn rejected(moment: &Moment<'_>, request: AttemptRequest) -> Result<NewEvent, Fault> {
    gates::require([gates::started(&moment.state, &moment.world)])?;
    let (state, world) = (&moment.state, &moment.world);
    let attempt = the_open_one(moment, &request)?;
    let outcome = said(&request)?;
    let accepted = state.accepted_tree().unwrap_or_default().to_owned();
    let head = world.checkout.tree().unwrap_or_default();
    let is_clean = world.checkout.present_tree().is_some();
    if head != accepted || !is_clean {
        let what = if is_clean {
            format!("HEAD's tree is {head}, the last accepted one is {accepted}")
        } else {
            "the working tree is not clean".to_owned()
        };
        let gate = GateState::of(
            Gate::UnclaimedChange,
            vec![format!("unclaimed_change: {what}")],
            "git revert the attempt's commits, then repeat the call",
        );
        gates::require([gate])?;
    }
    let base = attempt.opened.tree.clone().unwrap_or_default();
    let tried = tried_tree(moment, attempt);
    let (files, patch, measured) = match &tried {
        Some((_, tree)) => {
            let top = moment.world.checkout.head().map(|head| head.path.clone());
            let change = top
                .and_then(|top| seen::change_between(&top, &base, tree).ok())
                .unwrap_or_default();
            (
                change.files.into_iter().map(|file| file.path).collect(),
                patch(moment, attempt.id(), &base, tree)?,
                improvement::between(state, &base, tree).ok(),
            )
        }
        None => (Vec::new(), None, None),
    };
    let closing = Closing {
        tried_tree: tried.as_ref().map(|(_, tree)| tree.clone()),
        patch,
        commits: tried.into_iter().map(|(commit, _)| commit).collect(),
        files,
        measured,
        accepted: false,
        optimization: false,
    };
    Ok(closing.event(moment, attempt, outcome, request))
}

/// What the server found at the close.
struct Closing {
    tried_tree: Option<String>,
    patch: Option<PathBuf>,
    commits: Vec<String>,
    files: Vec<PathBuf>,
    measured: Option<Measured>,
    accepted: bool,
    optimization: bool,
}

impl Closing {
    fn event(
        self,
        moment: &Moment<'_>,
        attempt: Attempt<'_>,
        outcome: AttemptOutcome,
        request: AttemptRequest,
    ) -> NewEvent {
        let event = moment.event(&AttemptClosed {
            id: attempt.id().to_owned(),
            accepted: self.accepted,
            outcome,
            summary: request.summary.unwrap_or_default(),
            base_tree: attempt.opened.tree.clone().unwrap_or_default(),
            tried_tree: self.tried_tree,
            files: self.files,
            commits: self.commits,
            patch: self.patch.clone(),
            measured: self.measured,
            optimization: self.optimization,
        });
        match self.patch {
            Some(patch) => event.on(patch),
            None => event,
        }
    }
}

fn the_open_one<'a>(
    moment: &'a Moment<'_>,
    request: &AttemptRequest,
) -> Result<Attempt<'a>, Fault> {
    let open = moment
        .state
        .open_attempt()
        .ok_or_else(|| invalid(KIND, "no attempt is open"))?;
    match &request.id {
        Some(id) if id != open.id() => Err(invalid(
            KIND,
            format!("attempt {id} is not open; {} is", open.id()),
        )),
        _ => Ok(open),
    }
}

fn said(request: &AttemptRequest) -> Result<AttemptOutcome, Fault> {
    let summary = request.summary.as_deref().unwrap_or_default();
    if summary.trim().is_empty() {
        return Err(invalid(
            KIND,
            "summary is missing: what was changed and learned",
        ));
    }
    request.outcome.ok_or_else(|| {
        invalid(
            KIND,
            "outcome is missing: win, partial_win, neutral, regression or incorrect",
        )
    })
}

/// The tree that an attempt tried last: the one that was checked or measured
/// since it was opened, with its commit.
fn tried_tree(moment: &Moment<'_>, attempt: Attempt<'_>) -> Option<(String, String)> {
    let base = attempt.opened.tree.as_deref();
    let checked = moment
        .state
        .checks
        .iter()
        .rev()
        .find(|checks| {
            checks.body.attempt.as_deref() == Some(attempt.id()) && checks.tree.as_deref() != base
        })
        .and_then(|checks| Some((checks.commit.clone()?, checks.tree.clone()?)));
    let measured = moment
        .state
        .benchmarks
        .iter()
        .rev()
        .filter(|ended| ended.seq > attempt.opened.seq)
        .map(|ended| &ended.body.source)
        .find(|source| source.tree.as_deref() != base)
        .and_then(|source| Some((source.commit.clone()?, source.tree.clone()?)));
    checked.or(measured)
}

/// Commits from the attempt's base to HEAD, oldest first.
fn commits(moment: &Moment<'_>, attempt: Attempt<'_>) -> Result<Vec<String>, Fault> {
    let (Some(head), Some(base)) = (moment.world.checkout.head(), &attempt.opened.commit) else {
        return Ok(Vec::new());
    };
    Git::at(&head.path)
        .lines(&["rev-list", "--reverse", &format!("{base}..HEAD")])
        .map_err(|problem| invalid(KIND, problem))
}

/// Saves the diff of two trees as the attempt's patch.
fn patch(moment: &Moment<'_>, id: &str, base: &str, tree: &str) -> Result<Option<PathBuf>, Fault> {
    let Some(head) = moment.world.checkout.head() else {
        return Ok(None);
    };
    let diff = Git::at(&head.path)
        .output(&[&PATCH[..], &["--no-relative", base, tree]].concat())
        .map_err(|problem| invalid(KIND, problem))?;
    let path = moment.campaign.root.join(format!("patches/{id}.patch"));
    disk::write_atomic(&path, &diff)?;
    Ok(Some(path))
}
