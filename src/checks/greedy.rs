//! Greedy outputs of the fixed prompts, and how far two sets of them agree.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ChecksError;
use crate::disk;
use crate::http::{self, Base, Limits};

/// The prompts, one a line.
pub const PROMPTS: &str = include_str!("../../references/greedy-prompts.txt");

/// Tokens generated for each.
const MAX_TOKENS: u32 = 64;
const ANSWER: Limits = Limits {
    time: Duration::from_secs(300),
    body: 4 << 20,
};

/// What a tree's server said to each prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    pub tree: String,
    pub max_tokens: u32,
    pub texts: Vec<String>,
}

impl Outputs {
    /// Asks one prompt after another: nothing else is in the batch.
    pub async fn of(
        base: &Base,
        endpoint: &str,
        model: &str,
        tree: &str,
    ) -> Result<Self, ChecksError> {
        let mut texts = Vec::new();
        for (index, prompt) in PROMPTS.lines().enumerate() {
            texts.push(answer(base, endpoint, model, prompt, index + 1).await?);
        }
        Ok(Self {
            tree: tree.to_owned(),
            max_tokens: MAX_TOKENS,
            texts,
        })
    }

    pub fn read(path: &Path) -> Result<Self, ChecksError> {
        serde_json::from_slice(&disk::read(path)?).map_err(|error| ChecksError::BadOutputs {
            path: path.to_path_buf(),
            problem: error.to_string(),
        })
    }

    pub fn write(&self, path: &Path) -> Result<(), ChecksError> {
        let json = serde_json::to_vec_pretty(self).unwrap_or_default();
        Ok(disk::write_atomic(path, &json)?)
    }
}

async fn answer(
    base: &Base,
    endpoint: &str,
    model: &str,
    prompt: &str,
    number: usize,
) -> Result<String, ChecksError> {
    let is_chat = endpoint.contains("chat");
    let mut body = json!({
        "model": model,
        "max_tokens": MAX_TOKENS,
        "temperature": 0,
        "stream": false,
    });
    if is_chat {
        body["messages"] = json!([{"role": "user", "content": prompt}]);
    } else {
        body["prompt"] = json!(prompt);
    }
    let path = if is_chat {
        "/v1/chat/completions"
    } else {
        "/v1/completions"
    };
    let unanswered = |source| ChecksError::Unanswered { number, source };
    let reply = http::post_json(base, path, body.to_string(), ANSWER)
        .await
        .and_then(http::Reply::success)
        .map_err(unanswered)?;
    let reply: Value = reply.json().map_err(unanswered)?;
    let choice = &reply["choices"][0];
    let text = choice["text"]
        .as_str()
        .or_else(|| choice["message"]["content"].as_str());
    text.map(str::to_owned).ok_or_else(|| ChecksError::NoText {
        number,
        answer: reply.to_string().chars().take(300).collect(),
    })
}

/// How far two sets of outputs agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    pub base_tree: String,
    pub prompts: u32,
    /// Outputs that are equal to the last character.
    pub identical: u32,
    /// Characters before the first difference, over all outputs, as a share of
    /// the longer of each pair.
    pub matched_share: f64,
}

/// Compares outputs prompt by prompt.
pub fn compare(base: &Outputs, new: &Outputs) -> Agreement {
    let mut identical = 0;
    let (mut matched, mut all) = (0, 0);
    for (old, new) in base.texts.iter().zip(&new.texts) {
        let same = old
            .chars()
            .zip(new.chars())
            .take_while(|(old, new)| old == new)
            .count();
        let longest = old.chars().count().max(new.chars().count());
        identical += u32::from(old == new);
        matched += same;
        all += longest;
    }
    let missing = base.texts.len().abs_diff(new.texts.len());
    Agreement {
        base_tree: base.tree.clone(),
        prompts: base.texts.len().min(new.texts.len()) as u32,
        identical,
        matched_share: match (missing, all) {
            (0, 0) => 1.0,
            (0, all) => matched as f64 / all as f64,
            _ => 0.0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(texts: &[&str]) -> Outputs {
        Outputs {
            tree: "t".to_owned(),
            max_tokens: 64,
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    #[test]
    fn there_are_32_prompts() {
        assert_eq!(PROMPTS.lines().count(), 32);
        assert!(PROMPTS.lines().all(|prompt| !prompt.trim().is_empty()));
    }

    #[test]
    fn agreement_counts_what_comes_before_the_first_difference() {
        let base = outputs(&["abcd", "xyz", ""]);
        let same = compare(&base, &base);
        assert_eq!((same.identical, same.matched_share), (3, 1.0));
        let other = compare(&base, &outputs(&["abXd", "xyzw", ""]));
        assert_eq!((other.identical, other.prompts), (1, 3));
        assert_eq!(other.matched_share, 5.0 / 8.0);
        assert_eq!(compare(&base, &outputs(&["abcd"])).matched_share, 0.0);
    }
}
