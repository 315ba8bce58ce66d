//! Why an engine failed, by what its log says.

use regex::Regex;
use serde::Deserialize;

use crate::references::{self, Catalogue};

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
    #[serde(deserialize_with = "references::regex")]
    pattern: Regex,
    hint: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    signature: Vec<Signature>,
}

pub(super) static SIGNATURES: Catalogue<Table> = Catalogue::new(
    "failure-signatures.toml",
    include_str!("../../references/failure-signatures.toml"),
);

/// The most telling line of a log, if any is known.
pub fn diagnose(log: &str) -> Option<Diagnosis> {
    SIGNATURES.table().signature.iter().find_map(|signature| {
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
            (
                "ImportError: tokenizers>=0.22.0,<=0.23.0 is required for a normal functioning of this module, but found tokenizers==0.23.2.",
                "missing_module",
            ),
            (
                "(EngineCore pid=792) ValueError: Free memory on device cuda:0 (3.1/79.11 GiB) on startup is less than desired GPU memory utilization (0.85, 67.24 GiB).",
                "oom",
            ),
            (
                "ValueError: To serve at least one request with the models's max seq len (40960), (5.62 GiB KV cache is needed, which is larger than the available KV cache memory (1.20 GiB).",
                "oom",
            ),
            (
                "Error: No such option: --tp-size (Possible options: --tp_size)",
                "unknown_flag",
            ),
            (
                "ValueError: The checkpoint you are trying to load has model type `foo` but Transformers does not recognize this architecture.",
                "unsupported_model",
            ),
            (
                "RuntimeError: Failed to bind socket to 127.0.0.1:8000: [Errno 98] Address already in use",
                "port_taken",
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

    /// SGLang tries every model file and goes on without those that lack a package.
    #[test]
    fn an_import_that_is_ignored_is_no_failure() {
        let line = "[2026-11-24 06:18:35] Ignore import error when loading \
            sglang.srt.models.deepseek_v2: No module named 'cutlass'";
        assert_eq!(diagnose(line), None);
    }

    /// Logs of servers that served two benchmarks, and ended well.
    #[test]
    fn whole_logs_of_healthy_servers_have_no_diagnosis() {
        use std::io::Read;
        for packed in [
            &include_bytes!("../../tests/fixtures/attribution/sglang_server.log.gz")[..],
            &include_bytes!("../../tests/fixtures/attribution/vllm_server.log.gz")[..],
        ] {
            let mut log = String::new();
            flate2::read::GzDecoder::new(packed)
                .read_to_string(&mut log)
                .unwrap();
            assert!(log.lines().count() > 5);
            assert_eq!(diagnose(&log), None);
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
