//! Against a stand-in script with the contract of Humanize 1.16.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::*;

const STANDIN: &str = include_str!("../../tests/fixtures/rlcr/setup-rlcr-loop.sh");

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(strict: bool) -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let scripts = place.runtime().join("scripts");
        std::fs::create_dir_all(&scripts).unwrap();
        place.script(STANDIN);
        if strict {
            std::fs::write(scripts.join("STANDIN_STRICT"), "").unwrap();
        }
        let checkout = place.checkout();
        std::fs::create_dir_all(checkout.join(PLAN_FILE).parent().unwrap()).unwrap();
        std::fs::write(checkout.join(PLAN_FILE), "# Plan\n\n1\n2\n3\n4\n").unwrap();
        std::fs::write(checkout.join("engine.py"), "pass\n").unwrap();
        place.git(&["init", "-q", "-b", "main"]);
        place.git(&["add", "engine.py"]);
        place.git(&[
            "-c",
            "user.name=n",
            "-c",
            "user.email=e@x",
            "commit",
            "-qm",
            "first",
        ]);
        place
    }

    fn script(&self, text: &str) {
        let path = self.runtime().join(SCRIPT);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn git(&self, arguments: &[&str]) {
        let done = Command::new("git")
            .arg("-C")
            .arg(self.checkout())
            .args(arguments)
            .status();
        assert!(done.unwrap().success());
    }

    fn runtime(&self) -> PathBuf {
        self.dir.path().join("humanize")
    }

    fn checkout(&self) -> PathBuf {
        self.dir.path().join("sglang")
    }

    fn set_up(&self) -> Result<SetUp, RlcrError> {
        let (runtime, checkout) = (self.runtime(), self.checkout());
        set_up_with_codex(Setup {
            runtime: &runtime,
            checkout: &checkout,
            project: &checkout,
            base_branch: Some("main"),
        })
    }
}

/// Runs with a `codex` on PATH, which the stand-in asks for and nobody calls.
fn set_up_with_codex(setup: Setup<'_>) -> Result<SetUp, RlcrError> {
    if which::which("codex").is_err() {
        static BIN: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
        BIN.get_or_init(|| {
            let bin = tempfile::tempdir().unwrap();
            let codex = bin.path().join("codex");
            std::fs::write(&codex, "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(&codex, std::fs::Permissions::from_mode(0o755)).unwrap();
            let path = std::env::var_os("PATH").unwrap_or_default();
            let joined = std::env::join_paths(
                std::iter::once(bin.path().to_path_buf()).chain(std::env::split_paths(&path)),
            );
            // SAFETY: these tests alone change PATH, once, and only add to it.
            unsafe { std::env::set_var("PATH", joined.unwrap()) };
            bin
        });
    }
    set_up(setup)
}

#[test]
fn a_version_without_strict_success_is_not_given_it() {
    let place = Place::new(false);
    let up = place.set_up().unwrap();
    assert!(!up.strict_success);
    assert!(!up.argv.contains(&STRICT.to_owned()));
    assert!(
        up.argv
            .ends_with(&["--base-branch".to_owned(), "main".to_owned()])
    );
    assert!(up.prompt_path.is_file());
    let state = LoopState::read(&up.state_path).unwrap();
    assert_eq!(state.round(), Some(0));
    assert_eq!(state.get("plan_file"), Some(PLAN_FILE));
}

#[test]
fn a_version_that_offers_strict_success_is_given_it() {
    let place = Place::new(true);
    let up = place.set_up().unwrap();
    assert!(up.strict_success);
    let state = LoopState::read(&up.state_path).unwrap();
    assert_eq!(state.get("strict_success"), Some("true"));
}

#[test]
fn a_refusal_is_reported_whole() {
    let place = Place::new(false);
    std::fs::write(place.checkout().join("engine.py"), "changed\n").unwrap();
    let error = place.set_up().unwrap_err().to_string();
    assert!(error.contains("exit status 1"), "{error}");
    assert!(
        error.contains("Error: Git working tree is not clean\n M engine.py"),
        "{error}"
    );
    assert!(error.contains("--yolo"), "{error}");

    place.git(&["checkout", "-q", "engine.py"]);
    place.set_up().unwrap();
    let error = place.set_up().unwrap_err().to_string();
    assert!(error.contains("An RLCR loop is already active"), "{error}");
}

#[test]
fn the_hosts_project_must_be_the_checkout() {
    let place = Place::new(false);
    let error = set_up_with_codex(Setup {
        runtime: &place.runtime(),
        checkout: &place.checkout(),
        project: place.dir.path(),
        base_branch: None,
    });
    assert!(matches!(error, Err(RlcrError::ProjectMismatch { .. })));
    assert!(active_states(&place.checkout()).is_empty());
}

#[test]
fn what_the_setup_leaves_is_checked() {
    let place = Place::new(true);
    for (edit, problem) in [
        (
            ("current_round: 0", "current_round: 2"),
            "current_round: 2, not 0",
        ),
        (
            ("strict_success: $strict", "strict_success: false"),
            "strict_success: false, not true",
        ),
        (
            ("ask_codex_question: $ask", "ask_codex_question: true"),
            "ask_codex_question: true",
        ),
        (
            ("cp \"$dir/plan.md\" \"$dir/round-0-prompt.md\"", ":"),
            "round-0-prompt.md is missing",
        ),
        (("mkdir -p \"$dir\"", "exit 0"), "no state.md"),
    ] {
        place.script(&STANDIN.replace(edit.0, edit.1));
        let error = place.set_up().unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
        let _ = std::fs::remove_dir_all(place.checkout().join(".humanize/rlcr"));
    }
}

#[test]
fn a_setup_that_hangs_or_is_no_program_is_an_error() {
    let place = Place::new(false);
    let argv = vec![
        "sh".to_owned(),
        "-c".to_owned(),
        "sleep 60 & echo begun; sleep 60".to_owned(),
    ];
    let ended = run(argv, place.dir.path(), &[], Duration::from_millis(300)).unwrap();
    assert_eq!((ended.exit, ended.output.as_str()), (None, "begun\n"));
    let argv = vec!["/nowhere/at/all".to_owned()];
    assert!(run(argv, place.dir.path(), &[], Duration::from_secs(1)).is_err());
}
