//! Kernels of counter digests under the roofs of their device.
//!
//! The roofline model (Williams, Waterman and Patterson, 2009): achieved
//! operations a second against operations for each byte of DRAM traffic, under
//! the lower of DRAM bandwidth and the peak of the arithmetic path.

use plotters::style::text_anchor::{HPos, VPos};
use serde_json::{Value, json};

use super::figure::{Figure, NARROW, Panel};
use super::files::word;
use super::html::Table;
use super::material::Material;
use super::peaks::{self, MOST_DOTS};
use crate::chart::{Axis, ChartError, Frame, INK, SOFT, Strokes, label, mark, short};
use crate::ncu::{KernelDigest, Roofline};

/// A kernel and its place.
struct Dot<'a> {
    kernel: &'a KernelDigest,
    place: &'a Roofline,
}

impl Dot<'_> {
    /// Whether it does operations that the report counts.
    fn computes(&self) -> bool {
        self.place.path.is_some() && self.place.dram_tbps > 0.0
    }

    /// Path, for a person.
    fn path(&self) -> &str {
        self.place.path.as_deref().unwrap_or("none counted")
    }
}

/// The roofline where the reports count operations, else percent of peak.
pub fn figure(material: &Material) -> Result<Figure, ChartError> {
    let mut dots = dots(material);
    if !dots.iter().any(Dot::computes) {
        return peaks::figure(material);
    }
    let mut figure = Figure::new(
        "roofline",
        "Roofline",
        "Kernels of Nsight Compute reports under their device's roofs: the slope is DRAM bandwidth, each level the peak of an arithmetic path, drawn at the highest clock among the kernels. A kernel on its roof has nothing left but to do less; one far below waits for something else. A kernel on several paths stands on the one of whose peak it reaches most.",
    );
    let left_out = dots.len().saturating_sub(MOST_DOTS);
    dots.truncate(MOST_DOTS);
    let (drawn, idle): (Vec<_>, Vec<_>) = (1..).zip(&dots).partition(|(_, dot)| dot.computes());
    let alt: Vec<String> = drawn
        .iter()
        .map(|(_, dot)| {
            format!(
                "{}: {} {} TFLOP/s, {}% of its roof",
                dot.kernel.name.chars().take(40).collect::<String>(),
                dot.path(),
                short(dot.place.tops),
                short(dot.place.of_roof_pct())
            )
        })
        .collect();
    let panel = Panel::both("", alt.join("; "), |width| draw(width, &drawn))?;
    figure.panels.push(panel);
    figure.keys = peaks::keys(drawn.iter().map(|(_, dot)| dot.kernel.bound));
    if !idle.is_empty() {
        let numbers: Vec<String> = idle.iter().map(|(number, _)| number.to_string()).collect();
        figure.notes.push(format!(
            "No arithmetic was counted for no. {}: they move data, and stand in the table only.",
            numbers.join(", ")
        ));
    }
    if left_out > 0 {
        figure
            .notes
            .push(format!("{left_out} shorter kernels are left out."));
    }
    figure.table = table(&dots);
    figure.data = Value::Array(dots.iter().map(dot_json).collect());
    Ok(figure)
}

/// Every kernel once, longest first.
fn dots(material: &Material) -> Vec<Dot<'_>> {
    let mut dots: Vec<Dot<'_>> = Vec::new();
    for kernel in material.digests.iter().flat_map(|digest| &digest.kernels) {
        let Some(place) = &kernel.roofline else {
            continue;
        };
        let is_known = dots.iter().any(|known| {
            known.kernel.name == kernel.name && known.kernel.duration_us == kernel.duration_us
        });
        if !is_known {
            dots.push(Dot { kernel, place });
        }
    }
    let us = |dot: &Dot<'_>| dot.kernel.duration_us.unwrap_or(0.0);
    dots.sort_by(|a, b| us(b).total_cmp(&us(a)));
    dots
}

fn log(value: f64) -> f64 {
    value.max(1e-6).log10()
}

/// The arithmetic paths with their highest peaks.
fn roofs<'a>(drawn: &[(i32, &'a Dot<'a>)]) -> Vec<(&'a str, f64)> {
    let mut roofs: Vec<(&str, f64)> = Vec::new();
    for (_, dot) in drawn {
        match roofs.iter_mut().find(|(path, _)| *path == dot.path()) {
            Some((_, peak)) => *peak = peak.max(dot.place.peak_tops),
            None => roofs.push((dot.path(), dot.place.peak_tops)),
        }
    }
    roofs
}

fn draw(width: u32, drawn: &[(i32, &Dot<'_>)]) -> Result<String, ChartError> {
    let roofs = roofs(drawn);
    let bandwidth = drawn
        .iter()
        .map(|(_, dot)| dot.place.peak_dram_tbps)
        .fold(f64::MIN_POSITIVE, f64::max);
    let ridges = roofs.iter().map(|(_, peak)| log(peak / bandwidth));
    let xs = drawn.iter().map(|(_, dot)| log(dot.place.intensity()));
    let x = Axis::around(
        "operations for each byte of DRAM traffic, log",
        xs.chain(ridges),
    )
    .ticks(5)
    .log();
    let peaks = roofs.iter().map(|(_, peak)| log(*peak) + 0.15);
    let ys = drawn.iter().map(|(_, dot)| log(dot.place.tops));
    let y = Axis::around("tera-operations a second, log", ys.chain(peaks))
        .ticks(5)
        .log();
    let (left, right) = (x.range().start, x.range().end);
    let bottom = y.range().start;
    let mut frame = Frame::new(width, if width == NARROW { 340 } else { 420 }, x, y);
    frame.left = 60;
    frame.draw(|plane| {
        let slope = log(bandwidth);
        let start = left.max(bottom - slope);
        let highest = roofs
            .iter()
            .map(|(_, peak)| log(*peak))
            .fold(bottom, f64::max);
        let end = (highest - slope).min(right);
        plane.line([(start, start + slope), (end, end + slope)], INK, 2)?;
        let at_left = label(12, SOFT, HPos::Left, VPos::Top);
        let text = format!("DRAM {} TB/s", short(bandwidth));
        plane.beside((start, start + slope), (14, 2), text, at_left)?;
        for (path, peak) in &roofs {
            let level = log(*peak);
            let ridge = (level - slope).clamp(left, right);
            plane.line([(ridge, level), (right, level)], INK, 2)?;
            let style = label(12, SOFT, HPos::Right, VPos::Bottom);
            let text = format!("{path} {}", short(*peak));
            plane.beside((right, level), (-2, -4), text, style)?;
        }
        for (number, dot) in drawn {
            let (tone, shape, _) = peaks::look(dot.kernel.bound);
            let at = (log(dot.place.intensity()), log(dot.place.tops));
            mark(plane, at, shape, tone, false)?;
            let style = label(12, INK, HPos::Left, VPos::Center);
            plane.beside(at, (9, 0), number.to_string(), style)?;
        }
        Ok(())
    })
}

fn table(dots: &[Dot<'_>]) -> Table {
    let mut table = Table::new(&[
        "#no.",
        "kernel",
        "#time, µs",
        "bound by",
        "path",
        "#achieved, TFLOP/s",
        "#peak, TFLOP/s",
        "#DRAM, TB/s",
        "#peak DRAM, TB/s",
        "#FLOP/byte",
        "#of its roof, %",
    ]);
    for (index, dot) in dots.iter().enumerate() {
        let when_computing = |value: f64| match dot.computes() {
            true => short(value),
            false => "–".to_owned(),
        };
        table.row([
            (index + 1).to_string(),
            dot.kernel.name.clone(),
            short(dot.kernel.duration_us.unwrap_or(0.0)),
            word(&dot.kernel.bound),
            dot.path().to_owned(),
            when_computing(dot.place.tops),
            when_computing(dot.place.peak_tops),
            short(dot.place.dram_tbps),
            short(dot.place.peak_dram_tbps),
            when_computing(dot.place.intensity()),
            format!("{:.0}", dot.place.of_roof_pct()),
        ]);
    }
    table
}

fn dot_json(dot: &Dot<'_>) -> Value {
    json!({
        "kernel": dot.kernel.name, "duration_us": dot.kernel.duration_us,
        "bound": dot.kernel.bound, "path": dot.place.path,
        "tflops": dot.place.tops, "peak_tflops": dot.place.peak_tops,
        "dram_tbps": dot.place.dram_tbps, "peak_dram_tbps": dot.place.peak_dram_tbps,
        "pct_of_roof": dot.place.of_roof_pct(),
    })
}
