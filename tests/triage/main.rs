//! Right answers on real traces, trimmed ones from a fresh clone and whole
//! ones where `SOTA_TEST_DATA` names the folder that holds them.

mod made;
mod recordings;

use std::path::{Path, PathBuf};

use sota_loop::detail::Detail;
use sota_loop::trace::{KernelCategory, Stage};
use sota_loop::triage::{
    self, Advice, BubbleCause, Confidence, FusionStatus, OpClass, SiteMethod, StageRecord,
    TriageRecord, TriageRequest,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/trace")
        .join(name)
}

fn request(input: PathBuf) -> TriageRequest {
    TriageRequest {
        input,
        detail: Detail::Full,
        ..TriageRequest::default()
    }
}

fn analyze(name: &str) -> TriageRecord {
    triage::analyze(&request(fixture(name))).unwrap()
}

fn stage(record: &TriageRecord, stage: Stage) -> &StageRecord {
    record
        .stages
        .iter()
        .find(|found| found.stage == stage)
        .unwrap()
}

/// What must hold for every stage of every trace.
fn check_accounts(record: &TriageRecord) {
    for stage in &record.stages {
        let shares: f64 = stage.kernels.iter().map(|row| row.share_pct).sum();
        assert!((shares - 100.0).abs() < 0.01, "{:?}: {shares}", stage.stage);
        let time: f64 = stage.kernels.iter().map(|row| row.gpu_time_us).sum();
        assert!((time - stage.kernel_time_us).abs() < 0.01);
        assert!((stage.busy_us + stage.idle_us - stage.wall_us).abs() < 0.001);
        let idle: f64 = stage.bubbles.iter().map(|bubble| bubble.us).sum();
        assert!((idle - stage.idle_us).abs() < 0.01, "{:?}", stage.stage);
        for row in &stage.overlap {
            assert!((row.exposed_us + row.hidden_us - row.total_us).abs() < 0.01);
            if row.category.is_compute() {
                assert_eq!(row.advice, Advice::FasterKernel, "{}", row.name);
            }
        }
        for row in &stage.kernels {
            for place in &row.locations {
                assert!(!place.function.contains("replay"), "{}", row.name);
            }
        }
    }
    for side in &record.comparison {
        let explained: f64 = side.classes.iter().map(|class| class.difference_us).sum();
        assert!((explained - side.gap_us).abs() < 0.1);
        for (total, wall) in [
            (
                side.classes.iter().map(|class| class.input_us).sum::<f64>(),
                side.input.wall_us,
            ),
            (
                side.classes
                    .iter()
                    .map(|class| class.compare_us)
                    .sum::<f64>(),
                side.compare.wall_us,
            ),
        ] {
            assert!((total - wall).abs() < 0.1);
        }
    }
}

#[test]
fn decode_steps_are_full_replays() {
    let record = analyze("sglang-decode.json.gz");
    check_accounts(&record);
    assert_eq!(record.framework.as_deref(), Some("sglang"));
    let decode = stage(&record, Stage::Decode);
    assert_eq!(decode.steps, 3);
    let shapes: Vec<_> = decode
        .shapes
        .iter()
        .map(|shape| {
            (
                shape.batch,
                shape.steps,
                shape.graph_replays,
                shape.replay_kernels,
            )
        })
        .collect();
    assert_eq!(shapes, [(Some(4), 2, 1, 544), (Some(8), 1, 1, 544)]);
    let attention = decode
        .kernels
        .iter()
        .find(|row| row.name.contains("FlashAttnFwdSm90"))
        .unwrap();
    assert_eq!(attention.launches, 3 * 36);
    assert_eq!(attention.category, KernelCategory::Attention);
    let prefill = stage(&record, Stage::Prefill);
    assert_eq!(prefill.steps, 1);
    assert_eq!(prefill.shapes[0].tokens, Some(64));
    assert_eq!(prefill.shapes[0].graph_replays, 37);
}

#[test]
fn replayed_kernels_get_the_sites_of_an_eager_pass() {
    let record = triage::analyze(&TriageRequest {
        mapping_input: Some(fixture("sglang-eager-decode.json.gz")),
        ..request(fixture("sglang-decode.json.gz"))
    })
    .unwrap();
    check_accounts(&record);
    let decode = stage(&record, Stage::Decode);
    let place = |part: &str| {
        let row = decode
            .kernels
            .iter()
            .find(|row| row.name.contains(part))
            .unwrap();
        row.locations.clone()
    };
    let gate_up = &place("nvjet_sm90_tst_192x8")[0];
    assert_eq!(gate_up.path, "sglang/srt/layers/linear.py");
    assert_eq!(
        gate_up.module.as_deref(),
        Some("MergedColumnParallelLinear")
    );
    assert_eq!(gate_up.method, SiteMethod::ReplayOrderMapping);
    assert_eq!(gate_up.confidence, Confidence::High);
    // One GEMM name, two roles: the projection out of attention, and down.
    let split: Vec<_> = place("splitK_TNT")
        .iter()
        .map(|place| place.model.clone().unwrap())
        .collect();
    assert_eq!(
        split,
        [
            "sglang/srt/models/qwen2.py:94 forward",
            "sglang/srt/models/qwen3.py:269 forward"
        ]
    );
    assert_eq!(
        place("FusedAddRMSNorm")[0].path,
        "sglang/srt/layers/layernorm.py"
    );
    let attention = &place("FlashAttnFwdSm90")[0];
    assert_eq!(attention.function, "forward_decode");
    for row in decode.kernels.iter().filter(|row| row.share_pct > 1.0) {
        for place in &row.locations {
            let path = &place.path;
            assert!(
                path.starts_with("sglang/srt/layers/") || path.starts_with("sglang/srt/models/"),
                "{}: {path}",
                row.name
            );
        }
    }
}

#[test]
fn without_an_eager_pass_a_guess_is_called_a_guess() {
    let record = analyze("sglang-decode.json.gz");
    let decode = stage(&record, Stage::Decode);
    let gemm = &decode.kernels[0];
    assert_eq!(gemm.locations[0].method, SiteMethod::KnownSource);
    assert_eq!(gemm.locations[0].confidence, Confidence::Low);
    assert!(
        record
            .warnings
            .iter()
            .any(|warning| warning.contains("mapping_input"))
    );
    assert!(record.next.contains("mapping_input"), "{}", record.next);
}

#[test]
fn fusions_are_told_from_what_runs_back_to_back() {
    let record = analyze("sglang-decode.json.gz");
    let status = |name: &str| {
        let rows = &stage(&record, Stage::Decode).fusion;
        rows.iter()
            .find(|row| row.pattern == name)
            .map(|row| (row.status, row.separate_per_step))
    };
    assert_eq!(status("add and RMSNorm"), Some((FusionStatus::Active, 0.0)));
    assert_eq!(
        status("rotary embedding and KV write"),
        Some((FusionStatus::Missing, 36.0))
    );
    assert_eq!(
        status("strided query into attention"),
        Some((FusionStatus::Missing, 36.0))
    );
    // Words of it are everywhere, but nothing of it runs side by side.
    assert_eq!(status("GEMM and bias"), None);
    assert_eq!(status("all-reduce and RMSNorm"), None);
}

#[test]
fn vllm_prefill_has_two_steps_of_their_own_length() {
    let record = analyze("vllm-prefill.json.gz");
    check_accounts(&record);
    assert_eq!(record.stages.len(), 1);
    let prefill = stage(&record, Stage::Prefill);
    let tokens: Vec<_> = prefill
        .shapes
        .iter()
        .map(|shape| (shape.tokens, shape.steps))
        .collect();
    assert_eq!(tokens, [(Some(4000), 1), (Some(4001), 1)]);
}

#[test]
fn two_engines_are_compared_by_class_of_work() {
    let record = triage::analyze(&TriageRequest {
        compare_input: Some(fixture("vllm-decode.json.gz")),
        ..request(fixture("sglang-decode.json.gz"))
    })
    .unwrap();
    check_accounts(&record);
    let decode = record
        .comparison
        .iter()
        .find(|side| side.stage == Stage::Decode)
        .unwrap();
    let time = |class: OpClass| {
        let found = decode.classes.iter().find(|row| row.class == class);
        found.map_or((0.0, 0.0), |row| (row.input_us, row.compare_us))
    };
    // A batch of 8 tokens or fewer reads each weight once: both engines agree.
    for class in [
        OpClass::QkvGemm,
        OpClass::OProj,
        OpClass::Mlp,
        OpClass::LmHead,
    ] {
        let (a, b) = time(class);
        assert!(
            a > 50.0 && (a - b).abs() < 0.05 * a,
            "{class:?}: {a} and {b}"
        );
    }
    assert_eq!(decode.input.framework.as_deref(), Some("sglang"));
    assert_eq!(decode.compare.framework.as_deref(), Some("vllm"));
    assert!(time(OpClass::OtherGemm) == (0.0, 0.0));
}

#[test]
fn eager_decode_waits_for_launches() {
    let record = analyze("sglang-eager-decode.json.gz");
    check_accounts(&record);
    let decode = stage(&record, Stage::Decode);
    assert!(decode.launch_bound);
    let bubble = &decode.bubbles[0];
    assert_eq!(bubble.cause, BubbleCause::LaunchBound);
    assert!(bubble.held_by[0].location.is_some());
    for row in &decode.kernels {
        for place in &row.locations {
            assert_eq!(place.method, SiteMethod::Launch, "{}", row.name);
        }
    }
}

#[test]
fn a_summary_is_short_and_still_adds_up() {
    let mut asked = request(fixture("sglang-decode.json.gz"));
    asked.min_share_pct = Some(0.0);
    let full = triage::analyze(&asked).unwrap();
    asked.detail = Detail::Summary;
    let summary = triage::analyze(&asked).unwrap();
    check_accounts(&full);
    assert!(summary.truncated && !full.truncated);
    assert_eq!(summary.total, full.total);
    for stage in &summary.stages {
        let shares: f64 = stage.kernels.iter().map(|row| row.share_pct).sum();
        assert!((shares - 100.0).abs() < 0.01);
        assert!(stage.kernels.len() <= 7);
    }
    // A token is about four characters.
    assert!(serde_json::to_string(&summary).unwrap().len() < 4 * 2200);
}

#[test]
fn a_report_is_written_for_people_and_programs() {
    let dir = tempfile::tempdir().unwrap();
    let record = analyze("vllm-decode.json.gz");
    let paths = triage::write_report(dir.path(), &record).unwrap();
    let text = std::fs::read_to_string(paths.markdown).unwrap();
    for part in [
        "## Decode: 2 steps",
        "### Kernels",
        "### Overlap",
        "### Fusion",
    ] {
        assert!(text.contains(part), "{part}");
    }
    let json = std::fs::read_to_string(paths.json).unwrap();
    let back: TriageRecord = serde_json::from_str(&json).unwrap();
    assert_eq!(back.stages.len(), record.stages.len());
}

#[test]
fn what_cannot_be_analysed_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let empty = triage::analyze(&request(dir.path().to_path_buf())).unwrap_err();
    assert!(empty.to_string().contains("holds no profiler trace"));
    let path = dir.path().join("cpu.trace.json");
    std::fs::write(
        &path,
        r#"{"traceEvents": [{"ph": "X", "cat": "cpu_op", "name": "a", "pid": 1, "tid": 1, "ts": 1, "dur": 1}]}"#,
    )
    .unwrap();
    let cpu_only = triage::analyze(&request(path)).unwrap_err();
    assert!(cpu_only.to_string().contains("no GPU kernel"), "{cpu_only}");
    let mut asked = request(fixture("vllm-decode.json.gz"));
    asked.min_share_pct = Some(120.0);
    assert!(
        triage::analyze(&asked)
            .unwrap_err()
            .to_string()
            .contains("min_share_pct")
    );
}
