use std::path::PathBuf;

use sota_loop::detail::Detail;
use sota_loop::ncu::{
    self, Bound, DigestRecord, DigestRequest, NcuError, NextEdit, TriedEdit, Verdict,
};

use crate::fixtures;

fn request(baseline: &str) -> DigestRequest {
    DigestRequest {
        baseline: fixtures::path(&format!("{baseline}.ncu-rep")),
        ..DigestRequest::default()
    }
}

fn of(name: &str) -> DigestRecord {
    ncu::digest(&request(name)).unwrap()
}

fn pair(baseline: &str, candidate: &str) -> DigestRecord {
    ncu::digest(&DigestRequest {
        candidate: Some(fixtures::path(&format!("{candidate}.ncu-rep"))),
        ..request(baseline)
    })
    .unwrap()
}

fn edit(record: &DigestRecord) -> &NextEdit {
    record.next_edit.as_ref().unwrap()
}

/// Report, what bounds the kernel, the rule that decides, and whether it is a stop.
const ANSWERS: [(&str, Bound, &str, bool); 18] = [
    ("transpose_naive", Bound::L2, "uncoalesced_stores", false),
    ("transpose_tiled", Bound::Dram, "dram_roof", true),
    ("transpose_conflict", Bound::Shared, "bank_conflicts", false),
    ("rmsnorm_scalar", Bound::Latency, "narrow_loads", false),
    ("rmsnorm_vec", Bound::Dram, "dram_roof", true),
    ("saxpy_fat", Bound::Latency, "occupancy_shared_mem", false),
    ("saxpy_lean", Bound::Dram, "dram_roof", true),
    ("fma_chain", Bound::Latency, "dependency_chain", false),
    ("fma_ilp4", Bound::Fma, "fma_roof", true),
    ("tiny_grid", Bound::Launch, "grid_below_sms", false),
    ("spill", Bound::Spill, "spill", false),
    ("tail", Bound::Tail, "tail", false),
    ("uneven", Bound::Tail, "sm_imbalance", false),
    ("diverge", Bound::Issue, "divergence", false),
    ("gather", Bound::L2, "uncoalesced_loads", false),
    ("sgemm", Bound::L1, "shared_reuse", false),
    ("l2sum", Bound::Latency, "long_scoreboard", false),
    ("conflict_basic", Bound::L1, "collect", false),
];

/// What a model reads of a result; about 3.5 bytes a token.
const SUMMARY_BYTES: usize = 7_000;

#[test]
fn a_summary_of_the_largest_report_stays_short() {
    let Some(folder) = fixtures::recordings("length of a summary") else {
        return;
    };
    let record = ncu::digest(&DigestRequest {
        baseline: folder.join("torch_mix.ncu-rep"),
        ..DigestRequest::default()
    })
    .unwrap();
    let bytes = serde_json::to_string(&record).unwrap().len();
    assert!(bytes <= SUMMARY_BYTES, "{bytes} bytes");
    assert_eq!((record.kernels.len(), record.total), (4, 9));
    assert!(record.truncated);
}

#[test]
fn every_recorded_kernel_gets_its_known_answer() {
    for (name, bound, rule, stop) in ANSWERS {
        let record = of(name);
        let edit = edit(&record);
        assert_eq!(
            (record.kernels[0].bound, edit.rule.as_str(), edit.stop),
            (bound, rule, stop),
            "{name}: {edit:?}"
        );
        let plain = edit
            .evidence
            .iter()
            .filter(|evidence| !evidence.metric.contains(' '))
            .count();
        assert!(plain >= 2, "{name} cites {:?}", edit.evidence);
        for text in [&edit.change, &edit.expected, &edit.validate] {
            assert!(
                !text.is_empty() && !text.contains('{') && !text.contains("unknown"),
                "{name}: {text}"
            );
        }
    }
}

#[test]
fn evidence_holds_the_values_of_the_report() {
    for (name, ..) in ANSWERS {
        let report = fixtures::report(name);
        for evidence in &edit(&of(name)).evidence {
            if !evidence.metric.contains(' ') {
                assert_eq!(
                    report.launches[0].value(&evidence.metric),
                    Some(evidence.value),
                    "{name}: {}",
                    evidence.metric
                );
            }
        }
    }
}

#[test]
fn the_csv_pages_lead_to_the_same_answer_as_far_as_they_go() {
    for (name, bound, rule, _) in ANSWERS {
        let record = ncu::digest(&DigestRequest {
            baseline: fixtures::path(&format!("{name}.raw.csv")),
            ..DigestRequest::default()
        })
        .unwrap();
        assert_eq!(
            (record.kernels[0].bound, edit(&record).rule.as_str()),
            (bound, rule),
            "{name}"
        );
    }
    // Header metrics hold no stall reasons: what they do hold is enough for these.
    for (name, rule) in [
        ("tiny_grid", "grid_below_sms"),
        ("saxpy_fat", "occupancy_shared_mem"),
        ("rmsnorm_vec", "dram_roof"),
    ] {
        let record = ncu::digest(&DigestRequest {
            baseline: fixtures::path(&format!("{name}.details.csv")),
            ..DigestRequest::default()
        })
        .unwrap();
        assert_eq!(edit(&record).rule, rule, "{name}");
    }
}

#[test]
fn better_kernels_are_improved_and_worse_ones_regressed() {
    for (before, after, at_most) in [
        ("transpose_naive", "transpose_tiled", 0.17),
        ("transpose_conflict", "transpose_tiled", 0.6),
        ("rmsnorm_scalar", "rmsnorm_vec", 0.36),
        ("saxpy_fat", "saxpy_lean", 0.08),
        ("fma_chain", "fma_ilp4", 0.8),
    ] {
        let record = pair(before, after);
        let comparison = record.comparison.as_ref().unwrap();
        assert_eq!(
            comparison.verdict,
            Verdict::Improved,
            "{before}: {comparison:?}"
        );
        assert!(
            comparison.duration_ratio.unwrap() < at_most,
            "{before}: {:?}",
            comparison.duration_ratio
        );
        let intended = comparison.intended.as_ref().unwrap();
        assert!(intended.moved, "{before}: {intended:?}");
        let back = pair(after, before).comparison.unwrap();
        assert_eq!(back.verdict, Verdict::Regressed, "{after}");
        assert!(
            (back.duration_ratio.unwrap() * comparison.duration_ratio.unwrap() - 1.0).abs() < 1e-9
        );
    }
}

#[test]
fn a_report_against_itself_is_neutral() {
    let comparison = pair("rmsnorm_vec", "rmsnorm_vec").comparison.unwrap();
    assert_eq!(
        (comparison.verdict, comparison.duration_ratio),
        (Verdict::Neutral, Some(1.0))
    );
    assert!(comparison.moved.is_empty());
}

#[test]
fn different_work_is_not_comparable() {
    for (before, after, check) in [
        ("transpose_naive", "saxpy_lean", "name"),
        ("rmsnorm_vec", "saxpy_lean", "dtype"),
    ] {
        let comparison = pair(before, after).comparison.unwrap();
        assert_eq!(comparison.verdict, Verdict::NotComparable);
        let failed: Vec<_> = comparison
            .checks
            .iter()
            .filter(|check| !check.passed)
            .map(|check| &check.check[..])
            .collect();
        assert!(failed.contains(&check), "{failed:?}");
    }
}

#[test]
fn of_torch_kernels_the_large_product_is_tensor_bound_and_the_one_row_product_dram_bound() {
    let record = of("torch_mix");
    assert_eq!(record.total, 4);
    let kernel = |part: &str| {
        record
            .kernels
            .iter()
            .find(|kernel| kernel.name.contains(part))
            .unwrap()
    };
    let large = kernel("nvjet_sm90_tst_256x128");
    assert_eq!(
        (large.bound, large.grid, large.duration_us),
        (Bound::Tensor, [2, 66, 1], Some(516.64))
    );
    assert_eq!(large.occupancy.limiter.as_deref(), Some("registers"));
    assert_eq!(kernel("nvjet_sm90_tst_64x8").bound, Bound::Dram);
    assert_eq!(kernel("silu_mul_triton").bound, Bound::Dram);
    // The hottest kernel gets the edit.
    assert!(edit(&record).stop && edit(&record).kernel == large.name);
    let one_row = ncu::digest(&DigestRequest {
        kernel: Some("64x8".into()),
        ..request("torch_mix")
    })
    .unwrap();
    assert_eq!(
        (edit(&one_row).rule.as_str(), one_row.total),
        ("dram_roof", 1)
    );
}

#[test]
fn an_edit_that_was_tried_is_not_proposed_again() {
    let tried = |rules: &[&str]| {
        let record = ncu::digest(&DigestRequest {
            tried: rules
                .iter()
                .map(|rule| TriedEdit {
                    rule: (*rule).to_string(),
                    kernel: "rmsnorm".to_string(),
                })
                .collect(),
            ..request("rmsnorm_scalar")
        })
        .unwrap();
        let edit = edit(&record);
        (
            edit.rule.clone(),
            edit.skipped.clone(),
            record.kernels[0].bound,
        )
    };
    assert_eq!(
        tried(&["narrow_loads"]),
        (
            "long_scoreboard".into(),
            vec!["narrow_loads".into()],
            Bound::Latency
        )
    );
    // A gate stands for all of its rules; then ncu's own best estimate is left.
    let (rule, skipped, _) = tried(&["latency"]);
    assert_eq!(skipped, ["narrow_loads", "long_scoreboard"]);
    assert_eq!(rule, "CPIStall");
    // Tried on another kernel: no matter.
    let other = ncu::digest(&DigestRequest {
        tried: vec![TriedEdit {
            rule: "narrow_loads".into(),
            kernel: "layer_norm".into(),
        }],
        ..request("rmsnorm_scalar")
    })
    .unwrap();
    assert_eq!(edit(&other).rule, "narrow_loads");
}

#[test]
fn a_basic_report_says_what_is_missing_and_how_to_collect_it() {
    let record = of("conflict_basic");
    let edit = edit(&record);
    assert_eq!(edit.gate, "missing_metrics");
    for gate in ["spill", "bank_conflicts", "memory_pattern"] {
        assert!(
            edit.untested.iter().any(|untested| untested == gate),
            "{:?}",
            edit.untested
        );
    }
    let missing = &record.kernels[0].missing;
    assert!(
        missing
            .iter()
            .any(|metric| metric == "smsp__issue_active.avg.per_cycle_active"),
        "{missing:?}"
    );
    let collect = record.collect.join(" ");
    assert!(
        collect.starts_with("ncu --section ") && collect.contains("--section WarpStateStats"),
        "{collect}"
    );
    assert!(
        collect.contains("--kernel-name regex:^transpose_conflict$"),
        "{collect}"
    );
}

#[test]
fn the_edit_names_a_source_line() {
    let naive = of("transpose_naive");
    let spot = edit(&naive).location.as_ref().unwrap();
    assert!(spot.file.as_ref().unwrap().ends_with("kernels.cu"));
    assert_eq!(spot.line, Some(11));
    // This report carries its source.
    let chain = of("fma_chain");
    let spot = edit(&chain).location.as_ref().unwrap();
    assert!(
        spot.text
            .as_ref()
            .unwrap()
            .contains("fmaf(v, 1.0001f, 0.5f)"),
        "{spot:?}"
    );
    assert!(spot.pct > 50.0 && spot.stall == "wait", "{spot:?}");
}

#[test]
fn a_line_is_quoted_from_the_source_that_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (1..=40).map(|line| format!("line {line};\n")).collect();
    std::fs::write(folder.path().join("kernels.cu"), lines).unwrap();
    for source in [
        folder.path().to_path_buf(),
        folder.path().join("kernels.cu"),
    ] {
        let record = ncu::digest(&DigestRequest {
            source: Some(source),
            ..request("transpose_naive")
        })
        .unwrap();
        assert_eq!(
            edit(&record).location.as_ref().unwrap().text.as_deref(),
            Some("line 11;")
        );
    }
}

#[test]
fn a_stop_names_the_kernel_to_look_at_instead() {
    let next = of("torch_mix").next;
    assert!(
        next.ends_with("kernel = `^cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_`"),
        "{next}"
    );
    assert!(of("saxpy_lean").next.contains("go to another kernel"));
}

#[test]
fn other_blocks_for_the_same_bytes_are_no_warning() {
    let record = pair("rmsnorm_scalar", "rmsnorm_vec");
    assert!(record.warnings.is_empty(), "{:?}", record.warnings);
    let moved = &record.comparison.as_ref().unwrap().moved;
    assert!(
        !moved
            .iter()
            .any(|entry| entry.metric.starts_with("sm__pipe_tensor")),
        "{moved:?}"
    );
}

#[test]
fn stalls_are_shares_of_warp_latency() {
    let stalls = &of("transpose_naive").kernels[0].stalls;
    assert_eq!(
        (stalls[0].reason.as_str(), stalls[1].reason.as_str()),
        ("drain", "long_scoreboard")
    );
    assert!(
        (stalls[0].pct - 42.7).abs() < 0.05 && (stalls[1].pct - 34.9).abs() < 0.05,
        "{stalls:?}"
    );
}

#[test]
fn a_full_digest_holds_every_rule_and_metric() {
    let record = ncu::digest(&DigestRequest {
        detail: Detail::Full,
        ..request("transpose_naive")
    })
    .unwrap();
    let kernel = &record.kernels[0];
    let rule = kernel
        .rules
        .iter()
        .find(|rule| rule.rule == "UncoalescedGlobalAccess")
        .unwrap();
    assert!((rule.speedup_pct.unwrap() - 77.74).abs() < 0.005);
    assert_eq!(kernel.metrics["gpu__time_duration.sum"], 1_192_736.0);
    assert!(
        kernel
            .rules
            .iter()
            .all(|rule| rule.rule != "MemoryL2Compression")
    );
}

#[test]
fn wrong_requests_say_what_is_wrong() {
    let fails = |kernel: &str| {
        ncu::digest(&DigestRequest {
            kernel: Some(kernel.to_string()),
            ..request("torch_mix")
        })
        .unwrap_err()
    };
    assert!(matches!(fails("("), NcuError::Pattern { .. }));
    let error = fails("softmax").to_string();
    assert!(error.contains("silu_mul_triton"), "{error}");
    let missing = ncu::digest(&DigestRequest {
        baseline: PathBuf::from("/no/such.ncu-rep"),
        ..DigestRequest::default()
    });
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .contains("/no/such.ncu-rep")
    );
}

#[test]
fn the_digest_is_written_for_a_person_and_for_a_program() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = pair("transpose_naive", "transpose_tiled");
    let version = ncu::next_version(folder.path());
    ncu::write(&mut record, &version).unwrap();
    assert_eq!(version, folder.path().join("v1"));
    let json = std::fs::read(version.join("digest.json")).unwrap();
    let read: DigestRecord = serde_json::from_slice(&json).unwrap();
    assert_eq!(read.kernels[0].name, record.kernels[0].name);
    assert_eq!(
        read.comparison.unwrap().checks,
        record.comparison.as_ref().unwrap().checks
    );
    assert_eq!(read.digest_path.unwrap(), version.join("digest.md"));
    let text = std::fs::read_to_string(version.join("digest.md")).unwrap();
    for part in [
        "## Next edit: none (stop)",
        "## Comparison: improved",
        "NVIDIA H100 80GB HBM3",
        "moved as intended",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

/// Rates in the kernel's own units, as ncu's raw page gives them.
#[test]
fn kernels_stand_under_the_roofs_of_their_device() {
    // fadd 402.8, fmul 965.3 and ffma 193.5 instructions a cycle.
    let record = of("rmsnorm_vec");
    let place = record.kernels[0].roofline.as_ref().unwrap();
    assert_eq!(place.path.as_deref(), Some("fp32"));
    assert!((place.tops / place.peak_tops - 1755.2 / 33_792.0).abs() < 1e-4);
    assert!((place.peak_dram_tbps - 3.351).abs() < 1e-3);
    assert!((place.of_roof_pct() - 84.0).abs() < 1.0);

    let moved = of("transpose_tiled");
    let place = moved.kernels[0].roofline.as_ref().unwrap();
    assert_eq!((place.path.as_deref(), place.tops), (None, 0.0));
    assert!(place.of_roof_pct() > 80.0);

    let Some(folder) = fixtures::recordings("the roofline of a tensor kernel") else {
        return;
    };
    let record = ncu::digest(&DigestRequest {
        baseline: folder.join("torch_mix.ncu-rep"),
        detail: Detail::Full,
        ..DigestRequest::default()
    })
    .unwrap();
    let place = |name: &str| {
        let mut kernels = record.kernels.iter();
        let kernel = kernels.find(|kernel| kernel.name.contains(name)).unwrap();
        kernel.roofline.clone().unwrap()
    };
    let gemm = place("nvjet_sm90_tst_256x128");
    assert_eq!(gemm.path.as_deref(), Some("tensor bf16"));
    assert_eq!((gemm.tops, gemm.peak_tops), (798.07, 864.71));
    assert_eq!(gemm.dram_tbps, 1.0922);
    assert!((gemm.intensity() - 730.7).abs() < 0.1);
    let silu = place("silu_mul_triton");
    assert_eq!(silu.path.as_deref(), Some("fp32"));
    assert_eq!((silu.tops, silu.peak_tops), (3.2947, 67.283));
}
