//! What held a run's batch down, as its timeline shows it.

use super::model::CHUNK;
use super::run::{Request, Run, Window};

/// Requests were held back when they waited, while others only decoded, for
/// more than this share of the run.
const HELD_BACK: f64 = 0.01;
/// The KV cache was the limit when this much of it was in use or reserved.
const FULL: f64 = 0.8;
/// A run that holds more than this share of what reserving all output would
/// allow does not reserve it.
const OVERBOOKED: f64 = 1.02;
/// A preemption at this share of the largest held context is for want of room.
const FOR_ROOM: f64 = 0.95;
/// The cap is the limit when the batch stayed at its peak for this share of
/// the time in which requests were held back.
const STAYED: f64 = 0.8;

/// The batch is at its peak from this share of it on.
const AT_PEAK: f64 = 0.97;
/// Steps with less than this share of the prompt tokens that they may carry
/// had room for more.
const SPARE: f64 = 0.25;

/// The limit that the batch met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBy {
    /// Requests never waited while there was time to admit them.
    Nothing,
    KvCapacity,
    /// A fixed number of running requests.
    Cap,
    /// Something; the client alone cannot tell a cap from a full cache.
    Unknown,
}

/// How a run admitted requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    pub held_by: HeldBy,
    /// Tokens that the KV cache held at most before a request had to wait,
    /// by the server's count; infinite where it never mattered.
    pub room: f64,
    /// Share of the output still to come that is reserved: 1 or 0.
    pub reserve: f64,
    /// Whether output still to come is reserved, where the run showed it: it
    /// preempted or held more than reserving would allow, or it was held back
    /// with the cache reserved.
    pub reserves_output: Option<bool>,
    /// Most requests running at once; infinite where no cap showed.
    pub cap: f64,
    pub peak_running: f64,
    /// Time in which requests were held back.
    pub held_back_s: f64,
    /// Highest share of the KV cache in use, where the server tells.
    pub kv_peak: Option<f64>,
    /// Preemptions that happened although there was room.
    pub forced: Vec<Vec<f64>>,
}

/// A stretch in which a request is in the batch and grows evenly.
struct Stretch {
    from: f64,
    to: f64,
    context: f64,
    rate: f64,
    /// Prompt and whole output.
    reserved: f64,
}

/// The batch at one moment.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    running: f64,
    context: f64,
    reserved: f64,
}

/// Reads the admission of a run from its requests, windows and server points.
/// `scale` is the server's count of prompt tokens over the client's.
pub fn admission(run: &Run, scale: f64) -> Admission {
    let levels = Levels::of(run, scale);
    let mut firsts: Vec<&Request> = run.requests.iter().collect();
    firsts.sort_by(|a, b| a.first.total_cmp(&b.first));
    let after: Vec<Level> = firsts.iter().map(|r| levels.at(r.first)).collect();
    let most = |value: fn(&Level) -> f64| after.iter().map(value).fold(0.0, f64::max);
    let peak_running = most(|l| l.running);
    let held_back = held_back(run, scale, peak_running);
    let held_back_s: f64 = held_back.iter().map(|w| w.1 - w.0).sum();
    let capacity = run.facts.kv_capacity_tokens;
    let overbooked = capacity.is_some_and(|tokens| most(|l| l.reserved) > OVERBOOKED * tokens);
    let (for_room, forced) = preemptions(run, &levels, most(|l| l.context));
    let reserve = if for_room || overbooked { 0.0 } else { 1.0 };
    let held = |level: &Level| {
        if reserve > 0.5 {
            level.reserved
        } else {
            level.context
        }
    };
    let low = after.iter().map(held).fold(0.0, f64::max);
    let kv_peak = run
        .server
        .iter()
        .filter_map(|p| p.kv_usage)
        .fold(None, |most, usage| {
            Some(f64::max(most.unwrap_or(0.0), usage))
        });
    let limited = held_back_s > HELD_BACK * run.facts.duration_s;
    let at_peak: f64 = held_back
        .iter()
        .filter(|(from, to)| levels.at((from + to) / 2.0).running >= peak_running - 0.5)
        .map(|(from, to)| to - from)
        .sum();
    let full = |share: f64| share >= FULL;
    let kv_full = kv_peak.is_some_and(full) || capacity.is_some_and(|tokens| full(low / tokens));
    let kv_known = kv_peak.is_some() || capacity.is_some();
    let configured = run.facts.max_running == Some(peak_running);
    let held_by = match () {
        () if !limited => HeldBy::Nothing,
        () if configured => HeldBy::Cap,
        () if kv_full || for_room => HeldBy::KvCapacity,
        () if kv_known && at_peak >= STAYED * held_back_s => HeldBy::Cap,
        () => HeldBy::Unknown,
    };
    let room = match held_by {
        HeldBy::KvCapacity | HeldBy::Unknown => {
            let high = least_refused(&held_back, &firsts, &levels, low, reserve, scale, held);
            room_between(low, high, capacity)
        }
        // It did not matter here, and may where more is admitted.
        HeldBy::Nothing | HeldBy::Cap => capacity
            .filter(|tokens| *tokens > low)
            .unwrap_or(f64::INFINITY),
    };
    let reserved_full = capacity.is_some_and(|tokens| full(most(|l| l.reserved) / tokens));
    let reserves_output = if for_room || overbooked {
        Some(false)
    } else {
        (held_by == HeldBy::KvCapacity && reserved_full).then_some(true)
    };
    Admission {
        reserves_output,
        held_by,
        room,
        reserve,
        cap: if held_by == HeldBy::Cap {
            peak_running
        } else {
            f64::INFINITY
        },
        peak_running,
        held_back_s,
        kv_peak,
        forced,
    }
}

/// Windows in which requests waited though there was time to compute their
/// prompts: none was computed; or, where windows are too long for that, the
/// batch stood at its peak and steps had room for far more prompt tokens.
fn held_back(run: &Run, scale: f64, peak_running: f64) -> Vec<(f64, f64)> {
    let chunk = run.facts.chunk_tokens.unwrap_or(CHUNK);
    let only_decoded = |w: &Window| w.prompt_tokens == 0.0 && w.prefilling < 0.5;
    let had_room = |w: &Window| {
        w.decoding >= AT_PEAK * peak_running && w.prompt_tokens * scale < SPARE * chunk * w.steps()
    };
    run.windows
        .iter()
        .filter(|w| w.waiting >= 0.9 && w.tokens > 0.0)
        .filter(|w| only_decoded(w) || had_room(w))
        .map(|w| (w.from, w.to))
        .collect()
}

/// The least that was too much: what was held while a request waited, and
/// that request.
fn least_refused(
    held_back: &[(f64, f64)],
    firsts: &[&Request],
    levels: &Levels,
    low: f64,
    reserve: f64,
    scale: f64,
    held: impl Fn(&Level) -> f64,
) -> Option<f64> {
    held_back
        .iter()
        .filter_map(|(from, _)| {
            let next = firsts.partition_point(|request| request.first <= *from);
            let request = firsts.get(next)?;
            let need = request.prompt * scale + reserve * request.output;
            let refused = held(&levels.at(*from)) + need;
            (refused > low).then_some(refused)
        })
        .min_by(f64::total_cmp)
}

/// The capacity, if it lies between what was admitted and what was refused.
fn room_between(low: f64, high: Option<f64>, capacity: Option<f64>) -> f64 {
    let high = high.unwrap_or(low);
    match capacity {
        Some(tokens) if (low..high).contains(&tokens) => tokens,
        Some(tokens) if tokens >= high => low + 0.9 * (high - low),
        _ => low + 0.5 * (high - low),
    }
}

/// Whether requests were preempted for want of room, and the preemptions that
/// were not, as output tokens before each, by request.
fn preemptions(run: &Run, levels: &Levels, most_context: f64) -> (bool, Vec<Vec<f64>>) {
    let full = run
        .facts
        .kv_capacity_tokens
        .map_or(FOR_ROOM * most_context, |tokens| FOR_ROOM * tokens);
    let pauses = || run.requests.iter().flat_map(|request| &request.pauses);
    let for_room = pauses()
        .filter(|pause| levels.before(pause.from).context >= full)
        .count();
    if 2 * for_room >= pauses().count().max(1) {
        return (true, Vec::new());
    }
    let forced = run
        .requests
        .iter()
        .map(|request| request.pauses.iter().map(|pause| pause.tokens).collect())
        .collect();
    (false, forced)
}

/// The batch over time, by prefix sums over the moments at which it changes.
struct Levels {
    times: Vec<f64>,
    /// Running requests, reserved tokens, and context as `offset + rate · t`.
    sums: Vec<[f64; 4]>,
}

impl Levels {
    fn of(run: &Run, scale: f64) -> Self {
        let mut changes: Vec<(f64, [f64; 4])> = Vec::with_capacity(2 * run.requests.len());
        for request in &run.requests {
            for s in stretches(request, scale) {
                let sums = [1.0, s.reserved, s.context - s.rate * s.from, s.rate];
                changes.push((s.from, sums));
                changes.push((s.to, sums.map(|value| -value)));
            }
        }
        changes.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut level = [0.0; 4];
        let (times, sums) = changes
            .into_iter()
            .map(|(at, change)| {
                for (level, change) in level.iter_mut().zip(change) {
                    *level += change;
                }
                (at, level)
            })
            .unzip();
        Self { times, sums }
    }

    /// The batch at a time, changes at that time included.
    fn at(&self, t: f64) -> Level {
        self.level(self.times.partition_point(|at| *at <= t), t)
    }

    /// The batch just before a time.
    fn before(&self, t: f64) -> Level {
        self.level(self.times.partition_point(|at| *at < t), t)
    }

    fn level(&self, index: usize, t: f64) -> Level {
        let Some([running, reserved, offset, rate]) =
            index.checked_sub(1).and_then(|i| self.sums.get(i))
        else {
            return Level::default();
        };
        Level {
            running: *running,
            reserved: *reserved,
            context: offset + rate * t,
        }
    }
}

/// The stretches of a request between its preemptions.
fn stretches(request: &Request, scale: f64) -> Vec<Stretch> {
    let prompt = request.prompt * scale;
    let mut stretches = Vec::with_capacity(1 + request.pauses.len());
    let mut put = |from: f64, to: f64, had: f64, has: f64| {
        if to > from {
            stretches.push(Stretch {
                from,
                to,
                context: prompt + had,
                rate: (has - had) / (to - from),
                reserved: prompt + request.output,
            });
        }
    };
    let (mut from, mut had) = (request.first, 1.0);
    for pause in &request.pauses {
        put(from, pause.from, had, pause.tokens);
        (from, had) = (pause.to, pause.tokens);
    }
    put(from, request.end, had, request.output);
    stretches
}
