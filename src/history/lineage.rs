//! The line, versions and tags of a model, a family folder, an architecture or
//! a source file. What the words mean is data.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;

use super::error::HistoryError;
use super::spelling::{
    is_date, is_size, is_suffix, normal, renamed, split_digits, uncamel, version,
};

const TABLE: &str = include_str!("../../references/model-families.toml");

/// The table as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    lines: BTreeMap<String, Vec<String>>,
    precedence: Precedence,
    kin: HashMap<String, String>,
    rename: HashMap<String, String>,
    rename_files: HashMap<String, String>,
    rename_architectures: HashMap<String, String>,
    siblings: Vec<Siblings>,
    strong_tags: HashMap<String, Vec<String>>,
    tag_groups: Vec<TagGroup>,
    weak_tags: HashMap<String, Vec<String>>,
    series: Words,
    noise: Words,
    checkouts: BTreeMap<String, Vec<String>>,
    model_folders: Words,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Precedence {
    lines: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Siblings {
    line: String,
    versions: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TagGroup {
    tags: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    words: HashSet<String>,
}

/// The table, ready to read names with.
#[derive(Debug)]
pub struct Names {
    /// First words of a line with its name, longest first.
    lines: Vec<(String, String)>,
    precedence: Vec<String>,
    pub(super) kin: HashMap<String, String>,
    rename: Vec<(String, String)>,
    rename_files: Vec<(String, String)>,
    rename_architectures: Vec<(String, String)>,
    pub(super) siblings: Vec<(String, Vec<String>)>,
    strong: HashMap<String, String>,
    weak: HashMap<String, String>,
    pub(super) groups: Vec<Vec<String>>,
    pub(super) series: HashSet<String>,
    noise: HashSet<String>,
    checkouts: BTreeMap<String, Vec<String>>,
    model_folders: HashSet<String>,
}

/// What a name says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// The series; empty for a name without a known one.
    pub line: String,
    /// Versions as their digits: `3.1` and `31` are the same.
    pub versions: BTreeSet<String>,
    /// Tags of another architecture.
    pub strong: BTreeSet<String>,
    /// Tags of another training.
    pub weak: BTreeSet<String>,
    /// Everything else that is not noise.
    pub words: BTreeSet<String>,
}

/// What kind of name is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Model,
    Folder,
    /// A class name such as `Qwen3MoeForCausalLM`.
    Architecture,
    /// The stem of a source file.
    File,
}

impl Names {
    /// The table that is compiled in.
    pub fn built_in() -> Result<&'static Self, HistoryError> {
        static NAMES: LazyLock<Result<Names, String>> = LazyLock::new(|| {
            toml::from_str(TABLE)
                .map(Names::from_table)
                .map_err(|error| error.to_string())
        });
        NAMES.as_ref().map_err(|reason| HistoryError::Table {
            name: "model-families.toml",
            reason: reason.clone(),
        })
    }

    fn from_table(table: Table) -> Self {
        let flip = |tags: HashMap<String, Vec<String>>| {
            let pairs = tags
                .into_iter()
                .flat_map(|(tag, words)| words.into_iter().map(move |word| (word, tag.clone())));
            pairs.collect()
        };
        let mut lines: Vec<(String, String)> = table
            .lines
            .into_iter()
            .flat_map(|(line, names)| names.into_iter().map(move |name| (name, line.clone())))
            .collect();
        lines.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        let longest_first = |rules: HashMap<String, String>| {
            let mut rules: Vec<(String, String)> = rules.into_iter().collect();
            rules.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
            rules
        };
        Self {
            lines,
            precedence: table.precedence.lines,
            kin: table.kin,
            rename: longest_first(table.rename),
            rename_files: longest_first(table.rename_files),
            rename_architectures: longest_first(table.rename_architectures),
            siblings: table
                .siblings
                .into_iter()
                .map(|s| (s.line, s.versions))
                .collect(),
            strong: flip(table.strong_tags),
            weak: flip(table.weak_tags),
            groups: table
                .tag_groups
                .into_iter()
                .map(|group| group.tags)
                .collect(),
            series: table.series.words,
            noise: table.noise.words,
            checkouts: table.checkouts,
            model_folders: table.model_folders.words,
        }
    }

    /// Reads a name.
    pub fn read(&self, name: &str, sort: Sort) -> Lineage {
        let (mut text, first) = match sort {
            Sort::Architecture => (normal(&uncamel(name)), Some(&self.rename_architectures)),
            Sort::File => (normal(name), Some(&self.rename_files)),
            Sort::Model | Sort::Folder => (normal(name), None),
        };
        let rules = first.into_iter().chain([&self.rename]);
        if let Some(renamed) = rules.into_iter().find_map(|rules| renamed(rules, &text)) {
            text = renamed;
        }
        let words: Vec<&str> = text.split('-').filter(|word| !word.is_empty()).collect();
        let Some((at, length, line, rest)) = self.line(&words) else {
            return self.unknown(&words, sort);
        };
        let mut lineage = Lineage {
            line: line.to_owned(),
            ..Lineage::default()
        };
        for word in words.iter().take(at) {
            self.word(&mut lineage, word, false, sort);
        }
        self.word(&mut lineage, rest, true, sort);
        for word in words.iter().skip(at + length) {
            // A folder may join several (`glm46-glm47`).
            match (sort, self.line(&[*word])) {
                (Sort::Folder, Some((_, _, same, rest))) if same == line => {
                    self.word(&mut lineage, rest, true, sort);
                }
                _ => self.word(&mut lineage, word, true, sort),
            }
        }
        lineage
    }

    /// A name without a known line: its first word stands for one, marked `?`.
    fn unknown(&self, words: &[&str], sort: Sort) -> Lineage {
        let mut lineage = Lineage::default();
        let Some((first, others)) = words.split_first() else {
            return lineage;
        };
        let (line, rest) = split_digits(first).unwrap_or((first, ""));
        if line.len() >= 2 && !self.noise.contains(line) {
            lineage.line = format!("?{line}");
        }
        for word in std::iter::once(&rest).chain(others) {
            self.word(&mut lineage, word, true, sort);
        }
        lineage
    }

    /// Where the line stands among the words: first word, number of words, name,
    /// and what is left of the last word.
    fn line<'a>(&'a self, words: &[&'a str]) -> Option<(usize, usize, &'a str, &'a str)> {
        let at_word = |at: usize| {
            self.lines.iter().find_map(|(name, line)| {
                let parts: Vec<&str> = name.split('-').collect();
                let (last, first) = parts.split_last()?;
                let here = words.get(at..at + parts.len())?;
                let (end, start) = here.split_last()?;
                let rest = end.strip_prefix(last)?;
                let fits = start == first && is_suffix(rest);
                fits.then_some((at, parts.len(), line.as_str(), rest))
            })
        };
        let found: Vec<_> = (0..words.len()).filter_map(at_word).collect();
        let first = |wanted: &dyn Fn(&str) -> bool| found.iter().find(|f| wanted(f.2)).copied();
        first(&|line| self.precedence.iter().any(|known| known == line))
            .or_else(|| first(&|_| true))
    }

    fn word(&self, lineage: &mut Lineage, word: &str, may_be_version: bool, sort: Sort) {
        if word.is_empty() || self.noise.contains(word) || is_date(word) {
            return;
        }
        if is_size(word) {
            lineage.words.insert(word.to_owned());
            return;
        }
        if let Some(tag) = self.strong.get(word) {
            lineage.strong.insert(tag.clone());
            return;
        }
        if let Some(tag) = self.weak.get(word) {
            lineage.weak.insert(tag.clone());
            return;
        }
        let Some((version, letters)) = version(word) else {
            if let Some((tag, digits)) = split_digits(word) {
                self.word(lineage, tag, false, sort);
                self.word(lineage, digits, may_be_version, sort);
            } else {
                lineage.words.insert(word.to_owned());
            }
            return;
        };
        let has_one = !lineage.versions.is_empty() && sort != Sort::Folder;
        if may_be_version && !has_one {
            lineage.versions.insert(version);
        }
        if word.starts_with(|c: char| c.is_ascii_alphabetic()) {
            lineage.words.insert(word.to_owned());
        }
        if !letters.is_empty() {
            self.word(lineage, letters, false, sort);
        }
    }

    /// The framework whose checkout stands at `root`, if it is a known one.
    pub fn framework_at(&self, root: &Path) -> Option<&str> {
        let stands = |marks: &Vec<String>| marks.iter().any(|mark| root.join(mark).exists());
        self.checkouts
            .iter()
            .find(|(_, marks)| stands(marks))
            .map(|(framework, _)| framework.as_str())
    }

    /// The family that a source file of a checkout implements, as a slug
    /// (`qwen3`, `glm45-vision`).
    pub fn family_of_file(&self, path: &str) -> Option<String> {
        let mut parts = path.rsplit('/');
        let stem = parts.next()?.split('.').next()?;
        let folder = parts.next().unwrap_or_default();
        let among_models = path
            .split('/')
            .any(|part| self.model_folders.contains(part));
        let lineage = [stem, folder]
            .into_iter()
            .map(|name| self.read(name, Sort::File))
            .find(|lineage| !lineage.line.is_empty() && !lineage.line.starts_with('?'))?;
        if !among_models && lineage.versions.is_empty() {
            return None;
        }
        let version = lineage.versions.first().cloned().unwrap_or_default();
        let tags: String = lineage.strong.iter().map(|tag| format!("-{tag}")).collect();
        Some(format!("{}{version}{tags}", lineage.line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, sort: Sort) -> (String, Vec<String>, Vec<String>) {
        let lineage = Names::built_in().unwrap().read(name, sort);
        (
            lineage.line,
            lineage.versions.into_iter().collect(),
            lineage.strong.into_iter().chain(lineage.weak).collect(),
        )
    }

    fn expect(name: &str, sort: Sort, line: &str, versions: &[&str], tags: &[&str]) {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            read(name, sort),
            (line.to_owned(), owned(versions), owned(tags)),
            "{name}"
        );
    }

    #[test]
    fn model_ids() {
        expect(
            "Qwen3-235B-A22B-Thinking-2507",
            Sort::Model,
            "qwen",
            &["3"],
            &[],
        );
        expect(
            "Qwen2.5-VL-7B-Instruct",
            Sort::Model,
            "qwen",
            &["25"],
            &["vision"],
        );
        expect("DeepSeek-R1-0528", Sort::Model, "deepseek", &["3"], &[]);
        expect(
            "DeepSeek-R1-Distill-Qwen-32B",
            Sort::Model,
            "qwen",
            &["25"],
            &[],
        );
        expect(
            "Llama-3_3-Nemotron-Super-49B-v1_5",
            Sort::Model,
            "nemotron",
            &["15"],
            &[],
        );
        expect("GLM-4.5V", Sort::Model, "glm", &["45"], &["vision"]);
        expect("gpt-oss-120b", Sort::Model, "gpt-oss", &[], &[]);
        expect("Kimi-K2.5", Sort::Model, "kimi", &["25"], &[]);
        expect(
            "Mistral-Small-3.2-24B-Instruct-2506",
            Sort::Model,
            "mistral",
            &["32"],
            &[],
        );
    }

    #[test]
    fn folders() {
        expect("glm46-glm47", Sort::Folder, "glm", &["46", "47"], &[]);
        expect("glm-46-47", Sort::Folder, "glm", &["46", "47"], &[]);
        expect(
            "qwen-vlm-omni-asr",
            Sort::Folder,
            "qwen",
            &[],
            &["audio", "omni", "vision"],
        );
        expect("deepseek-v3-r1", Sort::Folder, "deepseek", &["1", "3"], &[]);
        expect("llama33-70b", Sort::Folder, "llama", &["33"], &[]);
        expect("intern-s1", Sort::Folder, "intern", &["1"], &[]);
    }

    #[test]
    fn architectures_and_files() {
        expect(
            "Qwen3MoeForCausalLM",
            Sort::Architecture,
            "qwen",
            &["3"],
            &[],
        );
        expect(
            "DeepseekV32ForCausalLM",
            Sort::Architecture,
            "deepseek",
            &["32"],
            &[],
        );
        expect(
            "Glm4MoeForCausalLM",
            Sort::Architecture,
            "glm",
            &["45"],
            &[],
        );
        expect("GptOssForCausalLM", Sort::Architecture, "gpt-oss", &[], &[]);
        expect("deepseek_v2", Sort::File, "deepseek", &["3"], &[]);
        expect("qwen3_moe", Sort::File, "qwen", &["3"], &[]);
    }
}
