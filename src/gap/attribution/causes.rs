//! Causes by name, and the evidence for each.

use super::admission::HeldBy;
use super::longer_prompts::LongerPrompts;
use super::model::{Factor, Side};
use super::observe::thousands;
use super::replay::Outcome;
use super::run::Run;
use crate::gap::Attribution;

/// What the rows are made from.
pub struct Causes<'a> {
    pub runs: [&'a Run; 2],
    pub sides: &'a [Side; 2],
    pub outcomes: [Outcome; 2],
    pub difference: f64,
    pub longer: LongerPrompts,
}

/// A change of the target, for what-ifs.
pub fn change(factor: Factor) -> &'static str {
    match factor {
        Factor::PrefillRate => "prefill as fast as the leader's",
        Factor::DecodeStepTime => "decode steps as fast as the leader's at every batch and context",
        Factor::HostGap => "gaps between steps as short as the leader's",
        Factor::KvCapacity => "as much room in the KV cache as the leader",
        Factor::AdmissionPolicy => "admission as the leader does it",
        Factor::RunningCap => "the leader's cap of running requests",
        Factor::Preemption => "preemptions as the leader has them",
        Factor::Stalls => "no more stalls than the leader",
        Factor::Client => "the leader's client: its requests and when they are sent",
        Factor::Order => "requests served in the leader's order",
    }
}

impl Causes<'_> {
    /// One row a factor, the largest first, and `unexplained` at the end.
    pub fn rows(&self, factors: &[Factor], shares: &[f64]) -> Vec<Attribution> {
        let mut rows: Vec<Attribution> = factors
            .iter()
            .zip(shares)
            .filter(|(_, seconds)| seconds.abs() >= self.negligible())
            .map(|(factor, seconds)| self.row(self.name(*factor), *seconds, self.evidence(*factor)))
            .collect();
        rows.sort_by(|a, b| b.seconds.abs().total_cmp(&a.seconds.abs()));
        let explained: f64 = rows.iter().map(|row| row.seconds).sum();
        rows.push(self.row(
            "unexplained",
            self.difference - explained,
            format!(
                "the model gives {:.2} s and {:.2} s where {:.2} s and {:.2} s were measured",
                self.outcomes[0].wall_s,
                self.outcomes[1].wall_s,
                self.runs[0].facts.duration_s,
                self.runs[1].facts.duration_s,
            ),
        ));
        rows
    }

    /// What is less has no row of its own and is in `unexplained`.
    fn negligible(&self) -> f64 {
        5e-4 * self.difference.abs()
    }

    fn row(&self, cause: &str, seconds: f64, evidence: String) -> Attribution {
        Attribution {
            cause: cause.to_owned(),
            seconds,
            share_pct: if self.difference == 0.0 {
                0.0
            } else {
                100.0 * seconds / self.difference
            },
            evidence,
        }
    }

    /// Room in the cache is called so where something shows that it was the
    /// limit; the client alone sees only that the batch was held down.
    fn name(&self, factor: Factor) -> &'static str {
        match factor {
            Factor::PrefillRate => "prefill_rate",
            Factor::DecodeStepTime => "decode_step_time",
            Factor::HostGap => "host_gap",
            Factor::KvCapacity if self.room_is_known() => "kv_capacity",
            Factor::KvCapacity => "batch_size",
            Factor::AdmissionPolicy => "admission_policy",
            Factor::RunningCap => "running_cap",
            Factor::Preemption => "preemption",
            Factor::Stalls => "stalls",
            Factor::Client => "client",
            Factor::Order => "tail",
        }
    }

    fn room_is_known(&self) -> bool {
        self.sides
            .iter()
            .all(|side| side.admission.held_by != HeldBy::Unknown)
    }

    fn evidence(&self, factor: Factor) -> String {
        let mut text = match factor {
            Factor::PrefillRate => self.prefill(),
            Factor::DecodeStepTime => self.decode(),
            Factor::HostGap => self.host_gap(),
            Factor::KvCapacity => self.room(),
            Factor::AdmissionPolicy => self.policy(),
            Factor::RunningCap => self.cap(),
            Factor::Preemption => self.preemption(),
            Factor::Stalls => self.stalls(),
            Factor::Client => {
                "the two clients sent different requests, or at different times".to_owned()
            }
            Factor::Order => {
                "the same requests were served in another order, which leaves other stragglers"
                    .to_owned()
            }
        };
        if self.longer.is_in(factor) {
            let [own, other] = self.both(|side| side.engine.prompt_scale.prefill);
            text.push_str(&format!(
                "; what prompts that are {:+.1}% longer on the server than the leader's cost {} is in this row",
                100.0 * (own / other - 1.0),
                if self.longer == LongerPrompts::Room {
                    "in all"
                } else {
                    "here"
                }
            ));
        }
        text
    }

    fn both<T>(&self, value: impl Fn(&Side) -> T) -> [T; 2] {
        [value(&self.sides[0]), value(&self.sides[1])]
    }

    fn prefill(&self) -> String {
        let [own, other] = self.both(|side| side.engine.prefill);
        let rate = |seconds: f64| {
            if seconds > 0.0 {
                format!("{} prompt tokens/s", thousands(1.0 / seconds))
            } else {
                "no time at all".to_owned()
            }
        };
        format!("{} against {}", rate(own), rate(other))
    }

    /// Both surfaces at the target's mean batch and context, by time.
    fn decode(&self) -> String {
        let (mut seconds, mut batch, mut context) = (0.0, 0.0, 0.0);
        for window in self.runs[0].windows.iter().filter(|w| w.only_decodes()) {
            seconds += window.seconds();
            batch += window.seconds() * window.decoding;
            context += window.seconds() * window.context / window.steps();
        }
        if seconds == 0.0 {
            return "the target has no window of decode steps alone".to_owned();
        }
        let scale = self.sides[0].engine.prompt_scale.context;
        let batch = batch / seconds;
        let context = context / seconds + batch * self.runs[0].longer_context(scale);
        let [own, other] = self.both(|side| {
            1e3 * side
                .engine
                .decode
                .at(batch, context)
                .seconds(batch, context)
        });
        let fixed =
            1e3 * (self.sides[0].engine.decode.own.base - self.sides[1].engine.decode.own.base);
        let mut text = format!(
            "{own:.2} ms a step against {other:.2} ms at {batch:.0} sequences of {} tokens",
            thousands(context / batch.max(1.0))
        );
        if fixed > 0.5 * (own - other)
            && own > other
            && self.sides.iter().all(|s| s.engine.host_gap == 0.0)
        {
            text.push_str(&format!(
                "; {fixed:+.2} ms of it does not depend on batch or context, and may be the host's: only a profile can tell"
            ));
        }
        text
    }

    fn host_gap(&self) -> String {
        let [own, other] = self.both(|side| 1e3 * side.engine.host_gap);
        format!(
            "{own:.2} ms without a kernel before each step against {other:.2} ms, by the engines' own share of busy time"
        )
    }

    fn room(&self) -> String {
        let side = |i: usize| {
            let (run, side) = (self.runs[i], &self.sides[i]);
            let held = match run.facts.kv_capacity_tokens {
                Some(tokens) => format!("{} tokens of KV cache", thousands(tokens)),
                None => "a KV cache of unknown size".to_owned(),
            };
            let peak = side
                .admission
                .kv_peak
                .map_or_else(String::new, |peak| format!(", {:.0}% in use", 100.0 * peak));
            format!(
                "{} held at most {:.0} requests in {held}{peak}",
                run.name(),
                side.admission.peak_running
            )
        };
        let mut text = format!("{}; {}", side(0), side(1));
        let admission = &self.sides[0].admission;
        if admission.held_by != HeldBy::Nothing {
            text.push_str(&format!(
                "; requests waited {:.1} s while others only decoded",
                admission.held_back_s
            ));
        }
        if !self.room_is_known() {
            text.push_str("; a cap or a full cache, the client cannot tell: give the server's log");
        }
        text
    }

    fn policy(&self) -> String {
        let side = |i: usize| {
            let (run, side) = (self.runs[i], &self.sides[i]);
            let reserve = match side.admission.reserves_output {
                Some(true) => "reserves room for the whole output",
                Some(false) => "reserves no room for output",
                None => "did not show whether it reserves room for output",
            };
            let prefill = if side.engine.interleave.is_finite() {
                format!(
                    "went on decoding while prompts came, as if it computed {} of their tokens along with a step",
                    thousands(side.engine.interleave)
                )
            } else {
                "let decoding wait for prompts".to_owned()
            };
            format!("{} {reserve} and {prefill}", run.name())
        };
        format!("{}; {}", side(0), side(1))
    }

    fn cap(&self) -> String {
        let side = |i: usize| {
            let (run, side) = (self.runs[i], &self.sides[i]);
            if side.engine.cap.is_finite() {
                format!(
                    "{} never ran more than {:.0} requests, and held others back for {:.1} s with room in the KV cache",
                    run.name(),
                    side.engine.cap,
                    side.admission.held_back_s
                )
            } else {
                format!(
                    "{} ran up to {:.0}",
                    run.name(),
                    side.admission.peak_running
                )
            }
        };
        format!("{}; {}", side(0), side(1))
    }

    fn stalls(&self) -> String {
        let [own, other] = self.both(|side| side.engine.stalls);
        format!(
            "decoding stood still for {own:.2} s without a prompt being computed, against {other:.2} s"
        )
    }

    fn preemption(&self) -> String {
        let side = |i: usize| {
            let (run, engine) = (self.runs[i], &self.sides[i].engine);
            let mut text = format!(
                "{} preempted {:.0} times",
                run.name(),
                run.counted_preemptions().max(run.preemptions() as f64)
            );
            if self.outcomes[i].recomputed > 0.0 {
                let tokens = thousands(self.outcomes[i].recomputed);
                text.push_str(&format!(" and computed {tokens} tokens again"));
            }
            if engine.recompute_stalls > 0.0 {
                text.push_str(&format!(
                    ", which held decoding up for {:.2} s",
                    engine.recompute_stalls
                ));
            }
            text
        };
        format!("{}; {}", side(0), side(1))
    }
}
