//! The notes that gate `history` reads.

use std::fs;

use sota_loop::fault::{Fault, FaultCode};
use sota_loop::history::{Decision, Notes, QueryRequest, RecordRequest, query_in};

use crate::support::Folder;

fn request(folder: &Folder, decisions: Vec<Decision>) -> QueryRequest {
    QueryRequest {
        model: Some("Qwen/Qwen3-8B".to_owned()),
        query: Some("fused qk norm rope".to_owned()),
        roots: vec![folder.root()],
        workspace: Some(folder.path("campaign")),
        record: Some(RecordRequest { decisions }),
        ..QueryRequest::default()
    }
}

fn decision(pr: Option<u64>, path: Option<&str>) -> Decision {
    Decision {
        pr,
        path: path.map(str::to_owned),
        framework: None,
        influenced: "fuse the norm and rope of dense layers first".to_owned(),
        risk: "rotary layout; GSM8K shows it".to_owned(),
    }
}

#[test]
fn decisions_are_written_with_what_they_rest_on() {
    let folder = Folder::with_families();
    let decisions = vec![
        decision(Some(13998), None),
        decision(Some(900), None),
        decision(
            None,
            Some("python/sglang/srt/layers/quantization/w4afp8.py"),
        ),
    ];
    let record = folder.ask(request(&folder, decisions));
    let path = record.notes_path.unwrap();
    assert_eq!(
        path,
        folder.path("campaign/history/model-pr-history-notes.md")
    );
    let text = fs::read_to_string(&path).unwrap();
    for wanted in [
        "Family: qwen3-core",
        "### sglang (qwen3-core)",
        "### vllm (qwen3-core)",
        "README.en.md:13-17`",
        "#### sglang #13998 - [apply][2/2] Fused qk_norm_rope for Qwen3-MoE",
        "- Files: `python/sglang/srt/models/qwen3_moe.py`",
        "- Symbols: `forward_prepare`, `_apply_qk_norm`",
        "- Validation risk: rotary layout; rerun GSM8K.",
        "- Influenced: fuse the norm and rope of dense layers first",
        "- Risk: rotary layout; GSM8K shows it",
        "#### vllm #900",
        "#### sglang #9147",
    ] {
        assert!(text.contains(wanted), "no {wanted:?} in\n{text}");
    }
    let notes = record.notes.unwrap();
    assert_eq!(notes.decisions.len(), 3);

    let again = folder.ask(request(&folder, vec![decision(Some(6598), None)]));
    let text = fs::read_to_string(again.notes_path.unwrap()).unwrap();
    assert!(text.contains("#13998") && text.contains("#### sglang #6598"));
    let data = fs::read(folder.path("campaign/history/model-pr-history-notes.json")).unwrap();
    let all: Vec<Notes> = serde_json::from_slice(&data).unwrap();
    assert_eq!(all.len(), 2);
}

#[test]
fn a_decision_without_a_known_change_is_refused() {
    let folder = Folder::with_families();
    let refused = |decisions| -> Fault {
        query_in(&folder.places(), &request(&folder, decisions))
            .unwrap_err()
            .into()
    };
    let unknown = refused(vec![decision(Some(13998), None), decision(Some(1), None)]);
    assert_eq!(unknown.error, FaultCode::InvalidArgument);
    assert!(
        unknown.message.contains("number 2 names #1"),
        "{}",
        unknown.message
    );
    assert!(
        refused(vec![decision(None, None)])
            .message
            .contains("neither `pr` nor `path`")
    );
    let silent = Decision {
        risk: String::new(),
        ..decision(Some(13998), None)
    };
    assert!(refused(vec![silent]).message.contains("`risk`"));
    assert!(
        refused(Vec::new())
            .message
            .contains("at least one decision")
    );
    assert!(!folder.path("campaign").exists());
}

#[test]
fn absence_is_written_down_as_the_server_found_it() {
    let folder = Folder::new();
    let record = folder.ask(request(&folder, Vec::new()));
    let text = fs::read_to_string(record.notes_path.unwrap()).unwrap();
    assert!(text.contains("- no_root: nothing stands at "), "{text}");
    let folder = Folder::with_families();
    let mut absent = request(&folder, Vec::new());
    absent.model = Some("facebook/opt-125m".to_owned());
    absent.query = None;
    let record = folder.ask(absent);
    let text = fs::read_to_string(record.notes_path.unwrap()).unwrap();
    assert!(
        text.contains("- no_match: nothing about facebook/opt-125m in "),
        "{text}"
    );
}
