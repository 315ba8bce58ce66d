//! `ncu_recorded`, and the edits that were tried without effect.

use std::path::Path;

use super::note;
use crate::campaign::events::{AttemptOutcome, NcuRecorded, ProposedEdit};
use crate::campaign::log::{Appended, NewEvent};
use crate::campaign::{Campaign, CampaignError, State};
use crate::ncu::{DigestRecord, TriedEdit, Verdict};

/// Records a digest with its one edit.
pub fn digest(
    campaign: &Campaign,
    baseline: &Path,
    candidate: Option<&Path>,
    record: &DigestRecord,
) -> Result<Appended, CampaignError> {
    let state = campaign.state()?;
    let comparison = record.comparison.as_ref();
    let body = NcuRecorded {
        baseline: baseline.to_path_buf(),
        candidate: candidate.map(Path::to_path_buf),
        kernels: record
            .kernels
            .iter()
            .map(|kernel| kernel.name.clone())
            .collect(),
        verdict: comparison.map(|comparison| comparison.verdict),
        duration_ratio: comparison.and_then(|comparison| comparison.duration_ratio),
        next_edit: record.next_edit.as_ref().map(|edit| ProposedEdit {
            rule: edit.rule.clone(),
            kernel: edit.kernel.clone(),
            stop: edit.stop,
            change: edit.change.clone(),
        }),
        digest_path: record.digest_path.clone(),
    };
    let head = campaign.look(&state).checkout;
    let mut event = NewEvent::of(&body)
        .in_round(Some(state.round()))
        .at(head.commit(), head.tree())
        .on(baseline);
    for path in [candidate, record.digest_path.as_deref()]
        .into_iter()
        .flatten()
    {
        if path.is_file() {
            event = event.on(path);
        }
    }
    note(campaign, event)
}

/// Edits that had no effect: of attempts that did not become faster, of ideas
/// that were rejected, and of comparisons that measured no gain after a digest
/// had proposed the edit.
pub fn tried_edits(state: &State) -> Vec<TriedEdit> {
    let mut tried: Vec<TriedEdit> = Vec::new();
    let mut add = |rule: &str, kernel: &str| {
        let edit = TriedEdit {
            rule: rule.to_owned(),
            kernel: kernel.to_owned(),
        };
        if !tried.contains(&edit) {
            tried.push(edit);
        }
    };
    for attempt in state.attempts() {
        let Some(closed) = attempt.closed else {
            continue;
        };
        let gained = matches!(
            closed.body.outcome,
            AttemptOutcome::Win | AttemptOutcome::PartialWin
        );
        let opened = &attempt.opened.body;
        if let (false, Some(rule)) = (gained && closed.body.accepted, &opened.edit_rule) {
            let kernel = opened.target.kernel.as_ref();
            add(rule, kernel.map_or("", |kernel| &kernel.name));
        }
    }
    for idea in &state.rejected_ideas {
        if let Some(rule) = &idea.body.edit_rule {
            add(rule, "");
        }
    }
    for pair in state.digests.windows(2) {
        let [before, after] = pair else { continue };
        let no_gain = matches!(
            after.body.verdict,
            Some(Verdict::Neutral | Verdict::Regressed)
        );
        let same = after.body.baseline == before.body.baseline;
        if let (true, true, Some(edit)) = (no_gain, same, &before.body.next_edit)
            && !edit.stop
        {
            add(&edit.rule, &edit.kernel);
        }
    }
    tried
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::sample::*;

    #[test]
    fn an_edit_without_effect_is_tried_and_one_that_won_is_not() {
        let (mut state, _) = ready();
        let mut first = attempt("a1");
        first.edit_rule = Some("vectorise".to_owned());
        let mut second = attempt("a2");
        second.edit_rule = Some("occupancy".to_owned());
        state.attempts_opened = vec![event(20, first), event(22, second)];
        let rejected = closed("a1", false, AttemptOutcome::Neutral);
        let won = closed("a2", true, AttemptOutcome::PartialWin);
        state.attempts_closed = vec![event(21, rejected), event(23, won)];
        let tried = tried_edits(&state);
        assert_eq!(tried.len(), 1);
        assert_eq!(
            (&*tried[0].rule, &*tried[0].kernel),
            ("vectorise", "rmsnorm")
        );
    }

    #[test]
    fn a_comparison_without_gain_rules_its_edit_out() {
        let (mut state, _) = ready();
        let digest = |verdict, rule: &str| NcuRecorded {
            baseline: "/c/a.ncu-rep".into(),
            candidate: None,
            kernels: Vec::new(),
            verdict,
            duration_ratio: None,
            next_edit: Some(ProposedEdit {
                rule: rule.to_owned(),
                kernel: KERNEL.to_owned(),
                stop: false,
                change: String::new(),
            }),
            digest_path: None,
        };
        state.digests = vec![
            event(20, digest(None, "vectorise")),
            event(21, digest(Some(Verdict::Neutral), "occupancy")),
            event(22, digest(Some(Verdict::Improved), "tail")),
        ];
        let rules: Vec<String> = tried_edits(&state)
            .into_iter()
            .map(|edit| edit.rule)
            .collect();
        assert_eq!(rules, ["vectorise"]);
    }
}
