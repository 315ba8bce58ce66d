//! Target and leader over time: running requests, KV use, token rate.

use serde_json::{Value, json};

use super::figure::{Figure, Panel};
use super::files;
use super::gap::cell_name;
use super::html::Table;
use super::latency::{LEADER, TARGET, key};
use super::material::Material;
use crate::bench::timeline::{Rows, Timeline, read_any};
use crate::chart::{Axis, ChartError, Frame, Strokes, Tone, short};
use crate::gap::ScenarioGap;

/// Moments that a line is drawn through.
const CELLS: usize = 200;

/// One quantity over time.
struct Quantity {
    name: &'static str,
    title: &'static str,
    of: fn(&Rows) -> &Vec<Option<f64>>,
    scale: f64,
}

const QUANTITIES: [Quantity; 3] = [
    Quantity {
        name: "running requests",
        title: "requests",
        of: |rows| &rows.running,
        scale: 1.0,
    },
    Quantity {
        name: "KV cache in use",
        title: "KV cache, %",
        of: |rows| &rows.kv_usage,
        scale: 100.0,
    },
    Quantity {
        name: "output tokens a second",
        title: "tokens/s",
        of: |rows| &rows.output_tps,
        scale: 1.0,
    },
];

/// One side of a scenario.
struct Run {
    name: String,
    timeline: Timeline,
    rows: Rows,
    tone: Tone,
}

pub fn figure(material: &Material) -> Result<Figure, ChartError> {
    let mut figure = Figure::new(
        "timeline",
        "The runs over time",
        "Target and leader of the pair that the attribution rests on, on one scale of time: requests that the engine works on, share of its KV cache in use as it tells itself, and output tokens a second as the client received them.",
    );
    let mut table = Table::new(&[
        "scenario",
        "side",
        "#repeat",
        "#run, s",
        "#requests",
        "#most running",
        "#KV capacity, tokens",
        "#most KV use, %",
        "#most output tok/s",
        "sources",
    ]);
    let mut data = Vec::new();
    for gap in material.scenarios() {
        let Some((repeat, runs)) = runs(material, gap) else {
            continue;
        };
        let name = cell_name(gap);
        let until = until(&runs);
        for quantity in &QUANTITIES {
            let peaks: Vec<f64> = runs.iter().map(|run| peak(run, quantity)).collect();
            if peaks.iter().all(|peak| *peak <= 0.0) {
                figure.notes.push(format!(
                    "{name}: neither engine told its {}.",
                    quantity.name
                ));
                continue;
            }
            let alt = runs
                .iter()
                .zip(&peaks)
                .map(|(run, peak)| format!("{}: at most {}", run.name, short(*peak)))
                .collect::<Vec<_>>()
                .join("; ");
            let alt = format!("{} over time. {alt}", quantity.name);
            let title = format!("{name}: {}", quantity.name);
            let panel = Panel::both(title, alt, |width| draw(width, quantity, &runs, until))?;
            figure.panels.push(panel);
        }
        for run in &runs {
            table.row(cells(&name, repeat, run));
            data.push(run_json(&name, repeat, run, until));
        }
        figure.keys = runs.iter().map(|run| key(&run.name, run.tone)).collect();
    }
    if figure.panels.is_empty() {
        return Ok(figure.missing(
            "The rows name no timelines of both sides; benchmarks of this version write them.",
        ));
    }
    figure.table = table;
    figure.data = Value::Array(data);
    Ok(figure)
}

/// Both runs of the attributed repeat, else of the first that has both.
fn runs(material: &Material, gap: &ScenarioGap) -> Option<(u32, Vec<Run>)> {
    let (target, leader) = (gap.target.as_ref()?, gap.leader.as_ref()?);
    let mut repeats: Vec<u32> = gap.attributed_repeat.into_iter().collect();
    repeats.extend(material.rows_of(gap, target).map(|row| row.repeat));
    let (repeat, timelines) = repeats.into_iter().find_map(|repeat| {
        let of = |side| {
            let mut of_side = material.rows_of(gap, side);
            let row = of_side.rfind(|row| row.repeat == repeat)?;
            let path = files::found(row.artifacts.timeline.as_ref()?, &material.base)?;
            read_any(&path, None).ok()
        };
        Some((repeat, [of(target)?, of(leader)?]))
    })?;
    let until = timelines
        .iter()
        .map(|timeline| timeline.run.duration_s)
        .fold(0.0, f64::max);
    let sides = [(target, TARGET), (leader, LEADER)];
    let runs = timelines
        .into_iter()
        .zip(sides)
        .map(|(timeline, (side, tone))| Run {
            name: side.framework.clone(),
            rows: Rows::of(&timeline, CELLS, until),
            timeline,
            tone,
        })
        .collect();
    Some((repeat, runs))
}

fn until(runs: &[Run]) -> f64 {
    runs.iter()
        .map(|run| run.timeline.run.duration_s)
        .fold(0.0, f64::max)
}

fn peak(run: &Run, quantity: &Quantity) -> f64 {
    quantity.scale * Rows::peak((quantity.of)(&run.rows))
}

fn draw(width: u32, quantity: &Quantity, runs: &[Run], until: f64) -> Result<String, ChartError> {
    let x = Axis::spanning("time since the first request, s", 0.0..until).ticks(if width < 600 {
        5
    } else {
        9
    });
    let y = Axis::from_zero(quantity.title, runs.iter().map(|run| peak(run, quantity))).ticks(4);
    let mut frame = Frame::new(width, 210, x, y);
    frame.left = 66;
    frame.draw(|plane| {
        for run in runs {
            let cell = until / CELLS as f64;
            let values = (quantity.of)(&run.rows);
            let point = |(index, value): (usize, &Option<f64>)| {
                Some(((index as f64 + 0.5) * cell, quantity.scale * (*value)?))
            };
            let line: Vec<(f64, f64)> = values.iter().enumerate().filter_map(point).collect();
            match run.tone == TARGET {
                true => plane.line(line, run.tone, 2)?,
                false => plane.dashed(line, run.tone, 2)?,
            }
        }
        Ok(())
    })
}

fn cells(scenario: &str, repeat: u32, run: &Run) -> [String; 10] {
    let facts = &run.timeline.run;
    [
        scenario.to_owned(),
        run.name.clone(),
        repeat.to_string(),
        format!("{:.3}", facts.duration_s),
        facts.requests.to_string(),
        short(Rows::peak(&run.rows.running)),
        facts
            .kv_capacity_tokens
            .map_or_else(super::gap::dash, |tokens| short(tokens as f64)),
        match run.rows.kv_usage.iter().any(Option::is_some) {
            true => format!("{:.1}", 100.0 * Rows::peak(&run.rows.kv_usage)),
            false => super::gap::dash(),
        },
        short(Rows::peak(&run.rows.output_tps)),
        facts.sources.join(", "),
    ]
}

fn run_json(scenario: &str, repeat: u32, run: &Run, until: f64) -> Value {
    let rounded = |values: &[Option<f64>]| -> Vec<Option<f64>> {
        values
            .iter()
            .map(|value| value.map(|value| (value * 1e4).round() / 1e4))
            .collect()
    };
    json!({
        "scenario": scenario, "side": run.name, "repeat": repeat, "run": run.timeline.run,
        "seconds_per_value": until / CELLS as f64,
        "running_requests": rounded(&run.rows.running),
        "kv_usage": rounded(&run.rows.kv_usage),
        "output_tokens_per_s": rounded(&run.rows.output_tps),
    })
}
