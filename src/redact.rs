//! Secrets never reach disk: whatever looks like one is replaced before writing.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What a secret is replaced by.
pub const MASK: &str = "[redacted]";

/// Token shapes, authorization headers, key assignments and URL passwords.
static SECRETS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?xi)
        \b(?P<token>hf_[A-Za-z0-9]{8,}|sk-[A-Za-z0-9_-]{8,})
        |(?P<header>authorization["']?\s*[:=]\s*["']?(?:bearer\s+|basic\s+)?)[^\s"',}]+
        |(?P<name>\b[A-Z0-9_]*(?:HF_TOKEN|API_KEY|SECRET|PASSWORD)\b["']?\s*[:=]\s*["']?)[^\s"',}]+
        |(?P<flag>--?(?:api-key|api_key|hf-token|hf_token|password|token)(?:=|\s+))[^\s"']+
        |(?P<url>[a-z][a-z0-9+.-]*://[^/\s:@]+:)[^@\s/]+(?P<at>@)
        "#,
    )
    .ok()
});

/// `text` with every secret replaced by [`MASK`].
pub fn redact(text: &str) -> Cow<'_, str> {
    match SECRETS.as_ref() {
        Some(secrets) => secrets.replace_all(text, |found: &Captures<'_>| {
            let part = |name| found.name(name).map_or("", |m| m.as_str());
            format!(
                "{}{}{}{}{MASK}{}",
                part("header"),
                part("name"),
                part("flag"),
                part("url"),
                part("at")
            )
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
    let name = argument.trim_start_matches('-').replace('_', "-");
    argument.starts_with('-')
        && ["api-key", "hf-token", "token", "password", "admin-api-key"].contains(&name.as_str())
}

/// Whether an environment variable's value must not be written down.
pub fn is_secret_variable(name: &str) -> bool {
    let name = name.to_uppercase();
    ["TOKEN", "KEY", "SECRET", "PASSWORD", "AUTHORIZATION"]
        .iter()
        .any(|word| name.contains(word))
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
}
