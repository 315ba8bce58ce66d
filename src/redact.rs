//! Secrets never reach disk: whatever looks like one is replaced before writing.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What a secret is replaced by.
pub const MASK: &str = "[redacted]";

/// Token shapes, authorization headers, assignments, flags and URL passwords.
/// Names in lower case are few: tokenizers speak of `eos_token`, and engines
/// log `#token: 325069`.
static SECRETS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?x)
        \b(?:(?i:hf)_[A-Za-z0-9]{8,}|(?i:sk)-[A-Za-z0-9_-]{8,}
            |gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}
            |glpat-[A-Za-z0-9_-]{16,}|xox[abprs]-[A-Za-z0-9-]{10,})
        |(?P<header>(?i:\bauthorization\\?["']?\s*[:=]\s*\\?["']?
            (?:(?:bearer|basic|token|digest|apikey|negotiate)\s+)?))[^"'\\\r\n]+
        |(?P<lead>
            (?:(?i:\b[a-z0-9_-]*
                    (?:hf_token|api[_-]?key|secret|passw(?:or)?d
                      |(?:access|auth|private|secret)[_-](?:token|key)))
                |\b[A-Z0-9_]+_(?:TOKEN|KEY)
                |\b[A-Z0-9_]*(?:SECRET|PASSWORD)[A-Z0-9_]*
            )\\?["']?\s*[:=]\s*
            |--?(?i:[a-z0-9_-]*
                    (?:api[_-]key|hf[_-]token|passw(?:or)?d|secret|(?:access|auth)[_-]token)
                |token
            )(?:=|\s+)
        )(?:(?P<escaped>\\")[^"\\\r\n]+|(?P<double>")[^"\r\n]+|(?P<single>')[^'\r\n]+|[^\s"',}\\]+)
        |(?P<url>(?i:[a-z][a-z0-9+.-]*)://[^/\s:@]+:)[^@\s/]+(?P<at>@)
        "#,
    )
    .ok()
});

/// `text` with every secret replaced by [`MASK`].
pub fn redact(text: &str) -> Cow<'_, str> {
    match SECRETS.as_ref() {
        Some(secrets) => secrets.replace_all(text, |found: &Captures<'_>| {
            let parts = |names: &[&str]| -> String {
                let kept = names.iter().filter_map(|name| found.name(name));
                kept.map(|part| part.as_str()).collect()
            };
            let before = parts(&["header", "lead", "escaped", "double", "single", "url"]);
            format!("{before}{MASK}{}", parts(&["at"]))
        }),
        None => Cow::Borrowed(text),
    }
}

/// An argument vector with secrets replaced, also where a flag and its value
/// are two arguments.
pub fn redact_argv(argv: &[String]) -> Vec<String> {
    let mut secret_next = false;
    argv.iter()
        .map(|argument| {
            if std::mem::take(&mut secret_next) {
                return MASK.to_owned();
            }
            secret_next = is_secret_flag(argument);
            redact(argument).into_owned()
        })
        .collect()
}

fn is_secret_flag(argument: &str) -> bool {
    let name = argument
        .trim_start_matches('-')
        .replace('_', "-")
        .to_lowercase();
    let ends = [
        "api-key",
        "hf-token",
        "password",
        "secret",
        "access-token",
        "auth-token",
    ];
    argument.starts_with('-') && (name == "token" || ends.iter().any(|end| name.ends_with(end)))
}

/// Whether an environment variable's value must not be written down: its name
/// ends in a token or key, or speaks of a secret. `TOKENIZERS_PARALLELISM` and
/// `MAX_NEW_TOKENS` are no secrets.
pub fn is_secret_variable(name: &str) -> bool {
    let name = name.to_uppercase();
    let speaks = [
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "AUTHORIZATION",
        "CREDENTIAL",
    ];
    let last = name
        .split('_')
        .rfind(|word| !word.chars().all(|c| c.is_ascii_digit()))
        .unwrap_or_default();
    let ends = ["TOKEN", "KEY", "KEYS"];
    speaks.iter().any(|word| name.contains(word)) || ends.iter().any(|end| last.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_secret_is_replaced() {
        for (text, wanted) in [
            ("login hf_abcdefghijkl done", "login [redacted] done"),
            ("key sk-proj-0123456789ab", "key [redacted]"),
            (
                "Authorization: Bearer abc.def",
                "Authorization: Bearer [redacted]",
            ),
            ("OPENAI_API_KEY=xyz next", "OPENAI_API_KEY=[redacted] next"),
            ("HF_TOKEN: 'xyz'", "HF_TOKEN: '[redacted]'"),
            ("http://me:pw@host/x", "http://me:[redacted]@host/x"),
            ("serve --api-key xyz -v", "serve --api-key [redacted] -v"),
            (
                "serve --admin-api-key 'x y' -v",
                "serve --admin-api-key '[redacted]' -v",
            ),
            (
                "Authorization: Token abc",
                "Authorization: Token [redacted]",
            ),
            (
                "curl -H 'Authorization: abc def' http://x",
                "curl -H 'Authorization: [redacted]' http://x",
            ),
            (
                "AWS_SECRET_ACCESS_KEY=ab/c+d next",
                "AWS_SECRET_ACCESS_KEY=[redacted] next",
            ),
            ("GITHUB_TOKEN=abc", "GITHUB_TOKEN=[redacted]"),
            (
                "HUGGING_FACE_HUB_TOKEN=x",
                "HUGGING_FACE_HUB_TOKEN=[redacted]",
            ),
            (
                "cloned with ghp_0123456789abcdefABCD",
                "cloned with [redacted]",
            ),
            (
                r#"{"password": "a,b c", "n": 1}"#,
                r#"{"password": "[redacted]", "n": 1}"#,
            ),
            (
                r#"{"line": "{\"access_token\": \"a b\", \"n\": 1}"}"#,
                r#"{"line": "{\"access_token\": \"[redacted]\", \"n\": 1}"}"#,
            ),
        ] {
            assert_eq!(redact(text), wanted);
        }
    }

    #[test]
    fn plain_text_stays() {
        for text in [
            "max_total_num_tokens=370553, token usage: 0.04",
            "--tokenizer /models/qwen3-8b --token-budget 5",
            "risk-averse task-runner",
            "Decode batch, #running-req: 8, #token: 2720, token usage: 0.01",
            "Prefill batch, #new-seq: 1, #new-token: 4048, #cached-token: 12",
            "special tokens: eos_token: '</s>', pad_token='<pad>'",
            "TOKENIZERS_PARALLELISM=false SGLANG_CLIP_MAX_NEW_TOKENS_ESTIMATION=4096",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn a_secret_in_an_argument_of_its_own_is_replaced() {
        let argv = ["serve", "--api-key", "xyz", "--port", "1"].map(str::to_owned);
        assert_eq!(
            redact_argv(&argv),
            ["serve", "--api-key", MASK, "--port", "1"]
        );
    }

    #[test]
    fn names_of_secret_variables() {
        for name in [
            "HF_TOKEN",
            "OPENAI_API_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "HUGGING_FACE_HUB_TOKEN",
            "API_KEY_2",
            "db_password",
        ] {
            assert!(is_secret_variable(name), "{name}");
        }
        for name in [
            "TOKENIZERS_PARALLELISM",
            "SGLANG_CLIP_MAX_NEW_TOKENS_ESTIMATION",
            "VLLM_MAX_TOKENS_PER_EXPERT_FUSED_MOE",
            "NCCL_KEYED_LAYOUT",
        ] {
            assert!(!is_secret_variable(name), "{name}");
        }
    }
}
