//! The chosen pass: its layers in time, what they are made of, and the bubbles.

use plotters::style::text_anchor::{HPos, VPos};
use serde_json::json;

use super::figure::{Figure, Key, Panel};
use super::html::Table;
use super::material::Material;
use crate::chart::{
    Axis, BUBBLE, ChartError, Frame, INK, PAPER, SERIES, SOFT, Strokes, Tone, label, short,
};
use crate::pipeline::{FlowRow, LayerFlow, LayerRow, PassRow, PipelineRecord};
use crate::trace::KernelCategory;

/// Categories with a colour of their own; the others share one.
const OWN_COLOUR: usize = SERIES.len() - 1;
/// Pauses shorter than this, in microseconds, are no bubble.
const SHORTEST_BUBBLE_US: f64 = 0.5;

/// Time in which no kernel ran.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
struct Gap {
    /// From the pass's first kernel, microseconds.
    start_us: f64,
    us: f64,
    /// Between which layers.
    after: String,
}

pub fn figure(material: &Material) -> Result<Figure, ChartError> {
    let mut figure = Figure::new(
        "layers",
        "Layers of the chosen pass",
        "Each column is one layer at its place in the pass: its width is its wall time, its colours are the shares of kernel categories, grey at the top is time in which none of its kernels ran. The lane below shows bubbles between layers. Under it, the kernels of a representative layer one by one.",
    );
    let Some(record) = &material.pipeline else {
        return Ok(figure.missing(
            "No trace was taken apart into layers: run analyze_pipeline on a trace of the target.",
        ));
    };
    let pass = record
        .passes
        .iter()
        .find(|pass| pass.index == record.chosen_pass.index);
    let (Some(pass), false) = (pass, record.layers.is_empty()) else {
        return Ok(figure.missing("The chosen pass has no repeating layers."));
    };
    let categories = heaviest(&record.layers);
    let gaps = gaps(&record.layers, pass);
    let alt = format!(
        "Pass {} of {} layers in {} ms; {} bubbles between layers, {} µs in all.",
        pass.index,
        record.layers.len(),
        short(pass.wall_us / 1e3),
        gaps.len(),
        short(gaps.iter().map(|gap| gap.us).sum())
    );
    let title = format!(
        "Pass {} ({}{}), {}",
        pass.index,
        pass.stage.as_str(),
        pass.batch
            .map_or_else(String::new, |batch| format!(", batch {batch}")),
        record.chosen_pass.reason
    );
    figure.panels.push(Panel::both(title, alt, |width| {
        timeline(width, pass, &record.layers, &gaps, &categories)
    })?);
    for flow in record.flows.iter().take(MOST_FLOWS) {
        figure.panels.push(flow_panel(flow, &categories)?);
    }
    figure.keys = keys(&categories);
    figure.notes = record.warnings.clone();
    figure.table = table(record, pass);
    figure.data = json!({
        "trace": record.trace, "pass": pass, "layers": record.layers,
        "layer_types": record.layer_types, "gaps": gaps,
        "flows": record.flows.iter().take(MOST_FLOWS).collect::<Vec<_>>(),
    });
    Ok(figure)
}

/// Layers that are opened kernel by kernel.
const MOST_FLOWS: usize = 3;

fn heaviest(layers: &[LayerRow]) -> Vec<KernelCategory> {
    let mut totals: Vec<(KernelCategory, f64)> = Vec::new();
    for (category, us) in layers.iter().flat_map(|layer| &layer.by_category) {
        match totals.iter_mut().find(|(known, _)| known == category) {
            Some((_, total)) => *total += us,
            None => totals.push((*category, *us)),
        }
    }
    totals.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    totals.truncate(OWN_COLOUR);
    totals.into_iter().map(|(category, _)| category).collect()
}

fn tone(category: KernelCategory, categories: &[KernelCategory]) -> Tone {
    let index = categories.iter().position(|known| *known == category);
    SERIES[index.unwrap_or(OWN_COLOUR).min(OWN_COLOUR)]
}

fn keys(categories: &[KernelCategory]) -> Vec<Key> {
    let key = |tone, name: String| Key {
        glyph: "■",
        tone,
        name,
    };
    let mut keys: Vec<Key> = categories
        .iter()
        .map(|category| {
            key(
                tone(*category, categories),
                category.as_str().replace('_', " "),
            )
        })
        .collect();
    keys.push(key(SERIES[OWN_COLOUR], "other categories".to_owned()));
    keys.push(key(BUBBLE, "no kernel".to_owned()));
    keys
}

/// Time between layers; kernels outside layers, before the first and after the
/// last, are work and no bubble.
fn gaps(layers: &[LayerRow], pass: &PassRow) -> Vec<Gap> {
    layers
        .windows(2)
        .filter_map(|pair| {
            let [a, b] = pair else { return None };
            let end = a.start_us + a.wall_us;
            let us = b.start_us - end;
            (us > SHORTEST_BUBBLE_US).then(|| Gap {
                start_us: end - pass.start_us,
                us,
                after: format!("layers {} and {}", a.index, b.index),
            })
        })
        .collect()
}

fn timeline(
    width: u32,
    pass: &PassRow,
    layers: &[LayerRow],
    gaps: &[Gap],
    categories: &[KernelCategory],
) -> Result<String, ChartError> {
    let x = Axis::spanning("time in the pass, ms", 0.0..pass.wall_us / 1e3).ticks(if width < 600 {
        5
    } else {
        9
    });
    let mut frame = Frame::new(width, 260, x, Axis::spanning("", 0.0..1.0));
    frame.left = 8;
    frame.top = 22;
    frame.y_ticks = false;
    frame.draw(|plane| {
        let every = layers
            .len()
            .div_ceil(if width < 600 { 6 } else { 18 })
            .max(1);
        for (place, layer) in layers.iter().enumerate() {
            let from = (layer.start_us - pass.start_us) / 1e3;
            let to = from + layer.wall_us / 1e3;
            // Kernels that overlap add up to more than the wall.
            let whole = layer
                .wall_us
                .max(layer.sum_us + layer.idle_us)
                .max(f64::MIN_POSITIVE);
            let mut height = FLOOR;
            let mut block = |us: f64, tone: Tone| {
                let up = height + (1.0 - FLOOR) * us / whole;
                let drawn = plane.block([(from, height), (to, up)], tone);
                height = up;
                drawn
            };
            let mut rest = layer.sum_us;
            for category in categories {
                if let Some(us) = layer.by_category.get(category) {
                    rest -= us;
                    block(*us, tone(*category, categories))?;
                }
            }
            block(rest.max(0.0), SERIES[OWN_COLOUR])?;
            block(layer.idle_us, BUBBLE)?;
            plane.line([(from, FLOOR), (from, 1.0)], PAPER, 1)?;
            if place % every == 0 {
                let text = layer.index.to_string();
                plane.text((from, 1.0), text, label(11, SOFT, HPos::Left, VPos::Bottom))?;
            }
        }
        for gap in gaps {
            let from = gap.start_us / 1e3;
            plane.block([(from, 0.02), (from + gap.us / 1e3, FLOOR - 0.06)], BUBBLE)?;
        }
        Ok(())
    })
}

/// Where layers begin above the lane of bubbles.
const FLOOR: f64 = 0.16;
/// Height of a kernel's line in pixels.
const LINE: u32 = 22;
/// Width of a letter in pixels, as it comes.
const LETTER: f64 = 6.2;
/// Kernels of a layer that are drawn; the table and the JSON have them all.
const MOST_KERNELS: usize = 48;

fn flow_panel(flow: &LayerFlow, categories: &[KernelCategory]) -> Result<Panel, ChartError> {
    let kernels: Vec<&FlowRow> = flow.kernels.iter().take(MOST_KERNELS).collect();
    let alt = kernels
        .iter()
        .map(|kernel| format!("{} {} µs", kernel.name, short(kernel.dur_us)))
        .collect::<Vec<_>>()
        .join("; ");
    let more = flow.kernels.len() - kernels.len();
    let more = match more {
        0 => String::new(),
        more => format!(" (the first {}, {more} more in the JSON)", kernels.len()),
    };
    let title = format!("Kernels of layer {} ({}){more}", flow.layer, flow.r#type);
    Panel::both(title, alt, |width| waterfall(width, &kernels, categories))
}

fn waterfall(
    width: u32,
    kernels: &[&FlowRow],
    categories: &[KernelCategory],
) -> Result<String, ChartError> {
    let end = kernels.iter().map(|kernel| kernel.start_us + kernel.dur_us);
    let x = Axis::from_zero("time in the layer, µs", end).ticks(if width < 600 { 5 } else { 9 });
    let most = x.range().end;
    let lines = kernels.len() as u32;
    let mut frame = Frame::new(
        width,
        LINE * lines + 58,
        x,
        Axis::spanning("", 0.0..f64::from(lines)),
    );
    frame.left = 8;
    frame.y_ticks = false;
    frame.draw(|plane| {
        for (index, kernel) in kernels.iter().enumerate() {
            let y = f64::from(lines) - index as f64 - 1.0;
            let (from, to) = (kernel.start_us, kernel.start_us + kernel.dur_us);
            if kernel.gap_us > SHORTEST_BUBBLE_US {
                plane.block([(from - kernel.gap_us, y + 0.4), (from, y + 0.6)], BUBBLE)?;
            }
            plane.block(
                [(from, y + 0.15), (to, y + 0.85)],
                tone(kernel.category, categories),
            )?;
            // Beside the bar, on the side with more room, as much as fits there.
            let before = from - kernel.gap_us.max(0.0);
            let (at, shift, side, room) = match before > most - to {
                true => (before, -5, HPos::Right, before),
                false => (to, 5, HPos::Left, most - to),
            };
            let time = format!(" {} µs", short(kernel.dur_us));
            let fits = (room / most * f64::from(width - 28) / LETTER) as usize;
            let fits = fits.saturating_sub(time.chars().count() + 1);
            let mut text: String = kernel.name.chars().take(fits).collect();
            text.push_str(&time);
            let style = label(11, INK, side, VPos::Center);
            plane.beside((at, y + 0.5), (shift, 0), text, style)?;
        }
        Ok(())
    })
}

fn table(record: &PipelineRecord, pass: &PassRow) -> Table {
    let mut table = Table::new(&[
        "layer",
        "type",
        "#start, µs",
        "#wall, µs",
        "#sum, µs",
        "#no kernel, µs",
        "#kernels",
        "heaviest category",
    ]);
    for layer in &record.layers {
        let heaviest = layer
            .by_category
            .iter()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map_or_else(String::new, |(category, us)| {
                format!("{} {} µs", category.as_str().replace('_', " "), short(*us))
            });
        table.row([
            layer.index.to_string(),
            layer.r#type.clone(),
            format!("{:.1}", layer.start_us - pass.start_us),
            format!("{:.1}", layer.wall_us),
            format!("{:.1}", layer.sum_us),
            format!("{:.1}", layer.idle_us),
            layer.kernels.to_string(),
            heaviest,
        ]);
    }
    table
}
