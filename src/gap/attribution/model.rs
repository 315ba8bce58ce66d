//! Two runs as two engines and two workloads, and what they differ in.

use std::sync::Arc;

use super::admission::{Admission, HeldBy, admission};
use super::least_squares::median;
use super::longer_prompts::LongerPrompts;
use super::prefill::prefill_rate;
use super::replay::{Ask, Engine, PromptScale, Workload};
use super::run::Run;
use super::stalls::decoding;
use super::surface::{StepSurface, surfaces};

/// Prompt tokens of a step where nothing tells: the default of both engines.
pub const CHUNK: f64 = 8192.0;
/// Factors that differ by less than this are taken as equal.
const EQUAL: f64 = 1e-6;
/// Sending times may differ by this share of the run.
const SAME_TIMES: f64 = 0.03;

/// What can be exchanged between two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Factor {
    PrefillRate,
    DecodeStepTime,
    HostGap,
    KvCapacity,
    AdmissionPolicy,
    RunningCap,
    Preemption,
    Stalls,
    Client,
    Order,
}

impl Factor {
    pub const ALL: [Self; 10] = [
        Self::PrefillRate,
        Self::DecodeStepTime,
        Self::HostGap,
        Self::KvCapacity,
        Self::AdmissionPolicy,
        Self::RunningCap,
        Self::Preemption,
        Self::Stalls,
        Self::Client,
        Self::Order,
    ];
}

/// One run, taken apart.
#[derive(Debug, Clone)]
pub struct Side {
    pub engine: Engine,
    pub workload: Workload,
    pub admission: Admission,
    /// Wall time of the run.
    pub duration_s: f64,
}

/// Takes both runs apart; the target first. None without a decode step in
/// either.
pub fn sides(target: &Run, leader: &Run) -> Option<[Side; 2]> {
    let runs = [target, leader];
    let scales = runs.map(Run::prompt_scale);
    let longer = [0, 1].map(|i| runs[i].longer_context(scales[i]));
    let steps = surfaces(runs, longer)?;
    let gaps = host_gaps(runs);
    let mut sides = [0, 1].map(|i| side(runs[i], scales[i], longer[i], steps[i], gaps[i]));
    settle_policies(&mut sides);
    settle_orders(&mut sides, runs);
    Some(sides)
}

fn side(run: &Run, scale: f64, longer: f64, step: StepSurface, host_gap: f64) -> Side {
    let admission = admission(run, scale);
    let decoding = decoding(run, &step, longer);
    let step = step.paced(decoding.pace.unwrap_or(1.0));
    let rate = prefill_rate(run, &step, &decoding, scale, longer);
    let chunk = run.facts.chunk_tokens.unwrap_or(CHUNK).max(1.0);
    let per_step = if rate.interleave.is_finite() {
        rate.interleave
    } else {
        chunk
    };
    let host_gap = host_gap.min(step.own.base);
    let preempted = run.preemptions() > 0;
    let unseen = run.counted_preemptions() > run.preemptions() as f64;
    Side {
        engine: Engine {
            prefill: (rate.seconds - host_gap / per_step).max(0.0),
            decode: step.without(host_gap),
            host_gap,
            interleave: rate.interleave,
            chunk,
            room: admission.room,
            reserve: admission.reserve,
            cap: admission.cap,
            recompute: if preempted { 1.0 } else { 0.0 },
            recompute_stalls: if unseen { decoding.stalled } else { 0.0 },
            stalls: if unseen { 0.0 } else { decoding.stalled },
            forced: Arc::new(admission.forced.clone()),
            prompt_scale: PromptScale::all(scale),
        },
        workload: workload(run),
        admission,
        duration_s: run.facts.duration_s,
    }
}

/// Seconds before each step in which the GPU waits, where both engines tell
/// how busy it was; else 0, and what there is of them counts as step time.
fn host_gaps(runs: [&Run; 2]) -> [f64; 2] {
    match runs.map(host_gap) {
        [Some(target), Some(leader)] => [target, leader],
        _ => [0.0, 0.0],
    }
}

/// The median, over windows of decode steps alone in which the engine told how
/// busy the GPU was, of the idle part of a step.
fn host_gap(run: &Run) -> Option<f64> {
    let mut gaps = Vec::new();
    for point in &run.server {
        let Some(busy) = point.gpu_busy_pct.filter(|pct| *pct > 0.0 && *pct <= 100.0) else {
            continue;
        };
        let at = run.windows.partition_point(|window| window.to < point.t);
        if let Some(window) = run.windows.get(at).filter(|window| window.only_decodes()) {
            gaps.push((1.0 - busy / 100.0) * window.seconds() / window.steps());
        }
    }
    (!gaps.is_empty()).then(|| median(&gaps))
}

fn workload(run: &Run) -> Workload {
    let mut requests: Vec<&super::run::Request> = run.requests.iter().collect();
    requests.sort_by(|a, b| a.sent.total_cmp(&b.sent).then(a.index.cmp(&b.index)));
    // In a closed loop the cap decides when a request is sent, and the
    // recorded times are the engine's own doing.
    let closed = run.facts.max_concurrency.is_some() && run.facts.request_rate.is_none();
    Workload {
        requests: requests
            .iter()
            .map(|request| Ask {
                due: if closed { 0.0 } else { request.sent },
                prompt: request.prompt.max(1.0),
                output: request.output.max(1.0),
            })
            .collect(),
        cap: run.facts.max_concurrency,
        ranks: Arc::new(Vec::new()),
    }
}

/// A run that was never held back does not show what it reserves: it is taken
/// to do as the other.
fn settle_policies(sides: &mut [Side; 2]) {
    let [target, leader] = sides;
    let unknown = |side: &Side| {
        side.admission.held_by == HeldBy::Nothing || side.admission.held_by == HeldBy::Cap
    };
    match (unknown(target), unknown(leader)) {
        (true, false) => target.engine.reserve = leader.engine.reserve,
        (false, true) => leader.engine.reserve = target.engine.reserve,
        _ => {}
    }
    // Where neither was held back, room is no difference.
    if unknown(target) && unknown(leader) {
        target.engine.room = f64::INFINITY;
        leader.engine.room = f64::INFINITY;
    }
}

/// The order of service matters where requests differ; it is each run's order
/// of first tokens.
fn settle_orders(sides: &mut [Side; 2], runs: [&Run; 2]) {
    for (side, run) in sides.iter_mut().zip(runs) {
        let mut sent: Vec<usize> = (0..run.requests.len()).collect();
        sent.sort_by(|a, b| {
            let (a, b) = (&run.requests[*a], &run.requests[*b]);
            a.sent.total_cmp(&b.sent).then(a.index.cmp(&b.index))
        });
        let mut served: Vec<usize> = (0..sent.len()).collect();
        served.sort_by(|a, b| {
            let first = |i: &usize| run.requests[sent[*i]].first;
            first(a).total_cmp(&first(b)).then(a.cmp(b))
        });
        let mut ranks = vec![0; served.len()];
        for (rank, position) in served.into_iter().enumerate() {
            ranks[position] = u32::try_from(rank).unwrap_or(u32::MAX);
        }
        side.workload.ranks = Arc::new(ranks);
    }
}

/// The factors in which two sides differ.
pub fn differences(target: &Side, leader: &Side) -> Vec<Factor> {
    let differs = |factor: &Factor| {
        let (t, l) = (&target.engine, &leader.engine);
        // Infinite stands for a limit that never mattered.
        let far = |a: f64, b: f64| {
            a != b
                && (a.is_infinite()
                    || b.is_infinite()
                    || (a - b).abs() > EQUAL * a.abs().max(b.abs()))
        };
        match factor {
            Factor::PrefillRate => far(t.prefill, l.prefill),
            Factor::DecodeStepTime => {
                let (t, l) = (t.decode.own, l.decode.own);
                far(t.base, l.base)
                    || far(t.per_sequence, l.per_sequence)
                    || far(t.per_context, l.per_context)
            }
            Factor::HostGap => far(t.host_gap, l.host_gap),
            Factor::KvCapacity => far(t.room, l.room),
            Factor::AdmissionPolicy => far(t.reserve, l.reserve) || far(t.interleave, l.interleave),
            Factor::RunningCap => far(t.cap, l.cap),
            Factor::Preemption => {
                far(t.recompute, l.recompute)
                    || far(t.recompute_stalls, l.recompute_stalls)
                    || t.forced != l.forced
            }
            Factor::Stalls => far(t.stalls, l.stalls),
            Factor::Client => !same_client(target, leader),
            Factor::Order => orders_differ(&target.workload, &leader.workload),
        }
    };
    Factor::ALL.into_iter().filter(differs).collect()
}

/// Whether both clients asked for the same at the same times.
fn same_client(target: &Side, leader: &Side) -> bool {
    let slack = SAME_TIMES * target.duration_s.min(leader.duration_s);
    let (target, leader) = (&target.workload, &leader.workload);
    target.cap == leader.cap
        && target.requests.len() == leader.requests.len()
        && target.requests.iter().zip(&leader.requests).all(|(a, b)| {
            let near = |a: f64, b: f64| (a - b).abs() <= 0.001 * a.max(b);
            near(a.prompt, b.prompt) && near(a.output, b.output) && (a.due - b.due).abs() <= slack
        })
}

/// Order matters only among unequal requests of one workload.
fn orders_differ(target: &Workload, leader: &Workload) -> bool {
    let unequal = target
        .requests
        .windows(2)
        .any(|pair| pair[0].prompt != pair[1].prompt || pair[0].output != pair[1].output);
    unequal && target.requests.len() == leader.requests.len() && target.ranks != leader.ranks
}

/// The leader with the factors of `mask` taken from the target; bit i is
/// `factors[i]`.
pub fn exchanged(
    target: &Side,
    leader: &Side,
    factors: &[Factor],
    longer: LongerPrompts,
    mask: u32,
) -> (Engine, Workload) {
    let mut engine = leader.engine.clone();
    let mut workload = leader.workload.clone();
    let of_target = factors
        .iter()
        .enumerate()
        .filter(|(i, _)| mask >> i & 1 == 1)
        .map(|(_, factor)| *factor);
    for factor in of_target {
        take(&mut engine, &mut workload, target, factor);
        longer.exchange(&mut engine, factor, target.engine.prompt_scale);
    }
    (engine, workload)
}

fn take(engine: &mut Engine, workload: &mut Workload, target: &Side, factor: Factor) {
    let of = &target.engine;
    match factor {
        Factor::PrefillRate => engine.prefill = of.prefill,
        Factor::DecodeStepTime => engine.decode = of.decode,
        Factor::HostGap => engine.host_gap = of.host_gap,
        Factor::KvCapacity => engine.room = of.room,
        Factor::AdmissionPolicy => {
            engine.reserve = of.reserve;
            engine.interleave = of.interleave;
            engine.chunk = of.chunk;
        }
        Factor::RunningCap => engine.cap = of.cap,
        Factor::Preemption => {
            engine.recompute = of.recompute;
            engine.recompute_stalls = of.recompute_stalls;
            engine.forced = Arc::clone(&of.forced);
        }
        Factor::Stalls => engine.stalls = of.stalls,
        Factor::Client => {
            workload.requests.clone_from(&target.workload.requests);
            workload.cap = target.workload.cap;
            // Ranks belong to the requests that they rank.
            workload.ranks = Arc::clone(&target.workload.ranks);
        }
        Factor::Order => workload.ranks = Arc::clone(&target.workload.ranks),
    }
}
