//! How well the simulated engine keeps to its cost model, and what it costs:
//! `cargo bench --bench sim`.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use sota_loop::sim::{CostModel, Next, Scheduler, Submission};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PROMPT_TOKENS: u32 = 100;

struct Case {
    streams: u32,
    tokens: u32,
    time_scale: f64,
    arguments: &'static [&'static str],
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("throughput against the cost model (limit 0.5%):");
    for (streams, tokens, time_scale) in [(1, 400, 1.0), (64, 300, 1.0), (64, 1_500, 10.0)] {
        let case = Case {
            streams,
            tokens,
            time_scale,
            arguments: &[],
        };
        let model = CostModel::default().faster(time_scale);
        let (wall, _, _) = measure(&case)?;
        let expected = modelled(&case, model);
        let error = 100.0 * (wall.as_secs_f64() / expected.as_secs_f64() - 1.0);
        println!(
            "  {streams:>3} streams of {tokens} tokens, {time_scale}x: {wall:.3?}, modelled \
             {expected:.3?}, {error:+.2}%: {}",
            if error.abs() < 0.5 { "ok" } else { "TOO FAR" }
        );
    }
    println!("CPU of the server, a chunk every 10 ms on each stream:");
    for streams in [64, 256] {
        let case = Case {
            streams,
            tokens: 300,
            time_scale: 1.0,
            arguments: &[
                "--dialect",
                "vllm",
                "--decode-base-ms",
                "10",
                "--decode-per-sequence-ms",
                "0",
                "--decode-per-1k-context-ms",
                "0",
            ],
        };
        let (wall, cpu, bytes) = measure(&case)?;
        let chunks = f64::from(case.streams * case.tokens);
        println!(
            "  {streams} streams: {chunks} chunks of {:.0} bytes in {wall:.2?}, {:.2} CPU s: {:.0} \
             chunks a CPU second, {:.0}% of one core",
            bytes as f64 / chunks,
            cpu.as_secs_f64(),
            chunks / cpu.as_secs_f64(),
            100.0 * cpu.as_secs_f64() / wall.as_secs_f64()
        );
    }
    Ok(())
}

/// Time of the case in the engine core alone.
fn modelled(case: &Case, model: CostModel) -> Duration {
    let mut scheduler = Scheduler::new(model, 1, 1, false);
    for id in 0..case.streams {
        scheduler.submit(Submission {
            id: id.into(),
            prompt_tokens: PROMPT_TOKENS,
            output_tokens: case.tokens,
            ends_itself: false,
            arrived: 0,
            blocks: Vec::new(),
        });
    }
    let mut now = 0;
    while let Next::Step(step) = scheduler.next(now) {
        now = step.end;
        scheduler.finish(&step);
    }
    Duration::from_nanos(now)
}

/// Wall time of the load, CPU time of the server, and bytes received.
fn measure(case: &Case) -> Result<(Duration, Duration, usize), Box<dyn Error>> {
    let before = children_cpu()?;
    let (mut server, address) = start(case)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (wall, bytes) = runtime.block_on(load(&address, case.streams, case.tokens))?;
    let pid = nix::unistd::Pid::from_raw(i32::try_from(server.id())?);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
    server.wait()?;
    Ok((wall, children_cpu()? - before, bytes))
}

fn children_cpu() -> Result<Duration, Box<dyn Error>> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

fn start(case: &Case) -> Result<(Child, String), Box<dyn Error>> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    drop(listener);
    let mut server = Command::new(env!("CARGO_BIN_EXE_sota-loop"))
        .args([
            "sim",
            "--load-s",
            "0",
            "--port",
            &address.port().to_string(),
        ])
        .args(["--time-scale", &case.time_scale.to_string()])
        .args(case.arguments)
        .stderr(Stdio::piped())
        .spawn()?;
    let log = server.stderr.take().ok_or("no log")?;
    let mut lines = BufReader::new(log).lines();
    for line in lines.by_ref() {
        let line = line?;
        if line.contains("ready") || line.contains("startup complete") {
            break;
        }
    }
    std::thread::spawn(move || lines.for_each(drop));
    while std::net::TcpStream::connect(address).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(50));
    Ok((server, address.to_string()))
}

/// Sends all requests at once and reads every stream to its end.
async fn load(
    address: &str,
    streams: u32,
    tokens: u32,
) -> Result<(Duration, usize), Box<dyn Error>> {
    let prompt: Vec<u32> = (0..PROMPT_TOKENS).collect();
    let body = serde_json::json!({
        "model": "sim-8b", "prompt": prompt, "max_tokens": tokens, "stream": true,
        "stream_options": {"include_usage": true, "continuous_usage_stats": true},
    })
    .to_string();
    let request = format!(
        "POST /v1/completions HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut sockets = Vec::new();
    for _ in 0..streams {
        sockets.push(TcpStream::connect(address).await?);
    }
    let started = Instant::now();
    let mut readers = tokio::task::JoinSet::new();
    for mut socket in sockets {
        let request = request.clone();
        readers.spawn(async move {
            socket.write_all(request.as_bytes()).await?;
            let mut buffer = vec![0; 16 << 10];
            let mut bytes = 0;
            loop {
                match socket.read(&mut buffer).await? {
                    0 => return Ok::<_, std::io::Error>(bytes),
                    read => bytes += read,
                }
            }
        });
    }
    let mut bytes = 0;
    while let Some(read) = readers.join_next().await {
        bytes += read??;
    }
    Ok((started.elapsed(), bytes))
}
