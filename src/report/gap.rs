//! The gap by round and scenario, with its interval and the 1% band.

use serde_json::json;

use super::figure::{Figure, Key, Panel};
use super::files::word;
use super::forest::{Line, forest};
use super::html::Table;
use super::material::{GapPoint, Material};
use crate::chart::{BUBBLE, ChartError, SERIES, Shape, Tone, short, signed_pct};
use crate::gap::{ScenarioGap, Verdict};

pub fn figure(material: &Material) -> Result<Figure, ChartError> {
    let target = &material.target;
    let mut figure = Figure::new(
        "gap",
        "Gap to the leader",
        format!(
            "Each line is {target} against the best other framework, by scenario and round: the point estimate and its 95% interval over paired sessions. Positive: {target} is better. The band is ±1%, within which the two are tied.",
        ),
    );
    let lines = lines(&material.gaps);
    if lines.is_empty() {
        return Ok(figure.missing(match material.gaps.is_empty() {
            true => "No gap was decided yet: run check_gap after a benchmark with two frameworks.",
            false => "No scenario has a good run of both sides.",
        }));
    }
    let metric = material.gap().map_or("", |gap| gap.metric.as_str());
    let title = format!("gap in {}, %", metric.replace('_', " "));
    let alt = lines
        .iter()
        .map(|line| format!("{}: {}", line.name, line.verdict))
        .collect::<Vec<_>>()
        .join("; ");
    figure.panels.push(Panel::both("", alt, |width| {
        forest(width, &title, &lines, [-1.0, 1.0])
    })?);
    figure.keys = keys(&material.gaps);
    figure.table = table(&material.gaps);
    figure.notes = material
        .gap()
        .map(|gap| gap.warnings.clone())
        .unwrap_or_default();
    figure.data = json!(
        material
            .gaps
            .iter()
            .map(|point| json!({"when": point.when, "record": point.record}))
            .collect::<Vec<_>>()
    );
    Ok(figure)
}

/// Colour and shape of a verdict.
pub fn look(verdict: Verdict) -> (Tone, Shape) {
    match verdict {
        Verdict::Ahead => (SERIES[2], Shape::Triangle),
        Verdict::Tied => (SERIES[0], Shape::Circle),
        Verdict::Behind => (SERIES[1], Shape::Diamond),
        Verdict::Undecided => (SERIES[7], Shape::Square),
        Verdict::Blocked => (BUBBLE, Shape::Square),
    }
}

/// The scenario and its load.
pub fn cell_name(gap: &ScenarioGap) -> String {
    load_name(&gap.scenario, gap.request_rate, gap.max_concurrency)
}

pub fn load_name(scenario: &str, rate: Option<f64>, cap: Option<f64>) -> String {
    let mut name = scenario.to_owned();
    if let Some(rate) = rate {
        name.push_str(&format!(", {} req/s", short(rate)));
    }
    if let Some(cap) = cap {
        name.push_str(&format!(", ≤ {} in flight", short(cap)));
    }
    name
}

fn lines(points: &[GapPoint]) -> Vec<Line> {
    // Rounds of one scenario stand together.
    let mut cells: Vec<String> = Vec::new();
    for gap in points.iter().flat_map(|point| &point.record.scenarios) {
        let name = cell_name(gap);
        if !cells.contains(&name) {
            cells.push(name);
        }
    }
    let mut lines = Vec::new();
    for cell in cells {
        for point in points {
            for gap in &point.record.scenarios {
                let Some(value) = gap.gap_pct.filter(|_| cell_name(gap) == cell) else {
                    continue;
                };
                let (tone, shape) = look(gap.verdict);
                lines.push(Line {
                    name: format!("{cell}, {}", point.when),
                    verdict: format!("{} {}", signed_pct(value), gap.standing()),
                    value,
                    interval: gap.ci_pct,
                    tone,
                    shape,
                });
            }
        }
    }
    lines
}

fn keys(points: &[GapPoint]) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for gap in points.iter().flat_map(|point| &point.record.scenarios) {
        let (tone, shape) = look(gap.verdict);
        let key = Key {
            glyph: shape.glyph(),
            tone,
            name: word(&gap.verdict),
        };
        if gap.gap_pct.is_some() && !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

fn table(points: &[GapPoint]) -> Table {
    let mut table = Table::new(&[
        "scenario", "when", "target", "#mean", "leader", "#mean", "#pairs", "#gap, %", "#low, %",
        "#high, %", "verdict",
    ]);
    for point in points {
        for gap in &point.record.scenarios {
            let side = |side: &Option<crate::gap::Side>| match side {
                Some(side) => (
                    format!("{} {}", side.framework, side.candidate_id),
                    side.mean.map_or_else(dash, short),
                ),
                None => (dash(), dash()),
            };
            let (target, target_mean) = side(&gap.target);
            let (leader, leader_mean) = side(&gap.leader);
            let end = |index: usize| {
                gap.ci_pct
                    .and_then(|ci| ci.get(index).copied())
                    .map_or_else(dash, |value| format!("{value:+.2}"))
            };
            table.row([
                cell_name(gap),
                point.when.clone(),
                target,
                target_mean,
                leader,
                leader_mean,
                gap.n.to_string(),
                gap.gap_pct
                    .map_or_else(dash, |value| format!("{value:+.2}")),
                end(0),
                end(1),
                gap.standing().to_owned(),
            ]);
        }
    }
    table
}

pub fn dash() -> String {
    "–".to_owned()
}
