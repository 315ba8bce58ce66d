//! What a chunk costs the client: ours against a Python client on aiohttp.
//!
//! `cargo bench --bench client_cost` starts a paced mock engine in a process
//! of its own (256 streams, a 230-byte chunk every 10 ms each), lets both
//! clients read it one after the other, and prints chunks per processor
//! second of the client and their ratio, for two kinds of pacing: `steps`
//! writes to all streams at once, as the decode steps of an engine do;
//! `staggered` spreads them evenly, so that every chunk wakes the client by
//! itself, which costs both clients most and never happens in an engine.
//! Run it on a quiet machine: a client that is kept waiting finds several
//! chunks in one read, and looks cheap. The Python client lives in
//! `benches/client_cost.py`, which makes itself a virtual environment.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use sota_loop::bench::load::{Endpoint, Live, LoadRun, drive};
use sota_loop::bench::workload::{Input, Prompt};
use sota_loop::http::Base;

const STREAMS: usize = 256;
const CHUNKS: usize = 500;
const GAP: Duration = Duration::from_millis(10);
const CHUNK_BYTES: usize = 230;

fn main() {
    if let Some(pacing) = std::env::args().nth(1).as_deref().and_then(Pacing::named) {
        mock(pacing);
        return;
    }
    println!("{STREAMS} streams, {CHUNK_BYTES}-byte chunks every {GAP:?}, {CHUNKS} a stream");
    for pacing in [Pacing::Steps, Pacing::Staggered] {
        println!("\npaced in {}:", pacing.name());
        compare(pacing);
    }
    println!("\nwanted in steps: at least 100,000 chunks/CPU-s, and 4 times a Python client's");
}

/// When the mock writes to its streams.
#[derive(Clone, Copy)]
enum Pacing {
    Steps,
    Staggered,
}

impl Pacing {
    fn name(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Staggered => "staggered",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Steps, Self::Staggered]
            .into_iter()
            .find(|pacing| pacing.name() == name)
    }

    /// When turn number `turn` over all streams is due.
    fn due(self, turn: usize) -> Duration {
        match self {
            Self::Steps => GAP * (turn / STREAMS) as u32,
            Self::Staggered => GAP / STREAMS as u32 * turn as u32,
        }
    }
}

fn compare(pacing: Pacing) {
    let engine = Engine::start(pacing);
    let threads = std::env::var("LOAD_THREADS")
        .ok()
        .and_then(|threads| threads.parse().ok())
        .unwrap_or(NonZeroUsize::MIN);
    let ours = ours(engine.address, threads);
    println!("sota-loop           {}", ours.line());
    if std::env::var_os("ONLY_OURS").is_some() {
        return;
    }
    for style in ["events", "lines"] {
        match python(engine.address, style) {
            Ok(theirs) => println!(
                "aiohttp, by {style:<7} {}  we read {:.1} times as many",
                theirs.line(),
                ours.per_cpu_s() / theirs.per_cpu_s()
            ),
            Err(reason) => {
                eprintln!("the Python client did not run: {reason}");
                std::process::exit(1);
            }
        }
    }
}

struct Cost {
    chunks: u64,
    cpu_s: f64,
    wall_s: f64,
}

impl Cost {
    fn per_cpu_s(&self) -> f64 {
        self.chunks as f64 / self.cpu_s
    }

    fn line(&self) -> String {
        format!(
            "{:>8} chunks  {:>6.2} CPU-s  {:>6.2} s wall  {:>9.0} chunks/CPU-s",
            self.chunks,
            self.cpu_s,
            self.wall_s,
            self.per_cpu_s()
        )
    }
}

fn ours(address: SocketAddr, threads: NonZeroUsize) -> Cost {
    let prompts = (0..STREAMS)
        .map(|_| Prompt {
            input: Input::Ids(vec![1, 2, 3]),
            output_len: CHUNKS as u32,
        })
        .collect();
    let mut run = LoadRun::new(Base::at(address), Endpoint::Completions, "mock", prompts);
    run.threads = Some(threads);
    let (_keep, cancel) = tokio::sync::watch::channel(false);
    let outcome = drive(&run, &Arc::new(Live::default()), cancel).expect("the run starts");
    let failed = outcome.samples.iter().find_map(|s| s.error.as_ref());
    assert!(failed.is_none(), "{failed:?}");
    Cost {
        chunks: outcome
            .samples
            .iter()
            .map(|s| s.chunk_ns.len() as u64)
            .sum(),
        cpu_s: outcome.client.cpu_s,
        wall_s: outcome.wall_s,
    }
}

/// Runs the Python client; it prints `chunks cpu_s wall_s` on its last line.
fn python(address: SocketAddr, style: &str) -> Result<Cost, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/client_cost.py");
    let output = Command::new("python3")
        .args([
            script,
            &format!("http://{address}"),
            &STREAMS.to_string(),
            style,
        ])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("python3: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text
        .lines()
        .last()
        .unwrap_or("")
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    match numbers[..] {
        [chunks, cpu_s, wall_s] if output.status.success() => Ok(Cost {
            chunks: chunks as u64,
            cpu_s,
            wall_s,
        }),
        _ => Err(format!("{}: {text}", output.status)),
    }
}

/// The mock in its own process.
struct Engine {
    process: Child,
    address: SocketAddr,
}

impl Engine {
    fn start(pacing: Pacing) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut process = Command::new(program)
            .arg(pacing.name())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the mock starts");
        let output = process.stdout.take().expect("its output is piped");
        let mut line = String::new();
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the mock says its address");
        let address = line.trim().parse().expect("an address");
        Self { process, address }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn mock(pacing: Pacing) {
    // Ends with its parent: the pipe on standard input closes.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    std::io::stdout().flush().expect("the address is written");
    let (ready, started) = mpsc::channel();
    std::thread::spawn(move || pace(pacing, &started));
    for stream in listener.incoming().flatten() {
        let ready = ready.clone();
        std::thread::spawn(move || begin(stream, &ready));
    }
}

/// Reads the request, begins the answer and hands the connection to the pacer.
fn begin(mut stream: TcpStream, ready: &mpsc::Sender<TcpStream>) {
    let _ = stream.set_nodelay(true);
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    // Both clients' bodies are small and end the request with a brace.
    while !seen.ends_with(b"}") {
        match stream.read(&mut piece) {
            Ok(count) if count > 0 => seen.extend_from_slice(&piece[..count]),
            _ => return,
        }
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    if stream.write_all(head.as_bytes()).is_ok() {
        let _ = ready.send(stream);
    }
}

/// Writes to each stream every 10 ms.
fn pace(pacing: Pacing, started: &mpsc::Receiver<TcpStream>) {
    let chunk = chunk();
    loop {
        let streams: Vec<TcpStream> = started.iter().take(STREAMS).collect();
        let start = Instant::now() + GAP;
        for turn in 0..CHUNKS * STREAMS {
            let due = start + pacing.due(turn);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let _ = (&streams[turn % STREAMS]).write_all(&chunk);
        }
        for mut stream in streams {
            let _ = stream.write_all(&end());
        }
    }
}

fn end() -> Vec<u8> {
    let usage = format!("{{\"prompt_tokens\":3,\"completion_tokens\":{CHUNKS}}}");
    let mut end = frame(&format!(
        "data: {{\"choices\":[{{\"index\":0,\"text\":\"\",\"finish_reason\":\"length\"}}],\"usage\":{usage}}}\n\ndata: [DONE]\n\n"
    ));
    end.extend_from_slice(b"0\r\n\r\n");
    end
}

/// One event, padded to its size, in the form that vLLM gives it.
fn chunk() -> Vec<u8> {
    let open = "data: {\"id\":\"cmpl-";
    let close = "\",\"object\":\"text_completion\",\"created\":1795500120,\"model\":\"qwen3-8b\",\"choices\":[{\"index\":0,\"text\":\" token\",\"logprobs\":null,\"finish_reason\":null,\"stop_reason\":null}]}\n\n";
    let id = "a".repeat(CHUNK_BYTES - open.len() - close.len());
    frame(&format!("{open}{id}{close}"))
}

fn frame(event: &str) -> Vec<u8> {
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}
