//! What an engine prints while it loads, and how it runs out of memory.

use super::config::SimConfig;
use super::dialect::Dialect;
use super::log::Log;

/// Share of the loading time after which loading fails or hangs, if it is to.
pub const STUCK_AT: f64 = 0.6;

/// Share of the loading time that SGLang's own first request takes.
pub const WARM_UP_SHARE: f64 = 0.05;

/// A line, after which share of the loading time it comes, and in which voice.
pub struct Progress {
    pub at: f64,
    source: &'static str,
    text: String,
}

/// The lines of a normal start in order.
pub fn script(config: &SimConfig, kv_tokens: u32, context_length: u32) -> Vec<Progress> {
    let line = |at, source, text: String| Progress { at, source, text };
    let model = &config.model;
    match config.dialect {
        Dialect::Sglang => vec![
            line(
                0.0,
                "",
                format!("server_args=ServerArgs(model_path='{model}', simulated=True)"),
            ),
            line(0.1, "", "Init torch distributed begin.".into()),
            line(0.15, "", "Load weight begin. avail mem=78.47 GB".into()),
            line(
                0.5,
                "",
                "Load weight end. elapsed=0.22 s, type=Simulated, avail mem=65.03 GB, mem \
                 usage=13.44 GB."
                    .into(),
            ),
            line(
                0.55,
                "",
                format!("KV Cache is allocated. dtype: torch.bfloat16, #tokens: {kv_tokens}"),
            ),
            line(0.6, "", "Capture target decode CUDA graph begin.".into()),
            line(
                0.75,
                "",
                "Capturing batches (bs=128):  50%|#####     | 18/36".into(),
            ),
            line(0.9, "", "Capture target decode CUDA graph end.".into()),
            line(
                0.95,
                "",
                format!("max_total_num_tokens={kv_tokens}, context_len={context_length}"),
            ),
        ],
        Dialect::Vllm => vec![
            line(
                0.0,
                "model.py:619",
                "Resolved architecture: SimulatedForCausalLM".into(),
            ),
            line(
                0.1,
                "model_runner.py:281",
                format!("Loading model from scratch... ({model})"),
            ),
            line(
                0.3,
                "model_runner.py:302",
                "Model loading took 13.43 GiB and 4.8 seconds".into(),
            ),
            line(
                0.5,
                "monitor.py:53",
                "torch.compile took 38.19 s in total".into(),
            ),
            line(
                0.55,
                "kv_cache_utils.py:2146",
                format!("GPU KV cache size: {} tokens", grouped(kv_tokens)),
            ),
            line(
                0.7,
                "model_runner.py:700",
                "Capturing CUDA graphs (FULL):  50%|#####     | 25/51".into(),
            ),
            line(
                0.9,
                "model_runner.py:722",
                "Graph capturing finished in 7 secs, took 1.01 GiB".into(),
            ),
        ],
        Dialect::OpenAi => vec![
            line(0.0, "", format!("loading model '{model}'")),
            line(
                0.5,
                "",
                format!("kv cache of {kv_tokens} tokens, context {context_length}"),
            ),
        ],
    }
}

impl Progress {
    /// Prints the line.
    pub fn print(&self, log: &Log) {
        log.core(self.source, &self.text);
    }
}

/// The lines when the HTTP server listens, before the engine is ready.
pub fn listening(dialect: Dialect, address: &str, log: &Log) {
    match dialect {
        Dialect::OpenAi => log.core("", &format!("HTTP server is listening on http://{address}")),
        _ => {
            if dialect == Dialect::Vllm {
                log.api(
                    "api_server.py:616",
                    &format!("Starting vLLM server on http://{address}"),
                );
            }
            log.http(&format!("Started server process [{}]", std::process::id()));
            log.http("Waiting for application startup.");
            log.http("Application startup complete.");
            if dialect == Dialect::Sglang {
                log.http(&format!(
                    "Uvicorn running on http://{address} (Press CTRL+C to quit)"
                ));
            }
        }
    }
}

/// The line when the engine is ready.
pub fn ready(dialect: Dialect, address: &str, log: &Log) {
    match dialect {
        Dialect::Sglang => log.core("", "The server is fired up and ready to roll!"),
        Dialect::Vllm => {}
        Dialect::OpenAi => log.core("", &format!("server is ready on http://{address}")),
    }
}

/// The line when a signal asks the engine to end.
pub fn stopping(dialect: Dialect, log: &Log) {
    match dialect {
        Dialect::Sglang => log.core(
            "",
            "SIGTERM received. signum=None frame=None. Draining requests and shutting down...",
        ),
        Dialect::Vllm => log.api(
            "launcher.py:116",
            "[shutdown] API server: stopping engine client mode=abort timeout=0s",
        ),
        Dialect::OpenAi => log.core("", "cleaning up before exit..."),
    }
}

/// PyTorch's out-of-memory error, with the engine's own words around it.
pub fn out_of_memory(dialect: Dialect, log: &Log) {
    const TORCH: &str = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. \
        GPU 0 has a total capacity of 79.11 GiB of which 1.31 GiB is free. Including non-PyTorch \
        memory, this process has 77.79 GiB memory in use. Of the allocated memory 76.50 GiB is \
        allocated by PyTorch, and 512.00 MiB is reserved by PyTorch but unallocated. If reserved \
        but unallocated memory is large try setting PYTORCH_ALLOC_CONF=expandable_segments:True \
        to avoid fragmentation.";
    match dialect {
        Dialect::Sglang => {
            log.core("", &format!("Scheduler hit an exception: {TORCH}"));
            log.core(
                "",
                "Received sigquit from a child process. It usually means the child failed.",
            );
        }
        Dialect::Vllm => {
            log.core(
                "core.py:1080",
                &format!("EngineCore failed to start. {TORCH}"),
            );
            log.raw("RuntimeError: Engine core initialization failed. See root cause above.");
        }
        Dialect::OpenAi => log.raw(TORCH),
    }
}

/// A number with commas between thousands.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
