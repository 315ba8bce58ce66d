//! Runs the engine core against the real clock, on a thread of its own.
//!
//! Steps follow one another on an absolute schedule: a step starts where the
//! one before was due to end, however late the thread woke up. Sleeping too
//! long therefore delays a chunk by some tens of microseconds and never lowers
//! the throughput.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::log::Log;
use super::metrics::Stats;
use super::profile::{Recorded, Recorder};
use super::scheduler::{Levels, Nanos, Next, Scheduler, Step};
use super::sequence::{Emission, Submission};

/// Decode steps between two of SGLang's log lines.
const LOG_EVERY: u64 = 40;

/// What the server tells the engine.
pub enum Command {
    Submit(Submission),
    Cancel(u64),
    FlushCache(oneshot::Sender<bool>),
    /// Record steps; an earlier recording ends.
    StartProfile(Recorder),
    StopProfile,
}

/// The engine with its clock.
pub struct Driver {
    pub scheduler: Scheduler,
    pub commands: Receiver<Command>,
    /// Tokens of each step.
    pub tokens: UnboundedSender<Vec<Emission>>,
    pub stats: Arc<Mutex<Stats>>,
    pub log: Arc<Log>,
    pub kv_tokens: u32,
    pub recorder: Option<Recorder>,
    /// Whether the next step is launched before the results of one are looked at.
    pub overruns: bool,
    /// Virtual time zero.
    pub epoch: Instant,
}

/// Virtual time at a real moment.
pub fn nanos_since(epoch: Instant, moment: Instant) -> Nanos {
    moment.saturating_duration_since(epoch).as_nanos() as Nanos
}

impl Driver {
    /// Runs until the server has gone.
    pub fn run(mut self) {
        let mut now: Nanos = 0;
        let mut meter = Meter::default();
        loop {
            if !self.take_commands() {
                return;
            }
            match self.scheduler.next(now) {
                Next::Step(step) => {
                    self.sleep_until(step.end);
                    now = step.end;
                    let emissions = self.scheduler.finish(&step);
                    self.record(Recorded::of(&step));
                    self.account(&step, &emissions, &mut meter);
                    let ended = emissions.iter().filter(|it| it.finish.is_some()).count();
                    if !emissions.is_empty() && self.tokens.send(emissions).is_err() {
                        return;
                    }
                    if ended > 0 && self.overruns {
                        now = self.overrun(&step, ended as u32);
                    }
                }
                Next::WaitUntil(time) => {
                    let wait = Duration::from_nanos(time.saturating_sub(self.real_now()));
                    match self.commands.recv_timeout(wait) {
                        Ok(command) => self.apply(command),
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                    now = now.max(self.real_now().min(time));
                }
                Next::Idle => {
                    self.publish();
                    match self.commands.recv() {
                        Ok(command) => self.apply(command),
                        Err(_) => return,
                    }
                    now = now.max(self.real_now());
                }
            }
        }
    }

    fn record(&mut self, step: Recorded) {
        self.recorder = self.recorder.take().and_then(|recorder| recorder.add(step));
    }

    /// Runs a decode step of requests that have just ended where no other work
    /// takes its place, and only while steps are recorded: nobody else would
    /// see it. Returns when the engine is free.
    fn overrun(&mut self, step: &Step, ended: u32) -> Nanos {
        if self.recorder.is_none() || !self.scheduler.is_idle() {
            return step.end;
        }
        let wasted = Recorded::overrun(step, ended, self.scheduler.cost());
        self.sleep_until(wasted.end());
        self.record(wasted);
        wasted.end()
    }

    fn real_now(&self) -> Nanos {
        nanos_since(self.epoch, Instant::now())
    }

    /// Applies what has come in; false when the server has gone.
    fn take_commands(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.apply(command),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn apply(&mut self, command: Command) {
        match command {
            Command::Submit(submission) => self.scheduler.submit(submission),
            Command::Cancel(id) => self.scheduler.cancel(id),
            Command::FlushCache(answer) => {
                // The one who asked may be gone.
                let _ = answer.send(self.scheduler.flush_cache());
            }
            Command::StartProfile(recorder) => {
                if let Some(earlier) = self.recorder.replace(recorder) {
                    earlier.finish();
                }
            }
            Command::StopProfile => {
                if let Some(recorder) = self.recorder.take() {
                    recorder.finish();
                }
            }
        }
    }

    fn sleep_until(&self, time: Nanos) {
        let due = self.epoch + Duration::from_nanos(time);
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            thread::sleep(left);
        }
    }

    fn publish(&self) {
        let levels = self.scheduler.levels();
        self.stats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .levels = levels;
    }

    fn account(&self, step: &Step, emissions: &[Emission], meter: &mut Meter) {
        let levels = self.scheduler.levels();
        if step.work.prefill_tokens > 0 {
            let seconds = (step.end - step.start) as f64 / 1e9;
            let rate = f64::from(step.work.prefill_tokens) / seconds;
            self.log.prefill_batch(step, &levels, self.kv_tokens, rate);
        }
        let rate = meter.rate(&levels, step.end);
        if let Some(rate) = rate {
            self.log.decode_batch(&levels, self.kv_tokens, rate);
        }
        let lag = self.real_now().saturating_sub(step.end);
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.levels = levels;
        stats.gen_throughput = rate.unwrap_or(stats.gen_throughput);
        stats.worst_lag = stats.worst_lag.max(lag);
        stats.count(emissions);
    }
}

/// Measures decode throughput between two log lines.
#[derive(Default)]
struct Meter {
    steps: u64,
    tokens: u64,
    at: Nanos,
}

impl Meter {
    /// Tokens a second since the last line, when the next one is due.
    fn rate(&mut self, levels: &Levels, now: Nanos) -> Option<f64> {
        if levels.decode_steps < self.steps + LOG_EVERY {
            return None;
        }
        let seconds = now.saturating_sub(self.at) as f64 / 1e9;
        let rate = (levels.generated_tokens - self.tokens) as f64 / seconds.max(1e-9);
        *self = Self {
            steps: levels.decode_steps,
            tokens: levels.generated_tokens,
            at: now,
        };
        Some(rate)
    }
}
