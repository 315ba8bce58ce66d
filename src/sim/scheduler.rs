//! The engine core: admission, prefill and decode as a state machine in virtual time.
//!
//! Nothing here reads a clock. [`Scheduler::next`] plans a step from what has
//! been submitted so far and says how long it takes; [`Scheduler::finish`]
//! ends it and yields the tokens. The same calls give the same tokens at the
//! same times.

use std::collections::VecDeque;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

use super::cost::{CostModel, KvPolicy, Schedule, Work};
use super::prefix_cache::PrefixCache;
use super::sequence::{Emission, Sequence, Submission};

/// What is left of a step in [`Levels::gpu_busy_pct`] after the next one.
const FADES: f64 = 0.8;

/// Virtual time in nanoseconds since the engine started.
pub type Nanos = u64;

/// A planned step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub start: Nanos,
    pub end: Nanos,
    pub work: Work,
    /// Sequences that were admitted for it.
    pub new_sequences: u32,
    /// Their prompt tokens that the prefix cache held.
    pub cached_tokens: u32,
    /// Sequences running before it.
    pub running_before: u32,
    prefills: Vec<(u64, u32)>,
    decodes: bool,
}

impl Step {
    /// Sequences that prefill in it.
    pub fn prefill_sequences(&self) -> u32 {
        self.prefills.len() as u32
    }
}

/// What the engine does next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Run this step, then call [`Scheduler::finish`].
    Step(Step),
    /// Nothing to do before this time.
    WaitUntil(Nanos),
    /// Nothing to do before the next submission.
    Idle,
}

/// Counters and levels, for metrics and logs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Levels {
    pub running: u32,
    pub waiting: u32,
    pub kv_used: u32,
    /// Prompt tokens of admitted sequences that are still to be computed.
    pub pending_prefill: u32,
    pub steps: u64,
    pub decode_steps: u64,
    pub decode_tokens: u64,
    /// Sum of the decode steps' batch sizes.
    pub decode_sequences: u64,
    pub prompt_tokens: u64,
    pub cached_tokens: u64,
    pub generated_tokens: u64,
    pub preemptions: u64,
    pub finished: u64,
    pub context: u64,
    /// Time of the last steps, and the part of it in which the GPU computed;
    /// older steps fade away.
    pub step_ms: f64,
    pub gpu_ms: f64,
}

impl Levels {
    /// Share of the last steps' time in which the GPU computed, in percent; not a
    /// number before the first step, as SGLang shows it.
    pub fn gpu_busy_pct(&self) -> f64 {
        100.0 * self.gpu_ms / self.step_ms
    }
}

/// The state of the engine.
#[derive(Debug)]
pub struct Scheduler {
    model: CostModel,
    /// Tokens of one streamed chunk, at least 1; the first token is never held back.
    stream_interval: u32,
    prefix_cache: PrefixCache,
    waiting: VecDeque<Sequence>,
    running: Vec<Sequence>,
    random: ChaCha8Rng,
    launch_factor: f64,
    levels: Levels,
    /// Preemptions without need so far.
    forced: u64,
}

impl Scheduler {
    /// An idle engine. `prefix_cache` keeps computed prompts for later ones.
    pub fn new(model: CostModel, seed: u64, stream_interval: u32, prefix_cache: bool) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let launch_factor = factor(&mut random, model.noise.launch_pct);
        let cached = if prefix_cache {
            model.limits.kv_tokens
        } else {
            0
        };
        Self {
            stream_interval: stream_interval.max(1),
            prefix_cache: PrefixCache::new(cached),
            waiting: VecDeque::new(),
            running: Vec::new(),
            random,
            launch_factor,
            levels: Levels::default(),
            forced: 0,
            model,
        }
    }

    /// Queues a request. The caller has checked that it fits the context and the KV cache.
    pub fn submit(&mut self, submission: Submission) {
        self.waiting.push_back(Sequence::new(submission));
    }

    /// Drops a request whose client went away.
    pub fn cancel(&mut self, id: u64) {
        self.waiting.retain(|sequence| sequence.submission.id != id);
        self.running.retain(|sequence| sequence.submission.id != id);
    }

    pub fn cost(&self) -> &CostModel {
        &self.model
    }

    /// Whether it has no request at all.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Empties the prefix cache; refused while requests run.
    pub fn flush_cache(&mut self) -> bool {
        let idle = self.is_idle();
        if idle {
            self.prefix_cache.clear();
        }
        idle
    }

    /// Counters and levels now.
    pub fn levels(&self) -> Levels {
        let running = self.running.iter();
        Levels {
            running: self.running.len() as u32,
            waiting: self.waiting.len() as u32,
            kv_used: self.kv_used(),
            pending_prefill: running
                .clone()
                .map(|s| s.target.saturating_sub(s.computed))
                .sum(),
            context: running.map(|s| u64::from(s.computed)).sum(),
            ..self.levels.clone()
        }
    }

    /// Plans the next step at time `now`.
    pub fn next(&mut self, now: Nanos) -> Next {
        let running_before = self.running.len() as u32;
        let mut budget = self.model.limits.chunk_tokens;
        let mixed = self.model.limits.schedule == Schedule::Mixed;
        if mixed {
            self.make_room();
            let decoding = self.running.iter().filter(|s| s.decodes()).count() as u32;
            budget = budget.saturating_sub(decoding);
        }
        let admitted_from = self.running.len();
        let prefills = self.plan_prefill(now, budget);
        let decodes = (mixed || prefills.is_empty()) && {
            if !mixed {
                self.make_room();
            }
            self.running.iter().any(Sequence::decodes)
        };
        if prefills.is_empty() && !decodes {
            return match self.waiting.front() {
                Some(first) if self.eligible_at(first) > now => {
                    Next::WaitUntil(self.eligible_at(first))
                }
                _ => Next::Idle,
            };
        }
        let work = self.work(&prefills, decodes);
        let end = now + self.duration(work);
        let admitted = self.running.get(admitted_from..).unwrap_or_default();
        Next::Step(Step {
            start: now,
            end,
            work,
            new_sequences: admitted.len() as u32,
            cached_tokens: admitted.iter().map(|s| s.cached).sum(),
            running_before,
            prefills,
            decodes,
        })
    }

    /// Ends a step: tokens are computed, sequences advance or finish.
    pub fn finish(&mut self, step: &Step) -> Vec<Emission> {
        let mut emissions = Vec::with_capacity(self.running.len());
        self.levels.steps += 1;
        let took = step.end.saturating_sub(step.start) as f64 / 1e6;
        self.levels.step_ms = FADES * self.levels.step_ms + took;
        self.levels.gpu_ms = FADES * self.levels.gpu_ms + (took - self.model.host.gap_ms).max(0.0);
        if step.decodes {
            self.levels.decode_steps += 1;
            self.levels.decode_sequences += u64::from(step.work.decode_batch);
            self.decode(step.end, &mut emissions);
        }
        for (id, tokens) in &step.prefills {
            self.prefill(*id, *tokens, step.end, &mut emissions);
        }
        let before = self.running.len();
        self.running.retain(|sequence| sequence.remaining() > 0);
        self.levels.finished += (before - self.running.len()) as u64;
        emissions
    }

    fn eligible_at(&self, sequence: &Sequence) -> Nanos {
        sequence.submission.arrived + nanos(self.model.host.extra_ttft_ms)
    }

    fn kv_used(&self) -> u32 {
        self.running.iter().map(|sequence| sequence.held).sum()
    }

    /// Goes on with begun prompts, then admits waiting requests in order of
    /// arrival while sequences, KV and the step's token budget allow.
    fn plan_prefill(&mut self, now: Nanos, mut budget: u32) -> Vec<(u64, u32)> {
        let mut prefills = Vec::new();
        for sequence in self.running.iter().filter(|s| !s.decodes()) {
            let tokens = (sequence.target - sequence.computed).min(budget);
            if tokens > 0 {
                prefills.push((sequence.submission.id, tokens));
                budget -= tokens;
            }
        }
        while budget > 0 && self.running.len() < self.model.limits.max_running as usize {
            let Some(mut sequence) = self.pop_admissible(now) else {
                break;
            };
            let tokens = (sequence.target - sequence.cached).min(budget);
            budget -= tokens;
            sequence.computed = sequence.cached;
            self.levels.prompt_tokens += u64::from(sequence.target);
            self.levels.cached_tokens += u64::from(sequence.cached);
            prefills.push((sequence.submission.id, tokens));
            self.running.push(sequence);
        }
        prefills
    }

    fn pop_admissible(&mut self, now: Nanos) -> Option<Sequence> {
        let first = self.waiting.front()?;
        if self.eligible_at(first) > now {
            return None;
        }
        let room = match self.model.limits.kv_policy {
            KvPolicy::Reserve => first.submission.prompt_tokens + first.submission.output_tokens,
            // One more token for each running sequence, or they would preempt it at once.
            KvPolicy::Grow => first.target + 1 + self.running.len() as u32,
        };
        let free = self.model.limits.kv_tokens.saturating_sub(self.kv_used());
        // A request alone always starts: it was checked to fit when it came.
        if room > free && !self.running.is_empty() {
            return None;
        }
        let mut sequence = self.waiting.pop_front()?;
        sequence.held = match self.model.limits.kv_policy {
            KvPolicy::Reserve => room,
            KvPolicy::Grow => sequence.target + 1,
        };
        sequence.cached = self
            .prefix_cache
            .cached_tokens(&sequence.submission.blocks, sequence.target);
        Some(sequence)
    }

    /// Preempts the sequences admitted last until the others can decode.
    fn make_room(&mut self) {
        let every = u64::from(self.model.limits.preempt_every);
        if every > 0 && self.levels.decode_steps >= every * (self.forced + 1) {
            self.forced += 1;
            self.preempt_last();
        }
        if self.model.limits.kv_policy == KvPolicy::Reserve {
            return;
        }
        let accept = self.model.decode.accept_length;
        loop {
            let needed: u32 = self
                .running
                .iter()
                .filter(|sequence| sequence.decodes())
                .map(|s| (s.computed + s.next_tokens(accept)).saturating_sub(s.held))
                .sum();
            let free = self.model.limits.kv_tokens.saturating_sub(self.kv_used());
            if needed <= free || self.running.len() < 2 {
                break;
            }
            self.preempt_last();
        }
        for sequence in self.running.iter_mut().filter(|s| s.decodes()) {
            let wanted = sequence.computed + sequence.next_tokens(accept);
            sequence.held = sequence.held.max(wanted);
        }
    }

    fn preempt_last(&mut self) {
        if self.running.len() < 2 {
            return;
        }
        if let Some(mut victim) = self.running.pop() {
            victim.restart();
            self.levels.preemptions += 1;
            self.waiting.push_front(victim);
        }
    }

    fn work(&self, prefills: &[(u64, u32)], decodes: bool) -> Work {
        let mut work = Work::default();
        for (id, tokens) in prefills {
            let before = self
                .running
                .iter()
                .find(|sequence| sequence.submission.id == *id)
                .map_or(0, |sequence| u64::from(sequence.computed));
            let tokens64 = u64::from(*tokens);
            work.prefill_tokens += tokens;
            work.prefill_context += tokens64 * before + tokens64 * tokens64.saturating_sub(1) / 2;
        }
        if decodes {
            for sequence in self.running.iter().filter(|s| s.decodes()) {
                work.decode_batch += 1;
                work.decode_context += u64::from(sequence.computed);
            }
        }
        work
    }

    fn duration(&mut self, work: Work) -> Nanos {
        let gpu = self.model.gpu_ms(work) + self.model.host.extra_step_ms;
        let noise = self.launch_factor * factor(&mut self.random, self.model.noise.step_pct);
        nanos(gpu * noise + self.model.host.gap_ms).max(1)
    }

    fn decode(&mut self, at: Nanos, emissions: &mut Vec<Emission>) {
        let accept = self.model.decode.accept_length;
        for sequence in self.running.iter_mut().filter(|s| s.decodes()) {
            let tokens = sequence.next_tokens(accept);
            sequence.owed = (sequence.owed + accept - f64::from(tokens)).max(0.0);
            sequence.computed += tokens;
            self.levels.decode_tokens += u64::from(tokens);
            self.levels.generated_tokens += u64::from(tokens);
            emissions.extend(sequence.gain(tokens, self.stream_interval, at));
        }
    }

    fn prefill(&mut self, id: u64, tokens: u32, at: Nanos, emissions: &mut Vec<Emission>) {
        let found = self.running.iter_mut().find(|s| s.submission.id == id);
        // Cancelled while the step ran.
        let Some(sequence) = found else { return };
        sequence.computed += tokens;
        if !sequence.decodes() {
            return;
        }
        self.prefix_cache.insert(&sequence.submission.blocks);
        self.levels.generated_tokens += 1;
        emissions.extend(sequence.gain(1, self.stream_interval, at));
    }
}

/// A random factor around 1, cut off at three standard deviations.
fn factor(random: &mut ChaCha8Rng, percent: f64) -> f64 {
    if percent == 0.0 {
        return 1.0;
    }
    let normal: f64 = StandardNormal.sample(random);
    (1.0 + percent / 100.0 * normal.clamp(-3.0, 3.0)).max(0.01)
}

/// Milliseconds as nanoseconds.
pub fn nanos(milliseconds: f64) -> Nanos {
    (milliseconds * 1e6).round().max(0.0) as Nanos
}
