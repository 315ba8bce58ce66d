//! One pass through the model: which kernels it runs, and for how long.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::catalog::{Catalog, Engine, Kernel};
use super::shape::{Layer, ModelShape};

/// Tokens at which the catalogue's prefill times hold.
const PREFILL_REFERENCE_TOKENS: f64 = 4_000.0;
/// Kernels below this time are bound by latency: their time varies most.
const JITTER: f64 = 0.02;
/// Between two kernels of one stream inside a graph, in nanoseconds.
pub const GAP_NS: i64 = 430;

/// Blocks around each half of a layer of two half-blocks.
const HALF_BEGIN: &str = "half_begin";
const HALF_END: &str = "half_end";

/// What a pass computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PassSpec {
    /// Sequences that prefill, and their new tokens together.
    pub prefills: u32,
    pub prefill_tokens: u32,
    /// Sequences that decode.
    pub decodes: u32,
    /// Tokens that each decoding sequence computes: above 1 when drafts are verified.
    pub tokens_per_decode: u32,
    /// Start in nanoseconds after the trace's; absent for right after the pass before.
    pub start_ns: Option<i64>,
    /// GPU time in nanoseconds, gaps and sampling included; absent for the catalogue's times.
    pub gpu_ns: Option<i64>,
}

/// Stage of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassStage {
    Prefill,
    Decode,
    Mixed,
}

impl PassSpec {
    /// A pass that prefills `tokens` of `sequences` prompts.
    pub fn prefill(sequences: u32, tokens: u32) -> Self {
        Self {
            prefills: sequences,
            prefill_tokens: tokens,
            ..Self::default()
        }
    }

    /// A pass that decodes one token of each of `sequences`.
    pub fn decode(sequences: u32) -> Self {
        Self {
            decodes: sequences,
            tokens_per_decode: 1,
            ..Self::default()
        }
    }

    /// A pass that verifies `drafts` drafted tokens and one more of each sequence.
    pub fn verify(sequences: u32, drafts: u32) -> Self {
        Self {
            decodes: sequences,
            tokens_per_decode: drafts + 1,
            ..Self::default()
        }
    }

    /// Prefill, decode or both.
    pub fn stage(&self) -> PassStage {
        match (self.prefills > 0, self.decodes > 0) {
            (true, true) => PassStage::Mixed,
            (true, false) => PassStage::Prefill,
            _ => PassStage::Decode,
        }
    }
}

/// A kernel of a pass.
#[derive(Debug, Clone, Copy)]
pub struct Planned<'a> {
    pub role: &'a str,
    pub kernel: &'a Kernel,
    pub long: bool,
    /// Index of its layer; absent before the first and after the last.
    pub layer: Option<usize>,
    pub duration_ns: i64,
}

impl Planned<'_> {
    /// The name for this pass's length.
    pub fn name(&self) -> &str {
        match &self.kernel.prefill_name {
            Some(name) if self.long => name,
            _ => &self.kernel.name,
        }
    }
}

/// The kernels of a pass in order; `seed` varies their times a little.
pub fn plan<'a>(
    catalog: &'a Catalog,
    engine: &'a Engine,
    shape: &ModelShape,
    spec: &PassSpec,
    seed: u64,
) -> Vec<Planned<'a>> {
    let long = spec.prefill_tokens >= 256;
    let mut kernels = Vec::new();
    let mut add = |block: &str, layer: Option<usize>| {
        for (role, kernel) in catalog.block(engine, block) {
            if shape.ranks > 1 || !role.ends_with("all_reduce") {
                kernels.push(Planned {
                    role,
                    kernel,
                    long,
                    layer,
                    duration_ns: 0,
                });
            }
        }
    };
    add("begin", None);
    for (index, layer) in shape.layers.iter().enumerate() {
        for block in blocks(engine, layer, index) {
            add(&block, Some(index));
        }
    }
    add("end", None);
    set_times(&mut kernels, spec, seed);
    kernels
}

fn blocks(engine: &Engine, layer: &Layer, index: usize) -> Vec<String> {
    // vLLM compiles the first layer apart.
    let first = format!("first_{}", layer.mixer.name());
    let mixer = if index == 0 && engine.has_block(&first) {
        first
    } else {
        layer.mixer.name().to_owned()
    };
    let mlp = layer.mlp.name().to_owned();
    if !layer.halves {
        return vec![mixer, mlp];
    }
    let half = |block: String| [HALF_BEGIN.to_owned(), block, HALF_END.to_owned()];
    half(mixer).into_iter().chain(half(mlp)).collect()
}

fn set_times(kernels: &mut [Planned], spec: &PassSpec, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut jitter =
        || 1.0 + JITTER * (2.0 * f64::from(random.next_u32()) / f64::from(u32::MAX) - 1.0);
    let share = f64::from(spec.prefill_tokens) / PREFILL_REFERENCE_TOKENS;
    let times: Vec<f64> = kernels
        .iter()
        .map(|planned| {
            let decode = planned.kernel.decode_us;
            let prefill = (planned.kernel.prefill_us * share).max(decode);
            jitter() * if spec.prefills > 0 { prefill } else { decode }
        })
        .collect();
    let gaps = GAP_NS * kernels.len() as i64;
    let wanted = spec.gpu_ns.map(|gpu| (gpu - gaps).max(0) as f64 / 1e3);
    let scale = match (wanted, times.iter().sum::<f64>()) {
        (Some(wanted), sum) if sum > 0.0 => wanted / sum,
        _ => 1.0,
    };
    for (planned, time) in kernels.iter_mut().zip(times) {
        planned.duration_ns = ((time * scale * 1e3) as i64).max(1);
    }
}
