//! A generated framework checkout with a long history, by `git fast-import`.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::random::Random;

const FILES: [&str; 24] = [
    "python/sglang/srt/models/qwen3.py",
    "python/sglang/srt/models/qwen3_moe.py",
    "python/sglang/srt/models/deepseek_v2.py",
    "python/sglang/srt/models/llama.py",
    "python/sglang/srt/models/glm4_moe.py",
    "python/sglang/srt/models/gpt_oss.py",
    "python/sglang/srt/models/kimi_linear.py",
    "python/sglang/srt/models/gemma3_causal.py",
    "python/sglang/srt/layers/attention/flashinfer_backend.py",
    "python/sglang/srt/layers/attention/triton_backend.py",
    "python/sglang/srt/layers/moe/topk.py",
    "python/sglang/srt/layers/moe/fused_moe_triton/layer.py",
    "python/sglang/srt/layers/quantization/fp8.py",
    "python/sglang/srt/layers/layernorm.py",
    "python/sglang/srt/managers/scheduler.py",
    "python/sglang/srt/mem_cache/radix_cache.py",
    "python/sglang/srt/model_executor/model_runner.py",
    "python/sglang/srt/server_args.py",
    "python/sglang/srt/speculative/eagle_worker.py",
    "python/sglang/srt/sampling/sampler.py",
    "sgl-kernel/csrc/moe/moe_fused_gate.cu",
    "docs/index.md",
    "test/srt/test_moe.py",
    "benchmark/run.py",
];
const WORDS: [&str; 24] = [
    "fuse",
    "norm",
    "rope",
    "kernel",
    "moe",
    "router",
    "cache",
    "decode",
    "prefill",
    "scheduler",
    "fp8",
    "graph",
    "overlap",
    "loader",
    "sampling",
    "eagle",
    "qwen3",
    "deepseek",
    "llama",
    "glm",
    "all-reduce",
    "attention",
    "padding",
    "weights",
];

/// Makes a bare-minimum checkout with `commits` commits; returns the git folder's size.
pub fn write(root: &Path, commits: usize) {
    std::fs::create_dir_all(root).expect("a folder for the repository");
    run(root, &["init", "-q", "-b", "main"]);
    let mut child = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("git fast-import");
    let mut out = BufWriter::new(child.stdin.take().expect("its input"));
    let mut random = Random(11);
    let mut versions = [0usize; FILES.len()];
    for number in 1..=commits {
        let subject = format!("[Perf] {} (#{number})", words(&mut random, 6));
        let time = 1_700_000_000 + number * 600;
        write!(
            out,
            "commit refs/heads/main\ncommitter A <a@b> {time} +0000\ndata {}\n{subject}\n",
            subject.len()
        )
        .expect("a commit");
        for _ in 0..=random.below(3) {
            let at = random.below(FILES.len());
            versions[at] += 1;
            let text = source(&mut Random(at as u64), versions[at]);
            write!(
                out,
                "M 100644 inline {}\ndata {}\n{text}\n",
                FILES[at],
                text.len()
            )
            .expect("a file");
        }
    }
    out.flush().expect("the end of the stream");
    drop(out);
    assert!(child.wait().expect("git fast-import").success());
}

/// One more commit on top.
pub fn add_commit(root: &Path) {
    run(root, &["reset", "-q", "--hard"]);
    std::fs::write(root.join(FILES[0]), "def newest():\n    pass\n").expect("a file");
    run(
        root,
        &[
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@b",
            "commit",
            "-q",
            "-a",
            "-m",
            "Newest (#99999)",
        ],
    );
}

fn words(random: &mut Random, count: usize) -> String {
    let words: Vec<&str> = (0..count).map(|_| random.pick(&WORDS)).collect();
    words.join(" ")
}

/// A file of 40 functions, of which one changes from version to version.
fn source(random: &mut Random, version: usize) -> String {
    let mut text = String::new();
    for function in 0..40 {
        let name = random.pick(&WORDS).replace('-', "_");
        let value = if function == version % 40 { version } else { 0 };
        text.push_str(&format!(
            "def {name}_{function}(x):\n    y = x + {value}\n    return y * {function}\n\n"
        ));
    }
    text
}

fn run(root: &Path, arguments: &[&str]) {
    let status = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(arguments)
        .status()
        .expect("git");
    assert!(status.success(), "git {arguments:?}");
}
