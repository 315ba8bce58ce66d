//! The review of a round: what the gates say, item by item.

use super::plan::criteria;
use crate::campaign::gates::{Gate, GateState};

/// Every round of this number is reviewed against all nine criteria.
pub const FULL_REVIEW_ROUND: u32 = 5;

/// Gates that a round's end must leave open. The others belong to single steps,
/// or to the end of the campaign.
const OF_EVERY_ROUND: [Gate; 6] = [
    Gate::Seal,
    Gate::Started,
    Gate::History,
    Gate::UnclaimedChange,
    Gate::RunningCheckout,
    Gate::Evidence,
];

/// The gates that answer for each of the nine criteria, in their order.
const OF_CRITERIA: [&[Gate]; 9] = [
    &[Gate::Seal, Gate::Fairness],
    &[Gate::History],
    &[Gate::RunningCheckout],
    &[Gate::Evidence],
    &[Gate::Evidence, Gate::Kernel],
    &[Gate::UnclaimedChange, Gate::Code],
    &[Gate::Kernel],
    &[Gate::Optimization],
    &[Gate::StrictSuccess],
];

/// One line of a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub text: String,
    pub holds: bool,
    /// Whether the round's review fails without it.
    pub required: bool,
    pub missing: Vec<String>,
}

/// What a review found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Review {
    pub full_alignment: bool,
    pub items: Vec<Item>,
}

impl Review {
    /// Reviews round `round` (from 0) by the gates as they stand at its end.
    /// `open_attempt` names an attempt that was not closed. `used` tells that
    /// the round has used its evidence: an attempt was closed, which could only
    /// open on it and has moved the tree since, or launch parameters were the
    /// cause and were searched again.
    pub fn of(round: u32, gates: &[GateState], open_attempt: Option<&str>, used: bool) -> Self {
        let full_alignment = is_full_alignment(round);
        let mut items = vec![Item {
            text: "every attempt is closed".to_owned(),
            holds: open_attempt.is_none(),
            required: true,
            missing: open_attempt
                .map(|id| vec![format!("attempt {id} is open")])
                .unwrap_or_default(),
        }];
        items.extend(
            gates
                .iter()
                .filter(|state| OF_EVERY_ROUND.contains(&state.gate))
                .map(|state| {
                    let holds = state.open || (used && state.gate == Gate::Evidence);
                    Item {
                        text: format!("gate `{}`", state.gate.name()),
                        holds,
                        required: true,
                        missing: if holds {
                            Vec::new()
                        } else {
                            state.missing.clone()
                        },
                    }
                }),
        );
        if full_alignment {
            items.extend(by_criterion(gates));
        }
        Self {
            full_alignment,
            items,
        }
    }

    pub fn passed(&self) -> bool {
        self.items.iter().all(|item| item.holds || !item.required)
    }

    /// What does not hold, for the next round.
    pub fn open(&self) -> Vec<String> {
        let mut open: Vec<String> = Vec::new();
        for item in self.items.iter().filter(|item| !item.holds) {
            let line = match &item.missing[..] {
                [] => item.text.clone(),
                missing => format!("{}: {}", item.text, missing.join("; ")),
            };
            if !open.contains(&line) {
                open.push(line);
            }
        }
        open
    }

    pub fn markdown(&self, round: u32) -> String {
        let kind = if self.full_alignment {
            "Full alignment review"
        } else {
            "Review"
        };
        let verdict = if self.passed() {
            "passed"
        } else {
            "open items"
        };
        let mut text = format!("# {kind} of round {round}: {verdict}\n\n");
        for item in &self.items {
            let mark = if item.holds { 'x' } else { ' ' };
            text.push_str(&format!("- [{mark}] {}\n", item.text));
            for missing in &item.missing {
                text.push_str(&format!("  - {missing}\n"));
            }
        }
        text.push_str("\nComputed from the gates at the round's end.\n");
        text
    }
}

/// Rounds count from 0, so the fifth is round 4.
pub fn is_full_alignment(round: u32) -> bool {
    (round + 1).is_multiple_of(FULL_REVIEW_ROUND)
}

/// The nine criteria. They show where the campaign stands; only what every round
/// owes is required.
fn by_criterion(gates: &[GateState]) -> Vec<Item> {
    criteria()
        .into_iter()
        .zip(OF_CRITERIA)
        .map(|((number, sentence), answering)| {
            let closed: Vec<&GateState> = gates
                .iter()
                .filter(|state| answering.contains(&state.gate) && !state.open)
                .collect();
            Item {
                text: format!("AC-{number} {sentence}"),
                holds: closed.is_empty(),
                required: false,
                missing: closed
                    .iter()
                    .flat_map(|state| {
                        let name = state.gate.name();
                        state
                            .missing
                            .iter()
                            .map(move |missing| format!("{name}: {missing}"))
                    })
                    .collect(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_open() -> Vec<GateState> {
        Gate::ALL
            .iter()
            .map(|gate| GateState::of(*gate, Vec::new(), ""))
            .collect()
    }

    fn close(gates: &mut [GateState], gate: Gate, missing: &str) {
        if let Some(state) = gates.iter_mut().find(|state| state.gate == gate) {
            *state = GateState::of(gate, vec![missing.to_owned()], "next");
        }
    }

    #[test]
    fn a_round_passes_by_what_it_owes_alone() {
        let mut gates = all_open();
        close(&mut gates, Gate::StrictSuccess, "chat is behind");
        assert!(Review::of(0, &gates, None, false).passed());
        close(&mut gates, Gate::Evidence, "no report of vllm");
        assert!(Review::of(0, &gates, None, true).passed());
        let review = Review::of(0, &gates, None, false);
        assert!(!review.passed());
        assert_eq!(review.open(), ["gate `evidence`: no report of vllm"]);
        let open = Review::of(0, &all_open(), Some("a3"), false);
        assert_eq!(open.open(), ["every attempt is closed: attempt a3 is open"]);
    }

    #[test]
    fn every_fifth_round_is_aligned_with_all_nine_criteria() {
        let full: Vec<u32> = (0..12).filter(|round| is_full_alignment(*round)).collect();
        assert_eq!(full, [4, 9]);
        let mut gates = all_open();
        close(&mut gates, Gate::Kernel, "no shapes");
        let review = Review::of(4, &gates, None, false);
        let text = review.markdown(4);
        assert!(text.starts_with("# Full alignment review of round 4: passed\n"));
        assert_eq!(text.matches("AC-").count(), 9);
        assert!(text.contains("- [ ] AC-7 "), "{text}");
        assert!(text.contains("- [x] AC-9 "), "{text}");
        assert!(text.contains("  - kernel: no shapes"), "{text}");
    }
}
