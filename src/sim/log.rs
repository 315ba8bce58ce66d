//! Log lines in the form of each dialect's engine.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use hyper::StatusCode;

use super::calendar::Moment;
use super::dialect::Dialect;
use super::scheduler::{Levels, Step};

/// Where log lines go.
pub type Sink = Box<dyn Write + Send>;

/// Writes whole lines to one sink.
pub struct Log {
    dialect: Dialect,
    sink: Mutex<Sink>,
}

impl Log {
    pub fn new(dialect: Dialect, sink: Sink) -> Self {
        Self {
            dialect,
            sink: Mutex::new(sink),
        }
    }

    /// A line as it is.
    pub fn raw(&self, line: &str) {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that cannot be written must not stop the engine.
        let _ = sink.write_all(format!("{line}\n").as_bytes());
        let _ = sink.flush();
    }

    /// A line of the engine's core, in vLLM from source file `source`.
    pub fn core(&self, source: &str, text: &str) {
        self.line("EngineCore", source, text);
    }

    /// A line of the engine's API server.
    pub fn api(&self, source: &str, text: &str) {
        self.line("APIServer", source, text);
    }

    /// A line of the HTTP server below the API.
    pub fn http(&self, text: &str) {
        match self.dialect {
            Dialect::Sglang => self.core("", &format!("INFO:     {text}")),
            Dialect::Vllm => {
                self.raw(&format!(
                    "(APIServer pid={}) INFO:     {text}",
                    std::process::id()
                ));
            }
            Dialect::OpenAi => self.core("", text),
        }
    }

    /// One answered request.
    pub fn access(&self, peer: SocketAddr, method: &str, path: &str, status: StatusCode) {
        match self.dialect {
            Dialect::OpenAi => self.core(
                "",
                &format!(
                    "done request: {method} {path} {} {}",
                    peer.ip(),
                    status.as_u16()
                ),
            ),
            _ => self.http(&format!("{peer} - \"{method} {path} HTTP/1.1\" {status}")),
        }
    }

    fn line(&self, process: &str, source: &str, text: &str) {
        let t = Moment::now();
        let clock = format!("{:02}:{:02}:{:02}", t.hour, t.minute, t.second);
        self.raw(&match self.dialect {
            Dialect::Sglang => {
                format!("[{}-{:02}-{:02} {clock}] {text}", t.year, t.month, t.day)
            }
            Dialect::Vllm => format!(
                "({process} pid={}) INFO {:02}-{:02} {clock} [{source}] {text}",
                std::process::id(),
                t.month,
                t.day
            ),
            Dialect::OpenAi => format!("srv  {clock} {text}"),
        });
    }

    /// SGLang's line for a step that prefilled.
    pub fn prefill_batch(&self, step: &Step, levels: &Levels, kv_tokens: u32, tokens_per_s: f64) {
        if self.dialect == Dialect::Sglang {
            self.core(
                "",
                &format!(
                    "Prefill batch, #new-seq: {}, #new-token: {}, #cached-token: {}, token usage: \
                     {:.2}, #running-req: {}, #queue-req: {}, #pending-token: {}, cuda graph: \
                     True, input throughput (token/s): {tokens_per_s:.2}",
                    step.new_sequences,
                    step.work.prefill_tokens,
                    step.cached_tokens,
                    usage(levels, kv_tokens),
                    step.running_before,
                    levels.waiting,
                    levels.pending_prefill
                ),
            );
        }
    }

    /// SGLang's line for every 40 decode steps.
    pub fn decode_batch(&self, levels: &Levels, kv_tokens: u32, tokens_per_s: f64) {
        if self.dialect == Dialect::Sglang {
            self.core(
                "",
                &format!(
                    "Decode batch, #running-req: {}, #token: {}, token usage: {:.2}, cuda graph: \
                     True, gen throughput (token/s): {tokens_per_s:.2}, #queue-req: {}",
                    levels.running,
                    levels.context,
                    usage(levels, kv_tokens),
                    levels.waiting
                ),
            );
        }
    }

    /// vLLM's line for every ten seconds with work.
    pub fn ten_seconds(&self, before: &Levels, now: &Levels, seconds: f64, kv_tokens: u32) {
        let rate = |before: u64, now: u64| (now - before) as f64 / seconds;
        let hits = 100.0 * now.cached_tokens as f64 / now.prompt_tokens.max(1) as f64;
        self.api(
            "loggers.py:273",
            &format!(
                "Engine 000: Avg prompt throughput: {:.1} tokens/s, Avg generation throughput: \
                 {:.1} tokens/s, Running: {} reqs, Waiting: {} reqs, GPU KV cache usage: {:.1}%, \
                 Prefix cache hit rate: {hits:.1}%",
                rate(before.prompt_tokens, now.prompt_tokens),
                rate(before.generated_tokens, now.generated_tokens),
                now.running,
                now.waiting,
                100.0 * usage(now, kv_tokens)
            ),
        );
    }
}

fn usage(levels: &Levels, kv_tokens: u32) -> f64 {
    f64::from(levels.kv_used) / f64::from(kv_tokens.max(1))
}
