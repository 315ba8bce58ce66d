//! The server's state: open requests, readiness, planned faults.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{mpsc::UnboundedSender, oneshot};
use tokio::task::JoinHandle;

use super::Exit;
use super::config::SimConfig;
use super::cost::CostModel;
use super::driver::{Command, nanos_since};
use super::log::Log;
use super::metrics::Stats;
use super::planned_fault::PlannedFault;
use super::request::{Bounds, Request};
use super::sequence::{Emission, Submission};
use super::startup;
use super::stream::{Inbox, Ticket};
use super::text::Output;

/// Tokens that a stream which is to be cut delivers before.
const CUT_AFTER_TOKENS: u32 = 3;

/// State shared by all connections of one server.
pub struct App {
    pub config: SimConfig,
    pub model: CostModel,
    pub log: Arc<Log>,
    pub stats: Arc<Mutex<Stats>>,
    pub commands: Sender<Command>,
    pub exit: UnboundedSender<Exit>,
    pub epoch: Instant,
    pub ready: Cell<bool>,
    streams: RefCell<HashMap<u64, Rc<RefCell<Inbox>>>>,
    accepted: Cell<u64>,
    generated: Cell<u64>,
    profile: RefCell<Option<Profile>>,
}

/// A recording that was started.
pub struct Profile {
    /// The task that writes the trace.
    pub writing: JoinHandle<()>,
    /// Whether its steps are complete.
    pub recorded: Rc<Cell<bool>>,
}

/// What a planned fault does to a request that just came.
pub enum Fate {
    Served { cut_after: Option<u32> },
    Refused,
}

impl App {
    pub fn new(
        config: SimConfig,
        model: CostModel,
        log: Arc<Log>,
        stats: Arc<Mutex<Stats>>,
        commands: Sender<Command>,
        exit: UnboundedSender<Exit>,
        epoch: Instant,
    ) -> Self {
        Self {
            config,
            model,
            log,
            stats,
            commands,
            exit,
            epoch,
            ready: Cell::new(false),
            streams: RefCell::default(),
            accepted: Cell::new(0),
            generated: Cell::new(0),
            profile: RefCell::default(),
        }
    }

    /// What requests are checked against.
    pub fn bounds(&self) -> Bounds<'_> {
        Bounds {
            dialect: self.config.dialect,
            served_name: self.config.served_name(),
            context_length: self.model.limits.context_length,
            kv_tokens: self.model.limits.kv_tokens,
        }
    }

    /// The output that follows a prompt.
    pub fn output(&self, request: &Request) -> Output {
        let stream = &self.config.stream;
        Output::of(
            &request.prompt,
            self.model.output.salt,
            stream.empty_text_every,
        )
    }

    /// Counts a request and applies the planned faults to it.
    pub fn fate(&self) -> Fate {
        let number = self.accepted.get() + 1;
        self.accepted.set(number);
        let mut cut_after = None;
        for fault in &self.config.faults {
            match fault {
                PlannedFault::OomAfter(n) if number >= *n => {
                    startup::out_of_memory(self.config.dialect, &self.log);
                    // The server is ending already when nobody listens.
                    let _ = self.exit.send(Exit::OutOfMemory);
                }
                PlannedFault::ErrorEvery(n) if number.is_multiple_of(*n) => return Fate::Refused,
                PlannedFault::CutEvery(n) if number.is_multiple_of(*n) => {
                    cut_after = Some(CUT_AFTER_TOKENS);
                }
                _ => {}
            }
        }
        Fate::Served { cut_after }
    }

    /// Submits a request to the engine.
    pub fn submit(self: &Rc<Self>, request: &Request, output: Output, came: Instant) -> Ticket {
        let id = self.accepted.get();
        let inbox = Rc::<RefCell<Inbox>>::default();
        self.streams.borrow_mut().insert(id, Rc::clone(&inbox));
        let mean = self.config.stream.eos_after;
        let natural = (mean > 0 && !request.ignore_eos)
            .then(|| output.natural_length(mean))
            .filter(|natural| *natural < request.max_tokens);
        self.command(Command::Submit(Submission {
            id,
            prompt_tokens: request.prompt.len() as u32,
            output_tokens: natural.unwrap_or(request.max_tokens),
            ends_itself: natural.is_some(),
            arrived: nanos_since(self.epoch, came),
            blocks: if self.config.caches_prefixes() {
                super::prefix_cache::blocks(&request.prompt)
            } else {
                Vec::new()
            },
        }));
        Ticket {
            app: Rc::clone(self),
            id,
            inbox,
            finished: false,
        }
    }

    /// Forgets a request; one that did not finish is cancelled.
    pub fn leave(&self, id: u64, finished: bool) {
        self.streams.borrow_mut().remove(&id);
        if !finished {
            self.command(Command::Cancel(id));
        }
    }

    /// Hands the tokens of a step to their connections.
    pub fn deliver(&self, emissions: Vec<Emission>) {
        let streams = self.streams.borrow();
        for emission in emissions {
            let generated = self.generated.get() + u64::from(emission.new_tokens);
            self.generated.set(generated);
            if let Some(inbox) = streams.get(&emission.id) {
                inbox.borrow_mut().push(emission);
            }
        }
        let crashed = self.config.faults.iter().any(
            |fault| matches!(fault, PlannedFault::CrashAfter(n) if self.generated.get() >= *n),
        );
        if crashed {
            // The server is ending already when nobody listens.
            let _ = self.exit.send(Exit::Crashed);
        }
    }

    /// Empties the prefix cache; false while requests run.
    pub async fn flush_cache(&self) -> bool {
        let (answer, flushed) = oneshot::channel();
        self.command(Command::FlushCache(answer));
        flushed.await.unwrap_or(false)
    }

    /// A copy of the counters.
    pub fn stats(&self) -> Stats {
        let stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.clone()
    }

    /// Whether a trace is being recorded or written.
    pub fn is_profiling(&self) -> bool {
        let profile = self.profile.borrow();
        profile
            .as_ref()
            .is_some_and(|profile| !profile.writing.is_finished())
    }

    /// Keeps a recording that was started.
    pub fn set_profile(&self, profile: Profile) {
        self.profile.replace(Some(profile));
    }

    /// The recording that was started last, once.
    pub fn take_profile(&self) -> Option<Profile> {
        self.profile.take()
    }

    /// Tells the engine something.
    pub fn command(&self, command: Command) {
        // The engine's thread ends only with the server.
        let _ = self.commands.send(command);
    }
}
