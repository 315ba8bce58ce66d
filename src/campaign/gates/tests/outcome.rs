//! Gates of what an attempt brought, and of the end.

use super::*;

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
    // Not decided against +1%, but shown to be no worse than −1%.
    let not_behind: Spoil = |state, _| {
        let wide = scenario(Verdict::Undecided, 0.6, 0.9);
        state.gaps[2].body = gap(BenchmarkLabel::Revalidation, OTHER_TREE, wide);
    };
    assert!(rule(Outcome::Tied, not_behind).open);
    let gate = rule(Outcome::Success, not_behind);
    assert!(
        gate.missing[0].contains("the outcome is `tied`"),
        "{gate:?}"
    );
    let cases: [(Outcome, &str, Spoil); 9] = [
        (Outcome::Tied, "decision stop_success", |state, _| {
            let mut wide = scenario(Verdict::Undecided, 0.6, 2.0);
            wide.repeats_needed = Some(6);
            state.gaps[2].body = gap(BenchmarkLabel::Revalidation, OTHER_TREE, wide);
        }),
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
    let shown_by = state.blockers[0].body.shown_by.take();
    assert!(
        !external(&state, &world, &[20]),
        "a command that fails is not yet a reason"
    );
    state.blockers[0].body.shown_by = shown_by;
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

    state.rejected_ideas.remove(1);
    let digest = |stop| NcuRecorded {
        baseline: PathBuf::from("/c/a.ncu-rep"),
        candidate: None,
        kernels: vec!["gemm".to_owned()],
        verdict: None,
        duration_ratio: None,
        next_edit: Some(ProposedEdit {
            rule: "at_the_roof".to_owned(),
            kernel: "gemm".to_owned(),
            stop,
            change: "nothing".to_owned(),
        }),
        digest_path: None,
    };
    state.digests = vec![event(25, digest(false))];
    assert_eq!(open(&state).len(), 1, "an edit that is left is no roof");
    state.digests = vec![event(25, digest(true))];
    assert!(open(&state).is_empty(), "a roofline proof answers");
}

#[test]
fn the_limit_is_judged_at_the_present_tree() {
    let closed_by = |wanted: &str, change: Spoil| {
        let (mut state, mut world) = ready();
        change(&mut state, &mut world);
        let gate = external(&state, &world, Outcome::AtLimit, &[]);
        assert!(
            gate.missing.iter().any(|m| m.contains(wanted)),
            "{wanted}: {gate:?}"
        );
    };
    closed_by("a gap decision", |state, _| state.gaps.clear());
    closed_by("three-table report of the target", |state, _| {
        state.profiles.remove(0);
    });
    closed_by("three-table report of the target", |_, world| {
        head(world).tree = OTHER_TREE.to_owned();
    });
    closed_by("not clean", |_, world| {
        head(world).dirty = vec!["a".to_owned()]
    });
}

#[test]
fn at_the_limit_only_reports_that_count_are_looked_at_and_the_newest_of_each_stage() {
    let (mut state, world) = ready();
    let kernels = |state: &State| -> Vec<String> {
        let missing = external(state, &world, Outcome::AtLimit, &[]).missing;
        missing
            .into_iter()
            .filter(|item| !item.starts_with("cause"))
            .collect()
    };
    assert_eq!(kernels(&state).len(), 2);
    // A trace that an argument names.
    let mut given = profile("sglang", TREE);
    given.capture_job = None;
    given.source = TargetSource::default();
    given.stages[0].kernels.truncate(1);
    state.profiles.push(event(30, given));
    assert_eq!(kernels(&state).len(), 2);
    // A capture of another stage.
    let mut prefill = profile("sglang", TREE);
    prefill.stages[0].stage = Stage::Prefill;
    state.profiles.push(event(31, prefill));
    let left = kernels(&state);
    assert!(
        left.len() == 2 && left.iter().all(|item| item.contains("of decode")),
        "{left:?}"
    );
    let mut cause = root_cause();
    cause.stage = Stage::Prefill;
    state.root_causes.push(event(32, cause));
    assert_eq!(kernels(&state).len(), 4);
    state.profiles.pop();
    assert!(
        kernels(&state)[0].contains("report of the target's prefill"),
        "{:?}",
        kernels(&state)
    );
    state.profiles.remove(0);
    let left = kernels(&state);
    assert!(left[0].contains("a three-table report"), "{left:?}");
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
