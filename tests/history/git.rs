//! The commits of a user's own checkouts.

use sota_loop::history::{QueryRecord, QueryRequest};

use crate::support::{Folder, checkout, commit, git};

fn ask(folder: &Folder, name: &str, words: &str) -> QueryRecord {
    folder.ask(QueryRequest {
        query: Some(words.to_owned()),
        roots: vec![folder.path(name)],
        ..QueryRequest::default()
    })
}

#[test]
fn commits_are_searched_and_new_ones_added() {
    let folder = Folder::new();
    let sglang = folder.path("sglang");
    checkout(&sglang);
    let record = ask(&folder, "sglang", "fused qk norm rope");
    let card = &record.cards[0];
    assert_eq!(
        (card.pr, card.source.as_str(), card.framework.as_str()),
        (Some(13998), "git", "sglang")
    );
    assert_eq!(card.title, "[apply][2/2] Fused qk_norm_rope for Qwen3-MoE");
    assert_eq!(card.files, ["python/sglang/srt/models/qwen3_moe.py"]);
    assert_eq!(card.symbols, ["forward"]);
    assert_eq!(card.classes, ["attention", "moe", "fusion"]);
    assert_eq!(
        (card.date.as_deref(), card.line, card.line_end),
        (Some("2025-06-01"), 3, 3)
    );
    assert_eq!(card.commit.as_ref().map(String::len), Some(40));
    assert_eq!(record.roots[0].updated, 3);

    assert_eq!(ask(&folder, "sglang", "rope").roots[0].updated, 0);
    commit(
        &sglang,
        "python/sglang/srt/models/qwen3.py",
        "def rope():\n    pass\n",
        "Tune gemv tiles (#15000)",
    );
    let record = ask(&folder, "sglang", "gemv tiles");
    assert_eq!(record.roots[0].updated, 1);
    assert_eq!(record.cards[0].pr, Some(15000));
    assert_eq!(record.cards[0].symbols, ["rope"]);
}

#[test]
fn a_models_family_is_found_among_commits() {
    let folder = Folder::new();
    checkout(&folder.path("sglang"));
    let record = folder.ask(QueryRequest {
        model: Some("Qwen/Qwen3-30B-A3B".to_owned()),
        checkout: Some(folder.path("sglang")),
        ..QueryRequest::default()
    });
    let mut prs: Vec<Option<u64>> = record.cards.iter().map(|card| card.pr).collect();
    prs.sort_unstable();
    assert_eq!(prs, [Some(4693), Some(13998)]);
    assert_eq!(record.family.as_deref(), Some("qwen3"));
    assert_eq!(
        record.family_files[0].files,
        ["python/sglang/srt/models/qwen3_moe.py"]
    );
}

#[test]
fn a_change_in_both_sources_is_one_card() {
    let folder = Folder::with_families();
    checkout(&folder.path("sglang"));
    let record = folder.ask(QueryRequest {
        query: Some("fused qk norm rope qwen3".to_owned()),
        roots: vec![folder.root(), folder.path("sglang")],
        ..QueryRequest::default()
    });
    let same: Vec<_> = record
        .cards
        .iter()
        .filter(|card| card.pr == Some(13998))
        .collect();
    assert_eq!(same.len(), 1);
    assert_eq!(same[0].source, "knowledge");
    assert!(same[0].commit.is_some());
}

#[test]
fn what_a_rewritten_branch_left_behind_is_forgotten() {
    let folder = Folder::new();
    let sglang = folder.path("sglang");
    checkout(&sglang);
    ask(&folder, "sglang", "rope");
    git(&sglang, &["reset", "-q", "--hard", "HEAD~1"]);
    commit(&sglang, "a.py", "x = 1\n", "Something else (#77)");
    let record = ask(&folder, "sglang", "add llama");
    assert!(
        record.cards.iter().all(|card| card.title != "Add llama"),
        "{:?}",
        record.cards
    );
    assert_eq!(record.roots[0].cards, 3);
}

#[test]
fn a_shallow_clone_says_so() {
    let folder = Folder::new();
    checkout(&folder.path("sglang"));
    let url = format!("file://{}", folder.path("sglang").display());
    let clone = folder.path("clone");
    git(
        &folder.path("sglang"),
        &[
            "clone",
            "-q",
            "--depth",
            "2",
            &url,
            &clone.display().to_string(),
        ],
    );
    let record = ask(&folder, "clone", "fused rope qwen3 llama");
    assert!(
        record
            .warnings
            .iter()
            .any(|w| w.contains("is a shallow clone")),
        "{:?}",
        record.warnings
    );
    assert_eq!(record.roots[0].cards, 2);
    let boundary = record
        .cards
        .iter()
        .find(|card| card.pr == Some(13998))
        .unwrap();
    assert!(
        boundary.files.is_empty(),
        "a boundary seems to add every file"
    );
    git(&clone, &["fetch", "-q", "--unshallow"]);
    let record = ask(&folder, "clone", "fused rope qwen3 llama");
    assert_eq!(record.roots[0].cards, 3);
    assert!(record.warnings.is_empty(), "{:?}", record.warnings);
}

#[test]
fn a_partial_clone_is_not_completed_but_told() {
    let folder = Folder::new();
    checkout(&folder.path("sglang"));
    git(
        &folder.path("sglang"),
        &["config", "uploadpack.allowFilter", "true"],
    );
    let url = format!("file://{}", folder.path("sglang").display());
    for (filter, name) in [("blob:none", "blobless"), ("tree:0", "treeless")] {
        let clone = folder.path(name);
        let arguments = [
            "clone",
            "-q",
            "--no-checkout",
            "--filter",
            filter,
            &url,
            &clone.display().to_string(),
        ];
        git(&folder.path("sglang"), &arguments);
        // Nothing can be fetched any more.
        git(&clone, &["remote", "set-url", "origin", "file:///nowhere"]);
        let record = ask(&folder, name, "fused rope qwen3");
        assert_eq!(record.cards[0].pr, Some(13998), "{filter}");
        let partial = format!("is a partial clone ({filter})");
        assert!(
            record.warnings.iter().any(|w| w.contains(&partial)),
            "{:?}",
            record.warnings
        );
        assert!(
            record.warnings.iter().any(|w| w.contains("known")),
            "{:?}",
            record.warnings
        );
        assert_eq!(
            record.cards[0].files.is_empty(),
            filter == "tree:0",
            "{filter}"
        );
    }
}

#[test]
fn an_empty_repository_says_so() {
    let folder = Folder::new();
    let empty = folder.path("empty");
    std::fs::create_dir_all(&empty).unwrap();
    git(&empty, &["init", "-q"]);
    let record = ask(&folder, "empty", "rope");
    assert!(
        record.warnings.iter().any(|w| w.contains("has no commit")),
        "{:?}",
        record.warnings
    );
}
