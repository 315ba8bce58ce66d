//! Every gate, open on the sample campaign and closed by each of its conditions.

use std::path::PathBuf;

use super::*;
use crate::campaign::checkout::Checkout;
use crate::campaign::events::*;
use crate::campaign::log::FileHash;
use crate::campaign::sample::*;
use crate::gap::{Other, Unfair, Verdict};
use crate::history::{DecisionNote, Finding};
use crate::job::JobState;

type Spoil = fn(&mut State, &mut World);
type Rule = fn(&State, &World) -> GateState;

/// Open as the sample is; closed by each spoiler with that text among what is missing.
fn closes(rule: Rule, spoilers: &[(&str, Spoil)]) {
    let (state, world) = ready();
    let gate = rule(&state, &world);
    assert!(gate.open, "{gate:?}");
    assert!(gate.next.is_empty());
    for (wanted, spoil) in spoilers {
        let (mut state, mut world) = ready();
        spoil(&mut state, &mut world);
        let gate = rule(&state, &world);
        assert!(
            gate.missing.iter().any(|missing| missing.contains(wanted)),
            "wanted `{wanted}`, got {gate:?}"
        );
        assert!(!gate.open && !gate.next.is_empty(), "{gate:?}");
    }
}

/// Open too after each of these.
fn stays_open(rule: Rule, changes: &[Spoil]) {
    for (index, change) in changes.iter().enumerate() {
        let (mut state, mut world) = ready();
        change(&mut state, &mut world);
        let gate = rule(&state, &world);
        assert!(gate.open, "change {index}: {gate:?}");
    }
}

fn head(world: &mut World) -> &mut crate::campaign::checkout::Head {
    match &mut world.checkout {
        Checkout::Read(head) => head,
        other => panic!("{other:?}"),
    }
}

fn rest_on(world: &mut World, path: &str) -> Vec<FileHash> {
    world.changed.insert(
        PathBuf::from(path),
        "its content is not what was recorded".to_owned(),
    );
    vec![FileHash {
        path: PathBuf::from(path),
        sha256: "0".to_owned(),
        bytes: None,
    }]
}

fn decision(state: &mut State) -> &mut DecisionNote {
    &mut state.history[0].body.notes.decisions[0]
}

#[test]
fn history_wants_decisions_or_a_seen_absence() {
    closes(
        history,
        &[
            ("none are recorded", |state, _| state.history.clear()),
            ("notes.md: its content", |state, world| {
                state.history[0].files = rest_on(world, "/c/history/notes.md");
            }),
            ("a decision that the changes found", |state, _| {
                state.history[0].body.notes.decisions.clear();
            }),
            ("a decision that names", |state, _| {
                decision(state).risk.clear()
            }),
            ("a decision that names", |state, _| {
                decision(state).influenced.clear()
            }),
            ("a decision that names", |state, _| {
                decision(state).path = PathBuf::new()
            }),
            ("a decision that names", |state, _| {
                decision(state).pr = None;
                decision(state).files.clear();
            }),
            ("neither a change nor why", |state, _| {
                let notes = &mut state.history[0].body.notes;
                notes.decisions.clear();
                notes.frameworks.clear();
            }),
            ("asked about gpt-2", |state, _| {
                let notes = &mut state.history[0].body.notes;
                notes.decisions.clear();
                notes.frameworks.clear();
                notes.model = Some("gpt-2".to_owned());
                notes.findings = vec![Finding::Unreadable {
                    path: PathBuf::from("/k"),
                    reason: "denied".to_owned(),
                }];
            }),
        ],
    );
    stays_open(
        history,
        &[
            |state, _| {
                let notes = &mut state.history[0].body.notes;
                notes.decisions.clear();
                notes.frameworks.clear();
                notes.findings = vec![Finding::NoRoot { looked: Vec::new() }];
            },
            |state, _| {
                let notes = &mut state.history[0].body.notes;
                notes.decisions.clear();
                notes.frameworks.clear();
                notes.findings = vec![Finding::NoMatch {
                    roots: vec![PathBuf::from("/k")],
                    asked: "Qwen/Qwen3-8B".to_owned(),
                    nearest: Vec::new(),
                }];
            },
        ],
    );
}

fn vllm(state: &mut State) -> &mut FrameworkOutcome {
    &mut state.benchmarks[0].body.frameworks[1]
}

fn vllm_fails(state: &mut State) {
    vllm(state).ok_rows = 0;
    vllm(state).failures = vec!["out of memory".to_owned()];
}

fn blocker(seq: u64, cause: BlockerCause, seen: Seen) -> crate::campaign::Recorded<Blocker> {
    event(
        seq,
        Blocker {
            cause,
            detail: "it does not start".to_owned(),
            framework: Some("vllm".to_owned()),
            seen,
        },
    )
}

fn failed_job() -> Seen {
    Seen::Job {
        job_id: "bench-1".to_owned(),
        reason: "out of memory".to_owned(),
    }
}

#[test]
fn baseline_wants_every_framework_or_a_seen_reason() {
    closes(
        baseline,
        &[
            ("a baseline benchmark that is done", |state, _| {
                state.benchmarks[0].body.label = BenchmarkLabel::Smoke;
            }),
            ("a baseline benchmark that is done", |state, _| {
                state.benchmarks[0].body.state = JobState::Cancelled;
            }),
            ("vllm: no search", |state, _| {
                state.benchmarks[0].body.frameworks.pop();
            }),
            ("baseline candidate did not run first", |state, _| {
                vllm(state).candidates.reverse();
            }),
            ("over the bound of 1", |state, _| vllm(state).bound = 1),
            ("vllm: no row is ok (out of memory)", |state, _| {
                vllm_fails(state)
            }),
            ("version and help", |state, _| vllm(state).version = None),
            ("version and help", |state, _| vllm(state).help.clear()),
            ("only with `backend: pytorch`, not trt", |state, _| {
                vllm(state).engine = "tensorrt-llm".to_owned();
                vllm(state).backend = Some("trt".to_owned());
            }),
            ("rows.jsonl: its content", |state, world| {
                state.benchmarks[0].files = rest_on(world, "/c/rows.jsonl");
            }),
            ("sglang: no row is ok", |state, _| {
                state.benchmarks[0].body.frameworks[0].ok_rows = 0;
                let mut of_target = blocker(5, BlockerCause::FrameworkFails, failed_job());
                of_target.body.framework = Some("sglang".to_owned());
                state.blockers.push(of_target);
            }),
        ],
    );
    stays_open(
        baseline,
        &[
            |state, _| {
                vllm_fails(state);
                let seen = blocker(5, BlockerCause::FrameworkFails, failed_job());
                state.blockers.push(seen);
            },
            |state, _| {
                vllm_fails(state);
                let inputs = &mut state.opened.as_mut().unwrap().body.inputs;
                inputs.excluded = Some([("vllm".to_owned(), "no wheel".to_owned())].into());
            },
            // A retry adds what the first job lacked.
            |state, _| {
                vllm_fails(state);
                let again = ended("bench-2", BenchmarkLabel::Baseline, TREE);
                state.benchmarks.push(event(5, again));
            },
        ],
    );
}

#[test]
fn the_seal_keeps_the_workload() {
    let (mut state, world) = ready();
    let refuses = |state: &State, label, workload: &str, wanted: &str| {
        let gate = seal_for(state, label, workload);
        assert!(gate.missing.iter().any(|m| m.contains(wanted)), "{gate:?}");
    };
    use BenchmarkLabel::{Baseline, Revalidation, Smoke};
    assert!(seal(&state, &world).open);
    assert!(seal_for(&state, Revalidation, WORKLOAD).open);
    assert!(seal_for(&state, Smoke, "other").open);
    refuses(&state, Revalidation, "other", "workload_changed");
    refuses(&state, Baseline, "other", "workload_changed");
    refuses(&state, Baseline, WORKLOAD, "sealed");

    state.seal = None;
    assert!(
        seal_for(&state, Baseline, WORKLOAD).open,
        "a retry before the seal"
    );
    refuses(&state, Baseline, "other", "workload_changed");
    refuses(&state, Revalidation, WORKLOAD, "a seal");
    state.benchmarks_started.clear();
    assert!(seal_for(&state, Baseline, "anything").open);

    closes(
        seal,
        &[("seal.json: its content", |state, world| {
            state.seal.as_mut().unwrap().files = rest_on(world, "/c/benchmark/seal.json");
        })],
    );
}

#[test]
fn fairness_wants_a_comparison_without_differences() {
    closes(
        fairness,
        &[
            ("a gap decision on the newest rows", |state, _| {
                state.gaps.clear()
            }),
            ("a gap decision on the newest rows", |state, _| {
                let again = ended("bench-2", BenchmarkLabel::Revalidation, TREE);
                state.benchmarks.push(event(20, again));
            }),
            ("dtype is bf16 for the target and fp8", |state, _| {
                state.gaps[1].body.record.scenarios[0].fairness = vec![Unfair {
                    field: "dtype".to_owned(),
                    target: "bf16".to_owned(),
                    leader: "fp8".to_owned(),
                }];
            }),
        ],
    );
}

#[test]
fn preflight_wants_a_clean_checkout_on_a_branch() {
    let rule: Rule = |state, world| {
        let mut world = world.clone();
        // The sample's own loop is active already.
        world
            .active_loops
            .retain(|active| active.state_path != state_path());
        preflight(state, &world, Some("main"))
    };
    closes(
        rule,
        &[
            ("opened without one", |_, world| {
                world.checkout = Checkout::None
            }),
            ("it has no commit", |_, world| {
                world.checkout = Checkout::Unreadable {
                    path: PathBuf::from("/src/sglang"),
                    reason: "it has no commit".to_owned(),
                };
            }),
            ("a clean tree: a.py", |_, world| {
                head(world).dirty = vec!["a.py".to_owned()]
            }),
            ("HEAD is detached", |_, world| head(world).branch = None),
            ("a local branch `main`", |_, world| {
                head(world).branches.clear()
            }),
            ("`.humanize*` untracked", |_, world| {
                head(world).tracked_humanize = vec![".humanize/x".to_owned()];
            }),
            ("no active loop", |_, world| {
                world.active_loops.push(ActiveLoop {
                    state_path: PathBuf::from("/src/sglang/.humanize/rlcr/2/state.md"),
                    ..ActiveLoop::default()
                });
            }),
        ],
    );
}

fn is_humanize(state: &mut State) {
    state.loops[0].body.runtime = LoopRuntime::Humanize;
}

#[test]
fn started_wants_exactly_one_loop_set_up_as_it_should_be() {
    closes(
        started,
        &[
            ("rlcr_not_started: no loop", |state, _| state.loops.clear()),
            ("rlcr_not_started: no loop", |state, _| {
                let terminal = "complete".to_owned();
                let state_path = state_path();
                state.loops_ended.push(event(
                    20,
                    LoopEnded {
                        state_path,
                        terminal,
                    },
                ));
            }),
            ("is gone: the loop has ended", |_, world| {
                world.active_loops.clear()
            }),
            ("second_loop: ", |_, world| {
                world.active_loops.push(ActiveLoop::default());
            }),
            ("not the recorded", |_, world| {
                world.active_loops[0].state_path = PathBuf::from("/elsewhere/state.md");
            }),
            ("current_round", |_, world| {
                world.active_loops[0].current_round = None
            }),
            ("round-0-prompt.md", |_, world| {
                world.active_loops[0].has_prompt = false
            }),
            ("ask_codex_question", |state, world| {
                is_humanize(state);
                world.active_loops[0].ask_codex_question = Some(true);
            }),
            ("strict_success", |state, _| {
                state.loops[0].body.strict_success = true
            }),
            ("the setup ended with Some(1)", |state, _| {
                state.loops[0].body.setup = Some(CommandSeen {
                    argv: vec!["setup-rlcr-loop.sh".to_owned()],
                    exit: Some(1),
                    log: PathBuf::from("/c/log"),
                    log_sha256: String::new(),
                });
            }),
            ("plan.md: its content", |state, world| {
                state.loops[0].files = rest_on(world, "/src/sglang/.humanize/plan.md");
            }),
            ("paused", |state, _| {
                let reason = "night".to_owned();
                state.paused.push(event(20, Paused { reason }));
            }),
            ("finished", |state, _| {
                state.finished = Some(event(
                    20,
                    Finished {
                        outcome: Outcome::Abandoned,
                        answer: SotaAnswer::No,
                        reason: String::new(),
                        evidence: Vec::new(),
                        report_path: PathBuf::new(),
                    },
                ));
            }),
        ],
    );
}

#[test]
fn a_commit_without_an_open_attempt_is_unclaimed() {
    closes(
        unclaimed_change,
        &[("unclaimed_change: HEAD", |_, world| {
            head(world).tree = OTHER_TREE.to_owned();
        })],
    );
    stays_open(
        unclaimed_change,
        &[
            |state, world| {
                head(world).tree = OTHER_TREE.to_owned();
                state.attempts_opened.push(event(20, attempt("a1")));
            },
            |state, world| {
                head(world).tree = OTHER_TREE.to_owned();
                state.attempts_opened.push(event(20, attempt("a1")));
                let mut accepted = event(21, closed("a1", true, AttemptOutcome::Win));
                accepted.tree = Some(OTHER_TREE.to_owned());
                state.attempts_closed.push(accepted);
            },
        ],
    );
}

#[test]
fn the_target_must_run_from_the_checkout() {
    closes(
        running_checkout,
        &[
            ("names no source", |state, _| {
                state.benchmarks[0].body.source = TargetSource::default();
            }),
            ("did not run from the checkout", |state, _| {
                state.benchmarks[0].body.source.verified = false;
            }),
            ("HEAD moved", |state, _| {
                let source = &mut state.benchmarks[0].body.source;
                source.unchanged = false;
                source.problem = Some("HEAD moved".to_owned());
            }),
            (
                "measured tree 111111111111, the present one is 222222222222",
                |_, world| {
                    head(world).tree = OTHER_TREE.to_owned();
                },
            ),
            ("a benchmark of the target", |state, _| {
                state.benchmarks.clear()
            }),
            ("not clean", |_, world| {
                head(world).dirty = vec!["a".to_owned()]
            }),
            ("without a checkout", |_, world| {
                world.checkout = Checkout::None
            }),
        ],
    );
}

fn newest(state: &mut State) -> &mut crate::gap::ScenarioGap {
    &mut state.gaps[1].body.record.scenarios[0]
}

fn all_say(state: &mut State, gap: crate::gap::ScenarioGap) {
    for recorded in &mut state.gaps {
        recorded.body.record.scenarios = vec![gap.clone()];
    }
}

fn at_the_cap(state: &mut State) {
    let mut gap = scenario(Verdict::Behind, -1.2, 0.9);
    gap.n = 10;
    all_say(state, gap);
}

#[test]
fn one_percent_wants_a_clear_gap_or_a_row_that_explains_it() {
    let rule: Rule = |state, world| one_percent(state, world, &[]);
    closes(
        rule,
        &[
            ("behind by more than 1%", |state, _| {
                all_say(state, scenario(Verdict::Tied, -0.2, 0.3));
            }),
            ("chat undecided (-2.00%)", |state, _| {
                all_say(state, scenario(Verdict::Undecided, -2.0, 3.0));
            }),
            ("explains at least half", |state, _| at_the_cap(state)),
            ("at the present tree", |state, _| state.gaps.clear()),
            ("at the present tree", |state, _| {
                for gap in &mut state.gaps {
                    gap.body.tree_verified = false;
                }
            }),
            ("at the present tree", |_, world| {
                head(world).tree = OTHER_TREE.to_owned()
            }),
        ],
    );
    stays_open(
        rule,
        &[|state, _| {
            let mut gap = scenario(Verdict::Behind, 0.0, 0.0);
            gap.ci_pct = None;
            gap.target.as_mut().unwrap().sla_passed = false;
            all_say(state, gap);
        }],
    );
    let (mut state, world) = ready();
    at_the_cap(&mut state);
    let norm = cite(11, Table::Comparison, "norm");
    assert!(one_percent(&state, &world, std::slice::from_ref(&norm)).open);
    state.profiles[0].body.comparison[0].classes[0].gap_share_pct = 49.0;
    assert!(!one_percent(&state, &world, &[norm]).open);
}

#[test]
fn evidence_wants_reports_and_a_cause_at_the_present_tree() {
    closes(
        evidence,
        &[
            ("not clean", |_, world| {
                head(world).dirty = vec!["a".to_owned()]
            }),
            ("a gap decision of this round", |state, _| {
                state.gaps.pop();
            }),
            ("an attribution of the gap in chat", |state, _| {
                newest(state).attribution = None;
            }),
            ("report of sglang at the present tree", |state, _| {
                state.profiles.remove(0);
            }),
            ("report of sglang at the present tree", |state, _| {
                state.profiles[0].body.source = source(OTHER_TREE);
            }),
            ("report of sglang at the present tree", |state, _| {
                state.profiles[0].body.capture_job = None;
            }),
            ("report of vllm", |state, _| {
                state.profiles.pop();
            }),
            ("report of vllm", |state, _| {
                state.profiles[1].body.framework_version = Some("2.0".to_owned());
            }),
            ("report of vllm", |state, world| {
                state.profiles[1].files = rest_on(world, "/c/vllm.json.gz");
            }),
            ("report of fast", |state, _| {
                newest(state).others = vec![Other {
                    framework: "fast".to_owned(),
                    candidate_id: "base".to_owned(),
                    mean: None,
                    sla_passed: true,
                    gap_pct: Some(-2.0),
                }];
            }),
            ("layer-pipeline report", |state, _| state.pipelines.clear()),
            ("layer-pipeline report", |state, _| {
                state.pipelines[0].body.source = TargetSource::default();
            }),
            ("a root_cause of this round", |state, _| {
                state.root_causes.clear()
            }),
            ("a root_cause of this round", |state, _| {
                state.root_causes[0].tree = Some(OTHER_TREE.to_owned());
            }),
            ("a root_cause of this round", |state, _| {
                state.rounds.push(event(20, round_end(None)));
            }),
        ],
    );
    stays_open(
        evidence,
        &[
            |state, _| {
                newest(state).others = vec![Other {
                    framework: "slow".to_owned(),
                    candidate_id: "base".to_owned(),
                    mean: None,
                    sla_passed: true,
                    gap_pct: Some(-0.5),
                }];
            },
            |state, _| {
                let profile = &mut state.profiles[1].body;
                profile.capture_job = None;
                profile.supplied = Some(Supplied { event: 9 });
                let seen = blocker(9, BlockerCause::CaptureImpossible, failed_job());
                state.blockers.push(seen);
            },
        ],
    );
    let (mut state, world) = ready();
    state.profiles[1].body.capture_job = None;
    state.profiles[1].body.supplied = Some(Supplied { event: 9 });
    assert!(
        !evidence(&state, &world).open,
        "nobody saw that capture fails"
    );
}

/// Changes what an attempt names, and whether its `wired_in` exists.
type Alter = fn(&mut AttemptTarget, &mut bool);

fn kernel_rule(change: Alter) -> GateState {
    let (state, world) = ready();
    kernel_in(&state, &world, change)
}

fn kernel_in(state: &State, world: &World, change: Alter) -> GateState {
    let mut target = attempt("a1").target;
    let mut wired_in_exists = true;
    change(&mut target, &mut wired_in_exists);
    let plan = KernelPlan {
        target: &target,
        touches_kernel_source: true,
        wired_in_exists,
    };
    kernel(state, world, plan)
}

fn named(target: &mut AttemptTarget) -> &mut KernelTarget {
    target.kernel.as_mut().unwrap()
}

#[test]
fn kernel_wants_a_hot_kernel_and_what_it_agrees_with() {
    assert!(kernel_rule(|_, _| {}).open);
    let cases: [(&str, Alter); 9] = [
        ("`target.kernel`", |target, _| target.kernel = None),
        ("`name`", |target, _| named(target).name = "no".to_owned()),
        ("it has 0.50%", |target, _| {
            named(target).name = "tiny".to_owned()
        }),
        ("among the hot kernels", |target, _| {
            named(target).name = "gemm".to_owned()
        }),
        ("`shapes`", |target, _| named(target).shapes.clear()),
        ("`dtypes`", |target, _| {
            named(target).dtypes = vec![" ".to_owned()]
        }),
        ("`layouts`", |target, _| named(target).layouts.clear()),
        ("`correctness_ref`", |target, _| {
            named(target).correctness_ref.clear()
        }),
        ("`wired_in`", |_, exists| *exists = false),
    ];
    for (wanted, change) in cases {
        let gate = kernel_rule(change);
        assert!(
            gate.missing.iter().any(|m| m.contains(wanted)),
            "{wanted}: {gate:?}"
        );
    }
    let target = AttemptTarget {
        kernel: None,
        ..attempt("a1").target
    };
    let (state, world) = ready();
    let plan = KernelPlan {
        target: &target,
        touches_kernel_source: false,
        wired_in_exists: false,
    };
    assert!(kernel(&state, &world, plan).open, "no kernel is concerned");
}

#[test]
fn counter_evidence_is_a_digest_or_a_seen_blocker() {
    let ask: Alter = |target, _| named(target).counter_evidence = true;
    let (mut state, world) = ready();
    let gate = kernel_in(&state, &world, ask);
    assert!(gate.missing[0].contains("counter evidence"), "{gate:?}");
    let digest = |stop| NcuRecorded {
        baseline: PathBuf::from("/c/a.ncu-rep"),
        candidate: None,
        kernels: vec![KERNEL.to_owned()],
        verdict: None,
        duration_ratio: None,
        next_edit: Some(ProposedEdit {
            rule: "vectorise".to_owned(),
            kernel: KERNEL.to_owned(),
            stop,
            change: "wider loads".to_owned(),
        }),
        digest_path: None,
    };
    state.digests = vec![event(20, digest(true))];
    assert!(!kernel_in(&state, &world, ask).open, "a roof is no edit");
    state.digests = vec![event(20, digest(false))];
    assert!(kernel_in(&state, &world, ask).open);
    state.digests.clear();
    state.blockers = vec![blocker(21, BlockerCause::CounterPermission, failed_job())];
    assert!(kernel_in(&state, &world, ask).open);
}

fn idea(provenance: usize) -> SourceIdea {
    SourceIdea {
        claim: "vLLM fuses it".to_owned(),
        profiler_rows: Vec::new(),
        layer_rows: Vec::new(),
        digests: Vec::new(),
        cards: Vec::new(),
        provenance: vec![
            Provenance {
                repo: "/src/vllm".to_owned(),
                commit: COMMIT.to_owned(),
                path: "csrc/norm.cu".to_owned(),
                lines: [1, 20],
                licence: "Apache-2.0".to_owned(),
                sha256: None,
            };
            provenance
        ],
    }
}

#[test]
fn after_two_weak_rounds_a_new_idea_comes_first() {
    closes(
        plateau,
        &[
            ("a source_idea", |state, _| {
                state.rounds = vec![event(20, round_end(None)), event(30, round_end(Some(0.9)))];
            }),
            ("newer than event 30", |state, _| {
                state.rounds = vec![event(20, round_end(None)), event(30, round_end(None))];
                state.source_ideas = vec![event(25, idea(1))];
            }),
            ("a source_idea", |state, _| {
                state.rounds = vec![event(20, round_end(None)), event(30, round_end(None))];
                state.source_ideas = vec![event(35, idea(0))];
            }),
        ],
    );
    stays_open(
        plateau,
        &[
            |state, _| state.rounds = vec![event(20, round_end(None))],
            |state, _| {
                state.rounds = vec![event(20, round_end(None)), event(30, round_end(Some(1.0)))];
            },
            |state, _| {
                state.rounds = vec![event(20, round_end(None)), event(30, round_end(None))];
                state.source_ideas = vec![event(35, idea(1))];
            },
        ],
    );
}

#[test]
fn code_wants_a_change_to_the_targets_own_code() {
    let change = |kinds: &[FileKind]| Change {
        files: kinds
            .iter()
            .map(|kind| ChangedFile {
                path: PathBuf::from("x"),
                kind: *kind,
            })
            .collect(),
        ..Change::default()
    };
    use FileKind::{Other, Parameters, Source, Test};
    assert!(code(&change(&[Source, Test])).open);
    for (wanted, change) in [
        ("HEAD's tree is the attempt's base", change(&[])),
        ("launch parameters alone", change(&[Parameters, Other])),
        ("own sources or kernels", change(&[Other, Test])),
        (
            "test_norm: it was deleted",
            Change {
                removed_tests: vec!["t.py: test_norm".to_owned()],
                ..change(&[Source])
            },
        ),
        (
            "no skipped test",
            Change {
                skips: vec!["t.py: @pytest.mark.skip".to_owned()],
                ..change(&[Source])
            },
        ),
    ] {
        let gate = code(&change);
        assert!(
            gate.missing.iter().any(|m| m.contains(wanted)),
            "{wanted}: {gate:?}"
        );
    }
}

fn revalidated(state: &mut State, gap_pct: f64, half: f64) {
    let verdict = if gap_pct < -1.0 {
        Verdict::Behind
    } else {
        Verdict::Tied
    };
    let found = scenario(verdict, gap_pct, half);
    state.gaps[2].body = gap(BenchmarkLabel::Revalidation, OTHER_TREE, found);
}

#[test]
fn optimization_wants_tests_outputs_and_speed() {
    let rule = |claimed, change: Spoil| {
        let (mut state, mut world) = tried();
        change(&mut state, &mut world);
        let attempt = state.open_attempt().unwrap();
        optimization(&state, &world, attempt, OTHER_TREE, Some(claimed))
    };
    use AttemptOutcome::{Incorrect, Neutral, PartialWin, Regression, Win};
    let gate = rule(Win, |_, _| {});
    assert!(gate.open, "{gate:?}");
    let profiled: Spoil = |state, _| {
        revalidated(state, -3.0, 0.5);
        state
            .profiles
            .push(event(24, profile("sglang", OTHER_TREE)));
    };
    assert!(rule(PartialWin, profiled).open);
    let even: Spoil = |state, _| {
        revalidated(state, -6.0, 0.5);
        state
            .profiles
            .push(event(24, profile("sglang", OTHER_TREE)));
    };
    assert!(
        rule(Neutral, even).open,
        "tested and correct, without a claim of speed"
    );
    let cases: [(AttemptOutcome, &str, Spoil); 13] = [
        (Win, "run by the server", |state, _| state.checks.clear()),
        (Win, "run by the server", |state, _| {
            state.checks[0].tree = Some(TREE.to_owned())
        }),
        (Win, "the test `pytest`", |state, _| {
            state.checks[0].body.tests[0].passed = false
        }),
        (Win, "a test: the attempt named none", |state, _| {
            state.checks[0].body.tests.clear()
        }),
        (Win, "greedy outputs of 32", |state, _| {
            state.checks[0].body.greedy = None
        }),
        (
            Win,
            "99.5% of tokens match, the limit is 99.9%",
            |state, _| {
                let greedy = state.checks[0].body.greedy.as_mut().unwrap();
                greedy.passed = false;
                greedy.min_matched_share = 0.999;
            },
        ),
        (Win, "checks that run: no port", |state, _| {
            state.checks[0].body.failure = Some("no port".to_owned());
        }),
        (Win, "a revalidation at this tree", |state, _| {
            state.gaps.pop();
        }),
        (Win, "that measured the base tree", |state, _| {
            state.gaps.drain(..2);
        }),
        (Win, "which is `partial_win`", |state, _| {
            revalidated(state, -3.0, 0.5)
        }),
        (Win, "which is `neutral`", |state, _| {
            revalidated(state, -5.8, 0.5)
        }),
        (Regression, "which is `regression`", |state, _| {
            revalidated(state, -9.0, 0.5)
        }),
        (PartialWin, "a new capture of the target", |state, _| {
            revalidated(state, -3.0, 0.5)
        }),
    ];
    for (claimed, wanted, change) in cases {
        let gate = rule(claimed, change);
        assert!(
            gate.missing.iter().any(|m| m.contains(wanted)),
            "{wanted}: {gate:?}"
        );
    }
    assert!(!rule(Incorrect, |_, _| {}).open);
}

#[test]
fn strict_success_wants_the_sealed_workload_at_the_present_tree() {
    let rule = |outcome, change: Spoil| {
        let (mut state, mut world) = tried();
        let mut accepted = event(24, closed("a1", true, AttemptOutcome::Win));
        accepted.tree = Some(OTHER_TREE.to_owned());
        state.attempts_closed = vec![accepted];
        change(&mut state, &mut world);
        strict_success(&state, &world, Some(outcome))
    };
    assert!(rule(Outcome::Tied, |_, _| {}).open);
    let ahead: Spoil = |state, _| {
        let ahead = scenario(Verdict::Ahead, 3.0, 0.5);
        state.gaps[2].body = gap(BenchmarkLabel::Revalidation, OTHER_TREE, ahead);
    };
    assert!(rule(Outcome::Success, ahead).open);
    let cases: [(Outcome, &str, Spoil); 8] = [
        (Outcome::Success, "a scenario that is ahead", |_, _| {}),
        (Outcome::Tied, "decision stop_success", |state, _| {
            revalidated(state, -3.0, 0.5)
        }),
        (
            Outcome::Tied,
            "a gap decision on a revalidation",
            |state, _| {
                state.gaps[2].body.label = BenchmarkLabel::Baseline;
            },
        ),
        (
            Outcome::Tied,
            "a gap decision on a revalidation",
            |_, world| {
                head(world).tree = "3".repeat(40);
            },
        ),
        (Outcome::Tied, "on the newest revalidation", |state, _| {
            let again = ended("bench-3", BenchmarkLabel::Revalidation, OTHER_TREE);
            state.benchmarks.push(event(25, again));
        }),
        (Outcome::Tied, "attempt a1 closed", |state, _| {
            state.attempts_closed.clear()
        }),
        (Outcome::Tied, "a seal", |state, _| state.seal = None),
        (Outcome::Tied, "rows: its content", |state, world| {
            state.gaps[2].files = rest_on(world, "rows");
        }),
    ];
    for (outcome, wanted, change) in cases {
        let gate = rule(outcome, change);
        assert!(
            gate.missing.iter().any(|m| m.contains(wanted)),
            "{wanted}: {gate:?}"
        );
    }
}

#[test]
fn external_wants_a_command_that_the_server_ran() {
    let command = || {
        Seen::Command(CommandSeen {
            argv: vec!["nvidia-smi".to_owned()],
            exit: Some(9),
            log: PathBuf::from("/c/log"),
            log_sha256: String::new(),
        })
    };
    let (mut state, mut world) = ready();
    state.blockers = vec![
        blocker(20, BlockerCause::HardwareSupport, command()),
        blocker(21, BlockerCause::CounterPermission, command()),
        blocker(
            22,
            BlockerCause::MissingDependency,
            Seen::MissingPath {
                path: PathBuf::from("/x"),
            },
        ),
    ];
    let external = |state: &State, world: &World, cited: &[u64]| {
        external(state, world, Outcome::External, cited).open
    };
    assert!(external(&state, &world, &[20]));
    for not_enough in [&[][..], &[21], &[22], &[4], &[99]] {
        assert!(!external(&state, &world, not_enough), "{not_enough:?}");
    }
    state.blockers[0].files = rest_on(&mut world, "/c/log");
    assert!(!external(&state, &world, &[20]), "its log was changed");
}

#[test]
fn at_the_limit_every_kernel_and_cause_is_answered_for() {
    let (mut state, world) = ready();
    let open = |state: &State| external(state, &world, Outcome::AtLimit, &[]).missing;
    let left = open(&state);
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(left[0].contains("cause `decode_step` of chat (90.0% of the gap)"));
    assert!(left[1].contains(KERNEL) && left[2].contains("kernel `gemm` of decode (60.0%)"));

    state.attempts_opened = vec![event(20, attempt("a1"))];
    assert_eq!(open(&state).len(), 3, "an open attempt answers for nothing");
    let rejected = closed("a1", false, AttemptOutcome::Neutral);
    state.attempts_closed = vec![event(21, rejected)];
    assert_eq!(open(&state).len(), 2);
    let idea = |row: Citation| RejectedIdea {
        claim: "a faster GEMM".to_owned(),
        reason: "cuBLAS is the same in both".to_owned(),
        evidence: vec![row],
        edit_rule: None,
    };
    state.rejected_ideas = vec![
        event(22, idea(cite(11, Table::Kernel, "e"))),
        event(23, idea(cite(11, Table::Kernel, "gemm"))),
    ];
    assert_eq!(
        open(&state).len(),
        1,
        "a name that says nothing answers for nothing"
    );
    let cause = idea(cite(10, Table::Attribution, "decode_step"));
    state.rejected_ideas.push(event(24, cause));
    assert!(open(&state).is_empty());
}

#[test]
fn every_gate_is_listed_and_has_its_name() {
    let (state, world) = ready();
    let listed: Vec<Gate> = evaluate(&state, &world)
        .iter()
        .map(|gate| gate.gate)
        .collect();
    let missing: Vec<Gate> = Gate::ALL
        .into_iter()
        .filter(|gate| !listed.contains(gate))
        .collect();
    // Of no attempt in particular, the kernel gate has nothing to say.
    assert_eq!(missing, [Gate::Kernel]);
    for gate in Gate::ALL {
        assert_eq!(serde_json::json!(gate), gate.name());
    }
    let empty = evaluate(&State::default(), &World::default());
    assert_eq!(empty.len(), listed.len());
}
