use super::card::{Document, declared_symbol, parse};

fn fixture() -> Document {
    parse(include_str!("../../tests/fixtures/history/card.en.md"))
}

#[test]
fn a_card_has_its_number_title_state_date_and_lines() {
    let document = fixture();
    let card = &document.cards[0];
    assert_eq!(card.pr, Some(101));
    assert_eq!(card.title, "[Model] Add Sample3");
    assert_eq!(card.state, Some("merged"));
    assert_eq!(card.date.as_deref(), Some("2025-04-18"));
    assert_eq!((card.line, card.line_end), (19, 36));
}

#[test]
fn files_and_symbols_come_from_prose_and_diff() {
    let document = fixture();
    let card = &document.cards[0];
    assert_eq!(card.files, ["python/sglang/srt/models/sample3.py"]);
    assert_eq!(
        card.symbols,
        [
            "Sample3Attention",
            "__init__",
            "_apply_qk_norm",
            "load_weights"
        ]
    );
    assert_eq!(
        card.risk.as_deref(),
        Some("Weight loading; rerun `test/srt/test_sample3.py`.")
    );
}

#[test]
fn a_card_without_a_number_is_a_card() {
    let document = fixture();
    let card = &document.cards[1];
    assert_eq!(card.pr, None);
    assert_eq!(card.title, "Fuse the two norms without a number");
    assert_eq!(card.state, Some("closed"));
    assert_eq!(
        card.files,
        [
            "python/sglang/srt/layers/layernorm.py",
            "python/sglang/srt/models/sample3.py"
        ]
    );
    assert_eq!(card.symbols, ["RMSNorm.forward", "fused_add_rmsnorm"]);
}

#[test]
fn a_timeline_row_stands_in_for_a_missing_card() {
    let document = fixture();
    assert_eq!(document.cards.len(), 3);
    let row = &document.cards[2];
    assert_eq!((row.pr, row.line), (Some(103), 15));
    assert_eq!(row.title, "Overlap the shared expert with the router");
    assert_eq!(row.state, Some("open"));
}

#[test]
fn the_coverage_table_names_the_familys_files() {
    assert_eq!(
        fixture().coverage,
        ["python/sglang/srt/models/sample3.py", "docs/sample3.mdx"]
    );
}

#[test]
fn chinese_labels_are_read() {
    let document = parse(
        "## 逐 PR diff 审计卡\n\n### PR #7 - 融合 QK norm 与 rope\n\n- 状态/时间: merged / 2025-08-06\n\
         - 实现要点: `a/b.py` modified +1/-0; symbols: forward，涉及 `forward`\n- 验证与风险: 复跑 `t/x.py`。\n",
    );
    let card = &document.cards[0];
    assert_eq!(card.title, "融合 QK norm 与 rope");
    assert_eq!(card.state, Some("merged"));
    assert_eq!(card.date.as_deref(), Some("2025-08-06"));
    assert_eq!(card.files, ["a/b.py"]);
    assert_eq!(card.symbols, ["forward"]);
    assert_eq!(card.risk.as_deref(), Some("复跑 `t/x.py`。"));
}

#[test]
fn headings_come_in_many_spellings() {
    for heading in [
        "### PR #12 - A title",
        "### #12: A title",
        "### PR 12 — A title",
        "#### PR #12: A title",
        "### [PR #12](https://x/y/pull/12) A title",
        "### [#12](https://x/y/pull/12) - A title",
    ] {
        let document = parse(&format!("{heading}\n\n- State: open\n"));
        assert_eq!(document.cards.len(), 1, "{heading}");
        assert_eq!(document.cards[0].pr, Some(12), "{heading}");
        assert_eq!(document.cards[0].title, "A title", "{heading}");
    }
}

#[test]
fn an_unclosed_fence_ends_at_the_next_numbered_card() {
    let document = parse("### PR #1 - a\n```diff\n+x\n### PR #2 - b\n- State: open\n");
    assert_eq!(document.cards.len(), 2);
    assert_eq!(document.cards[1].state, Some("open"));
}

#[test]
fn declarations_of_python_cuda_and_rust() {
    assert_eq!(
        declared_symbol("    async def forward(self):"),
        Some("forward")
    );
    assert_eq!(
        declared_symbol("class Qwen3MLP(nn.Module):"),
        Some("Qwen3MLP")
    );
    assert_eq!(
        declared_symbol("__global__ void fused_rope(const T* q)"),
        Some("fused_rope")
    );
    assert_eq!(declared_symbol("x = call(3)"), None);
}
