//! Throughput against latency of every candidate, the SLA, and the Pareto front.

use plotters::style::text_anchor::{HPos, VPos};
use serde_json::{Value, json};

use super::figure::{Figure, Key, PANEL, Panel};
use super::gap::{dash, load_name};
use super::html::Table;
use super::material::Material;
use crate::bench::{Row, RowStatus, Standing, standings};
use crate::chart::{
    Axis, ChartError, Frame, SERIES, SHAPES, SOFT, Shape, Strokes, Tone, label, mark, short,
};

/// One of the two latencies.
struct Latency {
    name: &'static str,
    title: &'static str,
    of: fn(&Standing) -> Option<f64>,
    limit: fn(&Row) -> Option<f64>,
}

const LATENCIES: [Latency; 2] = [
    Latency {
        name: "p50 TTFT",
        title: "p50 time to first token, ms",
        of: |standing| standing.p50_ttft_ms,
        limit: |row| row.sla.limits.max_p50_ttft_ms,
    },
    Latency {
        name: "p50 TPOT",
        title: "p50 time per output token, ms",
        of: |standing| standing.p50_tpot_ms,
        limit: |row| row.sla.limits.max_p50_tpot_ms,
    },
];

/// A limit further away than this many times the largest value is named, not drawn.
const NEAR: f64 = 1.6;

pub fn figure(material: &Material) -> Result<Figure, ChartError> {
    let mut figure = Figure::new(
        "candidates",
        "Throughput against latency",
        "Every candidate, means over its good runs. Up and to the left is better; the stepped line is the Pareto front, on which nothing is better in both. The dashed line is the SLA; hollow marks broke it or failed a run.",
    );
    let rows = newest_job_of_each(&material.rows);
    let cells = standings(&rows);
    // The target has the colour that it has in every other figure.
    let mut frameworks: Vec<String> = vec![material.target.clone()];
    for standing in cells.iter().flatten() {
        if !frameworks.contains(&standing.framework) {
            frameworks.push(standing.framework.clone());
        }
    }
    let mut table = Table::new(&[
        "scenario",
        "framework",
        "candidate",
        "#runs ok",
        "SLA",
        "#req/s",
        "#output tok/s",
        "#p50 TTFT, ms",
        "#p50 TPOT, ms",
        "on a front",
    ]);
    let mut data = Vec::new();
    for cell in &cells {
        let Some(first) = cell.first() else { continue };
        let name = cell_of(first);
        let mut on_front = vec![false; cell.len()];
        for latency in &LATENCIES {
            let points = points(cell, latency);
            let front = front(&points);
            for point in &front {
                if let Some(flag) = on_front.get_mut(point.standing) {
                    *flag = true;
                }
            }
            if points.is_empty() {
                continue;
            }
            let limit = material
                .rows
                .iter()
                .find(|row| row.workload.scenario == first.scenario);
            let limit = limit.and_then(latency.limit);
            let alt = alt(cell, &points, latency);
            let svg = draw(cell, &points, &front, &frameworks, latency, limit)?;
            figure
                .panels
                .push(Panel::small(format!("{name}: {}", latency.name), alt, svg));
            if let Some(limit) = limit.filter(|limit| *limit > NEAR * largest(&points)) {
                figure.notes.push(format!(
                    "{name}: the limit on {} of {} ms lies far to the right of the picture.",
                    latency.name,
                    short(limit)
                ));
            }
        }
        for (standing, front) in cell.iter().zip(on_front) {
            table.row(cells_of(&name, standing, front));
            data.push(json!({"scenario": name, "standing": standing, "on_front": front}));
        }
    }
    if figure.panels.is_empty() {
        return Ok(figure.missing("No candidate has a good run with latencies."));
    }
    figure.keys = frameworks
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let (tone, shape) = look(index);
            Key {
                glyph: shape.glyph(),
                tone,
                name: name.clone(),
            }
        })
        .collect();
    figure.table = table;
    figure.data = Value::Array(data);
    Ok(figure)
}

/// Colour and shape of the framework with that index.
pub fn look(index: usize) -> (Tone, Shape) {
    (SERIES[index % SERIES.len()], SHAPES[index % SHAPES.len()])
}

/// A candidate that ran in several jobs counts by its newest.
fn newest_job_of_each(rows: &[Row]) -> Vec<Row> {
    rows.iter()
        .filter(|row| {
            let newest = rows
                .iter()
                .rev()
                .find(|other| {
                    other.framework == row.framework
                        && other.candidate_id == row.candidate_id
                        && (other.status == RowStatus::Ok || row.status != RowStatus::Ok)
                })
                .map(|other| &other.job_id);
            newest == Some(&row.job_id)
        })
        .cloned()
        .collect()
}

fn cell_of(standing: &Standing) -> String {
    let cap = standing.max_concurrency.map(f64::from);
    load_name(&standing.scenario, standing.request_rate, cap)
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    standing: usize,
    latency: f64,
    throughput: f64,
    counts: bool,
}

fn points(cell: &[Standing], latency: &Latency) -> Vec<Point> {
    cell.iter()
        .enumerate()
        .filter_map(|(index, standing)| {
            Some(Point {
                standing: index,
                latency: (latency.of)(standing).filter(|value| value.is_finite())?,
                throughput: standing
                    .request_throughput
                    .filter(|value| value.is_finite())?,
                counts: standing.sla_passed && standing.ok == standing.runs,
            })
        })
        .collect()
}

/// The points that no other beats in both, by rising latency. One that broke
/// the SLA or failed is on no front.
fn front(points: &[Point]) -> Vec<Point> {
    let mut sorted: Vec<Point> = points
        .iter()
        .copied()
        .filter(|point| point.counts)
        .collect();
    sorted.sort_by(|a, b| {
        a.latency
            .total_cmp(&b.latency)
            .then(b.throughput.total_cmp(&a.throughput))
    });
    let mut best = f64::NEG_INFINITY;
    sorted.retain(|point| {
        let better = point.throughput > best;
        best = best.max(point.throughput);
        better
    });
    sorted
}

fn largest(points: &[Point]) -> f64 {
    points.iter().map(|point| point.latency).fold(0.0, f64::max)
}

fn draw(
    cell: &[Standing],
    points: &[Point],
    front: &[Point],
    frameworks: &[String],
    latency: &Latency,
    limit: Option<f64>,
) -> Result<String, ChartError> {
    let limit = limit.filter(|limit| *limit <= NEAR * largest(points));
    let x = Axis::around(
        latency.title,
        points.iter().map(|point| point.latency).chain(limit),
    )
    .ticks(5);
    let y = Axis::around(
        "throughput, req/s",
        points.iter().map(|point| point.throughput),
    )
    .ticks(5);
    let (left, right) = (x.range().start, x.range().end);
    let (bottom, top) = (y.range().start, y.range().end);
    let mut frame = Frame::new(PANEL, 320, x, y);
    frame.left = 62;
    frame.draw(|plane| {
        if let Some(limit) = limit {
            plane.dashed([(limit, bottom), (limit, top)], SOFT, 1)?;
            plane.text(
                (limit, top),
                "SLA ",
                label(12, SOFT, HPos::Right, VPos::Top),
            )?;
        }
        plane.line(steps(front, bottom, right), SOFT, 1)?;
        for point in points {
            let Some(standing) = cell.get(point.standing) else {
                continue;
            };
            let index = frameworks
                .iter()
                .position(|name| *name == standing.framework);
            let (tone, shape) = look(index.unwrap_or(0));
            let at = (point.latency, point.throughput);
            mark(plane, at, shape, tone, !point.counts)?;
            if front.first() == Some(point) || front.last() == Some(point) {
                let is_right = point.latency > (left + right) / 2.0;
                let (side, shift) = match is_right {
                    true => (HPos::Right, -9),
                    false => (HPos::Left, 9),
                };
                let text: String = standing.candidate_id.chars().take(28).collect();
                plane.beside(at, (shift, 14), text, label(12, SOFT, side, VPos::Center))?;
            }
        }
        Ok(())
    })
}

/// The front as a stepped line from the bottom to the right edge.
fn steps(front: &[Point], bottom: f64, right: f64) -> Vec<(f64, f64)> {
    let mut line = Vec::new();
    let mut height = bottom;
    for point in front {
        line.push((point.latency, height));
        line.push((point.latency, point.throughput));
        height = point.throughput;
    }
    if !line.is_empty() {
        line.push((right, height));
    }
    line
}

fn alt(cell: &[Standing], points: &[Point], latency: &Latency) -> String {
    let each = points.iter().filter_map(|point| {
        let standing = cell.get(point.standing)?;
        Some(format!(
            "{} {}: {} req/s at {} ms",
            standing.framework,
            standing.candidate_id,
            short(point.throughput),
            short(point.latency)
        ))
    });
    format!(
        "Throughput against {}. {}",
        latency.name,
        each.collect::<Vec<_>>().join("; ")
    )
}

fn cells_of(name: &str, standing: &Standing, front: bool) -> [String; 10] {
    let number = |value: Option<f64>| value.map_or_else(dash, short);
    [
        name.to_owned(),
        standing.framework.clone(),
        standing.candidate_id.clone(),
        format!("{} of {}", standing.ok, standing.runs),
        if standing.sla_passed {
            "passed"
        } else {
            "missed"
        }
        .to_owned(),
        number(standing.request_throughput),
        number(standing.output_token_throughput),
        number(standing.p50_ttft_ms),
        number(standing.p50_tpot_ms),
        if front { "yes" } else { "no" }.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_holds_what_nothing_beats_in_both() {
        let point = |standing, latency, throughput, counts| Point {
            standing,
            latency,
            throughput,
            counts,
        };
        let points = [
            point(0, 10.0, 5.0, true),
            point(1, 12.0, 4.0, true),
            point(2, 20.0, 9.0, true),
            point(3, 5.0, 20.0, false),
            point(4, 10.0, 4.5, true),
        ];
        let on: Vec<usize> = front(&points).iter().map(|point| point.standing).collect();
        assert_eq!(on, [0, 2]);
        assert_eq!(
            steps(&front(&points), 0.0, 30.0),
            [
                (10.0, 0.0),
                (10.0, 5.0),
                (20.0, 5.0),
                (20.0, 9.0),
                (30.0, 9.0)
            ]
        );
    }
}
