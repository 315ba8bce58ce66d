//! From YAML or JSON text to a checked [`Plan`].

use std::path::Path;

use serde_json::Value;

use super::error::Origin;
use super::{Plan, PlanError, check};
use crate::disk;
use crate::nearest::nearest;

/// Reads and checks a plan file (YAML; JSON is YAML too).
pub fn from_path(path: &Path) -> Result<Plan, PlanError> {
    let text = disk::read_text(path)?;
    parse(&text, &Origin::File(path.to_path_buf()))
}

/// Checks a plan given as a JSON value.
pub fn from_value(value: &Value) -> Result<Plan, PlanError> {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    parse(&text, &Origin::Inline)
}

fn parse(text: &str, origin: &Origin) -> Result<Plan, PlanError> {
    let plan: Plan = serde_saphyr::from_str(text).map_err(|error| written(text, &error, origin))?;
    check::check(&plan, text, origin)?;
    Ok(plan)
}

fn written(text: &str, error: &serde_saphyr::Error, origin: &Origin) -> PlanError {
    let line = error.location().map(|location| location.line());
    let whole = error.without_snippet().to_string();
    let problem = match whole.rfind(" at line ") {
        Some(cut) => whole[..cut].to_owned(),
        None => whole,
    };
    // The parser's words for a list or map in the place of a number or text.
    let problem = problem.replace(
        "expected string scalar",
        "expected one value, no list or map",
    );
    let hint = match unknown_field(&problem) {
        Some((stray, known)) => match nearest(stray, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known keys here: {}", known.join(", ")),
        },
        None => match line.and_then(|line| key_on(text, line)) {
            Some(key) => format!("see key `{key}`; docs/plan.md lists every key with its type"),
            None => "docs/plan.md lists every key with its type".to_owned(),
        },
    };
    let problem = match line.and_then(|line| key_on(text, line)) {
        Some(key) if !problem.contains(&format!("`{key}`")) => format!("`{key}`: {problem}"),
        _ => problem,
    };
    PlanError::Written {
        place: origin.at(line),
        problem,
        hint,
        snippet: error.to_string(),
    }
}

/// Takes ``unknown field `x`, expected one of a, b`` apart, variants too.
fn unknown_field(problem: &str) -> Option<(&str, Vec<&str>)> {
    let rest = problem
        .strip_prefix("unknown field `")
        .or_else(|| problem.strip_prefix("unknown variant `"))?;
    let (stray, rest) = rest.split_once('`')?;
    let list = rest
        .split_once("expected one of ")
        .or_else(|| rest.split_once("expected "))?
        .1;
    let known = list
        .split([',', ' '])
        .map(|name| name.trim_matches('`'))
        .filter(|name| !name.is_empty() && *name != "or")
        .collect();
    Some((stray, known))
}

/// The key that a line of YAML or JSON begins with.
pub(super) fn key_on(text: &str, line: u64) -> Option<&str> {
    let index = usize::try_from(line).ok()?.checked_sub(1)?;
    let (before, _) = text.lines().nth(index)?.split_once(':')?;
    let key = before.trim().trim_start_matches("- ").trim_matches('"');
    (!key.is_empty()).then_some(key)
}
