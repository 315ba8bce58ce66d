//! The engine core in virtual time, with exact numbers.

use super::scheduler::nanos;
use super::*;

/// Steps of round numbers: a decode step takes 10 ms + 1 ms a sequence, and a
/// prefilled token 1 ms on top of 2 ms.
fn round_model() -> CostModel {
    let mut model = CostModel::default();
    model.prefill.tokens_per_s = 1_000.0;
    model.prefill.base_ms = 2.0;
    model.prefill.per_1k_context_us = 0.0;
    model.decode.base_ms = 10.0;
    model.decode.per_sequence_ms = 1.0;
    model.decode.per_1k_context_ms = 0.0;
    model.limits.chunk_tokens = 100;
    model
}

fn request(id: u64, prompt_tokens: u32, output_tokens: u32) -> Submission {
    Submission {
        id,
        prompt_tokens,
        output_tokens,
        ends_itself: false,
        arrived: 0,
        blocks: Vec::new(),
    }
}

/// An engine with its virtual clock.
struct Bench {
    scheduler: Scheduler,
    now: Nanos,
}

impl Bench {
    fn new(model: CostModel) -> Self {
        Self::with(model, 1, 1, false)
    }

    fn with(model: CostModel, seed: u64, interval: u32, prefix_cache: bool) -> Self {
        Self {
            scheduler: Scheduler::new(model, seed, interval, prefix_cache),
            now: 0,
        }
    }

    fn step(&mut self) -> Option<(Step, Vec<Emission>)> {
        loop {
            match self.scheduler.next(self.now) {
                Next::Idle => return None,
                Next::WaitUntil(time) => self.now = time,
                Next::Step(step) => {
                    self.now = step.end;
                    let emissions = self.scheduler.finish(&step);
                    return Some((step, emissions));
                }
            }
        }
    }

    /// Every chunk as (milliseconds, request, tokens so far).
    fn chunks(&mut self) -> Vec<(f64, u64, u32)> {
        let mut chunks = Vec::new();
        while let Some((step, emissions)) = self.step() {
            let at = step.end as f64 / 1e6;
            chunks.extend(emissions.iter().map(|e| (at, e.id, e.generated)));
        }
        chunks
    }
}

#[test]
fn one_request_takes_its_prefill_and_its_decode_steps() {
    let mut bench = Bench::new(round_model());
    bench.scheduler.submit(request(1, 50, 3));
    // 2 + 50 ms to the first token, then 11 ms each.
    assert_eq!(bench.chunks(), [(52.0, 1, 1), (63.0, 1, 2), (74.0, 1, 3)]);
    let levels = bench.scheduler.levels();
    assert_eq!((levels.prompt_tokens, levels.generated_tokens), (50, 3));
    assert_eq!(
        (levels.steps, levels.decode_steps, levels.finished),
        (3, 2, 1)
    );
    assert_eq!((levels.running, levels.kv_used), (0, 0));
}

#[test]
fn context_costs_time_in_decode_and_prefill() {
    let mut model = round_model();
    model.decode.per_1k_context_ms = 10.0;
    model.prefill.per_1k_context_us = 1_000.0;
    let work = Work {
        prefill_tokens: 4,
        // 0 + 1 + 2 + 3 tokens before.
        prefill_context: 6,
        ..Work::default()
    };
    assert!((model.gpu_ms(work) - (2.0 + 4.0 + 0.006)).abs() < 1e-9);
    let mut bench = Bench::new(model);
    bench.scheduler.submit(request(1, 100, 3));
    // Prefill: 2 + 100 + 4,950 · 1 µs; then 11 ms + 10 µs a token of context (100, 101).
    let chunks = bench.chunks();
    assert_eq!(chunks[0].0, 106.95);
    assert_eq!(chunks[1].0, 118.95);
    assert_eq!(chunks[2].0, 130.96);
}

#[test]
fn prefill_first_holds_decode_back() {
    let mut bench = Bench::new(round_model());
    bench.scheduler.submit(request(1, 10, 3));
    bench.step();
    bench.scheduler.submit(request(2, 20, 2));
    // 12: first token of 1. Prefill of 2 until 34, then both decode in 12 ms.
    assert_eq!(
        bench.chunks(),
        [(34.0, 2, 1), (46.0, 1, 2), (46.0, 2, 2), (57.0, 1, 3)]
    );
}

#[test]
fn a_mixed_step_decodes_and_prefills_in_one_budget() {
    let mut model = round_model();
    model.limits.schedule = Schedule::Mixed;
    model.limits.chunk_tokens = 11;
    let mut bench = Bench::new(model);
    bench.scheduler.submit(request(1, 10, 4));
    bench.step();
    bench.scheduler.submit(request(2, 20, 2));
    // One token of the budget goes to 1, ten to the prompt of 2: 10 + 1 + 10 ms.
    assert_eq!(
        bench.chunks(),
        [
            (33.0, 1, 2),
            (54.0, 1, 3),
            (54.0, 2, 1),
            (66.0, 1, 4),
            (66.0, 2, 2)
        ]
    );
}

#[test]
fn long_prompts_are_prefilled_in_chunks() {
    let mut bench = Bench::new(round_model());
    bench.scheduler.submit(request(1, 250, 1));
    let works: Vec<(u32, u64)> = std::iter::from_fn(|| bench.step())
        .map(|(step, _)| (step.work.prefill_tokens, step.work.prefill_context))
        .collect();
    // Sums of the positions 0..100, 100..200 and 200..250.
    assert_eq!(works, [(100, 4_950), (100, 14_950), (50, 11_225)]);
    assert_eq!(bench.now, nanos(3.0 * 2.0 + 250.0));
}

#[test]
fn the_running_batch_has_a_limit() {
    let mut model = round_model();
    model.limits.max_running = 2;
    let mut bench = Bench::new(model);
    for id in 1..=3 {
        bench.scheduler.submit(request(id, 10, 2));
    }
    let (step, emissions) = bench.step().unwrap();
    assert_eq!((step.new_sequences, step.work.prefill_tokens), (2, 20));
    assert_eq!(emissions.len(), 2);
    assert_eq!(bench.scheduler.levels().waiting, 1);
    assert_eq!(
        bench.chunks().last(),
        Some(&(22.0 + 12.0 + 12.0 + 11.0, 3, 2))
    );
}

#[test]
fn a_reserving_cache_queues_what_does_not_fit() {
    let mut model = round_model();
    model.limits.kv_tokens = 50;
    let mut bench = Bench::new(model);
    bench.scheduler.submit(request(1, 20, 10));
    bench.scheduler.submit(request(2, 20, 10));
    let (step, _) = bench.step().unwrap();
    assert_eq!(step.new_sequences, 1);
    assert_eq!(bench.scheduler.levels().kv_used, 30);
    let chunks = bench.chunks();
    // 1 ends at 22 + 9 · 11 ms; only then 2 starts.
    assert_eq!(chunks[8], (121.0, 1, 10));
    assert_eq!(chunks[9], (143.0, 2, 1));
    assert_eq!(bench.scheduler.levels().preemptions, 0);
}

#[test]
fn a_growing_cache_preempts_and_computes_again() {
    let mut model = round_model();
    model.limits.kv_tokens = 50;
    model.limits.kv_policy = KvPolicy::Grow;
    let mut bench = Bench::new(model);
    bench.scheduler.submit(request(1, 20, 10));
    bench.scheduler.submit(request(2, 20, 10));
    let mut most = 0;
    let mut tokens = std::collections::HashMap::new();
    while let Some((_, emissions)) = bench.step() {
        most = most.max(bench.scheduler.levels().kv_used);
        for emission in emissions {
            *tokens.entry(emission.id).or_insert(0) += emission.new_tokens;
        }
    }
    let levels = bench.scheduler.levels();
    // Both start in 42 tokens and meet the limit of 50 when each has 25.
    assert_eq!(levels.preemptions, 1);
    assert!(most <= 50, "{most}");
    // Nothing is lost or said twice, and the prompt was computed once more with 6 tokens of output.
    assert_eq!((tokens[&1], tokens[&2]), (10, 10));
    assert_eq!(levels.prompt_tokens, 20 + 20 + 26);
}

#[test]
fn an_extra_ttft_delays_the_start_of_a_request() {
    let mut model = round_model();
    model.host.extra_ttft_ms = 500.0;
    let mut bench = Bench::new(model);
    bench.scheduler.submit(request(1, 10, 1));
    assert_eq!(bench.scheduler.next(0), Next::WaitUntil(nanos(500.0)));
    assert_eq!(bench.chunks(), [(512.0, 1, 1)]);
}

#[test]
fn host_gap_and_extra_step_time_are_paid_by_every_step() {
    let mut model = round_model();
    model.host.gap_ms = 3.0;
    model.host.extra_step_ms = 4.0;
    let mut bench = Bench::new(model);
    bench.scheduler.submit(request(1, 10, 2));
    assert_eq!(bench.chunks(), [(19.0, 1, 1), (37.0, 1, 2)]);
}

#[test]
fn speculation_yields_its_accept_length_at_the_mean() {
    let mut model = round_model();
    model.decode.accept_length = 2.5;
    let mut bench = Bench::new(model);
    bench.scheduler.submit(request(1, 10, 12));
    let counts: Vec<u32> = bench
        .chunks()
        .iter()
        .map(|(_, _, tokens)| *tokens)
        .collect();
    assert_eq!(counts, [1, 3, 6, 8, 11, 12]);
}

#[test]
fn a_stream_interval_joins_tokens_but_never_holds_the_first_back() {
    let mut bench = Bench::with(round_model(), 1, 4, false);
    bench.scheduler.submit(request(1, 10, 7));
    let counts: Vec<u32> = bench
        .chunks()
        .iter()
        .map(|(_, _, tokens)| *tokens)
        .collect();
    assert_eq!(counts, [1, 5, 7]);
}

#[test]
fn noise_follows_its_seed() {
    let mut model = round_model();
    model.noise.step_pct = 1.0;
    model.noise.launch_pct = 2.0;
    let run = |seed| {
        let mut bench = Bench::with(model.clone(), seed, 1, false);
        bench.scheduler.submit(request(1, 10, 50));
        bench.chunks();
        bench.now
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    let exact = nanos(12.0 + 49.0 * 11.0) as f64;
    assert!((run(3) as f64 / exact - 1.0).abs() < 0.08);
}

#[test]
fn a_cached_prefix_is_not_computed_again_until_the_flush() {
    let mut model = round_model();
    model.limits.chunk_tokens = 1_000;
    let mut bench = Bench::with(model, 1, 1, true);
    let prompt: Vec<u32> = (0..200).collect();
    let ttft = |bench: &mut Bench, id| {
        let start = bench.now;
        bench.scheduler.submit(Submission {
            blocks: prefix_cache::blocks(&prompt),
            arrived: start,
            ..request(id, 200, 1)
        });
        let (step, emissions) = bench.step().unwrap();
        ((step.end - start) / 1_000_000, emissions[0].cached_tokens)
    };
    assert_eq!(ttft(&mut bench, 1), (202, 0));
    // Three whole blocks of 64 tokens.
    assert_eq!(ttft(&mut bench, 2), (2 + 200 - 192, 192));
    assert!(bench.scheduler.flush_cache());
    assert_eq!(ttft(&mut bench, 3), (202, 0));
    assert_eq!(bench.scheduler.levels().cached_tokens, 192);
}

#[test]
fn a_cancelled_request_frees_its_room_at_once() {
    let mut bench = Bench::new(round_model());
    bench.scheduler.submit(request(1, 10, 100));
    bench.scheduler.submit(request(2, 10, 2));
    bench.step();
    assert!(!bench.scheduler.flush_cache());
    bench.scheduler.cancel(1);
    assert_eq!(bench.scheduler.levels().kv_used, 12);
    assert_eq!(bench.chunks(), [(33.0, 2, 2)]);
}

#[test]
fn a_time_scale_divides_every_duration() {
    let model = round_model().faster(10.0);
    let mut bench = Bench::new(model);
    bench.scheduler.submit(request(1, 50, 3));
    assert_eq!(bench.chunks(), [(5.2, 1, 1), (6.3, 1, 2), (7.4, 1, 3)]);
}

#[test]
fn the_default_model_is_near_the_recorded_engine() {
    let model = CostModel::default();
    let decode = |batch: u32, context: u64| {
        model.gpu_ms(Work {
            decode_batch: batch,
            decode_context: context,
            ..Work::default()
        })
    };
    // One H100, Qwen3-8B in bf16: 161.5 tok/s alone; 7,005 and 5,359 tok/s at 80
    // sequences with 90,400 and 164,000 tokens of context.
    for (batch, context, tokens_per_s) in [
        (1, 24, 161.5),
        (80, 90_400, 7_005.0),
        (80, 164_000, 5_359.0),
    ] {
        let modelled = 1e3 * f64::from(batch) / decode(batch, context);
        assert!(
            (modelled / tokens_per_s - 1.0).abs() < 0.03,
            "{modelled} {tokens_per_s}"
        );
    }
}

#[test]
fn a_cost_model_file_overrides_what_it_names_and_flags_override_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cost.toml");
    std::fs::write(
        &path,
        "[decode]\nbase_ms = 5.0\n[limits]\nschedule = \"mixed\"\n",
    )
    .unwrap();
    let mut config = SimConfig::new(Dialect::Sglang);
    config.cost_model = Some(path.clone());
    config.cost.decode_per_sequence_ms = Some(0.5);
    config.limits.memory_fraction = Some(0.515);
    let model = config.cost_model().unwrap();
    assert_eq!(
        (model.decode.base_ms, model.decode.per_sequence_ms),
        (5.0, 0.5)
    );
    assert_eq!(model.limits.schedule, Schedule::Mixed);
    assert_eq!(model.prefill, PrefillCost::default());
    // Half the memory that is left beside the weights: half the cache.
    assert_eq!(model.limits.kv_tokens, 185_000);

    std::fs::write(&path, "[decode]\nbase = 5.0\n").unwrap();
    let error = config.cost_model().unwrap_err().to_string();
    assert!(
        error.contains("cost.toml") && error.contains("line 2"),
        "{error}"
    );
    assert!(error.contains("base_ms"), "{error}");
    std::fs::write(&path, "[decode]\nbase_ms = -1.0\n").unwrap();
    let error = config.cost_model().unwrap_err().to_string();
    assert_eq!(error, "decode.base_ms is -1, but must be at least 0");
}

#[test]
fn faults_are_read_by_name() {
    assert_eq!(
        "oom-at-load".parse::<PlannedFault>().unwrap(),
        PlannedFault::OomAtLoad
    );
    assert_eq!(
        "oom-after=3".parse::<PlannedFault>().unwrap(),
        PlannedFault::OomAfter(3)
    );
    for wrong in ["oom", "oom-after", "oom-after=0", "never-ready=1", ""] {
        let error = wrong.parse::<PlannedFault>().unwrap_err().to_string();
        assert!(error.contains("known are oom-at-load"), "{error}");
    }
}
