//! Why an engine failed, by what its log says.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use super::facts::regex;

/// A known cause and the line that shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// `oom`, `port_taken`, `unknown_flag`, ... as in `failure-signatures.toml`.
    pub class: String,
    pub line: String,
    pub hint: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    class: String,
    #[serde(deserialize_with = "regex")]
    pattern: Regex,
    hint: String,
}

#[derive(Debug, Deserialize)]
struct Catalogue {
    signature: Vec<Signature>,
}

static SIGNATURES: LazyLock<Vec<Signature>> = LazyLock::new(|| {
    toml::from_str::<Catalogue>(include_str!("../../references/failure-signatures.toml"))
        .map(|catalogue| catalogue.signature)
        .unwrap_or_default()
});

/// The most telling line of a log, if any is known.
pub fn diagnose(log: &str) -> Option<Diagnosis> {
    SIGNATURES.iter().find_map(|signature| {
        let line = log.lines().find(|line| signature.pattern.is_match(line))?;
        Some(Diagnosis {
            class: signature.class.clone(),
            line: line.trim().chars().take(400).collect(),
            hint: signature.hint.clone(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::diagnose;

    #[test]
    fn real_lines_are_classified() {
        for (line, class) in [
            (
                "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
                "oom",
            ),
            (
                "ValueError: No available memory for the cache blocks.",
                "oom",
            ),
            (
                "[Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already in use",
                "port_taken",
            ),
            (
                "launch_server.py: error: unrecognized arguments: --foo",
                "unknown_flag",
            ),
            ("error: invalid argument: --foo", "unknown_flag"),
            ("error: unexpected argument '--foo' found", "unknown_flag"),
            (
                "ValueError: Model architectures ['FooForCausalLM'] are not supported for now.",
                "unsupported_model",
            ),
            (
                "0.00.015.343 E gguf_init_from_file: failed to open GGUF file '/x.gguf'",
                "model_not_found",
            ),
            (
                "RuntimeError: CUDA error: no kernel image is available for execution on the device",
                "cuda_mismatch",
            ),
            (
                "ModuleNotFoundError: No module named 'sglang'",
                "missing_module",
            ),
        ] {
            let found = diagnose(&format!("start\n{line}\nend"));
            assert_eq!(
                found.as_ref().map(|d| d.class.as_str()),
                Some(class),
                "{line}"
            );
            assert_eq!(found.map(|d| d.line).as_deref(), Some(line));
        }
    }

    #[test]
    fn an_ordinary_log_has_no_diagnosis() {
        assert_eq!(
            diagnose("INFO: 127.0.0.1 - \"GET /health HTTP/1.1\" 200 OK"),
            None
        );
    }
}
