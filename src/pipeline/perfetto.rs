//! Finding passes and layers in a trace viewer.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::layer::Layers;
use super::pass::{Pass, Wall};
use super::record::PerfettoRange;
use super::units::micros;
use crate::disk::{self, DiskError};
use crate::trace::{GpuKind, Trace};

/// Shorter pauses are no bubbles.
const LEAST_BUBBLE_NS: i64 = 1_000;
const PASSES: u32 = 1;
const LAYERS: u32 = 2;
const BUBBLES: u32 = 3;

/// A stretch in seconds from the trace's first event.
pub(super) fn range(trace: &Trace, label: String, wall: &Wall) -> PerfettoRange {
    let seconds = |ns: i64| (ns - trace.first_ns.unwrap_or(0)) as f64 / 1e9;
    PerfettoRange {
        label,
        start_s: seconds(wall.start_ns),
        end_s: seconds(wall.end_ns),
    }
}

/// Writes a trace with one track each for passes, the layers of all complete
/// passes, and bubbles. Its clock is the original's, and it begins where the
/// original does, so that the two line up side by side.
pub(super) fn write(
    path: &Path,
    trace: &Trace,
    passes: &[Pass],
    chosen: (usize, &Layers<'_>),
) -> Result<(), DiskError> {
    let mut events = vec![
        json!({"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "sota-loop pipeline"}}),
        json!({"ph": "i", "s": "g", "name": "first event of the trace", "pid": 1, "tid": PASSES,
            "ts": micros(trace.first_ns.unwrap_or(0))}),
    ];
    for (track, name) in [(PASSES, "passes"), (LAYERS, "layers"), (BUBBLES, "bubbles")] {
        events.push(json!({"ph": "M", "name": "thread_name", "pid": 1, "tid": track, "args": {"name": name}}));
        events.push(json!({"ph": "M", "name": "thread_sort_index", "pid": 1, "tid": track, "args": {"sort_index": track}}));
    }
    for (index, pass) in passes.iter().enumerate() {
        if pass.wall.kernels > 0 {
            let name = format!("pass {index} {}", pass.stage.as_str());
            events.push(slice(PASSES, name, pass.wall.start_ns, pass.wall.end_ns));
        }
        let layers = pass.found.as_ref().map_or(&[][..], |found| &found.layers);
        for (layer, rows) in layers.iter().enumerate() {
            let wall = Wall::of(trace, rows);
            let kind = match index == chosen.0 {
                true => format!(" {}", chosen.1.names[layer]),
                false => String::new(),
            };
            events.push(slice(
                LAYERS,
                format!("layer {layer}{kind}"),
                wall.start_ns,
                wall.end_ns,
            ));
        }
        for (start, end) in bubbles(trace, &pass.rows) {
            events.push(slice(BUBBLES, "idle".to_owned(), start, end));
        }
    }
    let document = json!({
        "schemaVersion": 1,
        "displayTimeUnit": "ms",
        "baseTimeNanoseconds": trace.meta.base_time_ns.unwrap_or(0),
        "traceEvents": events,
    });
    let failed = |source| DiskError::Write {
        path: path.to_path_buf(),
        source,
    };
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed
        .write_all(document.to_string().as_bytes())
        .map_err(failed)?;
    let packed = packed.finish().map_err(failed)?;
    disk::write_atomic(path, &packed)
}

fn slice(track: u32, name: String, start_ns: i64, end_ns: i64) -> Value {
    json!({"ph": "X", "name": name, "pid": 1, "tid": track,
        "ts": micros(start_ns), "dur": micros(end_ns - start_ns)})
}

/// Stretches of a pass in which no kernel ran.
fn bubbles(trace: &Trace, rows: &[u32]) -> Vec<(i64, i64)> {
    let mut bubbles = Vec::new();
    let mut end = None;
    for &row in rows {
        let row = row as usize;
        if trace.gpu.kind[row] != GpuKind::Kernel {
            continue;
        }
        let start = trace.gpu.start_ns[row];
        if let Some(end) = end.filter(|&end| start - end >= LEAST_BUBBLE_NS) {
            bubbles.push((end, start));
        }
        end = Some(trace.gpu.end_ns(row).max(end.unwrap_or(i64::MIN)));
    }
    bubbles
}
