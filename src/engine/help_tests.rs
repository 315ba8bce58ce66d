use super::*;

const SGLANG: &str = include_str!("../../tests/fixtures/engine/sglang-0.5.15-help.txt");
const VLLM: &str = include_str!("../../tests/fixtures/engine/vllm-0.25.0-help.txt");
const TOKENSPEED: &str = include_str!("../../tests/fixtures/engine/tokenspeed-0.1.1-help.txt");

fn problems(help: &str, line: &str) -> Vec<String> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    parse_help(help)
        .check(&words)
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// The flags that lines with a flag at the margin of argparse name, counted apart.
fn counted(help: &str) -> usize {
    let words: std::collections::BTreeSet<&str> = help
        .lines()
        .filter(|line| line.starts_with("  -"))
        .flat_map(|line| line[2..].split("  ").take(1))
        .flat_map(|names| names.split(", "))
        .filter_map(|name| name.split_whitespace().next())
        .filter(|word| word.starts_with('-'))
        .collect();
    words.len()
}

#[test]
fn every_flag_of_three_real_helps_is_found() {
    for (help, least) in [(SGLANG, 400), (VLLM, 300), (TOKENSPEED, 150)] {
        let known = parse_help(help);
        // vLLM ends with examples of a `--json-arg` that it does not have.
        let examples = ["--json-arg", "--json-arg.key1", "--json-arg.key4"]
            .iter()
            .filter(|example| known.flags.contains_key(**example))
            .count();
        assert_eq!(known.len() - examples, counted(help));
        assert!(counted(help) > least, "{}", known.len());
    }
}

#[test]
fn the_commands_that_real_servers_were_started_with_have_no_problem() {
    let none: Vec<String> = Vec::new();
    assert_eq!(
        problems(
            SGLANG,
            "--model-path m --served-model-name q --load-format dummy --port 1 --context-length 10240 \
             --mem-fraction-static 0.82 --disable-radix-cache --sampling-backend pytorch --enable-metrics \
             --tp 2 --host 127.0.0.1"
        ),
        none
    );
    assert_eq!(
        problems(
            VLLM,
            "m --served-model-name q --load-format dummy --port 1 --max-model-len 10240 \
             --gpu-memory-utilization 0.85 --no-enable-prefix-caching \
             --profiler-config {\"profiler\":\"torch\"} --compilation-config.mode 3 -tp 2"
        ),
        none
    );
}

#[test]
fn a_wrong_flag_is_named_with_the_nearest_right_one() {
    assert_eq!(
        problems(
            SGLANG,
            "--mem-fraktion-static 0.8 --chunked-prefil-size=8192"
        ),
        [
            "there is no flag `--mem-fraktion-static`; did you mean `--mem-fraction-static`?",
            "there is no flag `--chunked-prefil-size`; did you mean `--chunked-prefill-size`?",
        ]
    );
    // argparse takes the start of a name where only one flag begins so.
    assert!(problems(SGLANG, "--tp 2 --mem-fraction 0.8").is_empty());
    assert_eq!(
        problems(SGLANG, "--cuda 1"),
        ["there is no flag `--cuda`; did you mean `--cuda-graph-bs`?"]
    );
    assert_eq!(
        problems(VLLM, "--mem-fraction-static 0.8"),
        ["there is no flag `--mem-fraction-static`"]
    );
}

#[test]
fn a_value_outside_the_listed_choices_is_named() {
    assert_eq!(
        problems(VLLM, "--kv-cache-dtype fp8_e4m4 --dtype bfloat16"),
        ["`--kv-cache-dtype` does not take `fp8_e4m4`; did you mean `fp8_e4m3`?"]
    );
    assert_eq!(
        problems(VLLM, "--performance-mode fast"),
        ["`--performance-mode` does not take `fast`, only balanced, interactivity, throughput"]
    );
}

#[test]
fn groups_are_the_headings() {
    let known = parse_help(VLLM);
    let group = |flag: &str| known.get(flag).unwrap().group.clone();
    assert_eq!(group("--port").as_deref(), Some("Frontend"));
    assert_eq!(group("--max-num-seqs").as_deref(), Some("SchedulerConfig"));
}

#[test]
fn click_clap_and_llama_cpp_are_read_too() {
    let click = "Usage: trtllm-serve serve [OPTIONS] MODEL\n\nOptions:\n  \
        --backend [pytorch|tensorrt|_autodeploy]\n                                  The backend.\n  \
        --tensor_parallel_size, --tp_size INTEGER\n                                  Tensor parallelism size.\n  \
        --enable_x / --no_enable_x      A switch with two names.\n";
    assert_eq!(
        problems(
            click,
            "--tp_size 2 --no_enable_x --backend pytorch --tp-size 2"
        ),
        ["there is no flag `--tp-size`; did you mean `--tp_size`?"]
    );
    let clap = "Options:\n      --max-running <N>\n          Most sequences in the batch\n          \n          \
        [aliases: --max-num-seqs, --parallel]\n\n  -h, --help\n          Print help\n";
    assert!(problems(clap, "--max-num-seqs 3 --parallel 2 --max-running 1 --help").is_empty());
    let llama = "----- common params -----\n\n-c,    --ctx-size N                     size of the context\n\
        -np,   --parallel N                     number of slots\n\
        -fa,   --flash-attn [on|off|auto]       set Flash Attention use\n\
        --no-webui                              no user interface, see --webui\n";
    assert_eq!(
        problems(
            llama,
            "-c 8 --parallel 2 --no-webui --flash-attn on --webui"
        ),
        ["there is no flag `--webui`; did you mean `--no-webui`?"]
    );
}

#[test]
fn a_traceback_lists_no_flags() {
    let text = "Traceback (most recent call last):\n  File \"x.py\", line 3, in <module>\nImportError: no\n";
    assert!(parse_help(text).is_empty());
}

#[test]
fn the_knobs_of_every_engine_are_in_its_help() {
    for (name, help) in [
        ("sglang", SGLANG),
        ("vllm", VLLM),
        ("tokenspeed", TOKENSPEED),
    ] {
        let known = parse_help(help);
        for knob in &crate::engine::engine(name).unwrap().knobs {
            let flag = format!("--{}", knob.flag.replace('_', "-"));
            for value in &knob.values {
                let mut words = vec![flag.clone()];
                if !value.is_boolean() {
                    words.push(value.to_string().trim_matches('"').to_owned());
                }
                assert_eq!(known.check(&words), [], "{name} {words:?}");
            }
        }
    }
}
