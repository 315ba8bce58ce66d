//! The layer analysis on real traces, and on simulated ones of every shape.

mod simulated;

use std::path::{Path, PathBuf};

use sota_loop::detail::Detail;
use sota_loop::pipeline::{self, PassState, PipelineRecord, PipelineRequest};
use sota_loop::trace::Stage;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/trace")
        .join(name)
}

fn analyze(trace: PathBuf) -> PipelineRecord {
    pipeline::analyze(&PipelineRequest {
        trace,
        detail: Detail::Full,
        ..PipelineRequest::default()
    })
    .unwrap()
}

/// Stage and layers of each pass.
fn passes(record: &PipelineRecord) -> Vec<(Stage, u32)> {
    let rows = record.passes.iter();
    rows.map(|pass| (pass.stage, pass.layers)).collect()
}

/// The usual number of kernels of a layer of the one type that there is.
fn kernels(record: &PipelineRecord) -> u32 {
    let [kind] = &record.layer_types[..] else {
        panic!("one layer type, not {:?}", record.layer_types);
    };
    assert_eq!((kind.r#type.as_str(), kind.count), ("dense", 36));
    kind.kernels
}

#[test]
fn trimmed_traces_of_a_dense_model_have_36_layers_of_one_type() {
    use Stage::{Decode, Mixed, Prefill};
    for (name, stages, per_layer) in [
        (
            "sglang-decode.json.gz",
            vec![Prefill, Decode, Decode, Decode],
            15,
        ),
        ("sglang-prefill.json.gz", vec![Prefill], 13),
        ("sglang-eager-decode.json.gz", vec![Decode], 15),
        ("vllm-decode.json.gz", vec![Decode, Mixed, Decode], 14),
        ("vllm-prefill.json.gz", vec![Prefill, Prefill], 12),
    ] {
        let record = analyze(fixture(name));
        let expected: Vec<(Stage, u32)> = stages.into_iter().map(|stage| (stage, 36)).collect();
        assert_eq!(passes(&record), expected, "{name}");
        if name != "sglang-decode.json.gz" && name != "vllm-decode.json.gz" {
            assert_eq!(kernels(&record), per_layer, "{name}");
        }
    }
}

#[test]
fn a_replayed_layer_begins_with_its_first_matrix_multiplication() {
    let record = pipeline::analyze(&PipelineRequest {
        trace: fixture("sglang-decode.json.gz"),
        stage: Some(Stage::Decode),
        detail: Detail::Full,
        ..PipelineRequest::default()
    })
    .unwrap();
    assert_eq!(kernels(&record), 15);
    let flow = &record.flows[0];
    let names: Vec<&str> = flow.kernels.iter().map(|row| row.name.as_str()).collect();
    assert!(
        names[0].starts_with("nvjet_sm90_tst_64x8_64x16_4x1"),
        "{names:?}"
    );
    assert_eq!(names[14], "flashinfer::norm::FusedAddRMSNormKernel");
    let hottest = &record.hot_kernels[0];
    assert!(
        hottest.name.starts_with("nvjet_sm90_tst_192x8"),
        "{hottest:?}"
    );
    assert!((hottest.share_pct - 42.0).abs() < 2.0, "{hottest:?}");
}

#[test]
fn one_layer_type_of_two_engines_is_compared_kernel_by_kernel() {
    let record = pipeline::analyze(&PipelineRequest {
        trace: fixture("sglang-decode.json.gz"),
        stage: Some(Stage::Decode),
        compare_trace: Some(fixture("vllm-decode.json.gz")),
        detail: Detail::Full,
        ..PipelineRequest::default()
    })
    .unwrap();
    let [comparison] = &record.type_comparisons[..] else {
        panic!("one comparison");
    };
    let beside = |a: &str| {
        let step = comparison
            .steps
            .iter()
            .find(|step| step.a.as_deref() == Some(a));
        step.and_then(|step| step.b.clone())
    };
    assert_eq!(
        beside("flash::FlashAttnFwdSm90").as_deref(),
        Some("flash::FlashAttnFwdSm90")
    );
    assert_eq!(
        beside("store_kvcache").as_deref(),
        Some("vllm::reshape_and_cache_flash_kernel")
    );
}

/// What a full pass of each whole trace must show.
#[test]
fn whole_traces_have_36_layers_in_every_pass() {
    let Some(root) = std::env::var_os("SOTA_TEST_DATA").map(PathBuf::from) else {
        eprintln!("not run: set SOTA_TEST_DATA to a folder with traces/ and models/");
        return;
    };
    for folder in [
        "sglang-qwen3-8b/decode",
        "sglang-qwen3-8b/prefill",
        "sglang-qwen3-8b-eager/decode",
        "vllm-qwen3-8b/decode",
        "vllm-qwen3-8b/prefill",
        "vllm-qwen3-8b-eager/prefill",
    ] {
        let record = pipeline::analyze(&PipelineRequest {
            trace: root.join("traces").join(folder),
            config: Some(root.join("models/qwen3-8b")),
            detail: Detail::Full,
            ..PipelineRequest::default()
        })
        .unwrap();
        assert!(
            record.passes.iter().all(|pass| pass.layers == 36),
            "{folder}"
        );
        assert!(
            record
                .config_check
                .as_ref()
                .is_some_and(|check| check.agrees),
            "{folder}"
        );
        kernels(&record);
        insta::assert_json_snapshot!(folder.replace('/', "-"), digest(&record));
    }
}

/// What is stable enough to read in a snapshot: times are to the microsecond.
fn digest(record: &PipelineRecord) -> serde_json::Value {
    let state = |state: PassState| {
        record
            .passes
            .iter()
            .filter(|pass| pass.state == state)
            .count()
    };
    let hot = record.hot_kernels.iter().take(8).map(|kernel| {
        format!(
            "{} #{} {} {:.1} us {:.1}%",
            kernel.name,
            kernel.occurrence,
            kernel.category.as_str(),
            kernel.avg_us,
            kernel.share_pct
        )
    });
    let flow = record.flows[0]
        .kernels
        .iter()
        .map(|row| format!("{} {}", row.name, row.category.as_str()));
    serde_json::json!({
        "passes": record.passes.len(),
        "steady": state(PassState::Steady),
        "cold": state(PassState::Cold),
        "chosen": {"index": record.chosen_pass.index, "reason": record.chosen_pass.reason},
        "types": record.layer_types.iter().map(|kind| {
            format!("{} x{} {} kernels {:.1} us", kind.r#type, kind.count, kind.kernels, kind.avg_wall_us)
        }).collect::<Vec<_>>(),
        "hot": hot.collect::<Vec<_>>(),
        "representative_layer": flow.collect::<Vec<_>>(),
        "warnings": record.warnings,
    })
}
