//! What a change is about: attention, MoE, fusion, ... The rules are data.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::error::HistoryError;
use super::terms::for_each_term;

const TABLE: &str = include_str!("../../references/history-classes.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    class: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    terms: Vec<String>,
}

/// The rules, ready to use.
pub struct Classes {
    names: Vec<String>,
    by_term: HashMap<String, u32>,
}

impl Classes {
    /// The rules that are compiled in.
    pub fn built_in() -> Result<&'static Self, HistoryError> {
        static CLASSES: LazyLock<Result<Classes, String>> = LazyLock::new(|| read(TABLE));
        CLASSES.as_ref().map_err(|reason| HistoryError::Table {
            name: "history-classes.toml",
            reason: reason.clone(),
        })
    }

    /// The classes of a change as a set of bits, by its title, paths and symbols.
    pub fn of<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> u32 {
        let mut found = 0;
        for text in texts {
            for_each_term(text, |term| {
                found |= self.by_term.get(term).copied().unwrap_or(0);
            });
        }
        found
    }

    /// The names of a set of bits.
    pub fn names(&self, bits: u32) -> Vec<String> {
        let set = |at: &usize| bits & (1 << at) != 0;
        let known = 0..self.names.len();
        known.filter(set).map(|at| self.names[at].clone()).collect()
    }

    /// The bit of a class by its name (`quantization` is understood too).
    pub fn bit(&self, name: &str) -> Result<u32, HistoryError> {
        let folded = name
            .trim()
            .to_lowercase()
            .replace("quantization", "quantisation");
        match self.names.iter().position(|known| *known == folded) {
            Some(at) => Ok(1 << at),
            None => Err(HistoryError::Argument {
                field: "class",
                value: name.to_owned(),
                expected: format!("one of {}", self.names.join(", ")),
            }),
        }
    }
}

fn read(text: &str) -> Result<Classes, String> {
    let table: Table = toml::from_str(text).map_err(|error| error.to_string())?;
    if table.class.len() > 32 {
        return Err("more than 32 classes".to_owned());
    }
    let mut by_term = HashMap::new();
    for (row, at) in table.class.iter().zip(0u32..) {
        for term in &row.terms {
            *by_term.entry(term.clone()).or_insert(0) |= 1 << at;
        }
    }
    let names = table.class.into_iter().map(|row| row.name).collect();
    Ok(Classes { names, by_term })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(title: &str, files: &[&str]) -> Vec<String> {
        let classes = Classes::built_in().unwrap();
        classes.names(classes.of(files.iter().copied().chain([title])))
    }

    #[test]
    fn titles_and_paths_decide() {
        assert_eq!(
            classes("[apply][2/2] Fused qk_norm_rope for Qwen3-MoE", &[]),
            ["attention", "moe", "fusion"]
        );
        assert_eq!(
            classes("Speed up", &["python/sglang/srt/model_loader/loader.py"]),
            ["loader"]
        );
        assert_eq!(classes("融合 KV 缓存写入", &[]), ["fusion", "cache"]);
        assert!(classes("Update the docs", &["docs/a.md"]).is_empty());
    }

    #[test]
    fn an_unknown_class_names_the_known_ones() {
        let classes = Classes::built_in().unwrap();
        assert!(classes.bit("quantization").is_ok());
        let error = classes.bit("speed").unwrap_err().to_string();
        assert!(error.contains("attention, moe, fusion"), "{error}");
    }
}
