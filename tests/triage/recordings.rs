//! Whole recordings against golden files.

use std::path::{Path, PathBuf};

use sota_loop::trace::{Stage, short};
use sota_loop::triage::{self, TriageRecord, TriageRequest};

use super::{check_accounts, request, stage};

/// The folder of whole recordings, or a word that they were not tested.
fn recordings() -> Option<PathBuf> {
    let folder = std::env::var_os("SOTA_TEST_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("not run: set SOTA_TEST_DATA");
    }
    folder.map(|folder| folder.join("traces"))
}

/// A compact form of a record for golden files: paths below the recordings'
/// folder, and the rows that matter most.
fn golden(mut record: TriageRecord, root: &Path) -> serde_json::Value {
    for stage in &mut record.stages {
        for row in &mut stage.kernels {
            row.name = short(&row.name);
            row.locations.truncate(2);
        }
        for row in &mut stage.overlap {
            row.name = short(&row.name);
        }
        for row in &mut stage.fusion {
            row.evidence.truncate(1);
        }
    }
    let root = format!("{}/", root.display());
    let text = serde_json::to_string(&record).unwrap().replace(&root, "");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn whole_recordings_match_their_golden_files() {
    let Some(root) = recordings() else { return };
    let cases = [
        (
            "sglang_decode_mapped",
            "sglang-qwen3-8b/decode",
            Some("sglang-qwen3-8b-eager/decode"),
            Some("vllm-qwen3-8b/decode"),
        ),
        ("sglang_decode", "sglang-qwen3-8b/decode", None, None),
        (
            "sglang_prefill",
            "sglang-qwen3-8b/prefill",
            None,
            Some("vllm-qwen3-8b/prefill"),
        ),
        (
            "sglang_eager_decode",
            "sglang-qwen3-8b-eager/decode",
            None,
            None,
        ),
        (
            "vllm_decode",
            "vllm-qwen3-8b/decode",
            Some("vllm-qwen3-8b-eager/prefill"),
            None,
        ),
        ("vllm_prefill", "vllm-qwen3-8b/prefill", None, None),
        (
            "vllm_eager_prefill",
            "vllm-qwen3-8b-eager/prefill",
            None,
            None,
        ),
    ];
    for (name, input, mapping, compare) in cases {
        let record = triage::analyze(&TriageRequest {
            mapping_input: mapping.map(|path| root.join(path)),
            compare_input: compare.map(|path| root.join(path)),
            ..request(root.join(input))
        })
        .unwrap();
        check_accounts(&record);
        insta::assert_json_snapshot!(name, golden(record, &root));
    }
}

#[test]
fn the_whole_decode_recording_has_its_forty_steps() {
    let Some(root) = recordings() else { return };
    let record = triage::analyze(&request(root.join("sglang-qwen3-8b/decode"))).unwrap();
    let decode = stage(&record, Stage::Decode);
    let shapes: Vec<_> = decode
        .shapes
        .iter()
        .map(|shape| (shape.batch, shape.steps, shape.replay_kernels))
        .collect();
    assert_eq!(shapes, [(Some(4), 32, 544), (Some(8), 8, 544)]);
    let attention = decode
        .kernels
        .iter()
        .find(|row| row.name.contains("FlashAttnFwdSm90"));
    assert_eq!(attention.unwrap().launches, 40 * 36);
}
