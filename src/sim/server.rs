//! Start, listen, serve, stop.

use std::future::pending;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc as std_mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio::time::sleep;

use super::app::App;
use super::config::SimConfig;
use super::cost::CostModel;
use super::dialect::Dialect;
use super::driver::Driver;
use super::log::{Log, Sink};
use super::metrics::Stats;
use super::planned_fault::PlannedFault;
use super::scheduler::Scheduler;
use super::sequence::Emission;
use super::{Exit, SimError, profile_routes, routes, startup};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4_096;
/// Interval of vLLM's throughput line.
const TEN_SECONDS: Duration = Duration::from_secs(10);

/// A simulated engine in this process.
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Exit>,
}

/// Serves until a signal or a planned fault ends it, with the log on standard error.
pub fn serve(config: SimConfig) -> Result<Exit, SimError> {
    let server = Server::launch(config, Box::new(std::io::stderr()), true)?;
    Ok(server.wait())
}

impl Server {
    /// Starts a server that ignores signals, with the log in `sink`. Returns as
    /// soon as its port is taken; ready it is later.
    pub fn start(config: SimConfig, sink: Sink) -> Result<Self, SimError> {
        Self::launch(config, sink, false)
    }

    /// Address that it listens on once it is loaded.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it at once, as a signal would.
    pub fn stop(self) -> Exit {
        // It may have ended by itself.
        let _ = self.stop.send(());
        self.thread.join().unwrap_or(Exit::Crashed)
    }

    fn wait(self) -> Exit {
        let _held = self.stop;
        self.thread.join().unwrap_or(Exit::Crashed)
    }

    fn launch(config: SimConfig, sink: Sink, signals: bool) -> Result<Self, SimError> {
        let model = config.cost_model()?;
        let wanted = SocketAddr::new(
            config.address()?,
            config.port.unwrap_or(config.dialect.default_port()),
        );
        let (stop, stopped) = oneshot::channel();
        let (started, start) = std_mpsc::channel();
        let thread = thread::Builder::new()
            .name("sim-http".to_owned())
            .spawn(move || {
                let runtime = match tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        let _ = started.send(Err(SimError::Runtime(error)));
                        return Exit::Crashed;
                    }
                };
                let log = Arc::new(Log::new(config.dialect, sink));
                LocalSet::new().block_on(&runtime, async {
                    let socket = match bind(wanted) {
                        Ok((socket, address)) => {
                            let _ = started.send(Ok(address));
                            socket
                        }
                        Err(error) => {
                            let _ = started.send(Err(error));
                            return Exit::Crashed;
                        }
                    };
                    run(config, model, log, socket, signals, stopped).await
                })
            })
            .map_err(SimError::Runtime)?;
        let lost = || SimError::Runtime(std::io::Error::other("the server's thread ended"));
        let address = start.recv().map_err(|_| lost())??;
        Ok(Self {
            address,
            stop,
            thread,
        })
    }
}

/// Takes the port without listening, so that a loading engine refuses connections.
fn bind(wanted: SocketAddr) -> Result<(TcpSocket, SocketAddr), SimError> {
    let refused = |source| SimError::Listen {
        address: wanted,
        source,
    };
    let socket = match wanted {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
    .map_err(refused)?;
    socket.set_reuseaddr(true).map_err(refused)?;
    socket.bind(wanted).map_err(refused)?;
    let address = socket.local_addr().map_err(refused)?;
    Ok((socket, address))
}

async fn run(
    config: SimConfig,
    model: CostModel,
    log: Arc<Log>,
    socket: TcpSocket,
    signals: bool,
    stopped: oneshot::Receiver<()>,
) -> Exit {
    let (exit, mut exits) = mpsc::unbounded_channel();
    let (app, tokens) = start_engine(config, model, log, exit);
    tokio::select! {
        exit = exits.recv() => exit.unwrap_or(Exit::Crashed),
        exit = until_signal(&app, signals) => exit,
        // A dropped handle is no wish to stop.
        Ok(()) = stopped => Exit::Stopped,
        exit = start_up(&app, socket) => exit,
        () = deliver(&app, tokens) => Exit::Crashed,
        () = log_every_ten_seconds(&app) => Exit::Crashed,
    }
}

/// Starts the engine's thread.
fn start_engine(
    config: SimConfig,
    model: CostModel,
    log: Arc<Log>,
    exit: mpsc::UnboundedSender<Exit>,
) -> (Rc<App>, mpsc::UnboundedReceiver<Vec<Emission>>) {
    let (commands, received) = std_mpsc::channel();
    let (tokens, emitted) = mpsc::unbounded_channel();
    let stats = Arc::new(Mutex::new(Stats::default()));
    let epoch = Instant::now();
    let driver = Driver {
        scheduler: Scheduler::new(
            model.clone(),
            config.seed,
            config.stream.stream_interval,
            config.caches_prefixes(),
        ),
        commands: received,
        tokens,
        stats: Arc::clone(&stats),
        log: Arc::clone(&log),
        kv_tokens: model.limits.kv_tokens,
        recorder: None,
        overruns: config.dialect == Dialect::Sglang,
        epoch,
    };
    thread::spawn(move || driver.run());
    let app = App::new(config, model, log, stats, commands, exit, epoch);
    (Rc::new(app), emitted)
}

async fn deliver(app: &App, mut tokens: mpsc::UnboundedReceiver<Vec<Emission>>) {
    while let Some(emissions) = tokens.recv().await {
        app.deliver(emissions);
    }
}

/// Loads, listens when the dialect's engine would, and gets ready; comes back
/// only with a failure.
async fn start_up(app: &Rc<App>, socket: TcpSocket) -> Exit {
    let dialect = app.config.dialect;
    let address = socket
        .local_addr()
        .map(|a| a.to_string())
        .unwrap_or_default();
    let listen = |socket: TcpSocket| {
        startup::listening(dialect, &address, &app.log);
        let listener = socket.listen(BACKLOG).inspect_err(|error| {
            app.log
                .raw(&format!("[Errno 98] cannot listen on {address}: {error}"));
        });
        listener.map(|listener| tokio::task::spawn_local(accept(Rc::clone(app), listener)))
    };
    // SGLang and vLLM listen when the model is loaded, others at once.
    let (at_once, later) = match dialect {
        Dialect::OpenAi => (Some(socket), None),
        _ => (None, Some(socket)),
    };
    if at_once
        .map(listen)
        .is_some_and(|listening| listening.is_err())
    {
        return Exit::PortTaken;
    }
    if let Err(exit) = load(app).await {
        return exit;
    }
    profile_routes::start_fixed(app);
    if later
        .map(listen)
        .is_some_and(|listening| listening.is_err())
    {
        return Exit::PortTaken;
    }
    if dialect == Dialect::Sglang {
        // It answers 503 until its own first request is through.
        sleep(share_of_load(app, startup::WARM_UP_SHARE)).await;
    }
    startup::ready(dialect, &address, &app.log);
    app.ready.set(true);
    pending().await
}

fn share_of_load(app: &App, share: f64) -> Duration {
    Duration::from_secs_f64(app.config.load_s / app.config.time_scale * share)
}

/// Prints the progress of loading at its times, up to where it fails or hangs.
async fn load(app: &App) -> Result<(), Exit> {
    let limits = &app.model.limits;
    let fails = app.config.oom_at_load();
    let hangs = app.config.faults.contains(&PlannedFault::NeverReady);
    let mut at = 0.0;
    for progress in startup::script(&app.config, limits.kv_tokens, limits.context_length) {
        if (fails || hangs) && progress.at > startup::STUCK_AT {
            break;
        }
        sleep(share_of_load(app, progress.at - at)).await;
        at = progress.at;
        progress.print(&app.log);
    }
    if hangs {
        pending::<()>().await;
    }
    if fails {
        startup::out_of_memory(app.config.dialect, &app.log);
        return Err(Exit::OutOfMemory);
    }
    let warm_up = match app.config.dialect {
        Dialect::Sglang => startup::WARM_UP_SHARE,
        _ => 0.0,
    };
    sleep(share_of_load(app, (1.0 - warm_up - at).max(0.0))).await;
    Ok(())
}

/// Waits for SIGTERM or SIGINT, which a planned fault may ignore.
async fn until_signal(app: &App, wanted: bool) -> Exit {
    if !wanted {
        return pending().await;
    }
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return pending().await;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        startup::stopping(app.config.dialect, &app.log);
        if !app.config.faults.contains(&PlannedFault::IgnoreSigterm) {
            return Exit::Stopped;
        }
    }
}

/// vLLM's throughput line, while there is or just was work.
async fn log_every_ten_seconds(app: &App) {
    if app.config.dialect != Dialect::Vllm {
        return pending().await;
    }
    let mut before = app.stats().levels;
    let mut busy = false;
    loop {
        sleep(TEN_SECONDS).await;
        let now = app.stats().levels;
        let works = now.steps > before.steps;
        if works || busy {
            let kv_tokens = app.model.limits.kv_tokens;
            app.log
                .ten_seconds(&before, &now, TEN_SECONDS.as_secs_f64(), kv_tokens);
        }
        busy = works;
        before = now;
    }
}

async fn accept(app: Rc<App>, listener: TcpListener) -> Exit {
    loop {
        let Ok((socket, peer)) = listener.accept().await else {
            // Out of file descriptors: the others go on.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Only the delay of small packets depends on it.
        let _ = socket.set_nodelay(true);
        let app = Rc::clone(&app);
        tokio::task::spawn_local(async move {
            let service = service_fn(|http| routes::answer(Rc::clone(&app), peer, http));
            // A client that goes away is not this server's error.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}
