//! Every gate, open on the sample campaign and closed by each of its conditions.

mod attempt;
mod loop_start;
mod outcome;

use std::path::PathBuf;

use super::*;
use crate::campaign::checkout::Checkout;
use crate::campaign::events::*;
use crate::campaign::log::FileHash;
use crate::campaign::sample::*;
use crate::gap::{Other, Unfair, Verdict};
use crate::history::{DecisionNote, Finding};
use crate::job::JobState;
use crate::trace::Stage;

type Spoil = fn(&mut State, &mut World);
type Rule = fn(&State, &World) -> GateState;

/// Open as the sample is; closed by each spoiler with that text among what is missing.
fn closes(rule: Rule, spoilers: &[(&str, Spoil)]) {
    let (state, world) = ready();
    let gate = rule(&state, &world);
    assert!(gate.open, "{gate:?}");
    assert!(gate.next.is_empty());
    for (wanted, spoil) in spoilers {
        let (mut state, mut world) = ready();
        spoil(&mut state, &mut world);
        let gate = rule(&state, &world);
        assert!(
            gate.missing.iter().any(|missing| missing.contains(wanted)),
            "wanted `{wanted}`, got {gate:?}"
        );
        assert!(!gate.open && !gate.next.is_empty(), "{gate:?}");
    }
}

/// Open too after each of these.
fn stays_open(rule: Rule, changes: &[Spoil]) {
    for (index, change) in changes.iter().enumerate() {
        let (mut state, mut world) = ready();
        change(&mut state, &mut world);
        let gate = rule(&state, &world);
        assert!(gate.open, "change {index}: {gate:?}");
    }
}

fn head(world: &mut World) -> &mut crate::campaign::checkout::Head {
    match &mut world.checkout {
        Checkout::Read(head) => head,
        other => panic!("{other:?}"),
    }
}

fn rest_on(world: &mut World, path: &str) -> Vec<FileHash> {
    world.changed.insert(
        PathBuf::from(path),
        "its content is not what was recorded".to_owned(),
    );
    vec![FileHash {
        path: PathBuf::from(path),
        sha256: "0".to_owned(),
        bytes: None,
    }]
}

fn blocker(seq: u64, cause: BlockerCause, seen: Seen) -> crate::campaign::Recorded<Blocker> {
    event(
        seq,
        Blocker {
            cause,
            detail: "it does not start".to_owned(),
            framework: Some("vllm".to_owned()),
            shown_by: Some("no kernel image is available".to_owned()),
            of_framework: true,
            seen,
        },
    )
}

fn failed_job() -> Seen {
    Seen::Job {
        job_id: "bench-1".to_owned(),
        reason: "out of memory".to_owned(),
    }
}
