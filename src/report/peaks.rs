//! Kernels of counter digests whose reports count no operations, in percent of
//! the device's peaks.
//!
//! The height is the share of peak compute throughput, the place from left to
//! right that share over the share of peak DRAM throughput.

use plotters::style::text_anchor::{HPos, VPos};
use serde_json::{Value, json};

use super::figure::{Figure, Key, NARROW, Panel};
use super::files::word;
use super::html::Table;
use super::material::Material;
use crate::chart::{
    Axis, ChartError, Frame, INK, SERIES, SHAPES, SOFT, Shape, Strokes, Tone, label, mark, short,
};
use crate::ncu::{Bound, KernelDigest};

const COMPUTE: &str = "sm__throughput.avg.pct_of_peak_sustained_elapsed";
const DRAM: [&str; 2] = [
    "gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed",
    "dram__throughput.avg.pct_of_peak_sustained_elapsed",
];

/// Kernels in the picture.
pub(super) const MOST_DOTS: usize = 24;

struct Dot {
    kernel: String,
    us: f64,
    bound: Bound,
    /// Percent of peak.
    compute: f64,
    dram: f64,
}

impl Dot {
    fn of(kernel: &KernelDigest) -> Option<Self> {
        let metric = |name: &str| {
            kernel
                .metrics
                .get(name)
                .copied()
                .filter(|value| *value > 0.0)
        };
        Some(Self {
            kernel: kernel.name.clone(),
            us: kernel.duration_us.unwrap_or(0.0),
            bound: kernel.bound,
            compute: metric(COMPUTE)?,
            dram: DRAM.iter().find_map(|name| metric(name))?,
        })
    }

    fn ratio(&self) -> f64 {
        self.compute / self.dram
    }

    /// Share of the peak of the busier of the two, in percent.
    fn of_peak(&self) -> f64 {
        self.compute.max(self.dram).min(100.0)
    }
}

pub fn figure(material: &Material) -> Result<Figure, ChartError> {
    let mut figure = Figure::new(
        "roofline",
        "Compute and DRAM throughput of kernels",
        "Kernels of Nsight Compute reports in percent of the device's peaks; the reports do not count operations, so this is no roofline in FLOP/s. To the left of 1 DRAM is the busier of the two, to the right compute. A kernel on the line runs one of them at its peak; one far below waits for something else.",
    );
    let mut dots: Vec<Dot> = Vec::new();
    for kernel in material.digests.iter().flat_map(|digest| &digest.kernels) {
        let Some(dot) = Dot::of(kernel) else { continue };
        let known = dots.iter().any(|known| {
            known.kernel == dot.kernel && known.us == dot.us && known.compute == dot.compute
        });
        if !known {
            dots.push(dot);
        }
    }
    dots.sort_by(|a, b| b.us.total_cmp(&a.us));
    let left_out = dots.len().saturating_sub(MOST_DOTS);
    dots.truncate(MOST_DOTS);
    if dots.is_empty() {
        return Ok(figure.missing(match material.digests.is_empty() {
            true => "No Nsight Compute report was digested: run ncu_digest on a report of the kernel.",
            false => "The digests hold no throughput of compute and DRAM: collect them with `ncu --set full`.",
        }));
    }
    let alt = dots
        .iter()
        .map(|dot| {
            format!(
                "{}: {}% of its peak",
                dot.kernel.chars().take(40).collect::<String>(),
                short(dot.of_peak())
            )
        })
        .collect::<Vec<_>>()
        .join("; ");
    figure
        .panels
        .push(Panel::both("", alt, |width| draw(width, &dots))?);
    figure.keys = keys(dots.iter().map(|dot| dot.bound));
    if left_out > 0 {
        figure
            .notes
            .push(format!("{left_out} shorter kernels are left out."));
    }
    figure.table = table(&dots);
    figure.data = Value::Array(dots.iter().map(dot_json).collect());
    Ok(figure)
}

/// Colour and shape by what holds a kernel back.
pub(super) fn look(bound: Bound) -> (Tone, Shape, &'static str) {
    match bound {
        Bound::Dram | Bound::L2 | Bound::L1 | Bound::Shared => (SERIES[0], SHAPES[0], "memory"),
        Bound::Tensor | Bound::Fma | Bound::Pipe | Bound::Issue => {
            (SERIES[1], SHAPES[1], "compute")
        }
        Bound::Latency | Bound::Launch | Bound::Tail => {
            (SERIES[3], SHAPES[2], "latency, launch or tail")
        }
        Bound::Spill | Bound::Unknown => (SERIES[7], SHAPES[3], "spills or unknown"),
    }
}

/// The legend of what the kernels are bound by.
pub(super) fn keys(bounds: impl IntoIterator<Item = Bound>) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for bound in bounds {
        let (tone, shape, name) = look(bound);
        let key = Key {
            glyph: shape.glyph(),
            tone,
            name: format!("bound by {name}"),
        };
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

fn draw(width: u32, dots: &[Dot]) -> Result<String, ChartError> {
    let log = |value: f64| value.max(1e-6).log10();
    let xs = dots.iter().map(|dot| log(dot.ratio()));
    let x = Axis::around(
        "compute % of peak over DRAM % of peak, log",
        xs.chain([-1.0, 1.0]),
    )
    .ticks(4)
    .log();
    let lowest = dots
        .iter()
        .map(|dot| log(dot.compute))
        .fold(0.0, f64::min)
        .floor();
    let y = Axis::spanning("compute throughput, % of peak, log", lowest..2.12)
        .ticks(3)
        .log();
    let (left, right) = (x.range().start, x.range().end);
    let bottom = y.range().start;
    let mut frame = Frame::new(width, if width == NARROW { 340 } else { 420 }, x, y);
    frame.left = 60;
    frame.draw(|plane| {
        // Below the ridge the roof is 100% of DRAM: compute = 100% x intensity.
        let start = left.max(bottom - 2.0);
        plane.line([(start, 2.0 + start), (0.0, 2.0), (right, 2.0)], INK, 2)?;
        plane.dashed([(0.0, bottom), (0.0, 2.0)], SOFT, 1)?;
        let at_left = label(12, SOFT, HPos::Left, VPos::Bottom);
        plane.beside((0.0, bottom), (6, -4), "equal", at_left)?;
        let at_right = label(12, SOFT, HPos::Right, VPos::Bottom);
        plane.beside((right, 2.0), (-2, -4), "compute peak", at_right)?;
        for (index, dot) in dots.iter().enumerate() {
            let (tone, shape, _) = look(dot.bound);
            let at = (log(dot.ratio()), log(dot.compute));
            mark(plane, at, shape, tone, false)?;
            let style = label(12, INK, HPos::Left, VPos::Center);
            plane.beside(at, (9, 0), (index + 1).to_string(), style)?;
        }
        Ok(())
    })
}

fn table(dots: &[Dot]) -> Table {
    let mut table = Table::new(&[
        "#no.",
        "kernel",
        "#time, µs",
        "bound by",
        "#compute, % of peak",
        "#DRAM, % of peak",
        "#compute / DRAM",
        "#of its peak, %",
    ]);
    for (index, dot) in dots.iter().enumerate() {
        table.row([
            (index + 1).to_string(),
            dot.kernel.clone(),
            short(dot.us),
            word(&dot.bound),
            format!("{:.1}", dot.compute),
            format!("{:.1}", dot.dram),
            short(dot.ratio()),
            format!("{:.0}", dot.of_peak()),
        ]);
    }
    table
}

fn dot_json(dot: &Dot) -> Value {
    json!({
        "kernel": dot.kernel, "duration_us": dot.us, "bound": dot.bound,
        "compute_pct_of_peak": dot.compute, "dram_pct_of_peak": dot.dram,
        "compute_over_dram": dot.ratio(), "pct_of_peak": dot.of_peak(),
    })
}
