//! Time of the analysis beside the time of reading: `cargo bench --bench
//! pipeline -- TRACE...`. Without a trace, 200 passes of 60 layers.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sota_loop::detail::Detail;
use sota_loop::pipeline::{self, PipelineRequest};
use sota_loop::trace::{self, ReadOptions, Trace};

fn main() {
    let traces: Vec<PathBuf> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .map(PathBuf::from)
        .collect();
    for path in &traces {
        measure(path, 5);
    }
    if traces.is_empty() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("200-passes-of-60-layers.json");
        std::fs::write(&path, many_passes(200, 60)).expect("room for the trace");
        measure(&path, 5);
    }
}

fn measure(path: &Path, repeats: usize) {
    let options = ReadOptions {
        python_frames: false,
        cpu_ops: false,
    };
    let request = PipelineRequest {
        trace: path.to_path_buf(),
        detail: Detail::Full,
        ..PipelineRequest::default()
    };
    let analyze = |trace: &Trace| {
        pipeline::analyze_trace(path, trace, None, &request).expect("a trace with layers")
    };
    let mut reading = Duration::MAX;
    let mut analysing = Duration::MAX;
    let mut found = String::new();
    for _ in 0..repeats {
        let start = Instant::now();
        let trace = trace::read(path, &options).expect("a readable trace");
        reading = reading.min(start.elapsed());
        let start = Instant::now();
        let record = analyze(&trace);
        analysing = analysing.min(start.elapsed());
        found = format!(
            "{} passes of {} layers",
            record.passes.len(),
            record.layers_per_pass
        );
    }
    println!(
        "{}: {found}; reading {:.1} ms, analysis {:.1} ms, {:.1}% of reading",
        path.display(),
        reading.as_secs_f64() * 1e3,
        analysing.as_secs_f64() * 1e3,
        100.0 * analysing.as_secs_f64() / reading.as_secs_f64()
    );
}

/// A trace of decode steps without CUDA graphs; one kernel in a hundred is a
/// stray, so that no two passes are equal.
fn many_passes(passes: usize, layers: usize) -> String {
    const LAYER: [&str; 14] = [
        "add_rms_norm",
        "gemm_qkv",
        "qk_norm",
        "rope",
        "store_kvcache",
        "flash_attn",
        "combine",
        "gemm_o",
        "add_rms_norm",
        "gemm_router",
        "moe_align",
        "fused_moe_up",
        "silu",
        "fused_moe_down",
    ];
    let mut events = String::new();
    let (mut at, mut correlation) = (1000, 0);
    for pass in 0..passes {
        let begin = at;
        let mut names = vec!["embed", "rms_norm"];
        for layer in 0..layers {
            names.extend(LAYER);
            if (pass * 31 + layer * 17) % 211 < 30 {
                names.push("stray_copy");
            }
        }
        names.extend(["final_norm", "gemm_head", "argmax"]);
        for name in names {
            correlation += 1;
            let _ = writeln!(
                events,
                r#"{{"ph":"X","cat":"cuda_runtime","name":"cudaLaunchKernel","pid":9,"tid":9,"ts":{at},"dur":1,"args":{{"correlation":{correlation}}}}},
{{"ph":"X","cat":"kernel","name":"{name}","pid":0,"tid":7,"ts":{},"dur":3,"args":{{"device":0,"stream":7,"correlation":{correlation},"grid":[8,1,1],"block":[128,1,1]}}}},"#,
                at + 1
            );
            at += 4;
        }
        let _ = writeln!(
            events,
            r#"{{"ph":"X","cat":"user_annotation","name":"step[DECODE bs=8]","pid":9,"tid":9,"ts":{begin},"dur":{},"args":{{"External id":{}}}}},"#,
            at - begin,
            pass + 1
        );
        at += 50;
    }
    format!(
        "{{\"traceEvents\": [\n{}\n]}}",
        events.trim_end().trim_end_matches(',')
    )
}
