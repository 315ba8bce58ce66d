//! What a well-written plan must also satisfy before anything is launched.

use super::error::Origin;
use super::{DatasetKind, Framework, Plan, PlanError, executor};
use crate::redact::{is_secret_variable, redact, redact_argv};

/// Checks the meaning of a plan; `text` is only searched for line numbers.
pub(super) fn check(plan: &Plan, text: &str, origin: &Origin) -> Result<(), PlanError> {
    let checker = Checker { text, origin };
    checker.model_and_hardware(plan)?;
    checker.dataset(plan)?;
    checker.load(plan)?;
    checker.limits(plan)?;
    checker.frameworks(plan)?;
    checker.executors(plan)
}

/// Prompt tokens of one run at most: 2 GB of ids.
const MOST_PROMPT_TOKENS: u64 = 500_000_000;

struct Checker<'a> {
    text: &'a str,
    origin: &'a Origin,
}

impl Checker<'_> {
    fn refuse(&self, key: &str, problem: impl Into<String>, hint: &str) -> Result<(), PlanError> {
        Err(PlanError::Meaning {
            place: self.origin.at(self.line_of(key)),
            key: key.to_owned(),
            problem: problem.into(),
            hint: hint.to_owned(),
        })
    }

    /// The line of a dotted key, found by its segments in order.
    fn line_of(&self, key: &str) -> Option<u64> {
        let mut segments = key.split('.');
        let mut wanted = segments.next()?;
        for (index, line) in self.text.lines().enumerate() {
            let start = line.trim_start().trim_start_matches('"');
            if start.starts_with(wanted)
                && start[wanted.len()..]
                    .trim_start_matches('"')
                    .starts_with(':')
            {
                match segments.next() {
                    Some(next) => {
                        // `model: {name: x}` keeps its keys on its own line.
                        if line.contains(&format!("{next}:")) {
                            return Some(index as u64 + 1);
                        }
                        wanted = next;
                    }
                    None => return Some(index as u64 + 1),
                }
            }
        }
        None
    }

    fn executors(&self, plan: &Plan) -> Result<(), PlanError> {
        match executor::check(plan) {
            Ok(()) => Ok(()),
            Err(misfit) => self.refuse(&misfit.key, misfit.problem, &misfit.hint),
        }
    }

    fn model_and_hardware(&self, plan: &Plan) -> Result<(), PlanError> {
        if plan.model.name.trim().is_empty() {
            self.refuse("model.name", "is empty", "give the model a short name")?;
        }
        let hardware = &plan.hardware;
        if hardware.gpu_count == 0 {
            self.refuse("hardware.gpu_count", "is 0", "one rank is the least")?;
        }
        let ids = hardware.gpu_ids.len();
        if ids > 0 && hardware.gpu_count as usize > ids {
            self.refuse(
                "hardware.gpu_count",
                format!("asks for {} ranks on {ids} GPUs", hardware.gpu_count),
                "list as many gpu_ids as there are ranks",
            )?;
        }
        let mut distinct = hardware.gpu_ids.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() != ids {
            self.refuse(
                "hardware.gpu_ids",
                "names a GPU twice",
                "list each GPU once",
            )?;
        }
        Ok(())
    }

    fn dataset(&self, plan: &Plan) -> Result<(), PlanError> {
        let dataset = &plan.dataset;
        let scenarios = dataset.scenario_names.len();
        if scenarios == 0 {
            self.refuse(
                "dataset.scenario_names",
                "is empty",
                "name at least one scenario",
            )?;
        }
        let mut names = dataset.scenario_names.clone();
        names.sort_unstable();
        names.dedup();
        if names.len() != scenarios {
            self.refuse(
                "dataset.scenario_names",
                "names a scenario twice",
                "give each scenario a name of its own",
            )?;
        }
        for (key, list) in [
            ("dataset.input_len", &dataset.input_len),
            ("dataset.output_len", &dataset.output_len),
        ] {
            if list.len() != scenarios && list.len() != 1 {
                self.refuse(
                    key,
                    format!("has {} entries for {scenarios} scenarios", list.len()),
                    "give one length a scenario, or one for all",
                )?;
            }
            if list.contains(&0) {
                self.refuse(key, "has a length of 0", "lengths are at least 1 token")?;
            }
        }
        if dataset.num_prompts == 0 {
            self.refuse("dataset.num_prompts", "is 0", "send at least one request")?;
        }
        if dataset.kind == DatasetKind::Jsonl && dataset.path.is_none() {
            self.refuse(
                "dataset.path",
                "is missing for kind jsonl",
                "name the JSONL file of prompts",
            )?;
        }
        if dataset.kind == DatasetKind::Jsonl && scenarios > 1 {
            self.refuse(
                "dataset.scenario_names",
                format!("names {scenarios} scenarios for one file of prompts"),
                "name one scenario; lengths come from the file",
            )?;
        }
        self.prompts_in_memory(plan)?;
        let longest = plan
            .scenarios()
            .iter()
            .map(|scenario| u64::from(scenario.input_len) + u64::from(scenario.output_len))
            .max();
        if let (Some(limit), Some(longest)) = (plan.model.max_context, longest)
            && longest > u64::from(limit)
        {
            self.refuse(
                "model.max_context",
                format!("is {limit}, but a scenario needs {longest} tokens"),
                "raise max_context to input_len + output_len at least",
            )?;
        }
        Ok(())
    }

    /// The prompts of a run are drawn before it begins.
    fn prompts_in_memory(&self, plan: &Plan) -> Result<(), PlanError> {
        let tokens = plan
            .scenarios()
            .iter()
            .map(|scenario| u64::from(plan.dataset.num_prompts) * u64::from(scenario.input_len))
            .max()
            .unwrap_or(0);
        if plan.dataset.kind == DatasetKind::Random && tokens > MOST_PROMPT_TOKENS {
            self.refuse(
                "dataset.num_prompts",
                format!(
                    "times input_len gives {tokens} prompt tokens a run; at most {MOST_PROMPT_TOKENS} are drawn"
                ),
                "ask for fewer or shorter prompts",
            )?;
        }
        Ok(())
    }

    fn load(&self, plan: &Plan) -> Result<(), PlanError> {
        let load = &plan.benchmark;
        let endpoints = ["/v1/completions", "/v1/chat/completions", "/generate"];
        if !endpoints.contains(&load.endpoint.as_str()) {
            self.refuse(
                "benchmark.endpoint",
                format!("`{}` is not served by any engine here", load.endpoint),
                "use /v1/completions, /v1/chat/completions or /generate",
            )?;
        }
        if load.endpoint == "/v1/chat/completions" && plan.dataset.kind == DatasetKind::Random {
            self.refuse(
                "benchmark.endpoint",
                "a chat cannot carry random token ids",
                "use /v1/completions, or dataset kind jsonl with messages",
            )?;
        }
        let (rates, caps) = (load.request_rates.len(), load.max_concurrency.len());
        if rates == 0 || caps == 0 || (rates != caps && rates != 1 && caps != 1) {
            self.refuse(
                "benchmark.request_rates",
                format!("has {rates} entries beside {caps} of max_concurrency"),
                "rates and caps are aligned: the same length, or one for all",
            )?;
        }
        let points = plan.load_points();
        let twice = points
            .iter()
            .enumerate()
            .any(|(i, point)| points.get(..i).is_some_and(|before| before.contains(point)));
        if twice {
            self.refuse(
                "benchmark.request_rates",
                "has the same rate and cap twice",
                "list each load once; search.repeats measures it again",
            )?;
        }
        let bad = |rate: f64| rate.is_nan() || rate <= 0.0;
        if load.request_rates.iter().flatten().any(|rate| bad(rate.0)) {
            self.refuse(
                "benchmark.request_rates",
                "has a rate that is not positive",
                "use null for no limit",
            )?;
        }
        if load.max_concurrency.contains(&Some(0)) {
            self.refuse(
                "benchmark.max_concurrency",
                "has a cap of 0",
                "use null for no cap",
            )?;
        }
        if bad(load.burstiness.0) {
            self.refuse(
                "benchmark.burstiness",
                "is not positive",
                "1 is Poisson, `inf` is constant",
            )?;
        }
        Ok(())
    }

    fn limits(&self, plan: &Plan) -> Result<(), PlanError> {
        let sla = &plan.sla;
        if !(0.0..=1.0).contains(&sla.min_success_rate) {
            self.refuse(
                "sla.min_success_rate",
                "is outside 0 to 1",
                "0.99 allows one failure in a hundred",
            )?;
        }
        for (key, limit) in [
            ("sla.max_p50_ttft_ms", sla.max_p50_ttft_ms),
            ("sla.max_p50_tpot_ms", sla.max_p50_tpot_ms),
            ("sla.max_p99_ttft_ms", sla.max_p99_ttft_ms),
            ("sla.max_p99_tpot_ms", sla.max_p99_tpot_ms),
        ] {
            if limit.is_some_and(|limit| !limit.is_finite() || limit <= 0.0) {
                self.refuse(
                    key,
                    "is not a positive number",
                    "give milliseconds, or leave the limit out",
                )?;
            }
        }
        let search = &plan.search;
        if !(1..=3).contains(&search.tier) {
            self.refuse(
                "search.tier",
                "is not 1, 2 or 3",
                "1 baseline alone, 2 one flag at a time, 3 the whole product",
            )?;
        }
        if !(1..=10).contains(&search.repeats) {
            self.refuse("search.repeats", "is outside 1 to 10", "3 is a good start")?;
        }
        if search.max_candidates_per_framework == 0 {
            self.refuse(
                "search.max_candidates_per_framework",
                "is 0",
                "the baseline is the first candidate",
            )?;
        }
        if search
            .stop_behind_pct
            .is_some_and(|pct| !(0.0..=100.0).contains(&pct))
        {
            self.refuse(
                "search.stop_behind_pct",
                "is outside 0 to 100",
                "50 gives up on a framework at half the speed; null never does",
            )?;
        }
        self.max_load(plan)?;
        let timeouts = &plan.timeouts;
        for (key, seconds) in [
            ("timeouts.ready_s", timeouts.ready_s),
            ("timeouts.run_s", timeouts.run_s),
        ] {
            if seconds == 0 {
                self.refuse(key, "is 0", "give seconds")?;
            }
        }
        Ok(())
    }

    fn max_load(&self, plan: &Plan) -> Result<(), PlanError> {
        let Some(search) = &plan.search.max_load else {
            return Ok(());
        };
        let sla = &plan.sla;
        let limits = [
            sla.max_p50_ttft_ms,
            sla.max_p50_tpot_ms,
            sla.max_p99_ttft_ms,
            sla.max_p99_tpot_ms,
        ];
        if limits.iter().all(Option::is_none) {
            self.refuse(
                "search.max_load",
                "asks for a load within an SLA that has no latency limit",
                "set max_p99_ttft_ms or another limit in sla",
            )?;
        }
        let rising = search.low > 0.0 && search.low < search.high && search.high.is_finite();
        if !rising || !(0.0..1.0).contains(&search.attainment) || search.steps == 0 {
            self.refuse(
                "search.max_load",
                "has low, high, attainment or steps out of range",
                "0 < low < high, 0 <= attainment < 1, at least one step",
            )?;
        }
        // All good out of n: the Wilson interval starts at n / (n + z²).
        let most = f64::from(search.num_prompts) / (f64::from(search.num_prompts) + 3.8415);
        if most < search.attainment {
            self.refuse(
                "search.max_load.num_prompts",
                format!(
                    "is {}: even without a miss that proves only {:.1}%",
                    search.num_prompts,
                    most * 100.0
                ),
                "send more requests, or lower attainment",
            )?;
        }
        Ok(())
    }

    /// A plan is written to disk with its job, so it must hold no secret.
    fn secrets(&self, name: &str, framework: &Framework) -> Result<(), PlanError> {
        let hint = "set the value in the environment and name the variable in env_from";
        let refuse = |key: &str| {
            self.refuse(
                &format!("frameworks.{name}.{key}"),
                "holds what looks like a secret",
                hint,
            )
        };
        let command = framework.command.as_deref().unwrap_or_default();
        if redact_argv(command) != command {
            refuse("command")?;
        }
        for (flag, value) in &framework.base_server_flags {
            let argv = [
                format!("--{flag}"),
                value.as_str().unwrap_or("x").to_owned(),
            ];
            if value.is_string() && redact_argv(&argv) != argv {
                refuse("base_server_flags")?;
            }
        }
        for (variable, value) in &framework.env {
            if is_secret_variable(variable) || redact(value) != value.as_str() {
                refuse("env")?;
            }
        }
        Ok(())
    }

    /// A server that runs already has its command, flags and environment.
    fn running_server(&self, name: &str, framework: &Framework) -> Result<(), PlanError> {
        if framework.url.is_none() {
            return Ok(());
        }
        let given = [
            ("command", framework.command.is_some()),
            ("python", framework.python.is_some()),
            ("source", framework.source.is_some()),
            ("base_server_flags", !framework.base_server_flags.is_empty()),
            ("search_space", !framework.search_space.is_empty()),
            ("default_search_space", framework.default_search_space),
            ("env", !framework.env.is_empty()),
            ("env_from", !framework.env_from.is_empty()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((key, _)) => self.refuse(
                &format!("frameworks.{name}.{key}"),
                "cannot be set for a server that runs already",
                "leave it out, or leave `url` out to have the server launched",
            ),
            None => Ok(()),
        }
    }

    fn frameworks(&self, plan: &Plan) -> Result<(), PlanError> {
        if plan.enabled().next().is_none() {
            self.refuse(
                "frameworks",
                "has none enabled",
                "enable at least one framework",
            )?;
        }
        for (name, framework) in plan.enabled() {
            let key = |rest: &str| format!("frameworks.{name}.{rest}");
            let sane = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || name.starts_with('.') || !name.chars().all(sane) {
                self.refuse(
                    &format!("frameworks.{name}"),
                    "is no usable name",
                    "use letters, digits, `-`, `_` and `.`",
                )?;
            }
            if framework.command.as_ref().is_some_and(Vec::is_empty) {
                self.refuse(
                    &key("command"),
                    "is empty",
                    "give the program and its arguments",
                )?;
            }
            self.running_server(name, framework)?;
            for (flag, values) in &framework.search_space {
                if values.is_empty() {
                    self.refuse(
                        &key(&format!("search_space.{flag}")),
                        "has no values",
                        "list the values to try, or leave the flag out",
                    )?;
                }
            }
            self.secrets(name, framework)?;
            for variable in &framework.env_from {
                if std::env::var_os(variable).is_none() {
                    self.refuse(
                        &key("env_from"),
                        format!("names {variable}, which is not set"),
                        "set the variable where sota-loop runs, or leave it out",
                    )?;
                }
            }
        }
        Ok(())
    }
}
