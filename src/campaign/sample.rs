//! A campaign in the middle of its first round, for tests: everything that
//! opening an attempt asks for is there.

mod gaps;

pub use gaps::{gap, scenario};

use std::path::PathBuf;

use super::checkout::{Checkout, Head};
use super::events::*;
use super::gates::{ActiveLoop, World};
use super::state::{Recorded, State};
use super::{HardwareRequest, OpenRequest};
use crate::gap::{SealedLeader, Verdict};
use crate::history::{DecisionNote, FrameworkNotes, Notes};
use crate::job::JobState;
use crate::trace::{KernelCategory, Stage};
use crate::triage::{ClassComparison, CompareSide, OpClass, StageComparison, Winner};

pub const TREE: &str = "1111111111111111111111111111111111111111";
pub const OTHER_TREE: &str = "2222222222222222222222222222222222222222";
pub const COMMIT: &str = "cccccccccccccccccccccccccccccccccccccccc";
pub const WORKLOAD: &str = "w0";
pub const KERNEL: &str = "void rmsnorm_kernel<bf16>";

/// An event at [`TREE`].
pub fn event<B>(seq: u64, body: B) -> Recorded<B> {
    Recorded {
        seq,
        time: format!("2026-11-24T10:00:{seq:02}.000Z"),
        round: Some(0),
        commit: Some(COMMIT.to_owned()),
        tree: Some(TREE.to_owned()),
        files: Vec::new(),
        body,
    }
}

pub fn inputs() -> OpenRequest {
    OpenRequest {
        model: Some("Qwen/Qwen3-8B".to_owned()),
        precision: Some("bf16".to_owned()),
        hardware: Some(HardwareRequest {
            gpu_model: Some("none".to_owned()),
            gpu_ids: Vec::new(),
        }),
        target_framework: Some("sglang".to_owned()),
        comparison_frameworks: Some(vec!["vllm".to_owned()]),
        checkout: Some(PathBuf::from("/src/sglang")),
        ..OpenRequest::default()
    }
}

pub fn source(tree: &str) -> TargetSource {
    TargetSource {
        checkout: Some(PathBuf::from("/src/sglang")),
        commit: Some(COMMIT.to_owned()),
        tree: Some(tree.to_owned()),
        verified: true,
        unchanged: true,
        problem: None,
    }
}

pub fn outcome(framework: &str) -> FrameworkOutcome {
    FrameworkOutcome {
        framework: framework.to_owned(),
        engine: framework.to_owned(),
        version: Some("1.0".to_owned()),
        bound: 6,
        candidates: vec!["base".to_owned(), "chunked_prefill_size=16384".to_owned()],
        ok_rows: 8,
        help: vec![PathBuf::from("/c/help/x.txt")],
        command: Some(format!("{framework} serve")),
        ..FrameworkOutcome::default()
    }
}

pub fn ended(job: &str, label: BenchmarkLabel, tree: &str) -> BenchmarkEnded {
    BenchmarkEnded {
        job_id: job.to_owned(),
        label,
        state: JobState::Done,
        workload_sha256: WORKLOAD.to_owned(),
        frameworks: vec![outcome("sglang"), outcome("vllm")],
        winners: Vec::new(),
        rows: 16,
        rows_sha256: None,
        launches: 4,
        source: source(tree),
        failure: None,
    }
}

pub fn notes() -> Notes {
    Notes {
        time: "2026-11-24T10:00:00Z".to_owned(),
        model: Some("Qwen/Qwen3-8B".to_owned()),
        query: None,
        family: Some("qwen3".to_owned()),
        frameworks: ["sglang", "vllm"]
            .map(|framework| FrameworkNotes {
                framework: framework.to_owned(),
                paths: vec!["/k/card.md:1-9".to_owned()],
                prs: vec![17],
                ..FrameworkNotes::default()
            })
            .to_vec(),
        decisions: vec![DecisionNote {
            framework: "sglang".to_owned(),
            family: Some("qwen3".to_owned()),
            pr: Some(17),
            title: "Fuse".to_owned(),
            path: PathBuf::from("/k/card.md"),
            line: 1,
            files: vec!["python/sglang/srt/models/qwen3.py".to_owned()],
            symbols: Vec::new(),
            influenced: "the first target".to_owned(),
            risk: "bf16 rounding".to_owned(),
        }],
        findings: Vec::new(),
    }
}

pub fn profile(framework: &str, tree: &str) -> ProfileRecorded {
    let kernel = |name: &str, share_pct| KernelBrief {
        name: name.to_owned(),
        category: KernelCategory::Norm,
        share_pct,
        gpu_time_us: 100.0,
        location: None,
    };
    let side = |framework: &str| CompareSide {
        framework: Some(framework.to_owned()),
        steps: 10,
        wall_us: 7000.0,
        busy_us: 6900.0,
        kernels: 300.0,
    };
    ProfileRecorded {
        framework: framework.to_owned(),
        capture_job: Some(format!("capture-{framework}")),
        supplied: None,
        source: if framework == "sglang" {
            source(tree)
        } else {
            TargetSource::default()
        },
        framework_version: Some("1.0".to_owned()),
        input: PathBuf::from("/c/profiles/0").join(framework),
        report_path: PathBuf::from("/c/profiles/0")
            .join(framework)
            .join("report.md"),
        stages: vec![StageBrief {
            stage: Stage::Decode,
            steps: 10,
            wall_us: 7000.0,
            busy_us: 6900.0,
            kernels: vec![
                kernel(KERNEL, 12.0),
                kernel("gemm", 60.0),
                kernel("tiny", 0.5),
            ],
            overlap: Vec::new(),
            fusion: Vec::new(),
        }],
        compare_framework: Some("vllm".to_owned()),
        comparison: vec![StageComparison {
            stage: Stage::Decode,
            input: side("sglang"),
            compare: side("vllm"),
            matched_on: "batch 16".to_owned(),
            gap_us: 500.0,
            gap_pct: 7.0,
            classes: vec![ClassComparison {
                class: OpClass::Norm,
                input_us: 800.0,
                compare_us: 400.0,
                difference_us: 400.0,
                winner: Winner::Compare,
                gap_share_pct: 80.0,
                input_kernels: Vec::new(),
                compare_kernels: Vec::new(),
            }],
        }],
    }
}

pub fn cite(event: u64, table: Table, row: &str) -> Citation {
    Citation {
        event,
        table,
        part: None,
        row: row.to_owned(),
    }
}

pub fn root_cause() -> RootCause {
    RootCause {
        stage: Stage::Decode,
        scenario: Some("chat".to_owned()),
        cause: RootCauseKind::Kernel,
        summary: "RMSNorm is not fused".to_owned(),
        rows: vec![
            cite(11, Table::Kernel, "rmsnorm"),
            cite(11, Table::Comparison, "norm"),
            cite(10, Table::Attribution, "decode_step"),
        ],
        source_paths: vec![Lines {
            path: PathBuf::from("python/sglang/srt/layers/layernorm.py"),
            lines: None,
        }],
        cards: ["sglang", "vllm"]
            .map(|framework| CardRef {
                framework: framework.to_owned(),
                pr: Some(17),
                path: None,
            })
            .to_vec(),
        layers: None,
    }
}

pub fn attempt(id: &str) -> AttemptOpened {
    AttemptOpened {
        id: id.to_owned(),
        target: AttemptTarget {
            change: "fuse RMSNorm".to_owned(),
            files: vec![PathBuf::from("python/sglang/srt/layers/layernorm.py")],
            kernel: Some(KernelTarget {
                name: "rmsnorm".to_owned(),
                correctness_ref: "torch.nn.functional.rms_norm".to_owned(),
                shapes: vec!["[16, 4096]".to_owned()],
                dtypes: vec!["bf16".to_owned()],
                layouts: vec!["row major".to_owned()],
                wired_in: PathBuf::from("python/sglang/srt/layers/layernorm.py"),
                counter_evidence: false,
            }),
        },
        cites: vec![cite(11, Table::Kernel, "rmsnorm")],
        ideas: Vec::new(),
        expected: "norm 400 us less a step".to_owned(),
        tests: vec![vec!["pytest".to_owned(), "test/test_norm.py".to_owned()]],
        edit_rule: None,
    }
}

pub fn checks(attempt: &str) -> ChecksRan {
    ChecksRan {
        job_id: "checks-1".to_owned(),
        attempt: Some(attempt.to_owned()),
        passed: true,
        tests: vec![TestRun {
            command: CommandSeen {
                argv: vec!["pytest".to_owned()],
                exit: Some(0),
                log: PathBuf::from("/c/jobs/checks-1/test-1.log"),
                log_sha256: String::new(),
            },
            passed: true,
            seconds: 3,
        }],
        greedy: Some(GreedyAgreement {
            base_tree: TREE.to_owned(),
            prompts: 32,
            identical: 31,
            matched_share: 0.995,
            min_matched_share: 0.9,
            passed: true,
        }),
        outputs: None,
        failure: None,
    }
}

pub fn round_end(improvement_pct: Option<f64>) -> RoundEnded {
    RoundEnded {
        summary: "done".to_owned(),
        next_patch: Some("fuse qk norm".to_owned()),
        accepted: Vec::new(),
        improvement_pct,
        gap_pct: Some(-5.0),
    }
}

pub fn closed(id: &str, accepted: bool, outcome: AttemptOutcome) -> AttemptClosed {
    AttemptClosed {
        id: id.to_owned(),
        accepted,
        outcome,
        summary: "done".to_owned(),
        base_tree: TREE.to_owned(),
        tried_tree: Some(OTHER_TREE.to_owned()),
        files: Vec::new(),
        commits: Vec::new(),
        patch: None,
        measured: None,
        optimization: false,
    }
}

/// Events 1 to 13; an attempt may be opened.
pub fn ready() -> (State, World) {
    let leader = |framework: &str| SealedLeader {
        scenario: "chat".to_owned(),
        request_rate: None,
        max_concurrency: None,
        framework: framework.to_owned(),
        candidate_id: "base".to_owned(),
        mean: 5.0,
    };
    let behind = || scenario(Verdict::Behind, -6.0, 0.5);
    let state = State {
        events: 13,
        opened: Some(event(
            1,
            CampaignOpened {
                inputs: inputs(),
                version: "0.1.0".to_owned(),
                host: None,
            },
        )),
        history: vec![event(
            2,
            HistoryRecorded {
                notes: notes(),
                notes_path: PathBuf::from("/c/history/notes.md"),
            },
        )],
        benchmarks_started: vec![event(
            3,
            BenchmarkStarted {
                job_id: "bench-1".to_owned(),
                label: BenchmarkLabel::Baseline,
                workload_sha256: WORKLOAD.to_owned(),
                frameworks: vec!["sglang".to_owned(), "vllm".to_owned()],
                cost: serde_json::Value::Null,
            },
        )],
        benchmarks: vec![event(4, ended("bench-1", BenchmarkLabel::Baseline, TREE))],
        gaps: vec![
            event(5, gap(BenchmarkLabel::Baseline, TREE, behind())),
            event(10, gap(BenchmarkLabel::Baseline, TREE, behind())),
        ],
        seal: Some(event(
            6,
            Sealed {
                path: PathBuf::from("/c/benchmark/seal.json"),
                job_ids: vec!["bench-1".to_owned()],
                workload_sha256: WORKLOAD.to_owned(),
                metric: "request_throughput".to_owned(),
                frameworks: vec![SealedFramework {
                    framework: "vllm".to_owned(),
                    version: Some("1.0".to_owned()),
                    candidates: vec!["base".to_owned()],
                    command: None,
                }],
                leaders: vec![leader("vllm")],
                targets: vec![leader("sglang")],
            },
        )),
        loops: vec![event(
            7,
            LoopStarted {
                runtime: LoopRuntime::Builtin,
                plan_path: PathBuf::from("/src/sglang/.humanize/plan.md"),
                state_path: state_path(),
                prompt_path: PathBuf::from("/src/sglang/.humanize/rlcr/1/round-0-prompt.md"),
                setup: None,
                base_branch: "main".to_owned(),
                start_branch: "main".to_owned(),
                base_commit: COMMIT.to_owned(),
                strict_success: false,
            },
        )],
        profiles: vec![
            event(11, profile("sglang", TREE)),
            event(8, profile("vllm", TREE)),
        ],
        pipelines: vec![event(12, pipeline())],
        root_causes: vec![event(13, root_cause())],
        ..State::default()
    };
    (state, world(TREE))
}

pub fn pipeline() -> PipelineRecorded {
    PipelineRecorded {
        trace: PathBuf::from("/c/profiles/0/sglang/decode.json.gz"),
        framework: Some("sglang".to_owned()),
        source: source(TREE),
        supplied: None,
        stage: Some(Stage::Decode),
        chosen_pass: 3,
        layers_per_pass: 36,
        layer_types: vec![LayerTypeBrief {
            r#type: "dense".to_owned(),
            count: 36,
            avg_wall_us: 190.0,
            pass_share_pct: 95.0,
            representative: 4,
        }],
        hot_kernels: vec![HotKernelBrief {
            r#type: "dense".to_owned(),
            name: KERNEL.to_owned(),
            category: KernelCategory::Norm,
            share_pct: 12.0,
            avg_us: 20.0,
        }],
        report_path: PathBuf::from("/c/analysis/p/layer-pipeline.md"),
    }
}

pub fn state_path() -> PathBuf {
    PathBuf::from("/src/sglang/.humanize/rlcr/1/state.md")
}

/// A clean checkout at `tree` with the recorded loop active.
pub fn world(tree: &str) -> World {
    World {
        checkout: Checkout::Read(Head {
            path: PathBuf::from("/src/sglang"),
            commit: COMMIT.to_owned(),
            tree: tree.to_owned(),
            branch: Some("main".to_owned()),
            branches: vec!["main".to_owned()],
            dirty: Vec::new(),
            tracked_humanize: Vec::new(),
        }),
        active_loops: vec![ActiveLoop {
            state_path: state_path(),
            current_round: Some(0),
            ask_codex_question: Some(false),
            strict_success: None,
            has_prompt: true,
        }],
        ..World::default()
    }
}

/// The sample with attempt a1 tried at [`OTHER_TREE`]: checked, 8% faster than
/// its base, the gap closed.
pub fn tried() -> (State, World) {
    let (mut state, _) = ready();
    state.attempts_opened = vec![event(20, attempt("a1"))];
    let mut checked = event(21, checks("a1"));
    checked.tree = Some(OTHER_TREE.to_owned());
    state.checks = vec![checked];
    let again = ended("bench-2", BenchmarkLabel::Revalidation, OTHER_TREE);
    state.benchmarks.push(event(22, again));
    let tied = scenario(Verdict::Tied, 0.1, 0.4);
    state.gaps.push(event(
        23,
        gap(BenchmarkLabel::Revalidation, OTHER_TREE, tied),
    ));
    (state, world(OTHER_TREE))
}
