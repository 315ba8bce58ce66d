//! A real engine that nobody here wrote: llama.cpp's server, found through
//! `LLAMA_SERVER` and `LLAMA_MODEL`.

use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sota_loop::bench::load::{
    Endpoint, Live, LoadOutcome, LoadRun, TokenCountSource, TtftRule, drive,
};
use sota_loop::bench::workload::{Input, LenRange, Prompt, RandomPrompts, random_prompts};
use sota_loop::http::{Base, Limits, get};

struct Engine {
    process: Child,
    base: Base,
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Engine {
    fn start() -> Option<Self> {
        let (Ok(server), Ok(model)) = (std::env::var("LLAMA_SERVER"), std::env::var("LLAMA_MODEL"))
        else {
            eprintln!("not run: set LLAMA_SERVER and LLAMA_MODEL");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let process = Command::new(server)
            .args(["-m", &model, "--alias", "tiny", "--host", "127.0.0.1"])
            .args(["--port", &port.to_string()])
            .args(["-np", "4", "-c", "8192", "-t", "1", "--no-webui"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let base = Base::at(([127, 0, 0, 1], port).into());
        let engine = Self { process, base };
        engine.wait_until_ready();
        Some(engine)
    }

    fn wait_until_ready(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !runtime
            .block_on(get(&self.base, "/health", Limits::default()))
            .is_ok_and(|reply| reply.is_success())
        {
            assert!(Instant::now() < deadline, "the engine never got ready");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn drive(&self, endpoint: Endpoint, prompts: Vec<Prompt>) -> LoadOutcome {
        let mut run = LoadRun::new(self.base.clone(), endpoint, "tiny", prompts);
        run.max_concurrency = NonZeroUsize::new(4);
        let (_keep, cancel) = tokio::sync::watch::channel(false);
        drive(&run, &Arc::new(Live::default()), cancel).unwrap()
    }
}

#[test]
fn llama_server_completions_and_chat() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let prompts = random_prompts(&RandomPrompts {
        num_prompts: 12,
        input_len: LenRange::fixed(64),
        output_len: LenRange::fixed(32),
        vocab_size: 4096,
        lowest_id: 300,
        excluded_ids: Vec::new(),
        seed: 1,
        purpose: "test".to_owned(),
    })
    .unwrap();
    let outcome = engine.drive(Endpoint::Completions, prompts);
    assert_eq!(outcome.samples.len(), 12);
    for sample in &outcome.samples {
        assert_eq!(sample.error, None);
        assert_eq!(sample.output_tokens, Some(32));
        assert_eq!(sample.prompt_tokens, Some(64));
        assert_eq!(sample.token_count_source, Some(TokenCountSource::Usage));
        assert_eq!(sample.ttft_rule, Some(TtftRule::FirstContent));
        assert_eq!(sample.finish_reason.as_deref(), Some("length"));
    }
    // It promises to keep connections alive and closes every one.
    let connections = outcome.connections;
    assert!(connections.opened >= 12 - connections.reused);
    assert!(connections.not_kept + connections.stale_retries > 0);

    let chat: Vec<Prompt> = (0..4)
        .map(|i| Prompt {
            input: Input::Text(format!("question {i}")),
            output_len: 16,
        })
        .collect();
    let outcome = engine.drive(Endpoint::Chat, chat);
    for sample in &outcome.samples {
        assert_eq!(sample.error, None);
        assert_eq!(sample.output_tokens, Some(16));
        assert!(sample.prompt_tokens > Some(3));
    }
}
