//! The simulated engine over real sockets, and as a process that fails.

mod client;
mod process;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use client::{HttpReply, completion, events, http, normalized, post, send};
use serde_json::{Value, json};
use sota_loop::sim::{Dialect, Exit, PlannedFault, Server, SimConfig};

/// Long enough for a busy machine; no test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn fast(dialect: Dialect) -> SimConfig {
    SimConfig {
        time_scale: 20.0,
        ..SimConfig::new(dialect)
    }
}

fn started(config: SimConfig) -> (Server, Lines) {
    let lines = Lines::default();
    let server = Server::start(config, Box::new(lines.clone())).unwrap();
    wait_for("health", || {
        http(server.address(), "GET", "/health", "").is_some_and(|reply| reply.status == 200)
    });
    (server, lines)
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn chunks_are_those_that_sglang_sends() {
    let (server, _) = started(fast(Dialect::Sglang));
    let reply = post(server.address(), "/v1/completions", &completion(3, 2));
    assert!(reply.body.ends_with("data: [DONE]\n\n"));
    let chunks: Vec<String> = events(&reply.body).into_iter().map(normalized).collect();
    assert_eq!(
        chunks,
        [
            r#"{"id":"I","object":"text_completion","created":0,"model":"M","choices":[{"index":0,"text":"T","logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":{"prompt_tokens":3,"total_tokens":4,"completion_tokens":1,"prompt_tokens_details":null,"reasoning_tokens":0}}"#,
            r#"{"id":"I","object":"text_completion","created":0,"model":"M","choices":[{"index":0,"text":"T","logprobs":null,"finish_reason":"length","matched_stop":null}],"usage":{"prompt_tokens":3,"total_tokens":5,"completion_tokens":2,"prompt_tokens_details":null,"reasoning_tokens":0}}"#,
            r#"{"id":"I","object":"text_completion","created":0,"model":"M","choices":[],"usage":{"prompt_tokens":3,"total_tokens":5,"completion_tokens":2,"prompt_tokens_details":null,"reasoning_tokens":0}}"#,
        ]
    );
    let chat = json!({
        "model": "any", "messages": [{"role": "user", "content": "abcdefgh"}], "max_tokens": 1,
        "stream": true,
    });
    let reply = post(server.address(), "/v1/chat/completions", &chat);
    let chunks: Vec<String> = events(&reply.body).into_iter().map(normalized).collect();
    assert_eq!(
        chunks,
        [
            r#"{"id":"I","object":"chat.completion.chunk","created":0,"model":"M","choices":[{"index":0,"delta":{"reasoning_content":null,"role":"assistant","content":""},"logprobs":null,"finish_reason":null,"matched_stop":null}]}"#,
            r#"{"id":"I","object":"chat.completion.chunk","created":0,"model":"M","choices":[{"index":0,"delta":{"reasoning_content":null,"content":"T"},"logprobs":null,"finish_reason":null,"matched_stop":null}]}"#,
            r#"{"id":"I","object":"chat.completion.chunk","created":0,"model":"M","choices":[{"index":0,"delta":{"reasoning_content":null},"logprobs":null,"finish_reason":"length","matched_stop":null}]}"#,
        ]
    );
    assert_eq!(server.stop(), Exit::Stopped);
}

#[test]
fn chunks_are_those_that_vllm_sends() {
    let (server, _) = started(fast(Dialect::Vllm));
    let chat = json!({
        "model": "sim-8b", "messages": [{"role": "user", "content": "abc"}], "max_tokens": 1,
        "stream": true,
        "stream_options": {"include_usage": true, "continuous_usage_stats": true},
    });
    let reply = post(server.address(), "/v1/chat/completions", &chat);
    let chunks: Vec<String> = events(&reply.body).into_iter().map(normalized).collect();
    assert_eq!(
        chunks,
        [
            r#"{"id":"I","object":"chat.completion.chunk","created":0,"model":"M","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":10,"total_tokens":10,"completion_tokens":0}}"#,
            r#"{"id":"I","object":"chat.completion.chunk","created":0,"model":"M","choices":[{"index":0,"delta":{"content":"T"},"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":10,"total_tokens":11,"completion_tokens":1}}"#,
            r#"{"id":"I","object":"chat.completion.chunk","created":0,"model":"M","choices":[],"usage":{"prompt_tokens":10,"total_tokens":11,"completion_tokens":1}}"#,
        ]
    );
    let plain = json!({"model": "sim-8b", "prompt": "abc", "max_tokens": 1, "stream": true});
    let reply = post(server.address(), "/v1/completions", &plain);
    let chunks: Vec<String> = events(&reply.body).into_iter().map(normalized).collect();
    assert_eq!(
        chunks,
        [
            r#"{"id":"I","object":"text_completion","created":0,"model":"M","choices":[{"index":0,"text":"T","logprobs":null,"finish_reason":"length","stop_reason":null,"prompt_token_ids":null,"token_ids":null}]}"#,
        ]
    );
    server.stop();
}

#[test]
fn generate_repeats_its_text_or_not() {
    let (server, _) = started(fast(Dialect::Sglang));
    let body = json!({
        "input_ids": [5, 6, 7], "sampling_params": {"max_new_tokens": 3, "ignore_eos": true},
        "stream": true,
    });
    let chunks = events(&post(server.address(), "/generate", &body).body);
    let ids: Vec<usize> = chunks
        .iter()
        .map(|c| c["output_ids"].as_array().unwrap().len())
        .collect();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(chunks[1]["meta_info"]["completion_tokens"], 2);
    assert_eq!(
        chunks[2]["meta_info"]["finish_reason"],
        json!({"type": "length", "length": 3})
    );
    let last = chunks[2]["text"].clone();
    server.stop();

    let mut config = fast(Dialect::Sglang);
    config.stream.incremental_streaming_output = true;
    let (server, _) = started(config);
    let chunks = events(&post(server.address(), "/generate", &body).body);
    let joined: String = chunks.iter().map(|c| c["text"].as_str().unwrap()).collect();
    assert_eq!(json!(joined), last);
    assert!(
        chunks
            .iter()
            .all(|c| c["output_ids"].as_array().unwrap().len() == 1)
    );
    server.stop();
}

#[test]
fn a_prompt_has_one_output_streamed_or_whole_and_salt_changes_it() {
    let (server, _) = started(fast(Dialect::OpenAi));
    let streamed = events(&post(server.address(), "/v1/completions", &completion(9, 40)).body);
    let joined: String = streamed
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["text"].as_str())
        .collect();
    let mut body = completion(9, 40);
    body["stream"] = json!(false);
    let whole: Value =
        serde_json::from_str(&post(server.address(), "/v1/completions", &body).body).unwrap();
    assert_eq!(whole["choices"][0]["text"], json!(joined));
    assert_eq!(whole["usage"]["completion_tokens"], 40);
    server.stop();

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cost.toml");
    std::fs::write(&path, "[output]\nsalt = 7\n").unwrap();
    let mut config = fast(Dialect::OpenAi);
    config.cost_model = Some(path);
    let (server, _) = started(config);
    let salted: Value =
        serde_json::from_str(&post(server.address(), "/v1/completions", &body).body).unwrap();
    assert_ne!(salted["choices"][0]["text"], json!(joined));
    server.stop();
}

#[test]
fn many_streams_get_every_token_and_the_counters_agree() {
    let (server, log) = started(fast(Dialect::Sglang));
    let address = server.address();
    let threads: Vec<_> = (0..24)
        .map(|i| {
            std::thread::spawn(move || post(address, "/v1/completions", &completion(50 + i, 100)))
        })
        .collect();
    for thread in threads {
        let reply = thread.join().unwrap();
        let chunks = events(&reply.body);
        assert_eq!(chunks.len(), 101);
        for (index, chunk) in chunks.iter().take(100).enumerate() {
            assert_eq!(chunk["usage"]["completion_tokens"], index + 1);
        }
    }
    let prompts: usize = (50..74).sum();
    let metrics = http(address, "GET", "/metrics", "").unwrap().body;
    let value = |name: &str| {
        let line = metrics
            .lines()
            .find(|line| line.starts_with(&format!("{name}{{")))
            .unwrap();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(value("sglang:generation_tokens_total"), 2_400.0);
    assert_eq!(value("sglang:prompt_tokens_total"), prompts as f64);
    assert_eq!(value("sglang:time_to_first_token_seconds_count"), 24.0);
    assert_eq!(value("sglang:num_running_reqs"), 0.0);
    let log = log.text();
    assert!(log.contains("The server is fired up and ready to roll!"));
    assert!(log.contains("Prefill batch, #new-seq: "), "{log}");
    assert!(log.contains("Decode batch, #running-req: "), "{log}");
    server.stop();
}

#[test]
fn errors_are_those_of_the_dialect() {
    let unknown = json!({"model": "nope", "prompt": "a", "max_tokens": 1});
    let long = json!({"model": "sim-8b", "prompt": [1], "max_tokens": 999_999});
    let (server, _) = started(fast(Dialect::Vllm));
    let reply = post(server.address(), "/v1/completions", &unknown);
    assert_eq!(reply.status, 404);
    assert_eq!(
        reply.body,
        r#"{"error":{"message":"The model `nope` does not exist.","type":"NotFoundError","param":"model","code":404}}"#
    );
    let reply = post(server.address(), "/v1/completions", &long);
    assert_eq!(
        reply.body,
        r#"{"error":{"message":"max_tokens=999999 cannot be greater than max_model_len=max_total_tokens=10240. Please request fewer output tokens. (parameter=max_tokens, value=999999)","type":"BadRequestError","param":"max_tokens","code":400}}"#
    );
    for (body, says) in [
        ("{", "JSON decode error: EOF"),
        (r#"{"model":"sim-8b"}"#, "prompt is missing"),
        (
            r#"{"model":"sim-8b","prompt":[],"max_tokens":1}"#,
            "prompt is empty",
        ),
        (
            r#"{"model":"sim-8b","prompt":["a","b"]}"#,
            "one prompt a request, not 2",
        ),
        (
            r#"{"model":"sim-8b","prompt":"a","max_tokens":"x"}"#,
            "invalid request: invalid type",
        ),
        (
            r#"{"model":"sim-8b","prompt":"a","max_tokens":0}"#,
            "max_tokens must be at least 1",
        ),
    ] {
        let reply = http(server.address(), "POST", "/v1/completions", body).unwrap();
        assert_eq!(reply.status, 400);
        assert!(reply.body.contains(says), "{}", reply.body);
    }
    assert_eq!(
        http(server.address(), "POST", "/generate", "{}")
            .unwrap()
            .status,
        404
    );
    server.stop();

    let (server, _) = started(fast(Dialect::Sglang));
    assert_eq!(
        post(server.address(), "/v1/completions", &unknown).status,
        200
    );
    let reply = post(server.address(), "/v1/completions", &long);
    assert_eq!(
        reply.body,
        r#"{"object":"error","message":"Requested token count exceeds the model's maximum context length of 10240 tokens. You requested a total of 1000000 tokens: 1 tokens from the input messages and 999999 tokens for the completion. Please reduce the number of tokens in the input messages or the completion to fit within the limit.","type":"BadRequestError","param":null,"code":400}"#
    );
    server.stop();
}

#[test]
fn a_client_that_goes_away_frees_its_sequence() {
    let (server, _) = started(SimConfig::new(Dialect::OpenAi));
    let body = completion(10, 9_000).to_string();
    let socket = send(server.address(), "POST", "/v1/completions", &body).unwrap();
    let mut reader = BufReader::new(socket);
    let mut line = String::new();
    while !line.starts_with("data: ") {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    let running = |wanted: &str| {
        let metrics = http(server.address(), "GET", "/metrics", "").unwrap().body;
        metrics
            .lines()
            .any(|line| line == format!("llamacpp:requests_processing {wanted}"))
    };
    assert!(running("1.0"));
    drop(reader);
    wait_for("cancellation", || running("0.0"));
    server.stop();
}

#[test]
fn planned_faults_hit_the_requests_that_they_name() {
    let mut config = fast(Dialect::OpenAi);
    config.faults = vec![PlannedFault::ErrorEvery(2), PlannedFault::CutEvery(3)];
    let (server, _) = started(config);
    let replies: Vec<HttpReply> = (0..3)
        .map(|_| post(server.address(), "/v1/completions", &completion(5, 20)))
        .collect();
    assert_eq!(
        replies.iter().map(|r| r.status).collect::<Vec<_>>(),
        [200, 500, 200]
    );
    assert!(replies[0].complete && replies[0].body.contains("[DONE]"));
    assert!(!replies[2].complete && !replies[2].body.contains("[DONE]"));
    assert!(events(&replies[2].body).len() <= 3);
    server.stop();
}

#[test]
fn a_loading_engine_refuses_or_answers_503_as_the_real_one_would() {
    let loading = |dialect| {
        let mut config = fast(dialect);
        config.faults = vec![PlannedFault::NeverReady];
        let server = Server::start(config, Box::new(std::io::sink())).unwrap();
        let address = server.address();
        (server, address)
    };
    for dialect in [Dialect::Sglang, Dialect::Vllm] {
        let (server, address) = loading(dialect);
        assert!(TcpStream::connect(address).is_err());
        server.stop();
    }
    let (server, address) = loading(Dialect::OpenAi);
    wait_for("503", || {
        http(address, "GET", "/health", "").is_some_and(|reply| reply.status == 503)
    });
    assert_eq!(
        post(address, "/v1/completions", &completion(1, 1)).status,
        503
    );
    server.stop();
}

#[test]
fn a_taken_port_is_named() {
    let (server, _) = started(fast(Dialect::OpenAi));
    let mut config = fast(Dialect::Sglang);
    config.port = Some(server.address().port());
    let Err(error) = Server::start(config, Box::new(std::io::sink())) else {
        panic!("two servers on one port");
    };
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("cannot listen on {}", server.address())),
        "{text}"
    );
    server.stop();
}

#[test]
fn a_profile_of_the_running_engine_is_a_trace_of_its_steps() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = fast(Dialect::Sglang);
    config.profile.layers = 4;
    let (server, log) = started(config);
    let start = json!({"output_dir": dir.path(), "num_steps": "5", "activities": ["CPU", "GPU"]});
    let reply = post(server.address(), "/start_profile", &start);
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (200, "Start profiling.\n")
    );
    assert_eq!(post(server.address(), "/start_profile", &start).status, 400);
    post(server.address(), "/v1/completions", &completion(300, 20));
    // It counts its last step without recording it, and has ended by itself.
    let reply = http(server.address(), "POST", "/stop_profile", "").unwrap();
    assert_eq!(reply.status, 500);
    assert!(log.text().contains("Profiling is not in progress."));
    wait_for("the trace", || log.text().contains("Profiling done."));
    assert_eq!(
        http(server.address(), "POST", "/stop_profile", "")
            .unwrap()
            .status,
        400
    );
    let path = std::fs::read_dir(dir.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert!(
        path.to_str().unwrap().ends_with("-TP-0.trace.json.gz"),
        "{}",
        path.display()
    );
    let file = flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap());
    let trace: Value = serde_json::from_reader(file).unwrap();
    let steps: Vec<&str> = trace["traceEvents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["cat"] == "user_annotation")
        .map(|event| event["name"].as_str().unwrap())
        .collect();
    let decode = "step[DECODE bs=1]";
    assert_eq!(
        steps,
        ["step[EXTEND bs=1 toks=300]", decode, decode, decode]
    );
    assert!(log.text().contains("Profiling done. Traces are saved to: "));
    server.stop();

    // vLLM has the routes only where a folder is configured.
    let (server, _) = started(fast(Dialect::Vllm));
    assert_eq!(
        http(server.address(), "POST", "/start_profile", "")
            .unwrap()
            .status,
        404
    );
    server.stop();
    let mut config = fast(Dialect::Vllm);
    config.profile.profiler_config =
        Some(json!({"profiler": "torch", "torch_profiler_dir": dir.path().join("v")}).to_string());
    let (server, _) = started(config);
    assert_eq!(
        http(server.address(), "POST", "/start_profile", "")
            .unwrap()
            .status,
        200
    );
    post(server.address(), "/v1/completions", &completion(10, 3));
    assert_eq!(
        http(server.address(), "POST", "/stop_profile", "")
            .unwrap()
            .status,
        200
    );
    let written = std::fs::read_dir(dir.path().join("v"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert!(written.file_name().to_str().unwrap().starts_with("rank0."));
    server.stop();
}
