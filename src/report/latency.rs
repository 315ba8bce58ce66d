//! How latencies are distributed over requests, target against leader.

use serde_json::{Value, json};

use super::figure::{Figure, Key, PANEL, Panel};
use super::files;
use super::gap::{cell_name, dash};
use super::html::Table;
use super::material::Material;
use crate::bench::load::{Sample, read_samples};
use crate::bench::metrics::{Distribution, e2e_ms, tpot_ms, ttft_ms};
use crate::chart::{Axis, ChartError, Frame, SERIES, Strokes, Tone, short};
use crate::gap::{ScenarioGap, Side};

/// Milliseconds of a request, if it got so far.
type Latency = fn(&Sample) -> Option<f64>;

const LATENCIES: [(&str, &str, Latency); 3] = [
    ("TTFT", "time to first token, ms", ttft_ms),
    ("TPOT", "time per output token, ms", tpot_ms),
    ("E2E", "end to end, ms", e2e_ms),
];

/// Colours of the two sides; the leader's line is dashed.
pub const TARGET: Tone = SERIES[0];
pub const LEADER: Tone = SERIES[1];

/// A curve is drawn through this many quantiles at most.
const POINTS: u32 = 200;

/// One side's good requests in one scenario, over its repeats.
struct Recorded {
    name: String,
    samples: Vec<Sample>,
    runs: usize,
}

pub fn figure(material: &Material) -> Result<Figure, ChartError> {
    let mut figure = Figure::new(
        "latency",
        "Distribution of latencies",
        "Share of requests that were at least this fast, over all good repeats of each side, from the raw samples. A curve further to the left is better.",
    );
    let mut table = Table::new(&[
        "scenario",
        "side",
        "latency",
        "#requests",
        "#runs",
        "#p50, ms",
        "#p90, ms",
        "#p99, ms",
        "#mean, ms",
    ]);
    let mut data = Vec::new();
    let mut unread: Vec<String> = Vec::new();
    for gap in material.scenarios() {
        let sides: Vec<(Recorded, Tone)> = [(&gap.target, TARGET), (&gap.leader, LEADER)]
            .into_iter()
            .filter_map(|(side, tone)| {
                Some((recorded(material, gap, side.as_ref()?, &mut unread)?, tone))
            })
            .collect();
        let name = cell_name(gap);
        for (short_name, title, latency) in LATENCIES {
            let curves: Vec<(&str, Distribution, Tone)> = sides
                .iter()
                .map(|(side, tone)| {
                    let values = side.samples.iter().filter_map(latency);
                    (side.name.as_str(), Distribution::new(values), *tone)
                })
                .filter(|(_, values, _)| !values.is_empty())
                .collect();
            if curves.is_empty() {
                continue;
            }
            let mut alt = format!("Cumulative distribution of {short_name}.");
            for ((side, values, _), (recorded, _)) in curves.iter().zip(&sides) {
                let row = summary(values);
                alt.push_str(&format!(" {side}: p50 {} ms, p99 {} ms.", row[0], row[2]));
                let mut cells = vec![
                    name.clone(),
                    (*side).to_owned(),
                    short_name.to_owned(),
                    values.len().to_string(),
                    recorded.runs.to_string(),
                ];
                cells.extend(row);
                table.row(cells);
                data.push(curve_json(&name, side, short_name, values));
            }
            let svg = draw(title, &curves)?;
            figure
                .panels
                .push(Panel::small(format!("{name}: {short_name}"), alt, svg));
            figure.keys = curves
                .iter()
                .map(|(side, _, tone)| key(side, *tone))
                .collect();
        }
    }
    if figure.panels.is_empty() {
        return Ok(figure.missing(match unread.first() {
            Some(reason) => format!("The raw samples cannot be read: {reason}"),
            None => "No gap was decided, so that target and leader are not known, or their rows name no raw samples.".to_owned(),
        }));
    }
    figure.notes = unread;
    figure.table = table;
    figure.data = Value::Array(data);
    Ok(figure)
}

pub fn key(name: &str, tone: Tone) -> Key {
    Key {
        glyph: if tone == TARGET { "━" } else { "┅" },
        tone,
        name: name.to_owned(),
    }
}

/// The raw samples of a side's repeats; of its search run where it has none.
fn recorded(
    material: &Material,
    gap: &ScenarioGap,
    side: &Side,
    unread: &mut Vec<String>,
) -> Option<Recorded> {
    let newest = material.rows_of(gap, side).next_back()?;
    let rows = material
        .rows_of(gap, side)
        .filter(|row| row.job_id == newest.job_id && row.phase == newest.phase);
    let mut recorded = Recorded {
        name: side.framework.clone(),
        samples: Vec::new(),
        runs: 0,
    };
    for row in rows {
        let Some(path) = &row.artifacts.raw_result else {
            continue;
        };
        let read = match files::found(path, &material.base) {
            Some(path) => read_samples(&path).map_err(|error| error.to_string()),
            None => Err(format!("{} is gone", path.display())),
        };
        match read {
            Ok(samples) => {
                recorded
                    .samples
                    .extend(samples.into_iter().filter(Sample::is_ok));
                recorded.runs += 1;
            }
            Err(reason) => unread.push(reason),
        }
    }
    (recorded.runs > 0).then_some(recorded)
}

fn summary(values: &Distribution) -> [String; 4] {
    let number = |value: Option<f64>| value.map_or_else(dash, short);
    [
        number(values.percentile(50.0)),
        number(values.percentile(90.0)),
        number(values.percentile(99.0)),
        number(values.mean()),
    ]
}

/// Latency and share of requests, through evenly spaced quantiles.
fn curve(values: &Distribution) -> Vec<(f64, f64)> {
    let points = (values.len() as u32).clamp(2, POINTS);
    (0..=points)
        .filter_map(|point| {
            let percent = 100.0 * f64::from(point) / f64::from(points);
            Some((values.percentile(percent)?, percent))
        })
        .collect()
}

fn curve_json(scenario: &str, side: &str, latency: &str, values: &Distribution) -> Value {
    let points: Vec<[f64; 2]> = curve(values)
        .into_iter()
        .map(|(ms, percent)| [(ms * 1e3).round() / 1e3, (percent * 1e2).round() / 1e2])
        .collect();
    json!({
        "scenario": scenario, "side": side, "latency": latency, "requests": values.len(),
        "columns": ["ms", "percent of requests"], "points": points,
    })
}

fn draw(title: &str, curves: &[(&str, Distribution, Tone)]) -> Result<String, ChartError> {
    let lines: Vec<(Vec<(f64, f64)>, Tone)> = curves
        .iter()
        .map(|(_, values, tone)| (curve(values), *tone))
        .collect();
    let x = Axis::around(
        title,
        lines
            .iter()
            .flat_map(|(line, _)| line.iter().map(|(ms, _)| *ms)),
    )
    .ticks(5);
    let y = Axis::spanning("requests, %", 0.0..100.0).ticks(5);
    let frame = Frame::new(PANEL, 300, x, y);
    frame.draw(|plane| {
        for (line, tone) in &lines {
            match *tone == TARGET {
                true => plane.line(line.clone(), *tone, 2)?,
                false => plane.dashed(line.clone(), *tone, 2)?,
            }
        }
        Ok(())
    })
}
