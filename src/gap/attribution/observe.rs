//! What two timelines show without any model, in words.

use super::model::Side;
use super::record::RunView;
use super::run::Run;

/// A model that misses a run's wall time by more is not to be trusted.
const MISSED_PCT: f64 = 3.0;

pub fn view(run: &Run) -> RunView {
    RunView {
        framework: run.facts.framework.clone(),
        wall_s: run.facts.duration_s,
        peak_decoding: run.shape.peak_decoding,
        mean_decoding: run.shape.mean_decoding,
        waves: run.shape.waves.iter().map(|wave| wave.requests).collect(),
        tail_s: run.shape.tail_s,
        mean_ttft_s: run.mean_ttft_s(),
        preemptions: run.preemptions(),
        kv_capacity_tokens: run.facts.kv_capacity_tokens,
    }
}

pub fn observations(target: &Run, leader: &Run) -> Vec<String> {
    let mut seen = vec![format!(
        "waves of admission: {} ({}) against {} ({})",
        target.shape.waves.len(),
        sizes(target),
        leader.shape.waves.len(),
        sizes(leader),
    )];
    seen.push(format!(
        "decoding at once: at most {:.0} and {:.1} at the mean, against {:.0} and {:.1}",
        target.shape.peak_decoding,
        target.shape.mean_decoding,
        leader.shape.peak_decoding,
        leader.shape.mean_decoding,
    ));
    seen.push(format!(
        "tail: {:.1} s with at most {:.0} requests, against {:.1} s with at most {:.0}",
        target.shape.tail_s,
        target.shape.tail_decoding,
        leader.shape.tail_s,
        leader.shape.tail_decoding,
    ));
    let (own, other) = (target.mean_ttft_s(), leader.mean_ttft_s());
    let favour = if own < other { target } else { leader };
    seen.push(format!(
        "mean TTFT {:.2} s against {:.2} s, in favour of {}",
        own,
        other,
        favour.name()
    ));
    seen
}

fn sizes(run: &Run) -> String {
    const SHOWN: usize = 6;
    let mut sizes: Vec<String> = run
        .shape
        .waves
        .iter()
        .take(SHOWN)
        .map(|wave| wave.requests.to_string())
        .collect();
    if run.shape.waves.len() > SHOWN {
        sizes.push("…".to_owned());
    }
    format!("{} requests", sizes.join(" + "))
}

pub fn warnings(target: &Run, leader: &Run, sides: &[Side; 2]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (run, side) in [target, leader].into_iter().zip(sides) {
        let scale = side.engine.prompt_scale.prefill;
        if scale != 1.0 {
            warnings.push(format!(
                "{}: the server counted {} prompt tokens where the client counted {} ({:+.1}%)",
                run.name(),
                thousands(run.facts.server_prompt_tokens.unwrap_or_default()),
                thousands(run.prompt_tokens()),
                100.0 * (scale - 1.0),
            ));
        }
        for warning in &run.facts.warnings {
            warnings.push(format!("{}: {warning}", run.name()));
        }
        if run.facts.failed > 0 {
            warnings.push(format!(
                "{}: {} failed requests are not in its timeline",
                run.name(),
                run.facts.failed
            ));
        }
        let modelled = super::replay_of(side).map(|outcome| outcome.wall_s);
        let error = modelled.map(|wall| 100.0 * (wall / run.facts.duration_s - 1.0));
        if let Some(error) = error.filter(|error| error.abs() > MISSED_PCT) {
            warnings.push(format!(
                "{}: the model's wall time is {error:+.1}% off, so that its causes are rough",
                run.name()
            ));
        }
    }
    warnings
}

/// 370553 as 370,553.
pub fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 {
        format!("-{text}")
    } else {
        text
    }
}
