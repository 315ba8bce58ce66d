//! A list of requests through the engine core without sockets or a clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::cost::CostModel;
use super::scheduler::{Levels, Nanos, Next, Scheduler};
use super::sequence::Submission;

/// One request of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Earliest moment at which it is sent.
    pub due: Nanos,
    pub prompt_tokens: u32,
    /// At least 1.
    pub output_tokens: u32,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Served {
    pub sent: Nanos,
    /// When each chunk came, and its tokens.
    pub chunks: Vec<(Nanos, u32)>,
}

/// A whole run in virtual time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OfflineRun {
    /// In the order of the asks.
    pub requests: Vec<Served>,
    /// Counters and levels at even moments, as a scraper would see them.
    pub levels: Vec<(Nanos, Levels)>,
}

/// How a client sends, and how often the engine is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Cap of requests in flight.
    pub max_concurrency: Option<usize>,
    pub look_every: Nanos,
}

/// Serves the asks in their order; the same arguments give the same run.
/// None when a request is never served because it does not fit.
pub fn run_offline(
    model: &CostModel,
    seed: u64,
    asks: &[Ask],
    client: Client,
) -> Option<OfflineRun> {
    let mut scheduler = Scheduler::new(model.clone(), seed, 1, false);
    let mut sender = Sender::new(asks, client);
    let mut run = OfflineRun {
        requests: vec![Served::default(); asks.len()],
        levels: Vec::new(),
    };
    let mut now = 0;
    let mut look = 0;
    while sender.left > 0 {
        sender.send(now, &mut scheduler, &mut run.requests);
        match scheduler.next(now) {
            Next::Step(step) => {
                while look <= step.end {
                    run.levels.push((look, scheduler.levels()));
                    look += client.look_every.max(1);
                }
                now = step.end;
                for emission in scheduler.finish(&step) {
                    if let Some(served) = run.requests.get_mut(emission.id as usize) {
                        served.chunks.push((emission.at, emission.new_tokens));
                    }
                    if emission.finish.is_some() {
                        sender.ended(emission.at);
                    }
                }
            }
            Next::WaitUntil(time) => now = sender.next_due().map_or(time, |due| due.min(time)),
            Next::Idle => now = sender.next_due()?.max(now),
        }
    }
    run.levels.push((now, scheduler.levels()));
    Some(run)
}

/// Sends requests when they are due and the cap lets them go.
struct Sender<'a> {
    asks: &'a [Ask],
    cap: usize,
    next: usize,
    in_flight: usize,
    left: usize,
    /// When slots of the cap became free.
    free: BinaryHeap<Reverse<Nanos>>,
}

impl<'a> Sender<'a> {
    fn new(asks: &'a [Ask], client: Client) -> Self {
        Self {
            asks,
            cap: client.max_concurrency.unwrap_or(usize::MAX),
            next: 0,
            in_flight: 0,
            left: asks.len(),
            free: BinaryHeap::new(),
        }
    }

    fn send(&mut self, now: Nanos, scheduler: &mut Scheduler, requests: &mut [Served]) {
        while self.in_flight < self.cap
            && let Some(ask) = self.asks.get(self.next)
            && ask.due <= now
        {
            let free = self.free.pop().map_or(0, |Reverse(at)| at);
            let sent = ask.due.max(free);
            if let Some(served) = requests.get_mut(self.next) {
                served.sent = sent;
            }
            scheduler.submit(Submission {
                id: self.next as u64,
                prompt_tokens: ask.prompt_tokens,
                output_tokens: ask.output_tokens,
                ends_itself: false,
                arrived: sent,
                blocks: Vec::new(),
            });
            self.next += 1;
            self.in_flight += 1;
        }
    }

    fn next_due(&self) -> Option<Nanos> {
        let ask = self.asks.get(self.next)?;
        (self.in_flight < self.cap).then_some(ask.due)
    }

    fn ended(&mut self, at: Nanos) {
        self.in_flight -= 1;
        self.left -= 1;
        self.free.push(Reverse(at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A decode step of 10 ms, a prefilled token of 1 ms.
    fn model() -> CostModel {
        let mut model = CostModel::default();
        model.prefill.tokens_per_s = 1_000.0;
        model.prefill.base_ms = 0.0;
        model.prefill.per_1k_context_us = 0.0;
        model.decode.base_ms = 10.0;
        model.decode.per_sequence_ms = 0.0;
        model.decode.per_1k_context_ms = 0.0;
        model
    }

    fn ask(due_ms: u64, prompt_tokens: u32, output_tokens: u32) -> Ask {
        Ask {
            due: due_ms * 1_000_000,
            prompt_tokens,
            output_tokens,
        }
    }

    fn run(asks: &[Ask], max_concurrency: Option<usize>) -> OfflineRun {
        let client = Client {
            max_concurrency,
            look_every: 50_000_000,
        };
        run_offline(&model(), 1, asks, client).unwrap()
    }

    fn ms(served: &Served) -> Vec<u64> {
        served.chunks.iter().map(|(at, _)| at / 1_000_000).collect()
    }

    #[test]
    fn requests_are_served_when_they_are_due() {
        let run = run(&[ask(0, 20, 3), ask(500, 30, 2)], None);
        assert_eq!(ms(&run.requests[0]), [20, 30, 40]);
        assert_eq!(ms(&run.requests[1]), [530, 540]);
    }

    #[test]
    fn a_cap_holds_back_and_its_wait_is_not_the_engines() {
        let run = run(&[ask(0, 20, 3), ask(0, 30, 2)], Some(1));
        assert_eq!(ms(&run.requests[0]), [20, 30, 40]);
        assert_eq!(run.requests[1].sent, 40_000_000);
        assert_eq!(ms(&run.requests[1]), [70, 80]);
    }

    #[test]
    fn levels_are_seen_at_even_moments() {
        let run = run(&[ask(0, 20, 10)], None);
        let times: Vec<u64> = run.levels.iter().map(|(at, _)| at / 1_000_000).collect();
        assert_eq!(times, [0, 50, 100, 110]);
        assert_eq!(run.levels[1].1.running, 1);
    }
}
