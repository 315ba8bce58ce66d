//! Where the gap's time went, by cause, before anybody profiled.

use plotters::style::text_anchor::{HPos, VPos};
use serde_json::json;

use super::figure::{Figure, Key, Panel};
use super::gap::cell_name;
use super::html::Table;
use super::material::Material;
use crate::chart::{Axis, ChartError, Frame, INK, SERIES, SOFT, Strokes, label, signed};
use crate::gap::Attribution;

pub fn figure(material: &Material) -> Result<Figure, ChartError> {
    let mut figure = Figure::new(
        "attribution",
        "Where the gap's time went",
        "Seconds of the run by which the target is slower (right) or faster (left) than the leader, by cause, from the timelines of both runs.",
    );
    let mut table = Table::new(&[
        "scenario",
        "cause",
        "#seconds",
        "#of the gap, %",
        "shown by",
    ]);
    let mut data = Vec::new();
    for gap in material.scenarios() {
        let Some(causes) = gap
            .attribution
            .as_deref()
            .filter(|causes| !causes.is_empty())
        else {
            continue;
        };
        let name = cell_name(gap);
        for cause in causes {
            table.row([
                name.clone(),
                cause.cause.replace('_', " "),
                format!("{:+.3}", cause.seconds),
                format!("{:+.0}", cause.share_pct),
                cause.evidence.clone(),
            ]);
        }
        let alt = causes
            .iter()
            .map(|cause| format!("{} {:+.2} s", cause.cause.replace('_', " "), cause.seconds))
            .collect::<Vec<_>>()
            .join("; ");
        let panel = Panel::both(name.clone(), alt, |width| bars(width, causes))?;
        figure.panels.push(panel);
        if let Some(place) = &gap.where_to_look {
            figure.notes.push(format!("{name}: look at {place}"));
        }
        data.push(json!({"scenario": name, "causes": causes, "where_to_look": gap.where_to_look}));
    }
    if data.is_empty() {
        return Ok(figure.missing(
            "The runs have no timelines of both sides, or no gap was decided from them.",
        ));
    }
    figure.keys = vec![
        Key {
            glyph: "■",
            tone: SERIES[1],
            name: "target slower".to_owned(),
        },
        Key {
            glyph: "■",
            tone: SERIES[2],
            name: "target faster".to_owned(),
        },
    ];
    figure.table = table;
    figure.data = json!(data);
    Ok(figure)
}

fn bars(width: u32, causes: &[Attribution]) -> Result<String, ChartError> {
    let values = causes.iter().map(|cause| cause.seconds).chain([0.0]);
    let x = Axis::around("target minus leader, s", values).ticks(if width < 600 { 4 } else { 8 });
    let y = Axis::spanning("", 0.0..causes.len() as f64);
    let start = x.range().start;
    let mut frame = Frame::new(width, 42 * causes.len() as u32 + 60, x, y);
    frame.left = 8;
    frame.y_ticks = false;
    frame.draw(|plane| {
        let top = causes.len() as f64;
        for (index, cause) in causes.iter().enumerate() {
            let y = top - index as f64;
            let tone = if cause.seconds > 0.0 {
                SERIES[1]
            } else {
                SERIES[2]
            };
            plane.block([(0.0, y - 0.92), (cause.seconds, y - 0.55)], tone)?;
            let text = format!(
                "{} {} s ({}%)",
                cause.cause.replace('_', " "),
                signed(cause.seconds),
                signed(cause.share_pct.round())
            );
            plane.text(
                (start, y - 0.3),
                text,
                label(13, INK, HPos::Left, VPos::Center),
            )?;
        }
        plane.line([(0.0, 0.0), (0.0, top)], SOFT, 1)
    })
}
