//! Time from the start of `sota-loop serve` to its first `tools/list` answer.
//!
//! `cargo bench --bench serve` prints the median of 30 starts; the goal is 50 ms.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const STARTS: usize = 30;
const MESSAGES: [&str; 3] = [
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"0"}}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#,
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut times = Vec::new();
    let mut size = 0;
    for _ in 0..STARTS {
        let (time, bytes) = one_start()?;
        times.push(time);
        size = bytes;
    }
    times.sort_unstable();
    println!(
        "serve: first tools/list after {:.1} ms (median of {STARTS}), {:.1} ms (slowest); answer of {size} bytes; goal 50 ms",
        times[STARTS / 2].as_secs_f64() * 1e3,
        times[STARTS - 1].as_secs_f64() * 1e3,
    );
    Ok(())
}

fn one_start() -> Result<(Duration, usize), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let mut server = Command::new(env!("CARGO_BIN_EXE_sota-loop"))
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = server.stdin.take().ok_or("no stdin")?;
    for message in MESSAGES {
        writeln!(stdin, "{message}")?;
    }
    let mut lines = BufReader::new(server.stdout.take().ok_or("no stdout")?).lines();
    let answer = lines
        .find(|line| line.as_ref().is_ok_and(|line| line.contains("\"id\":2")))
        .ok_or("no answer")??;
    let time = started.elapsed();
    drop(stdin);
    server.wait()?;
    Ok((time, answer.len()))
}
