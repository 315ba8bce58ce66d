//! Replaying a workload on a model of an engine, in virtual time.
//!
//! The model has what decides a run's wall time: seconds of a prompt token,
//! the surface of decode steps, room in the KV cache and what a request
//! reserves of it, a cap of running requests, preemption, and whether prompts
//! are computed between decode steps or with them. Between two events (a
//! first token, an end, an arrival, a full cache) the batch does not change,
//! so that its steps are summed in one go.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use super::surface::StepSurface;

/// An engine as a replay sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Engine {
    /// Seconds of a prompt token, as the server counts them.
    pub prefill: f64,
    pub decode: StepSurface,
    /// Seconds in which the GPU waits before every step.
    pub host_gap: f64,
    /// Prompt tokens computed along with one decode step; infinite where
    /// decoding waits until prompts are computed.
    pub interleave: f64,
    /// Prompt tokens of a step that only prefills.
    pub chunk: f64,
    /// Tokens in the KV cache, infinite where it never mattered.
    pub room: f64,
    /// Share of the output still to come that is reserved in it.
    pub reserve: f64,
    /// Most requests running at once.
    pub cap: f64,
    /// Share of a preempted request's tokens that is computed again.
    pub recompute: f64,
    /// Seconds of stalls in the whole run: for tokens computed again that no
    /// client sees as such, and for what nothing tells.
    pub recompute_stalls: f64,
    pub stalls: f64,
    /// Output tokens after which a request is preempted though there is room.
    pub forced: Arc<Vec<Vec<f64>>>,
    /// Prompt tokens on the server for one that the client counts.
    pub prompt_scale: PromptScale,
}

/// The scale in each of the three places where a longer prompt costs time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PromptScale {
    pub prefill: f64,
    pub context: f64,
    pub room: f64,
}

impl PromptScale {
    pub fn all(scale: f64) -> Self {
        Self {
            prefill: scale,
            context: scale,
            room: scale,
        }
    }
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// In the order of sending.
    pub requests: Vec<Ask>,
    /// Cap of requests in flight.
    pub cap: Option<u32>,
    /// Order in which waiting requests are served, as a rank for each.
    pub ranks: Arc<Vec<u32>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ask {
    pub due: f64,
    pub prompt: f64,
    pub output: f64,
}

/// What a replay gave.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Outcome {
    pub wall_s: f64,
    pub preemptions: u64,
    /// Tokens computed again after preemptions.
    pub recomputed: f64,
    pub peak_running: usize,
}

/// A replay that goes round more often than this for each request is given up.
const MOST_EVENTS_EACH: usize = 400;
const TINY: f64 = 1e-9;

/// Replays a workload. None when the model does not come to an end: a request
/// larger than the cache, or endless preemption.
pub fn replay(engine: &Engine, workload: &Workload) -> Option<Outcome> {
    let mut state = State::new(engine, workload);
    let limit = MOST_EVENTS_EACH * workload.requests.len() + 1_000;
    for _ in 0..limit {
        if state.done == workload.requests.len() {
            state.outcome.wall_s = state.now + engine.recompute_stalls + engine.stalls;
            return state.now.is_finite().then_some(state.outcome);
        }
        state.go_on();
    }
    None
}

/// A request that runs.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Decode step at which it began.
    since: f64,
    /// Tokens in its context and in the KV cache when it began.
    context: f64,
    held: f64,
    /// Decode step at which it ends.
    until: f64,
    /// Output tokens that it had when it began.
    had: f64,
}

/// A prompt that is being computed.
#[derive(Debug, Clone, Copy)]
struct Prefill {
    request: usize,
    /// Tokens still to be computed.
    left: f64,
    /// Output tokens that it had before a preemption.
    had: f64,
}

/// An event at a decode step: a request ends, or is preempted by force.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Due {
    step: f64,
    request: usize,
    epoch: u32,
    preempts: bool,
}

impl Eq for Due {}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.step
            .total_cmp(&other.step)
            .then(self.request.cmp(&other.request))
            .then(self.epoch.cmp(&other.epoch))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Steps that fit into a time when the next one takes `step` and each further
/// one longer by `slope`.
fn steps_in(seconds: f64, step: f64, slope: f64) -> f64 {
    if slope <= 0.0 {
        return seconds / step.max(TINY);
    }
    ((step * step + 2.0 * slope * seconds).sqrt() - step) / slope
}

struct State<'a> {
    engine: &'a Engine,
    workload: &'a Workload,
    now: f64,
    /// Decode steps so far.
    step: f64,
    /// Next request to be sent.
    next: usize,
    in_flight: usize,
    waiting: BinaryHeap<Reverse<(u32, usize)>>,
    /// Preempted requests with the output tokens that they have; they go first.
    preempted: VecDeque<(usize, f64)>,
    prefill: Option<Prefill>,
    slots: Vec<Option<Slot>>,
    /// How often each request has begun, so that stale events are known.
    epochs: Vec<u32>,
    dues: BinaryHeap<Reverse<Due>>,
    /// Running requests, the last admitted last; stale entries are skipped.
    admitted: Vec<(usize, u32)>,
    running: f64,
    context: f64,
    held: f64,
    /// Sum of the steps at which running requests end.
    ends: f64,
    done: usize,
    outcome: Outcome,
}

impl<'a> State<'a> {
    fn new(engine: &'a Engine, workload: &'a Workload) -> Self {
        let n = workload.requests.len();
        Self {
            engine,
            workload,
            now: 0.0,
            step: 0.0,
            next: 0,
            in_flight: 0,
            waiting: BinaryHeap::new(),
            preempted: VecDeque::new(),
            prefill: None,
            slots: vec![None; n],
            epochs: vec![0; n],
            dues: BinaryHeap::new(),
            admitted: Vec::new(),
            running: 0.0,
            context: 0.0,
            held: 0.0,
            ends: 0.0,
            done: 0,
            outcome: Outcome::default(),
        }
    }

    /// Goes on to the next event.
    fn go_on(&mut self) {
        self.send();
        if self.prefill.is_none() {
            self.admit();
        }
        match self.prefill {
            Some(_) if self.engine.interleave.is_infinite() || self.running < 0.5 => {
                self.only_prefill();
            }
            Some(prefill) => self.mixed(prefill),
            None if self.running > 0.5 => self.decode(),
            None => match self.next_arrival() {
                Some(at) => self.now = self.now.max(at),
                // Nothing runs, waits or comes: the workload cannot end.
                None => self.now = f64::INFINITY,
            },
        }
        self.end_due();
        self.preempt_for_room();
    }

    fn ask(&self, request: usize) -> Ask {
        // Requests are numbered by the workload itself.
        self.workload.requests[request]
    }

    fn send(&mut self) {
        let cap = self.workload.cap.map_or(usize::MAX, |cap| cap as usize);
        while self.in_flight < cap
            && let Some(ask) = self.workload.requests.get(self.next)
            && ask.due <= self.now + TINY
        {
            let rank = self.workload.ranks.get(self.next).copied();
            self.waiting
                .push(Reverse((rank.unwrap_or(u32::MAX), self.next)));
            self.in_flight += 1;
            self.next += 1;
        }
    }

    fn next_arrival(&self) -> Option<f64> {
        let cap = self.workload.cap.map_or(usize::MAX, |cap| cap as usize);
        if self.in_flight >= cap {
            return None;
        }
        self.workload.requests.get(self.next).map(|ask| ask.due)
    }

    fn held_by(&self, request: usize, had: f64) -> f64 {
        self.ask(request).prompt * self.engine.prompt_scale.room + had
    }

    /// Starts the prefill of the next request that fits.
    fn admit(&mut self) {
        let next = self
            .preempted
            .front()
            .copied()
            .or_else(|| self.waiting.peek().map(|Reverse((_, r))| (*r, 0.0)));
        let Some((request, had)) = next else { return };
        let engine = self.engine;
        let left = self.ask(request).output - had;
        let reserved = engine.reserve * (self.ends - self.step * self.running).max(0.0);
        let wanted = self.held_by(request, had) + engine.reserve * left;
        // Where output is not reserved, the next token of each must fit, or
        // the request would be preempted at once.
        let slack = (1.0 - engine.reserve) * (self.running + 1.0);
        let fits = self.held + reserved + wanted + slack <= engine.room + TINY;
        if self.running + 1.0 > engine.cap + 0.5 || !(fits || self.running < 0.5) {
            return;
        }
        if self.preempted.pop_front().is_none() {
            self.waiting.pop();
        }
        let prompt = self.ask(request).prompt * engine.prompt_scale.prefill;
        let tokens = if had > 0.0 {
            self.outcome.recomputed += engine.recompute * (prompt + had);
            engine.recompute * (prompt + had)
        } else {
            prompt
        };
        self.prefill = Some(Prefill {
            request,
            left: tokens,
            had,
        });
    }

    fn only_prefill(&mut self) {
        if let Some(prefill) = self.prefill {
            let steps = prefill.left / self.engine.chunk;
            self.now += prefill.left * self.engine.prefill + steps * self.engine.host_gap;
            self.begin(prefill);
        }
    }

    /// Decode steps that carry prompt tokens along.
    fn mixed(&mut self, prefill: Prefill) {
        let engine = self.engine;
        let wanted = prefill.left / engine.interleave;
        let steps = wanted.min(self.steps_to_event());
        let tokens = steps * engine.interleave;
        let step = engine.decode.at(self.running, self.context);
        self.now += steps * (step.shared(self.running, self.context) + engine.host_gap)
            + self.growth(step.per_context, steps)
            + tokens * engine.prefill;
        self.advance(steps);
        if steps >= wanted - TINY {
            self.begin(prefill);
        } else {
            self.prefill = Some(Prefill {
                left: prefill.left - tokens,
                ..prefill
            });
        }
    }

    fn decode(&mut self) {
        let engine = self.engine;
        let surface = engine.decode.at(self.running, self.context);
        let step = surface.seconds(self.running, self.context) + engine.host_gap;
        let mut steps = self.steps_to_event();
        if let Some(at) = self.next_arrival()
            && at > self.now
        {
            let slope = surface.per_context * self.running;
            steps = steps.min(steps_in(at - self.now, step, slope));
        }
        self.now += steps * step + self.growth(surface.per_context, steps);
        self.advance(steps);
    }

    /// Steps until a request ends, is preempted, or the cache is full.
    fn steps_to_event(&mut self) -> f64 {
        while let Some(Reverse(due)) = self.dues.peek()
            && self.is_stale(due.request, due.epoch)
        {
            self.dues.pop();
        }
        let due = self
            .dues
            .peek()
            .map_or(f64::INFINITY, |Reverse(due)| due.step - self.step);
        let full = if self.engine.reserve < 1.0 && self.running > 1.5 {
            (self.engine.room - self.held - self.prefilling()).max(0.0) / self.running
        } else {
            f64::INFINITY
        };
        due.min(full).max(0.0)
    }

    /// KV tokens of the prompt that is being computed.
    fn prefilling(&self) -> f64 {
        self.prefill
            .map_or(0.0, |prefill| self.held_by(prefill.request, prefill.had))
    }

    /// Further seconds of `steps` steps because contexts grow meanwhile.
    fn growth(&self, per_context: f64, steps: f64) -> f64 {
        per_context * self.running * steps * steps / 2.0
    }

    fn advance(&mut self, steps: f64) {
        self.step += steps;
        self.context += steps * self.running;
        self.held += steps * self.running;
    }

    /// The prompt is computed: its request has a further token and decodes.
    fn begin(&mut self, prefill: Prefill) {
        self.prefill = None;
        let Prefill { request, had, .. } = prefill;
        let ask = self.ask(request);
        let left = ask.output - had - 1.0;
        if left < 0.5 {
            self.in_flight -= 1;
            self.done += 1;
            return;
        }
        let slot = Slot {
            since: self.step,
            context: ask.prompt * self.engine.prompt_scale.context + had,
            held: self.held_by(request, had),
            until: self.step + left,
            had: had + 1.0,
        };
        self.epochs[request] += 1;
        let epoch = self.epochs[request];
        self.slots[request] = Some(slot);
        self.admitted.push((request, epoch));
        self.running += 1.0;
        self.context += slot.context;
        self.held += slot.held;
        self.ends += slot.until;
        self.outcome.peak_running = self.outcome.peak_running.max(self.running as usize);
        let forced = self.engine.forced.get(request).map(Vec::as_slice);
        let next = forced
            .unwrap_or(&[])
            .iter()
            .find(|tokens| **tokens > slot.had);
        let (step, preempts) = match next {
            Some(tokens) => (self.step + tokens - slot.had, true),
            None => (slot.until, false),
        };
        self.dues.push(Reverse(Due {
            step: step.min(slot.until),
            request,
            epoch,
            preempts: preempts && step < slot.until,
        }));
    }

    fn is_stale(&self, request: usize, epoch: u32) -> bool {
        self.epochs.get(request) != Some(&epoch)
            || self.slots.get(request).is_none_or(Option::is_none)
    }

    fn end_due(&mut self) {
        while let Some(Reverse(due)) = self.dues.peek().copied()
            && due.step <= self.step + TINY
        {
            self.dues.pop();
            if self.is_stale(due.request, due.epoch) {
                continue;
            }
            if due.preempts {
                self.preempt(due.request);
            } else if self.leave(due.request).is_some() {
                self.in_flight -= 1;
                self.done += 1;
            }
        }
    }

    /// Takes a request out of the batch.
    fn leave(&mut self, request: usize) -> Option<Slot> {
        let slot = self.slots.get_mut(request)?.take()?;
        let grown = self.step - slot.since;
        self.running -= 1.0;
        self.context -= slot.context + grown;
        self.held -= slot.held + grown;
        self.ends -= slot.until;
        if self.running < 0.5 {
            // Rounding errors must not add up over a long run.
            (self.running, self.context, self.held, self.ends) = (0.0, 0.0, 0.0, 0.0);
        }
        Some(slot)
    }

    fn preempt(&mut self, request: usize) {
        if let Some(slot) = self.leave(request) {
            let had = slot.had + (self.step - slot.since);
            self.preempted.push_front((request, had));
            self.outcome.preemptions += 1;
        }
    }

    /// Preempts the requests admitted last while the cache is full.
    fn preempt_for_room(&mut self) {
        if self.engine.reserve >= 1.0 {
            return;
        }
        while self.running > 1.5
            && self.held + self.prefilling() >= self.engine.room - TINY * self.engine.room
        {
            match self.admitted.pop() {
                Some((request, epoch)) if !self.is_stale(request, epoch) => self.preempt(request),
                Some(_) => {}
                None => return,
            }
        }
    }
}
