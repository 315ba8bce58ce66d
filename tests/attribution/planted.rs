//! Simulated engines that differ in one or two known things, in virtual time.

use sota_loop::bench::timeline::{Scrape, ServerPoint, Timeline};
use sota_loop::gap::attribution::{Explanation, explain};
use sota_loop::sim::{Ask, Client, CostModel, KvPolicy, OfflineRun, Schedule, run_offline};

use crate::offline_samples;
use crate::support::{run, share, told};

/// Requests of unequal lengths, all at once.
fn asks(count: u32, prompt: u32, output: u32) -> Vec<Ask> {
    (0..count)
        .map(|i| Ask {
            due: 0,
            // A fixed spread of ±20% and ±10%.
            prompt_tokens: prompt * (80 + i * 37 % 41) / 100,
            output_tokens: output * (90 + i * 29 % 21) / 100,
        })
        .collect()
}

fn served(model: &CostModel, asks: &[Ask]) -> OfflineRun {
    let client = Client {
        max_concurrency: None,
        look_every: 1_000_000_000,
    };
    run_offline(model, 1, asks, client).unwrap()
}

/// The timeline of a run with what a scraper would have seen.
fn timeline(model: &CostModel, asks: &[Ask], framework: &str) -> Timeline {
    let served = served(model, asks);
    let samples = offline_samples::samples(&served, asks);
    let mut timeline = Timeline::of(&samples, None).unwrap();
    timeline.run.framework = framework.to_owned();
    let capacity = f64::from(model.limits.kv_tokens);
    let points = served
        .levels
        .iter()
        .map(|(at, levels)| ServerPoint {
            t: *at as f64 / 1e9,
            running: Some(levels.running.into()),
            waiting: Some(levels.waiting.into()),
            kv_used_tokens: Some(levels.kv_used.into()),
            kv_capacity_tokens: Some(capacity),
            kv_usage: Some(f64::from(levels.kv_used) / capacity),
            preemptions: Some(levels.preemptions as f64),
            gpu_busy_pct: Some(levels.gpu_busy_pct()).filter(|pct| pct.is_finite()),
            ..ServerPoint::default()
        })
        .collect();
    timeline.add_scrape(Scrape { points });
    timeline
}

fn wall(model: &CostModel, asks: &[Ask]) -> f64 {
    timeline(model, asks, "").run.duration_s
}

fn explained(target: &CostModel, leader: &CostModel, asks: &[Ask]) -> Explanation {
    let target = timeline(target, asks, "sglang");
    let leader = timeline(leader, asks, "vllm");
    explain(&run(&target), &run(&leader)).unwrap()
}

/// Both schedulers: prompts first, and prompts along with decode steps.
fn engines() -> [CostModel; 2] {
    let first = CostModel::default();
    let mut mixed = CostModel::default();
    mixed.limits.schedule = Schedule::Mixed;
    [first, mixed]
}

#[track_caller]
fn goes_to(cause: &str, plant: impl Fn(&mut CostModel), asks: &[Ask]) {
    for leader in engines() {
        let mut target = leader.clone();
        plant(&mut target);
        let explanation = explained(&target, &leader, asks);
        let told = told(&explanation);
        println!("{told}");
        assert!(explanation.difference_s > 0.0, "{told}");
        assert!(explanation.model.target_error_pct.abs() < 3.0, "{told}");
        assert!(explanation.model.leader_error_pct.abs() < 3.0, "{told}");
        let share = share(&explanation, &[cause]);
        assert!(
            (85.0..=115.0).contains(&share),
            "{share}% to {cause}\n{told}"
        );
    }
}

#[test]
fn a_slower_prefill() {
    goes_to(
        "prefill_rate",
        |model| {
            model.prefill.tokens_per_s /= 1.3;
            model.prefill.per_1k_context_us *= 1.3;
        },
        &asks(80, 4_000, 500),
    );
}

#[test]
fn slower_decode_steps() {
    goes_to(
        "decode_step_time",
        |model| {
            model.decode.base_ms *= 1.2;
            model.decode.per_sequence_ms *= 1.2;
            model.decode.per_1k_context_ms *= 1.2;
        },
        &asks(80, 1_000, 1_000),
    );
}

#[test]
fn less_room_in_the_kv_cache() {
    goes_to(
        "kv_capacity",
        |model| model.limits.kv_tokens = 250_000,
        &asks(80, 8_000, 1_000),
    );
}

#[test]
fn a_cap_of_running_requests() {
    goes_to(
        "running_cap",
        |model| model.limits.max_running = 24,
        &asks(80, 1_000, 1_000),
    );
}

#[test]
fn gaps_of_the_host() {
    goes_to(
        "host_gap",
        |model| model.host.gap_ms = 2.0,
        &asks(80, 1_000, 1_000),
    );
}

#[test]
fn preemption() {
    goes_to(
        "preemption",
        |model| model.limits.preempt_every = 25,
        &asks(80, 2_000, 1_000),
    );
}

/// Two causes: each gets within 15% of the difference of its true share, the
/// mean of what it costs alone and what it costs on top of the other.
#[track_caller]
fn splits(causes: [&str; 2], plants: [&dyn Fn(&mut CostModel); 2], asks: &[Ask]) {
    for leader in engines() {
        let with = |on: [bool; 2]| {
            let mut model = leader.clone();
            for (plant, on) in plants.iter().zip(on) {
                if on {
                    plant(&mut model);
                }
            }
            model
        };
        let wall = |on: [bool; 2]| wall(&with(on), asks);
        let (none, both) = (wall([false, false]), wall([true, true]));
        let (first, second) = (wall([true, false]), wall([false, true]));
        let truth = [
            (first - none + both - second) / 2.0,
            (second - none + both - first) / 2.0,
        ];
        let explanation = explained(&with([true, true]), &leader, asks);
        let told = told(&explanation);
        println!("truth {truth:?}\n{told}");
        for (cause, truth) in causes.iter().zip(truth) {
            let expected = 100.0 * truth / (both - none);
            let share = share(&explanation, &[cause]);
            assert!(
                (share - expected).abs() <= 15.0,
                "{cause}: {share}%, in truth {expected}%\n{told}"
            );
        }
    }
}

#[test]
fn prefill_and_room_together() {
    splits(
        ["prefill_rate", "kv_capacity"],
        [&|model| model.prefill.tokens_per_s /= 1.4, &|model| {
            model.limits.kv_tokens = 280_000
        }],
        &asks(80, 8_000, 600),
    );
}

#[test]
fn decode_and_a_cap_together() {
    splits(
        ["decode_step_time", "running_cap"],
        [
            &|model| {
                model.decode.base_ms *= 1.25;
                model.decode.per_1k_context_ms *= 1.25;
            },
            &|model| model.limits.max_running = 48,
        ],
        &asks(80, 1_000, 1_000),
    );
}

#[test]
fn decode_and_the_host_together() {
    splits(
        ["decode_step_time", "host_gap"],
        [
            &|model| {
                model.decode.base_ms *= 1.2;
                model.decode.per_1k_context_ms *= 1.2;
            },
            &|model| model.host.gap_ms = 2.0,
        ],
        &asks(80, 1_000, 800),
    );
}

#[test]
fn a_growing_cache_that_thrashes_is_no_surprise_to_the_model() {
    let mut leader = CostModel::default();
    leader.limits.kv_policy = KvPolicy::Grow;
    let mut target = leader.clone();
    target.limits.kv_tokens = 150_000;
    let explanation = explained(&target, &leader, &asks(80, 2_000, 2_000));
    let told = told(&explanation);
    println!("{told}");
    let room = share(&explanation, &["kv_capacity", "preemption"]);
    assert!(room >= 85.0, "{told}");
    assert!(explanation.model.target_error_pct.abs() < 5.0, "{told}");
}

#[test]
fn equal_engines_differ_in_nothing() {
    for model in engines() {
        let explanation = explained(&model, &model, &asks(40, 2_000, 300));
        assert_eq!(explanation.difference_s, 0.0);
        assert_eq!(explanation.attribution.len(), 1, "{}", told(&explanation));
        assert_eq!(explanation.where_to_look, None);
    }
}
