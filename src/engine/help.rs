//! The flags that a program's `--help` lists, and what of a command line it
//! does not know.
//!
//! Reads the layouts of Python's argparse and click, of clap, and of
//! llama.cpp. All of them put a flag's names near the left margin and its
//! description further right.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::nearest::nearest;

/// Names of flags stand left of this column, descriptions right of it.
const NAMES_END: usize = 9;

/// What argparse says of its own `--help`.
const ARGPARSE: &str = "show this help message and exit";

/// Every flag of a program, by its name with dashes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownFlags {
    flags: IndexMap<String, KnownFlag>,
    /// Whether the start of a name stands for the one flag that begins with it,
    /// as with argparse.
    abbreviations: bool,
}

/// What the help says of one flag.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownFlag {
    /// The heading that it stands under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The only values that it takes; empty: no such list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// An argument that the program will not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagProblem {
    Unknown {
        flag: String,
        nearest: Option<String>,
    },
    Value {
        flag: String,
        value: String,
        choices: Vec<String>,
        nearest: Option<String>,
    },
}

impl FlagProblem {
    /// The flag as it was written, with dashes.
    pub fn flag(&self) -> &str {
        match self {
            Self::Unknown { flag, .. } | Self::Value { flag, .. } => flag,
        }
    }
}

impl std::fmt::Display for FlagProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let meant = match self {
            Self::Unknown { flag, nearest } => {
                write!(f, "there is no flag `{flag}`")?;
                nearest
            }
            Self::Value {
                flag,
                value,
                choices,
                nearest,
            } => {
                write!(f, "`{flag}` does not take `{value}`")?;
                if nearest.is_none() {
                    write!(f, ", only {}", choices.join(", "))?;
                }
                nearest
            }
        };
        match meant {
            Some(meant) => write!(f, "; did you mean `{meant}`?"),
            None => Ok(()),
        }
    }
}

/// Reads the flags out of a help text; empty where it lists none.
pub fn parse_help(text: &str) -> KnownFlags {
    let mut known = KnownFlags {
        abbreviations: text.contains(ARGPARSE),
        ..KnownFlags::default()
    };
    let mut group = None;
    let mut last: Option<String> = None;
    for line in text.lines() {
        if let Some(heading) = heading(line) {
            group = Some(heading.to_owned());
            continue;
        }
        if let Some(names) = names(line) {
            last = names.first().map(|(name, _)| (*name).to_owned());
            let choices = names
                .iter()
                .find_map(|(_, value)| choices(value))
                .unwrap_or_default();
            for (name, _) in names {
                known.add(name, group.as_deref(), &choices);
            }
        } else if let (Some(flag), Some(aliases)) = (&last, aliases(line)) {
            let choices = known
                .flags
                .get(flag)
                .map(|flag| flag.choices.clone())
                .unwrap_or_default();
            for alias in aliases {
                let dashed = match alias.strip_prefix('-') {
                    Some(_) => alias.to_owned(),
                    None => format!("--{alias}"),
                };
                known.add(&dashed, group.as_deref(), &choices);
            }
        }
    }
    known
}

/// A line such as `Frontend:` at the margin.
fn heading(line: &str) -> Option<&str> {
    let heading = line.trim_end().strip_suffix(':')?;
    let plain = |c: char| c.is_alphanumeric() || " -_/()".contains(c);
    (heading.len() < 60 && heading.starts_with(char::is_alphabetic) && heading.chars().all(plain))
        .then_some(heading)
}

/// The names on a line that introduces a flag, each with the placeholder of its
/// value: `--max-len N, -m N   text`.
fn names(line: &str) -> Option<Vec<(&str, &str)>> {
    let mut rest = line.trim_start_matches(' ');
    if line.len() - rest.len() >= NAMES_END {
        return None;
    }
    let mut names = Vec::new();
    while is_flag(rest) {
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let (value, next) = value_and_next(after);
        names.push((name.trim_end_matches('.'), value));
        rest = next;
    }
    (!names.is_empty()).then_some(names)
}

fn is_flag(text: &str) -> bool {
    let name = text.trim_start_matches('-');
    let dashes = text.len() - name.len();
    (1..=2).contains(&dashes) && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Splits what follows a name into its placeholder and the next name, if any.
fn value_and_next(after: &str) -> (&str, &str) {
    let end = after.find("  ").unwrap_or(after.len());
    for separator in [", ", " / ", ",", "|"] {
        let mut from = 0;
        while let Some(at) = after[from..].find(separator).map(|at| at + from) {
            let next = after[at + separator.len()..].trim_start();
            // `-c,    --ctx-size N`: the wide gap comes right after the comma.
            if at <= end && is_flag(next) {
                return (after[..at].trim_matches([' ', '=', '[', ']']), next);
            }
            from = at + separator.len();
        }
    }
    (after[..end].trim_matches([' ', '=']), "")
}

/// `{a,b}` of argparse, `[a|b]` of click.
fn choices(value: &str) -> Option<Vec<String>> {
    let (inside, separator) = match value.strip_prefix('{') {
        Some(rest) => (rest.strip_suffix('}')?, ','),
        None => (value.strip_prefix('[')?.strip_suffix(']')?, '|'),
    };
    let list: Vec<String> = inside.split(separator).map(str::to_owned).collect();
    let plain = |choice: &String| !choice.is_empty() && !choice.contains([' ', '[', '.']);
    (list.len() > 1 && list.iter().all(plain)).then_some(list)
}

/// `[aliases: --tp, --tensor-parallel-size]`, as clap writes it.
fn aliases(line: &str) -> Option<impl Iterator<Item = &str>> {
    let (_, rest) = line.split_once("[aliases: ")?;
    let (list, _) = rest.split_once(']')?;
    Some(
        list.split(',')
            .map(str::trim)
            .filter(|alias| !alias.is_empty()),
    )
}

impl KnownFlags {
    fn add(&mut self, name: &str, group: Option<&str>, choices: &[String]) {
        let flag = self.flags.entry(name.to_owned()).or_default();
        if flag.group.is_none() {
            flag.group = group.map(str::to_owned);
        }
        if flag.choices.is_empty() {
            flag.choices = choices.to_vec();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }

    pub fn len(&self) -> usize {
        self.flags.len()
    }

    /// The flag that a word of a command line means.
    pub fn get(&self, word: &str) -> Option<&KnownFlag> {
        if let Some(flag) = self.flags.get(word) {
            return Some(flag);
        }
        // `--config.key value` sets one key of a flag that takes an object.
        if let Some((whole, _)) = word.split_once('.') {
            return self.flags.get(whole);
        }
        if !self.abbreviations || !word.starts_with("--") {
            return None;
        }
        let mut longer = self.flags.iter().filter(|(name, _)| name.starts_with(word));
        match (longer.next(), longer.next()) {
            (Some((_, flag)), None) => Some(flag),
            _ => None,
        }
    }

    /// From now on every flag is written in full.
    pub fn refuse_abbreviations(&mut self) {
        self.abbreviations = false;
    }

    /// Adds the flags of another help text of the same program.
    pub fn merge(&mut self, other: Self) {
        self.abbreviations |= other.abbreviations;
        for (name, flag) in other.flags {
            self.flags.entry(name).or_insert(flag);
        }
    }

    /// Adds flags that no help text lists.
    pub fn add_unlisted<'a>(&mut self, flags: impl IntoIterator<Item = &'a String>) {
        for flag in flags {
            self.add(flag, None, &[]);
        }
    }

    /// What the program will not take of these arguments. Values are checked
    /// where the help lists the choices.
    pub fn check(&self, arguments: &[String]) -> Vec<FlagProblem> {
        let mut problems = Vec::new();
        for (index, argument) in arguments.iter().enumerate() {
            if !argument.starts_with("--") || argument.len() < 3 {
                continue;
            }
            let (flag, inline) = match argument.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None => (argument.as_str(), None),
            };
            let value = inline.or_else(|| {
                let next = arguments.get(index + 1)?;
                (!next.starts_with("--")).then_some(next.as_str())
            });
            problems.extend(self.problem(flag, value));
        }
        problems
    }

    fn problem(&self, flag: &str, value: Option<&str>) -> Option<FlagProblem> {
        let Some(known) = self.get(flag) else {
            let names = self.flags.keys().map(String::as_str);
            return Some(FlagProblem::Unknown {
                flag: flag.to_owned(),
                nearest: nearest(flag, names.filter(|name| name.starts_with("--")))
                    .map(str::to_owned),
            });
        };
        let value = value?;
        if known.choices.is_empty() || known.choices.iter().any(|choice| choice == value) {
            return None;
        }
        Some(FlagProblem::Value {
            flag: flag.to_owned(),
            value: value.to_owned(),
            nearest: nearest(value, known.choices.iter().map(String::as_str)).map(str::to_owned),
            choices: known.choices.clone(),
        })
    }
}

#[cfg(test)]
#[path = "help_tests.rs"]
mod tests;
