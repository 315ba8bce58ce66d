//! Gates before the loop: history, baseline, seal, fairness, preflight, started.

use super::*;

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
                notes.findings = vec![Finding::Unreadable {
                    path: PathBuf::from("/k"),
                    reason: "denied".to_owned(),
                }];
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
            ("vllm: no row is ok (out of memory)", |state, _| {
                vllm_fails(state);
                let mut elsewhere = blocker(5, BlockerCause::FrameworkFails, failed_job());
                elsewhere.body.of_framework = false;
                state.blockers.push(elsewhere);
                let mut unsaid = blocker(6, BlockerCause::FrameworkFails, failed_job());
                unsaid.body.shown_by = None;
                state.blockers.push(unsaid);
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
            |state, _| {
                vllm(state).engine = "tensorrt-llm".to_owned();
                vllm(state).backend = Some("pytorch".to_owned());
            },
            // A command of the user's own has neither a version nor a help.
            |state, _| {
                vllm(state).custom_command = true;
                vllm(state).version = None;
                vllm(state).help.clear();
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
            ("a gap decision on the newest rows", |state, _| {
                state.benchmarks.clear()
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
fn a_loop_of_humanize_is_started_by_its_own_state() {
    stays_open(
        started,
        &[
            |state, _| is_humanize(state),
            |state, world| {
                is_humanize(state);
                state.loops[0].body.strict_success = true;
                world.active_loops[0].strict_success = Some(true);
                state.loops[0].body.setup = Some(CommandSeen {
                    argv: vec!["setup-rlcr-loop.sh".to_owned()],
                    exit: Some(0),
                    log: PathBuf::from("/c/log"),
                    log_sha256: String::new(),
                });
            },
            |state, world| {
                world.active_loops[0].current_round = Some(7);
                let reason = "night".to_owned();
                state.paused.push(event(20, Paused { reason }));
                state.resumed.push(event(21, Resumed { reason: None }));
            },
        ],
    );
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
