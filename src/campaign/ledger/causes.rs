//! Which fact shows which cause of a blocker, by `references/blocker-causes.toml`.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use crate::bench::engine_of;
use crate::bench::plan::{Framework, Plan};
use crate::campaign::events::BlockerCause;
use crate::campaign::state::snake;
use crate::engine::diagnose;
use crate::references;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    mistakes: Vec<String>,
    cause: Vec<Facts>,
}

/// What shows one cause.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    name: String,
    programs: Vec<String>,
    shows: Vec<String>,
    /// Whether nothing but the framework itself can show it.
    #[serde(default)]
    own_only: bool,
    accepted: String,
}

static CATALOGUE: LazyLock<Result<Catalogue, String>> = LazyLock::new(|| {
    let built_in = include_str!("../../../references/blocker-causes.toml");
    references::load("blocker-causes.toml", built_in).map_err(|error| error.to_string())
});

/// Statements that only import.
static IMPORTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let one =
        r"(?:import\s+([\w.]+)(?:\s+as\s+\w+)?|from\s+([\w.]+)\s+import\s+\w+(?:\s*,\s*\w+)*)";
    Regex::new(&format!(r"^\s*{one}(?:\s*;\s*{one})*\s*;?\s*$")).ok()
});

/// The rule of one cause.
pub struct Rule {
    facts: &'static Facts,
    mistakes: &'static [String],
    shows: Vec<Regex>,
}

/// A framework as it is started here.
#[derive(Debug, Default)]
pub struct Own {
    framework: Framework,
    /// First words of its server's command: of the plan, else the engine's programs.
    starts: Vec<Vec<String>>,
    module: Option<String>,
    model: Option<String>,
}

impl Own {
    /// As the plan has it; without one, as the engine is usually started.
    pub fn of(name: &str, plan: Option<&Plan>) -> Self {
        let planned = plan.and_then(|plan| plan.frameworks.get(name));
        let framework = planned.cloned().unwrap_or_default();
        let engine = engine_of(name, &framework).ok();
        let starts = match (&framework.command, engine) {
            (Some(command), _) => vec![fixed(command)],
            (None, Some(engine)) => engine
                .entry
                .iter()
                .map(|entry| entry.iter().take(1).cloned().collect())
                .collect(),
            (None, None) => Vec::new(),
        };
        Self {
            module: engine.and_then(|engine| engine.module.clone()),
            model: plan.map(|plan| plan.model.path().to_owned()),
            framework,
            starts,
        }
    }

    fn is_server(&self, argv: &[String]) -> bool {
        self.starts
            .iter()
            .any(|words| !words.is_empty() && argv.starts_with(words))
    }

    /// Whether an interpreter is the one that the plan names, if it names one.
    fn is_interpreter(&self, program: &str) -> bool {
        self.framework
            .interpreter()
            .is_none_or(|own| own.as_path() == Path::new(program))
    }

    /// Whether the plan names this path for it.
    pub fn names(&self, path: &Path) -> bool {
        let source = self.framework.source.as_ref();
        let command = self.framework.command.as_ref();
        self.framework.interpreter().is_some_and(|own| own == path)
            || source.is_some_and(|source| source.checkout == path)
            || command.is_some_and(|words| words.iter().any(|word| Path::new(word) == path))
            || self
                .model
                .as_deref()
                .is_some_and(|model| Path::new(model) == path)
    }
}

/// The words of a command before its first flag or open place, at least its program.
fn fixed(command: &[String]) -> Vec<String> {
    let mut words: Vec<String> = command.iter().take(1).cloned().collect();
    let further = command.iter().skip(1);
    words.extend(
        further
            .take_while(|word| !word.contains('{') && !word.starts_with("--"))
            .cloned(),
    );
    words
}

impl Rule {
    pub fn of(cause: BlockerCause) -> Result<Self, String> {
        let catalogue = CATALOGUE.as_ref().map_err(Clone::clone)?;
        let name = snake(&cause);
        let facts = catalogue
            .cause
            .iter()
            .find(|facts| facts.name == name)
            .ok_or_else(|| format!("references/blocker-causes.toml has no cause {name}"))?;
        let shows = facts.shows.iter().map(|pattern| {
            Regex::new(pattern).map_err(|error| format!("references/blocker-causes.toml: {error}"))
        });
        Ok(Self {
            shows: shows.collect::<Result<_, _>>()?,
            mistakes: &catalogue.mistakes,
            facts,
        })
    }

    /// Whether a command is the framework's own; fails where it cannot know of
    /// the cause at all.
    pub fn judge_command(&self, argv: &[String], own: &Own) -> Result<bool, String> {
        let program = argv.first().map_or("", String::as_str);
        let name = Path::new(program).file_name().unwrap_or_default();
        let name = name.to_string_lossy();
        let allows = |word: &str| self.facts.programs.iter().any(|known| known == word);
        let of_framework = if allows("{framework}") && own.is_server(argv) {
            Some(true)
        } else if is_python(&name) && allows("{python}") {
            self.judge_python(argv, own)
        } else {
            allows(&name).then_some(false)
        };
        match of_framework {
            Some(own) if own || !self.facts.own_only => Ok(own),
            _ => Err(self.refuse(&format!("`{}` cannot show", argv.join(" ")))),
        }
    }

    fn judge_python(&self, argv: &[String], own: &Own) -> Option<bool> {
        let rest: Vec<&str> = argv.iter().skip(1).map(String::as_str).collect();
        let is_own = |module: &str| {
            let top = module.split('.').next();
            top.is_some() && top == own.module.as_deref() && own.is_interpreter(&argv[0])
        };
        match rest.as_slice() {
            ["-c", code] => {
                let found = IMPORTS.as_ref()?.captures(code)?;
                let module = found.iter().skip(1).flatten().next()?;
                Some(is_own(module.as_str()))
            }
            ["-m", module, ..] if is_own(module) => Some(true),
            ["-m", module, ..] => self
                .facts
                .programs
                .iter()
                .any(|known| known == module)
                .then_some(false),
            _ => None,
        }
    }

    /// The line of an output, or the reason of a job, that shows the cause.
    pub fn shown_by<'a>(&self, lines: impl Iterator<Item = &'a str>) -> Result<String, String> {
        let mut mistake = None;
        for line in lines {
            if let Some(class) = self.mistake(line) {
                mistake = Some(format!("{class}: {line}"));
            } else if self.shows.iter().any(|pattern| pattern.is_match(line)) {
                return Ok(line.trim().chars().take(400).collect());
            }
        }
        Err(match mistake {
            Some(mistake) => self.refuse(&format!("this failure ({mistake}) does not show")),
            None => self.refuse("no line of the output shows"),
        })
    }

    /// The class of a line that tells of the caller's own mistake.
    fn mistake(&self, line: &str) -> Option<&'static str> {
        let found = diagnose(line).map(|found| found.class);
        self.mistakes
            .iter()
            .find(|class| found.as_ref() == Some(class) || line.starts_with(&format!("{class}:")))
            .map(String::as_str)
    }

    pub fn refuse(&self, what: &str) -> String {
        format!(
            "{what} {}; accepted: {}",
            self.facts.name, self.facts.accepted
        )
    }
}

fn is_python(name: &str) -> bool {
    name.strip_prefix("python")
        .is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn words(line: &[&str]) -> Vec<String> {
        line.iter().map(|word| (*word).to_owned()).collect()
    }

    fn plan() -> Plan {
        crate::bench::plan::from_value(&json!({
            "model": {"name": "m", "path": "/models/m"},
            "dataset": {"num_prompts": 8, "scenario_names": ["chat"], "input_len": [100], "output_len": [100]},
            "frameworks": {
                "sglang": {"command": ["/usr/bin/env", "server", "{model}", "--port", "{port}"]},
                "vllm": {"python": "/venv/bin/python"},
            },
        }))
        .unwrap()
    }

    #[test]
    fn every_cause_has_a_rule() {
        for cause in [
            BlockerCause::HardwareSupport,
            BlockerCause::MissingDependency,
            BlockerCause::UnsupportedBackend,
            BlockerCause::WeightsNotLoadableFairly,
            BlockerCause::CounterPermission,
            BlockerCause::CaptureImpossible,
            BlockerCause::FrameworkFails,
        ] {
            assert!(Rule::of(cause).is_ok());
        }
        assert!(IMPORTS.is_some());
    }

    #[test]
    fn only_a_program_that_can_know_is_asked() {
        use BlockerCause::{CounterPermission, FrameworkFails, HardwareSupport, MissingDependency};
        let plan = plan();
        let judge = |cause, framework: &str, line: &[&str]| {
            let own = Own::of(framework, Some(&plan));
            Rule::of(cause).unwrap().judge_command(&words(line), &own)
        };
        for (cause, framework, line, of_framework) in [
            (HardwareSupport, "vllm", &["nvidia-smi"][..], false),
            (
                MissingDependency,
                "vllm",
                &["/venv/bin/python", "-c", "import vllm"],
                true,
            ),
            (
                MissingDependency,
                "vllm",
                &["python3", "-c", "import vllm"],
                false,
            ),
            (
                MissingDependency,
                "vllm",
                &["python3", "-c", "import flash_attn; import deep_gemm"],
                false,
            ),
            (
                FrameworkFails,
                "vllm",
                &["vllm", "serve", "/models/m"],
                true,
            ),
            (
                FrameworkFails,
                "sglang",
                &["/usr/bin/env", "server", "/models/m"],
                true,
            ),
            (
                CounterPermission,
                "vllm",
                &["/usr/local/cuda/bin/ncu", "./kernel"],
                false,
            ),
        ] {
            assert_eq!(judge(cause, framework, line), Ok(of_framework), "{line:?}");
        }
        for (cause, line) in [
            (HardwareSupport, &["false"][..]),
            (
                HardwareSupport,
                &["sh", "-c", "echo no CUDA-capable device; exit 1"],
            ),
            (
                MissingDependency,
                &["python3", "-c", "raise ImportError('x')"],
            ),
            (
                MissingDependency,
                &["python3", "-c", "import os; os.abort()"],
            ),
            (MissingDependency, &["python3", "/tmp/fail.py"]),
            (FrameworkFails, &["python3", "-c", "import vllm"]),
            (CounterPermission, &["echo", "ERR_NVGPUCTRPERM"]),
        ] {
            let refused = judge(cause, "vllm", line).unwrap_err();
            assert!(refused.contains("accepted: "), "{refused}");
        }
    }

    #[test]
    fn a_line_must_say_it() {
        use BlockerCause::{
            CounterPermission, FrameworkFails, HardwareSupport, UnsupportedBackend,
        };
        let shown = |cause, text: &str| Rule::of(cause).unwrap().shown_by(text.lines());
        let denied = "==PROF== Connected\n==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU Performance Counters on the target device 0.";
        assert!(
            shown(CounterPermission, denied)
                .unwrap()
                .starts_with("==ERROR==")
        );
        assert!(
            shown(
                CounterPermission,
                "error: unknown option --ERR_NVGPUCTRPERM"
            )
            .is_err()
        );
        let unsupported = "unsupported_model: the server ended with exit 1 before it was ready: ValueError: Model architectures ['X'] are not supported for now. (exclude it)";
        assert!(shown(UnsupportedBackend, unsupported).is_ok());
        assert!(shown(HardwareSupport, unsupported).is_err());
        assert!(
            shown(HardwareSupport, "exit 1")
                .unwrap_err()
                .contains("accepted: nvidia-smi")
        );
        let own_fault =
            "unknown_flag: the server ended with exit 2: error: unrecognized arguments: --foo";
        let refused = shown(FrameworkFails, own_fault).unwrap_err();
        assert!(refused.contains("(unknown_flag: "), "{refused}");
    }

    #[test]
    fn a_path_is_the_frameworks_own_where_its_plan_names_it() {
        let plan = plan();
        let own = Own::of("vllm", Some(&plan));
        assert!(own.names(Path::new("/venv/bin/python")));
        assert!(own.names(Path::new("/models/m")));
        assert!(!own.names(Path::new("/nope")));
        assert!(!Own::of("vllm", None).names(Path::new("/nope")));
    }
}
