//! Gates of an attempt that is to be opened.

use super::*;

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
            ("a module of another folder", |state, _| {
                state.captures.push(event(20, captured(JobState::Done)));
                let source = &mut state.captures[0].body.source;
                source.verified = false;
                source.problem = Some("a module of another folder".to_owned());
            }),
        ],
    );
    stays_open(
        running_checkout,
        &[
            |state, _| {
                state.benchmarks.clear();
                state.captures.push(event(20, captured(JobState::Done)));
            },
            // A smoke run is no evidence, and spoils none.
            |state, _| {
                let mut smoke = ended("bench-2", BenchmarkLabel::Smoke, TREE);
                smoke.source = TargetSource::default();
                state.benchmarks.push(event(20, smoke));
            },
        ],
    );
}

/// A capture of the target.
fn captured(state: JobState) -> CaptureEnded {
    CaptureEnded {
        job_id: "capture-1".to_owned(),
        state,
        framework: "sglang".to_owned(),
        framework_version: None,
        scenario: None,
        stage: None,
        sealed_winner: true,
        folder: PathBuf::from("/c/profiles/0/sglang"),
        traces: Vec::new(),
        source: source(TREE),
        failure: None,
    }
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
        &[
            |state, _| {
                let mut gap = scenario(Verdict::Behind, 0.0, 0.0);
                gap.ci_pct = None;
                gap.target.as_mut().unwrap().sla_passed = false;
                all_say(state, gap);
            },
            |state, _| {
                // One pair alone, beyond ±5%.
                let mut gap = scenario(Verdict::Behind, -6.0, 0.0);
                gap.n = 1;
                gap.ci_pct = None;
                all_say(state, gap);
            },
        ],
    );
    let (mut state, world) = ready();
    at_the_cap(&mut state);
    let norm = cite(11, Table::Comparison, "norm");
    assert!(one_percent(&state, &world, std::slice::from_ref(&norm)).open);
    let mut given = state.clone();
    given.profiles[0].body.capture_job = None;
    assert!(
        !one_percent(&given, &world, std::slice::from_ref(&norm)).open,
        "a trace that an argument names explains nothing"
    );
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
            // The target's own reports, where its capture failed.
            supplied_after_a_failed_capture,
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

#[test]
fn launch_parameters_are_searched_again_and_are_no_attempt() {
    let (mut state, world) = ready();
    state.root_causes[0].body.cause = RootCauseKind::Configuration;
    let gate = evidence(&state, &world);
    assert!(
        gate.missing[0].contains("configuration, which is no attempt"),
        "{gate:?}"
    );
    assert!(gate.next.contains("target_flags"), "{gate:?}");
    assert!(!state.searched_flags());
    let again = ended("bench-2", BenchmarkLabel::Revalidation, TREE);
    state.benchmarks.push(event(20, again));
    assert!(state.searched_flags());
    let gate = evidence(&state, &world);
    assert!(!gate.open && gate.next.contains("root_cause"), "{gate:?}");
    state.root_causes.push(event(21, root_cause()));
    assert!(evidence(&state, &world).open);
    state.rounds.push(event(22, round_end(None)));
    assert!(!state.searched_flags(), "that was the round before");
}

fn supplied_after_a_failed_capture(state: &mut State, _: &mut World) {
    state.captures.push(event(9, captured(JobState::Failed)));
    let supplied = Some(Supplied { event: 9 });
    let profile = &mut state.profiles[0].body;
    (profile.capture_job, profile.supplied) = (None, supplied.clone());
    profile.source = TargetSource::default();
    let pipeline = &mut state.pipelines[0].body;
    (pipeline.source, pipeline.supplied) = (TargetSource::default(), supplied);
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
    let (mut state, mut world) = ready();
    supplied_after_a_failed_capture(&mut state, &mut world);
    assert!(kernel_in(&state, &world, |_, _| {}).open);
    let family: Alter = |target, _| named(target).name = "rmsnorm".to_owned();
    assert!(kernel_in(&state, &world, family).open, "a family will do");
    head(&mut world).dirty = vec!["a".to_owned()];
    let gate = kernel_in(&state, &world, |_, _| {});
    assert!(gate.missing[0].contains("not clean"), "{gate:?}");
}

#[test]
fn a_kernel_matters_in_the_stage_that_is_slow() {
    let (mut state, world) = ready();
    state.root_causes[0].body.stage = crate::trace::Stage::Prefill;
    let gate = kernel_in(&state, &world, |_, _| {});
    assert!(gate.missing[0].contains("it has 0.00%"), "{gate:?}");
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
