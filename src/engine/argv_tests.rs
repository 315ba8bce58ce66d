use serde_json::json;

use super::*;
use crate::engine::engine;
use crate::engine::entry::{EntryRequest, find_entry};

/// An interpreter's entry, or the plan's command.
fn entry(name: &str, command: Option<&[String]>) -> Entry {
    let request = EntryRequest {
        framework: "it",
        command,
        python: Some("python3"),
        elsewhere: false,
    };
    find_entry(engine(name).unwrap(), &request).unwrap()
}

fn request<'a>(flags: &'a Map<String, Value>, entry: &'a Entry) -> LaunchRequest<'a> {
    LaunchRequest {
        framework: "it",
        entry,
        model: "/models/qwen3-8b",
        served_name: "qwen3-8b",
        tokenizer: None,
        revision: None,
        trust_remote_code: false,
        max_context: Some(10240),
        gpu_count: 1,
        flags,
    }
}

fn line(name: &str, flags: Value, change: impl FnOnce(&mut LaunchRequest<'_>)) -> String {
    let flags = flags.as_object().unwrap().clone();
    let entry = entry(name, None);
    let mut request = request(&flags, &entry);
    change(&mut request);
    let endpoint = Endpoint {
        host: "127.0.0.1".to_owned(),
        port: 30000,
    };
    argv(engine(name).unwrap(), &request, &endpoint)
        .unwrap()
        .join(" ")
}

#[test]
fn sglang_as_it_was_recorded() {
    let flags = json!({"mem_fraction_static": 0.82, "disable_radix_cache": true,
        "enable_foo": false, "sampling_backend": "pytorch"});
    assert_eq!(
        line("sglang", flags, |_| ()),
        "python3 -m sglang.launch_server --model-path /models/qwen3-8b \
         --served-model-name qwen3-8b --host 127.0.0.1 --port 30000 \
         --context-length 10240 --enable-metrics --mem-fraction-static 0.82 \
         --disable-radix-cache --sampling-backend pytorch"
    );
}

#[test]
fn vllm_negates_false_and_writes_objects_as_json() {
    let flags = json!({"enable_prefix_caching": false,
        "profiler_config": {"profiler": "torch"}, "max_model_len": 4096});
    assert_eq!(
        line("vllm", flags, |_| ()),
        "python3 -m vllm.entrypoints.cli.main serve /models/qwen3-8b \
         --served-model-name qwen3-8b --host 127.0.0.1 --port 30000 \
         --no-enable-prefix-caching --profiler-config {\"profiler\":\"torch\"} \
         --max-model-len 4096"
    );
}

#[test]
fn the_gpu_count_becomes_parallelism_unless_the_candidate_sets_it() {
    let many = |request: &mut LaunchRequest<'_>| request.gpu_count = 4;
    assert!(line("sglang", json!({}), many).contains("--tp-size 4"));
    let set = line("sglang", json!({"tp": 2, "dp_size": 2}), many);
    assert!(!set.contains("--tp-size"), "{set}");
}

#[test]
fn a_command_replaces_the_entry_and_its_arguments() {
    let command = ["llama-server", "-m", "{model}", "--port", "{port}"].map(str::to_owned);
    let flags = json!({"parallel": 8}).as_object().unwrap().clone();
    let endpoint = Endpoint {
        host: "127.0.0.1".to_owned(),
        port: 1234,
    };
    let argv = argv(
        engine("openai").unwrap(),
        &request(&flags, &entry("openai", Some(&command))),
        &endpoint,
    )
    .unwrap();
    assert_eq!(
        argv.join(" "),
        "llama-server -m /models/qwen3-8b --port 1234 --parallel 8"
    );
}

#[test]
fn what_cannot_become_a_command_is_refused() {
    let flags = Map::new();
    let endpoint = Endpoint {
        host: "127.0.0.1".to_owned(),
        port: 1,
    };
    let refused = |command: &[String]| {
        argv(
            engine("openai").unwrap(),
            &request(&flags, &entry("openai", Some(command))),
            &endpoint,
        )
        .unwrap_err()
    };
    let no_port = ["serve".to_owned()];
    assert!(matches!(refused(&no_port), EngineError::NoPort { .. }));
    let slip = ["serve", "{port}", "{prot}"].map(str::to_owned);
    assert!(matches!(
        refused(&slip),
        EngineError::Placeholder { word, .. } if word == "{prot}"
    ));
}

#[test]
fn more_ranks_than_gpus_are_refused() {
    let flags = json!({"tp_size": 2, "dp_size": 2, "other": 9});
    let sglang = engine("sglang").unwrap();
    let flags = flags.as_object().unwrap();
    assert!(check_parallelism(sglang, "sglang", flags, 4).is_ok());
    let error = check_parallelism(sglang, "sglang", flags, 2).unwrap_err();
    assert_eq!(
        error.to_string(),
        "framework sglang: 4 ranks (tp_size: 2, dp_size: 2) on 2 GPUs"
    );
}

#[test]
fn trtllm_keeps_underscores_and_only_the_pytorch_backend() {
    let flags = json!({"max_num_tokens": 16384, "trust_remote_code": true, "kv": false});
    assert_eq!(
        line("trtllm", flags, |request| request.gpu_count = 2),
        "python3 -m tensorrt_llm.commands.serve serve /models/qwen3-8b \
         --host 127.0.0.1 --port 30000 --backend pytorch --max_seq_len 10240 --tp_size 2 \
         --max_num_tokens 16384 --trust_remote_code"
    );
    let trtllm = engine("trtllm").unwrap();
    let other = json!({"backend": "tensorrt"});
    let error = check_flags(trtllm, "trtllm", other.as_object().unwrap(), 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "framework trtllm: `backend` may only be `pytorch`"
    );
}

#[test]
fn a_context_flag_shorter_than_a_scenario_is_refused() {
    let vllm = engine("vllm").unwrap();
    let flags = json!({"max_model_len": 8192});
    let flags = flags.as_object().unwrap();
    assert!(check_flags(vllm, "vllm", flags, 8192).is_ok());
    let error = check_flags(vllm, "vllm", flags, 9000).unwrap_err();
    assert_eq!(
        error.to_string(),
        "framework vllm: `max_model_len` is 8192, but a scenario needs 9000 tokens"
    );
}

#[test]
fn attention_data_parallelism_adds_no_ranks() {
    let sglang = engine("sglang").unwrap();
    let flags = json!({"tp_size": 4, "dp_size": 4, "enable_dp_attention": true});
    assert!(check_parallelism(sglang, "sglang", flags.as_object().unwrap(), 4).is_ok());
}
