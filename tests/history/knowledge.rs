//! Knowledge folders: what is found, and what a damaged one still answers.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use sota_loop::history::{Finding, QueryRequest, query_in};

use crate::support::{Folder, card};

#[test]
fn a_card_is_found_by_words_of_its_title() {
    let folder = Folder::with_families();
    let record = folder.search("rope norm fused moe");
    let first = &record.cards[0];
    assert_eq!(first.pr, Some(13998));
    assert_eq!(first.framework, "sglang");
    assert_eq!(first.family.as_deref(), Some("qwen3-core"));
    assert_eq!((first.line, first.line_end), (13, 17));
    assert!(first.path.ends_with("sglang/qwen3-core/README.en.md"));
    assert_eq!(first.files, ["python/sglang/srt/models/qwen3_moe.py"]);
    assert_eq!(first.symbols, ["forward_prepare", "_apply_qk_norm"]);
    assert_eq!(first.risk.as_deref(), Some("rotary layout; rerun GSM8K."));
    assert!(
        first.reason.contains("title: rope, norm, fused, moe"),
        "{}",
        first.reason
    );
    let same = record.cards.iter().filter(|card| card.pr == Some(13998));
    assert_eq!(
        same.count(),
        1,
        "one card a pull request, whatever its languages"
    );
}

#[test]
fn typing_errors_numbers_symbols_and_chinese_find_it_too() {
    let folder = Folder::with_families();
    for words in [
        "fusde qk nrom rope qwen3",
        "#13998",
        "_apply_qk_norm",
        "融合 归一化 旋转位置编码",
    ] {
        let record = folder.search(words);
        assert_eq!(record.cards[0].pr, Some(13998), "{words}");
    }
    let record = folder.search("归一化");
    assert!(record.cards[0].path.ends_with("README.zh.md"));
}

#[test]
fn the_models_family_comes_first_in_every_framework() {
    let folder = Folder::with_families();
    let record = folder.ask(QueryRequest {
        model: Some("zai-org/GLM-4.6-FP8".to_owned()),
        query: Some("fused qk norm rope".to_owned()),
        roots: vec![folder.root()],
        ..QueryRequest::default()
    });
    assert_eq!(record.family.as_deref(), Some("glm46-glm47"));
    assert_eq!(record.cards[0].pr, Some(40));

    let record = folder.ask(QueryRequest {
        model: Some("Qwen/Qwen3-8B".to_owned()),
        roots: vec![folder.root()],
        ..QueryRequest::default()
    });
    assert_eq!(record.family.as_deref(), Some("qwen3-core"));
    assert!(record.confidence > 0.9);
    let found: Vec<(&str, Option<u64>)> = record
        .cards
        .iter()
        .map(|c| (c.framework.as_str(), c.pr))
        .collect();
    assert_eq!(
        found,
        [
            ("sglang", Some(13998)),
            ("vllm", Some(900)),
            ("sglang", Some(9147)),
            ("sglang", Some(6598))
        ]
    );
    assert_eq!(
        record.family_files[0].files,
        [
            "python/sglang/srt/models/qwen3.py",
            "python/sglang/srt/models/qwen3_moe.py"
        ]
    );
    assert_eq!(
        record.family_files[1].files,
        ["vllm/model_executor/models/qwen3.py"]
    );
}

#[test]
fn a_configuration_and_a_source_path_name_the_family() {
    let folder = Folder::with_families();
    let model = folder.path("models/checkpoint");
    fs::create_dir_all(&model).unwrap();
    let config = r#"{"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe"}"#;
    fs::write(model.join("config.json"), config).unwrap();
    let names = [
        model.display().to_string(),
        model.join("config.json").display().to_string(),
        "python/sglang/srt/models/qwen3_moe.py".to_owned(),
    ];
    for name in names {
        let record = folder.ask(QueryRequest {
            model: Some(name.clone()),
            roots: vec![folder.root()],
            ..QueryRequest::default()
        });
        assert_eq!(record.family.as_deref(), Some("qwen3-core"), "{name}");
    }
    fs::write(model.join("config.json"), "{").unwrap();
    let request = QueryRequest {
        model: Some(model.display().to_string()),
        roots: vec![folder.root()],
        ..QueryRequest::default()
    };
    let error = query_in(&folder.places(), &request)
        .unwrap_err()
        .to_string();
    assert!(error.contains("config.json"), "{error}");
}

#[test]
fn filters_narrow() {
    let folder = Folder::with_families();
    let ask = |change: fn(&mut QueryRequest)| {
        let mut request = QueryRequest {
            query: Some("qwen3 moe support fused rope".to_owned()),
            roots: vec![folder.root()],
            ..QueryRequest::default()
        };
        change(&mut request);
        let mut prs: Vec<u64> = folder
            .ask(request)
            .cards
            .iter()
            .filter_map(|card| card.pr)
            .collect();
        prs.sort_unstable();
        prs
    };
    assert_eq!(
        ask(|request| request.framework = Some("vllm".to_owned())),
        [900]
    );
    assert_eq!(
        ask(|request| request.state = Some("open".to_owned())),
        [9147]
    );
    assert_eq!(
        ask(|request| request.file = Some("w4afp8".to_owned())),
        [9147]
    );
    assert_eq!(
        ask(|request| request.class = Some("quantization".to_owned())),
        [9147]
    );
    assert_eq!(
        ask(|request| request.family = Some("glm46-glm47".to_owned())),
        [40]
    );
    assert_eq!(
        ask(|request| request.until = Some("2025-06-30".to_owned())),
        [6598]
    );
    let wrong = QueryRequest {
        query: Some("x".to_owned()),
        state: Some("done".to_owned()),
        ..QueryRequest::default()
    };
    let error = query_in(&folder.places(), &wrong).unwrap_err().to_string();
    assert!(error.contains("merged, open or closed"), "{error}");
}

#[test]
fn only_changed_files_are_read_again() {
    let folder = Folder::with_families();
    assert_eq!(folder.search("rope").roots[0].updated, 4);
    std::thread::sleep(std::time::Duration::from_millis(60));
    folder.search("rope");
    assert_eq!(folder.search("rope").roots[0].updated, 0);
    folder.write(
        "vllm/qwen3-core/README.en.md",
        card(901, "Speculative gemv", "vllm/a.py"),
    );
    let record = folder.search("speculative gemv");
    assert_eq!(record.roots[0].updated, 1);
    assert_eq!(record.cards[0].pr, Some(901));
    fs::remove_dir_all(folder.root().join("vllm")).unwrap();
    let record = folder.search("speculative gemv");
    assert_eq!(record.roots[0].updated, 1);
    assert!(record.cards.iter().all(|card| card.pr != Some(901)));
}

#[test]
fn a_corrupt_index_is_built_anew() {
    let folder = Folder::with_families();
    let index = folder.search("rope").roots[0].index.clone().unwrap();
    let whole = fs::read(&index).unwrap();
    let mut holed = whole.clone();
    let half = holed.len() / 2;
    holed[half..].fill(0);
    for broken in [&b"not a database"[..], &whole[..whole.len() / 3], &holed] {
        fs::write(&index, broken).unwrap();
        let record = folder.search("fused qk norm rope");
        assert_eq!(record.cards[0].pr, Some(13998));
        assert!(
            record.warnings[0].contains("built anew"),
            "{:?}",
            record.warnings
        );
        assert!(folder.search("rope").warnings.is_empty());
    }
}

#[test]
fn a_damaged_root_says_so_and_answers_the_rest() {
    let folder = Folder::with_families();
    folder.write(
        "sglang/broken/README.en.md",
        b"### PR #5 - Gemv \xff\xfe kernel\n\n- State: open\n",
    );
    folder.write(
        "sglang/unnumbered/README.en.md",
        "### Overlap without a number\n\n- State: open\n",
    );
    fs::create_dir_all(folder.root().join("sglang/odd/README.en.md")).unwrap();
    symlink("loop", folder.root().join("sglang/loop")).unwrap();
    symlink("..", folder.root().join("sglang/up")).unwrap();
    let record = folder.search("gemv kernel");
    assert_eq!(record.cards[0].pr, Some(5));
    assert!(
        record
            .warnings
            .iter()
            .any(|w| w.contains("is not UTF-8 at byte 17")),
        "{:?}",
        record.warnings
    );
    let unreadable: Vec<String> = record
        .findings
        .iter()
        .map(|finding| match finding {
            Finding::Unreadable { path, .. } => {
                path.file_name().unwrap().to_string_lossy().into_owned()
            }
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(unreadable, ["loop", "README.en.md"]);
    let record = folder.search("overlap without number");
    assert_eq!(
        (record.cards[0].pr, record.cards[0].title.as_str()),
        (None, "Overlap without a number")
    );
}

#[test]
fn a_root_that_changes_while_it_is_read_is_answered_and_ends_up_right() {
    let folder = Folder::with_families();
    let busy = folder.root().join("sglang/busy");
    let done = AtomicBool::new(false);
    let started = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut turn = 0;
            started.wait();
            while !done.load(Ordering::Relaxed) {
                turn += 1;
                let cards: String = (0..200)
                    .map(|at| card(5000 + at, &format!("Turn {turn} of a busy file"), "a.py"))
                    .collect();
                folder.write("sglang/busy/README.en.md", cards);
                if turn % 3 == 0 {
                    fs::remove_dir_all(&busy).unwrap();
                }
            }
        });
        started.wait();
        for _ in 0..20 {
            let record = folder.search("fused qk norm rope");
            assert_eq!(record.cards[0].pr, Some(13998));
        }
        done.store(true, Ordering::Relaxed);
    });
    folder.write(
        "sglang/busy/README.en.md",
        card(7000, "The last word of a busy file", "a.py"),
    );
    let record = folder.search("last word of a busy file");
    assert_eq!(record.cards[0].pr, Some(7000));
    assert_eq!(record.total, 1, "{:?}", record.cards);
    assert!(record.warnings.is_empty(), "{:?}", record.warnings);
}

#[test]
fn absence_is_a_finding() {
    let folder = Folder::new();
    let record = folder.ask(QueryRequest {
        model: Some("Qwen/Qwen3-8B".to_owned()),
        roots: vec![folder.path("nowhere")],
        ..QueryRequest::default()
    });
    assert!(
        matches!(&record.findings[..], [Finding::NoRoot { looked }] if looked[0] == folder.path("nowhere"))
    );
    assert_eq!(record.confidence, 0.0);

    let folder = Folder::with_families();
    let record = folder.ask(QueryRequest {
        model: Some("facebook/opt-125m".to_owned()),
        roots: vec![folder.root()],
        ..QueryRequest::default()
    });
    assert!(record.family.is_none() && record.cards.is_empty());
    assert!(
        matches!(&record.findings[..], [Finding::NoMatch { asked, .. }] if asked == "facebook/opt-125m")
    );
}

#[test]
fn roots_are_found_where_hosts_keep_skills() {
    let folder = Folder::with_families();
    let skills = folder.path("home/.claude/skills");
    fs::create_dir_all(&skills).unwrap();
    fs::rename(folder.root(), skills.join("model-pr-history-knowledge")).unwrap();
    let mut places = folder.places();
    places.home = Some(folder.path("home"));
    let request = QueryRequest {
        query: Some("fused rope".to_owned()),
        ..QueryRequest::default()
    };
    let record = query_in(&places, &request).unwrap();
    assert_eq!(record.roots[0].found_by, "claude_skill");
    assert_eq!(record.roots[0].cards, 6);
}

#[test]
fn without_a_place_for_the_index_the_answer_is_the_same() {
    let folder = Folder::with_families();
    let mut places = folder.places();
    places.index_dir = None;
    let request = QueryRequest {
        query: Some("fused qk norm rope qwen3".to_owned()),
        roots: vec![folder.root()],
        ..QueryRequest::default()
    };
    let record = query_in(&places, &request).unwrap();
    assert_eq!(record.cards[0].pr, Some(13998));
    assert!(
        record.warnings[0].contains("the index is not kept"),
        "{:?}",
        record.warnings
    );
}
