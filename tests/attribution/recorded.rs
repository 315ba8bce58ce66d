//! The four recorded runs of SGLang and vLLM, each by its own client, with
//! their servers' logs.

use sota_loop::gap::attribution::{Explanation, explain};

use crate::support::{recorded, run, share, told};

fn explained(scenario: &str) -> Explanation {
    let target = recorded(
        &format!("sglang_{scenario}.jsonl.gz"),
        Some("sglang_server.log.gz"),
    );
    let leader = recorded(
        &format!("vllm_{scenario}.json.gz"),
        Some("vllm_server.log.gz"),
    );
    explain(&run(&target), &run(&leader)).unwrap()
}

#[test]
fn summarization_is_lost_by_the_batch_and_not_by_steps() {
    let explanation = explained("summarization");
    println!("{}", told(&explanation));
    let batch = share(
        &explanation,
        &[
            "kv_capacity",
            "batch_size",
            "admission_policy",
            "running_cap",
            "tail",
        ],
    );
    assert!(batch >= 80.0, "{batch}% {}", told(&explanation));
    let steps = share(&explanation, &["decode_step_time"]);
    assert!(steps < 10.0, "{steps}% {}", told(&explanation));
    let room = explanation
        .attribution
        .iter()
        .find(|row| row.cause == "kv_capacity")
        .unwrap();
    assert!(
        room.evidence.contains("370,553 tokens"),
        "{}",
        room.evidence
    );
    assert_eq!(explanation.target.waves, [37, 37, 6]);
    assert_eq!(explanation.leader.waves, [47, 33]);
    assert_eq!(explanation.where_to_look.as_deref(), Some("memory"));
}

#[test]
fn unequal_prompts_are_said_before_any_cause() {
    let explanation = explained("summarization");
    let unequal = explanation.unequal_prompts.unwrap();
    assert_eq!(unequal.target_tokens.round(), 702_301.0);
    assert_eq!(unequal.leader_tokens.round(), 640_000.0);
    assert!((96.0..98.5).contains(&unequal.share_pct), "{unequal:?}");
    let first = &explanation.warnings[0];
    assert!(first.starts_with("not the same work: sglang's server computed 702,301"));
    assert!(
        first.contains("98% of the difference would be gone"),
        "{first}"
    );
    let look_at = explanation.look_at.unwrap();
    assert!(look_at.first.starts_with("make the prompts equal, then "));
}

#[test]
fn chat_is_lost_by_decode_steps_though_the_first_token_comes_sooner() {
    let explanation = explained("chat");
    println!("{}", told(&explanation));
    let steps = share(&explanation, &["decode_step_time"]);
    assert!(steps > 50.0, "{steps}% {}", told(&explanation));
    assert_eq!(explanation.where_to_look.as_deref(), Some("kernels"));
    assert!(
        explanation
            .observations
            .iter()
            .any(|line| line.contains("TTFT 1.18 s against 1.38 s, in favour of sglang")),
        "{:?}",
        explanation.observations
    );
}

/// The same causes as the client's own samples show, and none that another one
/// has to make good: SGLang's server computed 9.5% more prompt tokens.
#[test]
fn logs_change_little_of_what_chat_is_lost_by() {
    let client = |name: &str| run(&recorded(name, None));
    let bare = explain(
        &client("sglang_chat.jsonl.gz"),
        &client("vllm_chat.json.gz"),
    )
    .unwrap();
    for explanation in [explained("chat"), bare] {
        let told = told(&explanation);
        println!("{told}");
        let steps = share(&explanation, &["decode_step_time"]);
        assert!((85.0..=120.0).contains(&steps), "{told}");
        for row in &explanation.attribution {
            let small = row.cause == "decode_step_time" || row.share_pct.abs() < 15.0;
            assert!(small, "{}: {told}", row.cause);
        }
        let unexplained = share(&explanation, &["unexplained"]);
        assert!(unexplained.abs() < 5.0, "{told}");
    }
}

#[test]
fn the_model_reproduces_each_run() {
    for scenario in ["chat", "summarization"] {
        let model = explained(scenario).model;
        assert!(model.target_error_pct.abs() < 3.0, "{scenario}: {model:?}");
        assert!(model.leader_error_pct.abs() < 3.0, "{scenario}: {model:?}");
    }
}

#[test]
fn causes_sum_to_the_difference() {
    for scenario in ["chat", "summarization"] {
        let explanation = explained(scenario);
        let sum: f64 = explanation.attribution.iter().map(|row| row.seconds).sum();
        assert!((sum - explanation.difference_s).abs() < 1e-9);
        let last = explanation.attribution.last().unwrap();
        assert_eq!(last.cause, "unexplained");
    }
}
