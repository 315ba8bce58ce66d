//! Which pass to open, and why.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::Path;

use super::error::PipelineError;
use super::pass::{Pass, Passes};
use super::record::{ChosenPass, PassState};
use super::request::PassChoice;
use super::steady::median;
use crate::trace::{Stage, StepShape};

/// What a pass of another trace should be like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Like {
    pub stage: Stage,
    pub shape: StepShape,
}

/// Chooses by index, or a steady pass near the median of the largest kind.
pub(super) fn choose(
    path: &Path,
    passes: &Passes,
    choice: PassChoice,
    stage: Option<Stage>,
    like: Option<Like>,
) -> Result<ChosenPass, PipelineError> {
    if let Some(index) = choice.index() {
        return named(path, passes, index);
    }
    let found: Vec<usize> = (0..passes.passes.len())
        .filter(|&index| passes.passes[index].found.is_ok())
        .filter(|&index| stage.is_none_or(|stage| passes.passes[index].stage == stage))
        .collect();
    if found.is_empty() {
        return Err(none(path, passes, stage));
    }
    let pool = pool(passes, &found, like);
    if pool.is_empty() {
        return Ok(cut(passes, &found));
    }
    let wall = |index: usize| passes.passes[index].wall.wall_ns() as f64;
    let middle = median(pool.iter().map(|&index| wall(index)).collect());
    let off = |index: usize| (wall(index) - middle).abs();
    let nearest = pool
        .iter()
        .copied()
        .min_by(|&a, &b| off(a).total_cmp(&off(b)));
    let index = nearest.unwrap_or(pool[0]);
    Ok(ChosenPass {
        index: index as u32,
        reason: reason(&passes.passes[index], pool.len(), middle),
    })
}

/// The passes of one kind to choose from: those of the best state that the
/// kind has. The kind is the one nearest to what is asked for, else the one
/// with the most steady passes, else the one that keeps the GPU longest.
fn pool(passes: &Passes, found: &[usize], like: Option<Like>) -> Vec<usize> {
    let mut kinds: HashMap<(Stage, StepShape), Vec<usize>> = HashMap::new();
    for &index in found {
        let pass = &passes.passes[index];
        if pass.state != PassState::Cut {
            kinds
                .entry((pass.stage, pass.shape))
                .or_default()
                .push(index);
        }
    }
    let in_state = |members: &[usize], state: PassState| -> Vec<usize> {
        let is = |index: &usize| passes.passes[*index].state == state;
        members.iter().copied().filter(is).collect()
    };
    let best = kinds.into_values().max_by_key(|members| {
        let pass = &passes.passes[members[0]];
        let busy: i64 = members
            .iter()
            .map(|&index| passes.passes[index].wall.busy_ns)
            .sum();
        (
            like.map(|like| Reverse(distance(pass, like))),
            in_state(members, PassState::Steady).len(),
            busy,
        )
    });
    let best = best.unwrap_or_default();
    [
        PassState::Steady,
        PassState::Alone,
        PassState::Unsteady,
        PassState::Cold,
    ]
    .into_iter()
    .map(|state| in_state(&best, state))
    .find(|pool| !pool.is_empty())
    .unwrap_or_default()
}

fn reason(pass: &Pass, pool: usize, middle: f64) -> String {
    let kind = describe(pass);
    match pass.state {
        PassState::Steady => format!(
            "steady: nearest the median wall time ({:.1} us) of the {pool} {kind} passes between two change points",
            middle / 1000.0
        ),
        _ => format!(
            "the trace has {pool} {kind} {}, too few to tell a cold pass from a steady one; nearest their median wall time ({:.1} us)",
            if pool == 1 { "pass" } else { "passes" },
            middle / 1000.0
        ),
    }
}

fn describe(pass: &Pass) -> String {
    let mut text = pass.stage.as_str().to_owned();
    if let Some(batch) = pass.shape.batch {
        text.push_str(&format!(" batch-{batch}"));
    }
    if let Some(tokens) = pass.shape.prefill_tokens.filter(|&tokens| tokens > 0) {
        text.push_str(&format!(" {tokens}-token"));
    }
    text
}

/// Further apart is larger: first by stage, then by batch, then by tokens.
fn distance(pass: &Pass, like: Like) -> (bool, u32, u32) {
    let gap = |a: Option<u32>, b: Option<u32>| a.unwrap_or(0).abs_diff(b.unwrap_or(0));
    (
        pass.stage != like.stage,
        gap(pass.shape.batch, like.shape.batch),
        gap(pass.shape.tokens, like.shape.tokens),
    )
}

/// Only cut passes: the one with the most layers.
fn cut(passes: &Passes, found: &[usize]) -> ChosenPass {
    let most = found
        .iter()
        .copied()
        .max_by_key(|&index| passes.passes[index].layers());
    let index = most.unwrap_or(0);
    ChosenPass {
        index: index as u32,
        reason: format!(
            "no complete pass; this incomplete one has the most layers ({})",
            passes.passes.get(index).map_or(0, Pass::layers)
        ),
    }
}

fn named(path: &Path, passes: &Passes, index: u32) -> Result<ChosenPass, PipelineError> {
    let Some(pass) = passes.passes.get(index as usize) else {
        return Err(PipelineError::NoSuchPass {
            path: path.to_path_buf(),
            index,
            passes: passes.passes.len(),
        });
    };
    if let Err(reason) = &pass.found {
        return Err(PipelineError::PassWithoutLayers {
            path: path.to_path_buf(),
            index,
            reason: reason.to_string(),
        });
    }
    Ok(ChosenPass {
        index,
        reason: "asked for".into(),
    })
}

fn none(path: &Path, passes: &Passes, stage: Option<Stage>) -> PipelineError {
    if let Some(stage) = stage.filter(|_| passes.layers > 0) {
        return PipelineError::NoSuchStage {
            path: path.to_path_buf(),
            stage: stage.as_str().to_owned(),
        };
    }
    let mut reasons: Vec<String> = Vec::new();
    for (index, pass) in passes.passes.iter().enumerate().take(3) {
        if let Err(reason) = &pass.found {
            reasons.push(format!("pass {index} ({}): {reason}", pass.stage.as_str()));
        }
    }
    if passes.passes.len() > reasons.len() {
        reasons.push(format!(
            "and so on for {} passes in all",
            passes.passes.len()
        ));
    }
    PipelineError::NoLayers {
        path: path.to_path_buf(),
        reasons,
    }
}
