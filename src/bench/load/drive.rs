//! Threads, schedule and cancellation of a run.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::resource::{UsageWho, getrusage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::body::bodies;
use super::request::{Asked, Shared, blank, perform};
use super::sample::{ErrorClass, RequestError, Sample};
use super::{Live, LoadError, LoadRun, schedule};
use crate::bench::workload::{Input, Prompt};
use crate::http::{Pool, PoolCounts};

/// Set to `true` to end a run early.
pub type Cancel = watch::Receiver<bool>;

/// From preparing the threads to the first due request.
const LEAD_IN: Duration = Duration::from_millis(5);

/// Longest sleep of the dispatcher before it looks for a cancellation.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// Processor time that the load generator itself took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientCost {
    pub threads: usize,
    /// Processor seconds of all load threads.
    pub cpu_s: f64,
    /// Share of the run's wall time that the busiest load thread was on a processor, in percent.
    pub busiest_cpu_pct: f64,
}

/// Everything that a run of load left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadOutcome {
    /// One sample a prompt, in their order; those never sent are absent.
    pub samples: Vec<Sample>,
    /// Seconds from the first due request to the end of the last.
    pub wall_s: f64,
    /// Unix time of the start of the schedule, in seconds.
    pub started_unix_s: f64,
    /// Offered rate in requests/s; absent when all were due at once.
    pub request_rate: Option<f64>,
    /// Most requests in flight; absent without a cap.
    pub max_concurrency: Option<usize>,
    pub connections: PoolCounts,
    pub client: ClientCost,
    /// Whether the run was ended early.
    pub cancelled: bool,
}

/// Drives one run and blocks until it has ended; on a runtime's thread, call
/// it through `spawn_blocking`.
///
/// Load threads each run their own requests on a runtime of one thread; the
/// calling thread sleeps from one due time to the next and hands out work.
/// A cancelled run returns what it has; requests under way become samples of
/// class [`ErrorClass::Cancelled`].
pub fn drive(run: &LoadRun, live: &Arc<Live>, cancel: Cancel) -> Result<LoadOutcome, LoadError> {
    if run.prompts.is_empty() {
        return Err(LoadError::NoPrompts);
    }
    let due = schedule(&run.arrivals, run.prompts.len(), run.arrival_seed)?;
    let bodies = bodies(run)?;
    let threads = run.threads().get().min(run.prompts.len());
    let start = Instant::now() + LEAD_IN;
    let started_unix_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |now| (now + LEAD_IN).as_secs_f64());
    let shared = Arc::new(Shared {
        bodies,
        asked: run.prompts.iter().map(asked).collect(),
        due,
        path: run.endpoint.path(),
        timeout: run.request_timeout,
        cap: run.max_concurrency.map(|most| Semaphore::new(most.get())),
        live: Arc::clone(live),
        start,
    });
    let lanes = start_lanes(run, &shared, &cancel, threads)?;
    dispatch(&shared, &lanes, &cancel);
    let mut outcome = LoadOutcome {
        samples: Vec::with_capacity(shared.due.len()),
        wall_s: 0.0,
        started_unix_s,
        request_rate: run.arrivals.rate.filter(|rate| rate.is_finite()),
        max_concurrency: run.max_concurrency.map(NonZeroUsize::get),
        connections: PoolCounts::default(),
        client: ClientCost {
            threads,
            ..ClientCost::default()
        },
        cancelled: *cancel.borrow(),
    };
    for lane in lanes {
        drop(lane.work);
        let done = lane.thread.join().map_err(|_| LoadError::ThreadLost)??;
        outcome.take(done);
    }
    outcome.wall_s = start.elapsed().as_secs_f64();
    outcome.samples.sort_unstable_by_key(|sample| sample.index);
    Ok(outcome)
}

fn asked(prompt: &Prompt) -> Asked {
    Asked {
        prompt_tokens: match &prompt.input {
            Input::Ids(ids) => u32::try_from(ids.len()).ok(),
            Input::Text(_) | Input::Messages(_) => None,
        },
        output_tokens: prompt.output_len,
    }
}

impl LoadOutcome {
    fn take(&mut self, lane: LaneOutcome) {
        self.samples.extend(lane.samples);
        self.connections.opened += lane.connections.opened;
        self.connections.reused += lane.connections.reused;
        self.connections.not_kept += lane.connections.not_kept;
        self.connections.stale_retries += lane.connections.stale_retries;
        self.client.cpu_s += lane.cpu_s;
        let busy = 100.0 * lane.cpu_s / lane.wall_s.max(1e-9);
        self.client.busiest_cpu_pct = self.client.busiest_cpu_pct.max(busy);
        self.cancelled |= lane.cancelled;
    }
}

/// One load thread and the way to hand it requests.
struct Lane {
    work: mpsc::UnboundedSender<usize>,
    thread: std::thread::JoinHandle<Result<LaneOutcome, LoadError>>,
}

struct LaneOutcome {
    samples: Vec<Sample>,
    connections: PoolCounts,
    cpu_s: f64,
    wall_s: f64,
    cancelled: bool,
}

fn start_lanes(
    run: &LoadRun,
    shared: &Arc<Shared>,
    cancel: &Cancel,
    threads: usize,
) -> Result<Vec<Lane>, LoadError> {
    (0..threads)
        .map(|number| {
            let (work, requests) = mpsc::unbounded_channel();
            let shared = Arc::clone(shared);
            let pool = Pool::new(run.base.clone());
            let cancel = cancel.clone();
            let thread = std::thread::Builder::new()
                .name(format!("load-{number}"))
                .spawn(move || lane(shared, pool, requests, cancel))
                .map_err(LoadError::Thread)?;
            Ok(Lane { work, thread })
        })
        .collect()
}

/// Hands each request to its lane when it is due. A thread that sleeps is
/// late by some tens of microseconds; a timer of the runtime, by up to a
/// millisecond.
fn dispatch(shared: &Shared, lanes: &[Lane], cancel: &Cancel) {
    for (index, due) in shared.due.iter().enumerate() {
        loop {
            if *cancel.borrow() {
                return;
            }
            let left = (shared.start + *due).saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(LONGEST_SLEEP));
        }
        // A lane that is gone shows when it is joined.
        let _ = lanes[index % lanes.len()].work.send(index);
    }
}

/// The body of a load thread.
fn lane(
    shared: Arc<Shared>,
    pool: Pool,
    requests: mpsc::UnboundedReceiver<usize>,
    cancel: Cancel,
) -> Result<LaneOutcome, LoadError> {
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(LoadError::Thread)?;
    let pool = Arc::new(pool);
    let (samples, cancelled) = runtime.block_on(serve(&shared, &pool, requests, cancel));
    Ok(LaneOutcome {
        samples,
        connections: pool.counts(),
        cpu_s: thread_cpu_s(),
        wall_s: began.elapsed().as_secs_f64(),
        cancelled,
    })
}

async fn serve(
    shared: &Arc<Shared>,
    pool: &Arc<Pool>,
    mut requests: mpsc::UnboundedReceiver<usize>,
    mut cancel: Cancel,
) -> (Vec<Sample>, bool) {
    let mut under_way = JoinSet::new();
    let mut samples = Vec::new();
    let mut unfinished = std::collections::BTreeSet::new();
    let mut open = true;
    while open || !under_way.is_empty() {
        tokio::select! {
            biased;
            () = cancelled(&mut cancel) => {
                under_way.shutdown().await;
                samples.extend(unfinished.into_iter().map(|index| lost(shared, index)));
                return (samples, true);
            }
            request = requests.recv(), if open => match request {
                None => open = false,
                Some(index) => {
                    unfinished.insert(index);
                    let (shared, pool) = (Arc::clone(shared), Arc::clone(pool));
                    under_way.spawn(async move { perform(&shared, &pool, index).await });
                }
            },
            Some(Ok(sample)) = under_way.join_next(), if !under_way.is_empty() => {
                unfinished.remove(&sample.index);
                samples.push(sample);
            }
        }
    }
    (samples, false)
}

/// Waits for a cancellation; for ever, when nobody can cancel any more.
async fn cancelled(cancel: &mut Cancel) {
    if cancel.wait_for(|cancelled| *cancelled).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn lost(shared: &Shared, index: usize) -> Sample {
    let mut sample = blank(shared, index);
    sample.error = Some(RequestError {
        class: ErrorClass::Cancelled,
        message: "the run was cancelled".to_owned(),
    });
    sample
}

/// Whose processor time counts as a worker's; elsewhere there is no such count
/// for one thread.
#[cfg(target_os = "linux")]
const WORKER: UsageWho = UsageWho::RUSAGE_THREAD;
#[cfg(not(target_os = "linux"))]
const WORKER: UsageWho = UsageWho::RUSAGE_SELF;

/// Processor seconds of the calling thread so far.
fn thread_cpu_s() -> f64 {
    getrusage(WORKER).map_or(0.0, |usage| {
        let seconds = |time: nix::sys::time::TimeVal| {
            time.tv_sec() as f64 + time.tv_usec() as f64 / 1_000_000.0
        };
        seconds(usage.user_time()) + seconds(usage.system_time())
    })
}
