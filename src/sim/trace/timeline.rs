//! Puts the kernels of passes on the host's and the GPU's timelines.

use std::io::{self, Write};

use serde_json::json;

use super::catalog::{Catalog, Engine};
use super::kineto::{Kineto, Span};
use super::pass::{GAP_NS, PassSpec, PassStage, Planned, plan};
use super::{Launch, TraceSpec, TrueLayer, TruePass};
use crate::sim::Dialect;

/// Process id of the engine in every trace.
const CPU: u32 = 3_196;
/// Host time of a graph launch under the profiler, and of one of its pieces.
const GRAPH_LAUNCH_NS: i64 = 250_000;
const PIECE_LAUNCH_NS: i64 = 40_000;
/// Host time of an eager operator, and of the launch within it.
const OP_NS: i64 = 14_000;
const LAUNCH_NS: i64 = 5_000;
/// From a launch's start to its kernel's, on an idle GPU.
const LATENCY_NS: i64 = 4_000;
/// Host time between two passes.
const BETWEEN_NS: i64 = 60_000;

/// Lays out passes and writes their events.
pub struct Timeline<'a, W> {
    pub spec: &'a TraceSpec,
    pub catalog: &'a Catalog,
    pub engine: &'a Engine,
    pub rank: u32,
    out: Kineto<W>,
    cpu: i64,
    gpu: i64,
    correlation: u64,
    external: u64,
    event: u64,
    frames: Vec<Frame>,
    python: u64,
}

struct Frame {
    name: String,
    start: i64,
    id: u64,
}

impl<'a, W: Write> Timeline<'a, W> {
    pub fn begin(spec: &'a TraceSpec, catalog: &'a Catalog, rank: u32, out: W) -> io::Result<Self> {
        let engine = catalog.engine(spec.dialect);
        let mut out = Kineto::begin(out, rank, spec.shape.ranks, spec.stacks)?;
        for (pid, label, order) in [(json!(CPU), "CPU", CPU), (json!(0), "GPU 0", 5_000_000)] {
            out.metadata("process_name", &pid, &json!({"name": engine.process}))?;
            out.metadata("process_labels", &pid, &json!({"labels": label}))?;
            out.metadata("process_sort_index", &pid, &json!({"sort_index": order}))?;
        }
        let mut timeline = Self {
            spec,
            catalog,
            engine,
            rank,
            out,
            cpu: 100_000,
            gpu: 0,
            correlation: 881_000,
            external: 5_120,
            event: 0,
            frames: Vec::new(),
            python: 0,
        };
        timeline.open_all(&engine.outer, None);
        Ok(timeline)
    }

    pub fn end(mut self) -> io::Result<()> {
        let length = self.cpu.max(self.gpu) + 100_000;
        self.cpu = length - 1_000;
        self.close_to(0)?;
        self.out.end(length)
    }

    /// Runs one pass; `ordinal` varies its kernels' times.
    pub fn pass(&mut self, spec: &PassSpec, ordinal: u64) -> io::Result<TruePass> {
        self.cpu = self.cpu.max(spec.start_ns.unwrap_or(0));
        let seed = self.spec.seed.wrapping_add(ordinal) ^ (u64::from(self.rank) << 32);
        let spec = &PassSpec {
            gpu_ns: spec.gpu_ns.map(|gpu| gpu - self.sampling_ns()),
            ..*spec
        };
        let kernels = plan(self.catalog, self.engine, &self.spec.shape, spec, seed);
        let annotation = annotation(self.spec.dialect, spec);
        self.external += 1;
        let external = self.external;
        let depth = self.frames.len();
        let step = &self.engine.step;
        self.open_all(step, None);
        let started = self.cpu;
        let spans = match self.spec.launch {
            Launch::Eager => self.eager(&kernels)?,
            Launch::Graph if spec.stage() == PassStage::Decode => {
                self.replay(&kernels, GRAPH_LAUNCH_NS)?
            }
            Launch::Graph if self.spec.dialect == Dialect::Sglang => self.piecewise(&kernels)?,
            Launch::Graph => self.eager(&kernels)?,
            Launch::Piecewise => self.piecewise(&kernels)?,
        };
        self.cpu += 20_000;
        self.annotate(&annotation, external, started, &spans)?;
        self.close_to(depth)?;
        self.sample(spec.stage())?;
        if self.spec.launch == Launch::Eager || spec.start_ns.is_none() {
            // The host waits for the tokens.
            self.cpu = self.cpu.max(self.gpu);
        }
        self.cpu += BETWEEN_NS;
        Ok(truth(
            spec.stage(),
            annotation,
            &kernels,
            &spans,
            &self.spec.shape,
        ))
    }

    fn annotate(
        &mut self,
        name: &str,
        external: u64,
        started: i64,
        spans: &[(i64, i64)],
    ) -> io::Result<()> {
        let event = self.next_event();
        self.out.span(&Span {
            category: "user_annotation",
            name,
            pid: CPU,
            tid: CPU,
            start: started,
            duration: self.cpu - started,
            args: format!(
                "\"External id\": {external},\"Record function id\": 0, \"Ev Idx\": {event}"
            ),
        })?;
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
            return Ok(());
        };
        self.out.span(&Span {
            category: "gpu_user_annotation",
            name,
            pid: 0,
            tid: self.engine.stream,
            start: first.0,
            duration: last.1 - first.0,
            args: format!("\"External id\": {external}"),
        })
    }

    /// One graph launch for all kernels, whose correlation they share.
    fn replay(&mut self, kernels: &[Planned], host_ns: i64) -> io::Result<Vec<(i64, i64)>> {
        let depth = self.frames.len();
        let frames = &self.engine.replay;
        self.open_all(frames, None);
        let correlation = self.launch("cudaGraphLaunch", 311, host_ns, None)?;
        let mut start = (self.gpu + GAP_NS).max(self.cpu + LATENCY_NS);
        let mut spans = Vec::with_capacity(kernels.len());
        for planned in kernels {
            let end = self.kernel(planned, start, correlation, None)?;
            spans.push((start, end));
            start = end + GAP_NS;
        }
        self.close_to(depth)?;
        Ok(spans)
    }

    /// A graph launch for each run of kernels between attentions, which are eager.
    fn piecewise(&mut self, kernels: &[Planned]) -> io::Result<Vec<(i64, i64)>> {
        let mut spans = Vec::with_capacity(kernels.len());
        for run in kernels.chunk_by(|a, b| is_attention(a) == is_attention(b)) {
            let ran = if run.first().is_some_and(is_attention) {
                self.eager(run)?
            } else {
                self.replay(run, PIECE_LAUNCH_NS)?
            };
            spans.extend(ran);
        }
        Ok(spans)
    }

    /// An operator and a launch for each kernel.
    fn eager(&mut self, kernels: &[Planned]) -> io::Result<Vec<(i64, i64)>> {
        let depth = self.frames.len();
        let (model, layer) = (&self.engine.model, &self.engine.layer);
        self.open_all(model, None);
        let mut spans = Vec::with_capacity(kernels.len());
        for run in kernels.chunk_by(|a, b| a.layer == b.layer) {
            let inside = self.frames.len();
            let index = run.first().and_then(|planned| planned.layer);
            if index.is_some() {
                self.open_all(layer, index);
            }
            for planned in run {
                spans.push(self.operator(planned)?);
            }
            self.close_to(inside)?;
        }
        self.close_to(depth)?;
        Ok(spans)
    }

    fn operator(&mut self, planned: &Planned) -> io::Result<(i64, i64)> {
        let depth = self.frames.len();
        self.open_all(&planned.kernel.at, planned.layer);
        self.external += 1;
        let (external, event, started) = (self.external, self.next_event(), self.cpu);
        self.cpu += (OP_NS - LAUNCH_NS) / 2;
        let launched = self.cpu;
        let (api, cbid) = api(&planned.kernel.api);
        let correlation = self.launch(api, cbid, LAUNCH_NS, Some(external))?;
        self.cpu += (OP_NS - LAUNCH_NS) / 2;
        self.out.span(&Span {
            category: "cpu_op",
            name: &planned.kernel.op,
            pid: CPU,
            tid: CPU,
            start: started,
            duration: self.cpu - started,
            args: format!(
                "\"External id\": {external},\"Record function id\": 0, \"Ev Idx\": {event}"
            ),
        })?;
        let start = (self.gpu + GAP_NS).max(launched + LATENCY_NS);
        let end = self.kernel(planned, start, correlation, Some(external))?;
        self.close_to(depth)?;
        Ok((start, end))
    }

    /// GPU time of sampling, gaps included.
    fn sampling_ns(&self) -> i64 {
        self.catalog
            .block(self.engine, "sample")
            .map(|(_, kernel)| (kernel.decode_us * 1e3) as i64 + GAP_NS)
            .sum()
    }

    /// Sampling, outside the step's annotation, and the copy of its tokens.
    fn sample(&mut self, stage: PassStage) -> io::Result<()> {
        let (catalog, engine) = (self.catalog, self.engine);
        for (role, kernel) in catalog.block(engine, "sample") {
            self.operator(&Planned {
                role,
                kernel,
                long: stage == PassStage::Prefill,
                layer: None,
                duration_ns: (kernel.decode_us * 1e3) as i64,
            })?;
        }
        let correlation = self.launch("cudaMemcpyAsync", 41, LAUNCH_NS, None)?;
        let start = self.gpu + 2_000;
        let stream = engine.copy_stream;
        self.out.span(&Span {
            category: "gpu_memcpy",
            name: "Memcpy DtoH (Device -> Pinned)",
            pid: 0,
            tid: stream,
            start,
            duration: 1_473,
            args: format!(
                "\"device\": 0, \"context\": 1,\n      \"stream\": {stream}, \"correlation\": \
                 {correlation},\n      \"bytes\": 32, \"memory bandwidth (GB/s)\": 0.0217"
            ),
        })?;
        self.out.flow('f', correlation, 0, stream, start)
    }

    /// A runtime or driver call of `host_ns`, from now.
    fn launch(
        &mut self,
        name: &str,
        cbid: u32,
        host_ns: i64,
        external: Option<u64>,
    ) -> io::Result<u64> {
        self.correlation += 9;
        let correlation = self.correlation;
        let external =
            external.map_or_else(String::new, |id| format!("\"External id\": {id},\n      "));
        self.out.span(&Span {
            category: if name.starts_with("cu") && !name.starts_with("cuda") {
                "cuda_driver"
            } else {
                "cuda_runtime"
            },
            name,
            pid: CPU,
            tid: CPU,
            start: self.cpu,
            duration: host_ns,
            args: format!("{external}\"cbid\": {cbid}, \"correlation\": {correlation}"),
        })?;
        self.out.flow('s', correlation, CPU, CPU, self.cpu)?;
        self.cpu += host_ns;
        Ok(correlation)
    }

    fn kernel(
        &mut self,
        planned: &Planned,
        start: i64,
        correlation: u64,
        external: Option<u64>,
    ) -> io::Result<i64> {
        let kernel = planned.kernel;
        let ([gx, gy, gz], [bx, by, bz]) = (kernel.grid, kernel.block);
        let (blocks, threads) = (gx * gy * gz, bx * by * bz);
        let per_sm = f64::from(blocks) / 132.0;
        let external =
            external.map_or_else(String::new, |id| format!("\"External id\": {id},\n      "));
        let stream = self.engine.stream;
        self.out.span(&Span {
            category: "kernel",
            name: planned.name(),
            pid: 0,
            tid: stream,
            start,
            duration: planned.duration_ns,
            args: format!(
                "{external}\"queued\": 0, \"device\": 0, \"context\": 1,\n      \"stream\": {stream}, \
                 \"correlation\": {correlation},\n      \"registers per thread\": {},\n      \"shared \
                 memory\": 0,\n      \"blocks per SM\": {per_sm:.6},\n      \"warps per SM\": {:.6},\n      \
                 \"grid\": [{gx}, {gy}, {gz}],\n      \"block\": [{bx}, {by}, {bz}],\n      \"est. achieved \
                 occupancy %\": 0",
                kernel.registers,
                per_sm * f64::from(threads) / 32.0
            ),
        })?;
        self.out.flow('f', correlation, 0, stream, start)?;
        self.gpu = start + planned.duration_ns;
        Ok(self.gpu)
    }

    fn next_event(&mut self) -> u64 {
        self.event += 1;
        self.event
    }

    fn open_all(&mut self, names: &[String], layer: Option<usize>) {
        for name in names {
            self.python += 1;
            self.frames.push(Frame {
                name: match layer {
                    Some(layer) => name.replace("{layer}", &layer.to_string()),
                    None => name.clone(),
                },
                start: self.cpu,
                id: self.python,
            });
            self.cpu += 300;
        }
    }

    fn close_to(&mut self, depth: usize) -> io::Result<()> {
        while self.frames.len() > depth {
            let Some(frame) = self.frames.pop() else {
                break;
            };
            self.cpu += 200;
            if self.spec.stacks {
                let parent = match self.frames.last() {
                    Some(parent) => parent.id.to_string(),
                    None => "null".to_owned(),
                };
                let event = self.next_event();
                let module = frame.name.starts_with("nn.Module").then(|| {
                    let index = frame.name.rsplit('_').next().unwrap_or("0");
                    format!(", \"Python module id\": {index}")
                });
                self.out.span(&Span {
                    category: "python_function",
                    name: &frame.name,
                    pid: CPU,
                    tid: CPU,
                    start: frame.start,
                    duration: self.cpu - frame.start,
                    args: format!(
                        "\"Python parent id\": {parent}, \"Python id\": {}{}, \"Ev Idx\": {event}",
                        frame.id,
                        module.unwrap_or_default()
                    ),
                })?;
            }
        }
        Ok(())
    }
}

fn is_attention(planned: &Planned) -> bool {
    planned.role.contains("attention") || planned.role == "delta_rule"
}

/// Callback id that CUPTI gives each launch.
fn api(name: &str) -> (&str, u32) {
    match name {
        "cuLaunchKernelEx" => (name, 652),
        "cudaLaunchKernelExC" => (name, 430),
        _ => ("cudaLaunchKernel", 211),
    }
}

/// Name of a step as the engine annotates it.
fn annotation(dialect: Dialect, spec: &PassSpec) -> String {
    let PassSpec {
        prefills,
        prefill_tokens,
        decodes,
        tokens_per_decode,
        ..
    } = *spec;
    if dialect != Dialect::Sglang {
        let tokens = decodes * tokens_per_decode;
        return format!(
            "execute_context_{prefills}({prefill_tokens})_generation_{decodes}({tokens})"
        );
    }
    match spec.stage() {
        PassStage::Decode if tokens_per_decode > 1 => format!("step[TARGET_VERIFY bs={decodes}]"),
        PassStage::Decode => format!("step[DECODE bs={decodes}]"),
        PassStage::Prefill => format!("step[EXTEND bs={prefills} toks={prefill_tokens}]"),
        PassStage::Mixed => format!(
            "step[MIXED bs={} toks={}]",
            prefills + decodes,
            prefill_tokens + decodes
        ),
    }
}

fn truth(
    stage: PassStage,
    annotation: String,
    kernels: &[Planned],
    spans: &[(i64, i64)],
    shape: &super::ModelShape,
) -> TruePass {
    let mut layers: Vec<TrueLayer> = Vec::new();
    for (ordinal, (planned, (start, end))) in kernels.iter().zip(spans).enumerate() {
        let Some(index) = planned.layer else { continue };
        if layers.last().is_none_or(|layer| layer.index != index) {
            layers.push(TrueLayer {
                index,
                kind: shape
                    .layers
                    .get(index)
                    .map(super::Layer::kind)
                    .unwrap_or_default(),
                first_kernel: ordinal,
                kernels: 0,
                start_ns: *start,
                end_ns: *end,
                sum_ns: 0,
            });
        }
        if let Some(layer) = layers.last_mut() {
            layer.kernels += 1;
            layer.end_ns = *end;
            layer.sum_ns += end - start;
        }
    }
    TruePass {
        stage,
        annotation,
        kernels: kernels.len(),
        start_ns: spans.first().map_or(0, |span| span.0),
        end_ns: spans.last().map_or(0, |span| span.1),
        layers,
    }
}
