//! The notes: what was read, and which decision each change has influenced.
//!
//! Each recording adds an entry to `history/model-pr-history-notes.json`; the
//! Markdown beside it is rendered from all entries.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::HistoryError;
use super::query::Answer;
use super::record::{Card, Decision, Finding, QueryRecord, QueryRequest};
use super::roots::Root;
use super::store::Row;
use crate::disk;

/// Files, symbols and risks named for one family.
const NAMED: usize = 20;

/// One recording; gate `history` reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Notes {
    /// UTC, `YYYY-MM-DDTHH:MM:SSZ`.
    pub time: String,
    pub model: Option<String>,
    pub query: Option<String>,
    pub family: Option<String>,
    /// What was read for the target's framework and for each competitor's.
    pub frameworks: Vec<FrameworkNotes>,
    pub decisions: Vec<DecisionNote>,
    /// What the server found to be absent or unreadable.
    pub findings: Vec<Finding>,
}

/// What was read of one framework's history.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FrameworkNotes {
    pub framework: String,
    pub family: Option<String>,
    /// Places read: `path:line-line`.
    pub paths: Vec<String>,
    pub prs: Vec<u64>,
    pub files: Vec<String>,
    pub symbols: Vec<String>,
    /// What the cards say may break.
    pub risks: Vec<String>,
}

/// A decision with the change that the server found for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionNote {
    pub framework: String,
    pub family: Option<String>,
    pub pr: Option<u64>,
    pub title: String,
    /// The place of the card or commit.
    pub path: PathBuf,
    pub line: u32,
    pub files: Vec<String>,
    pub symbols: Vec<String>,
    pub influenced: String,
    pub risk: String,
}

/// Finds the change of each decision; an unknown one is refused.
pub fn decide(
    request: &QueryRequest,
    answers: &[(&Root, Answer)],
    family: Option<&str>,
) -> Result<Vec<DecisionNote>, HistoryError> {
    let decisions = request.record.iter().flat_map(|record| &record.decisions);
    decisions
        .enumerate()
        .map(|(at, decision)| {
            let refuse = |problem: String, hint: &str| HistoryError::Decision {
                position: at + 1,
                problem,
                hint: hint.to_owned(),
            };
            if decision.influenced.trim().is_empty() || decision.risk.trim().is_empty() {
                return Err(refuse(
                    "lacks `influenced` or `risk`".to_owned(),
                    "say in a sentence which decision it influenced, and what could break",
                ));
            }
            let rows: Vec<(&Root, &Row)> = answers
                .iter()
                .flat_map(|(root, answer)| {
                    answer
                        .decisions
                        .get(at)
                        .into_iter()
                        .flatten()
                        .map(|row| (*root, row))
                })
                .collect();
            choose(decision, &rows, family, &refuse)
        })
        .collect()
}

fn choose(
    decision: &Decision,
    rows: &[(&Root, &Row)],
    family: Option<&str>,
    refuse: &dyn Fn(String, &str) -> HistoryError,
) -> Result<DecisionNote, HistoryError> {
    let named = match (decision.pr, &decision.path) {
        (Some(pr), _) => format!("#{pr}"),
        (None, Some(path)) if !path.is_empty() => path.clone(),
        _ => {
            return Err(refuse(
                "names neither `pr` nor `path`".to_owned(),
                "give the number of a pull request, or a path that a card names",
            ));
        }
    };
    let own = |(_, row): &&(&Root, &Row)| family.is_some() && row.family.as_deref() == family;
    let Some((root, row)) = rows.iter().find(own).or_else(|| rows.first()) else {
        return Err(refuse(
            format!("names {named}, which no history that was read knows"),
            "take the number or path from the cards of query_history",
        ));
    };
    let other = rows
        .iter()
        .find(|(_, other)| other.framework != row.framework);
    if let Some((_, other)) = other
        && decision.pr.is_some()
        && decision.framework.is_none()
        && other.family == row.family
    {
        return Err(refuse(
            format!(
                "names {named}, which both {} and {} have",
                row.framework, other.framework
            ),
            "add `framework` to the decision",
        ));
    }
    Ok(DecisionNote {
        framework: row.framework.clone(),
        family: row.family.clone(),
        pr: row.pr,
        title: row.title.clone(),
        path: root.path.join(&row.path),
        line: row.line,
        files: row.files.iter().take(NAMED).cloned().collect(),
        symbols: row.symbols.iter().take(NAMED).cloned().collect(),
        influenced: decision.influenced.trim().to_owned(),
        risk: decision.risk.trim().to_owned(),
    })
}

impl Notes {
    /// The notes of one query and the decisions found for it.
    pub fn of(
        request: &QueryRequest,
        record: &QueryRecord,
        decisions: Vec<DecisionNote>,
    ) -> Result<Self, HistoryError> {
        if decisions.is_empty() && !record.cards.is_empty() {
            return Err(HistoryError::Argument {
                field: "record.decisions",
                value: "[]".to_owned(),
                expected: format!(
                    "at least one decision, because {} changes were found",
                    record.cards.len()
                ),
            });
        }
        let mut frameworks: BTreeMap<String, FrameworkNotes> = BTreeMap::new();
        for card in &record.cards {
            frameworks
                .entry(card.framework.clone())
                .or_default()
                .add(card);
        }
        for decision in &decisions {
            frameworks
                .entry(decision.framework.clone())
                .or_default()
                .add_decision(decision);
        }
        let named =
            |(framework, notes): (String, FrameworkNotes)| FrameworkNotes { framework, ..notes };
        Ok(Self {
            time: utc_now(),
            model: request.model.clone(),
            query: request.query.clone(),
            family: record.family.clone(),
            frameworks: frameworks.into_iter().map(named).collect(),
            decisions,
            findings: record.findings.clone(),
        })
    }
}

impl FrameworkNotes {
    fn add(&mut self, card: &Card) {
        self.family = self.family.take().or_else(|| card.family.clone());
        push(
            &mut self.paths,
            format!("{}:{}-{}", card.path.display(), card.line, card.line_end),
        );
        if let Some(pr) = card.pr.filter(|pr| !self.prs.contains(pr)) {
            self.prs.push(pr);
        }
        card.files
            .iter()
            .for_each(|file| push(&mut self.files, file.clone()));
        card.symbols
            .iter()
            .for_each(|symbol| push(&mut self.symbols, symbol.clone()));
        card.risk
            .iter()
            .for_each(|risk| push(&mut self.risks, risk.clone()));
    }

    fn add_decision(&mut self, decision: &DecisionNote) {
        self.family = self.family.take().or_else(|| decision.family.clone());
        if let Some(pr) = decision.pr.filter(|pr| !self.prs.contains(pr)) {
            self.prs.push(pr);
            push(
                &mut self.paths,
                format!("{}:{}", decision.path.display(), decision.line),
            );
        }
        decision
            .files
            .iter()
            .for_each(|file| push(&mut self.files, file.clone()));
        decision
            .symbols
            .iter()
            .for_each(|symbol| push(&mut self.symbols, symbol.clone()));
    }
}

fn push(list: &mut Vec<String>, entry: String) {
    if list.len() < NAMED && !list.contains(&entry) {
        list.push(entry);
    }
}

/// Adds `notes` to those under `folder` and renders them; gives back the
/// Markdown's path.
pub fn write(folder: &Path, notes: &Notes) -> Result<PathBuf, HistoryError> {
    let data = folder.join("history/model-pr-history-notes.json");
    let mut all: Vec<Notes> = match disk::read(&data) {
        // What cannot be read back is replaced: the log of events has it too.
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    all.push(notes.clone());
    let json = serde_json::to_vec_pretty(&all).map_err(|error| HistoryError::Table {
        name: "model-pr-history-notes.json",
        reason: error.to_string(),
    })?;
    disk::write_atomic(&data, &json)?;
    let path = folder.join("history/model-pr-history-notes.md");
    disk::write_atomic(&path, render(&all).as_bytes())?;
    Ok(path)
}

/// The notes as Markdown, oldest first.
pub fn render(all: &[Notes]) -> String {
    let mut out = String::from("# Model PR history notes\n");
    for notes in all {
        let asked = [&notes.model, &notes.query];
        let asked: Vec<&str> = asked.into_iter().flatten().map(String::as_str).collect();
        let _ = write!(out, "\n## {}: {}\n", notes.time, line(&asked.join(", ")));
        let _ = writeln!(
            out,
            "\nFamily: {}",
            notes.family.as_deref().unwrap_or("none fits")
        );
        for framework in &notes.frameworks {
            framework.render(&mut out);
        }
        if !notes.decisions.is_empty() {
            out.push_str("\n### Decisions\n");
        }
        for decision in &notes.decisions {
            decision.render(&mut out);
        }
        if !notes.findings.is_empty() {
            out.push_str("\n### Found by the server\n\n");
        }
        for finding in &notes.findings {
            let _ = writeln!(out, "- {}", tell(finding));
        }
    }
    out
}

impl FrameworkNotes {
    fn render(&self, out: &mut String) {
        let family = self.family.as_deref().unwrap_or("no family");
        let _ = write!(out, "\n### {} ({family})\n\n", self.framework);
        let prs: Vec<String> = self.prs.iter().map(|pr| format!("#{pr}")).collect();
        list(out, "Paths read", &self.paths, true);
        list(out, "PRs", &prs, false);
        list(out, "Files", &self.files, true);
        list(out, "Symbols", &self.symbols, true);
        for risk in &self.risks {
            let _ = writeln!(out, "- Validation risk: {}", line(risk));
        }
    }
}

impl DecisionNote {
    fn render(&self, out: &mut String) {
        let number = self
            .pr
            .map_or_else(|| "a path".to_owned(), |pr| format!("#{pr}"));
        let _ = write!(
            out,
            "\n#### {} {number} - {}\n\n- Read: `{}:{}`\n",
            self.framework,
            line(&self.title),
            self.path.display(),
            self.line
        );
        list(out, "Files", &self.files, true);
        list(out, "Symbols", &self.symbols, true);
        let _ = writeln!(out, "- Influenced: {}", line(&self.influenced));
        let _ = writeln!(out, "- Risk: {}", line(&self.risk));
    }
}

fn list(out: &mut String, name: &str, entries: &[String], code: bool) {
    if !entries.is_empty() {
        let mark = if code { "`" } else { "" };
        let entries: Vec<String> = entries
            .iter()
            .map(|entry| format!("{mark}{}{mark}", line(entry)))
            .collect();
        let _ = writeln!(out, "- {name}: {}", entries.join(", "));
    }
}

/// A text as part of one line.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn tell(finding: &Finding) -> String {
    let paths = |paths: &[PathBuf]| -> String {
        let shown: Vec<String> = paths
            .iter()
            .map(|path| format!("`{}`", path.display()))
            .collect();
        shown.join(", ")
    };
    match finding {
        Finding::NoRoot { looked } => format!("no_root: nothing stands at {}", paths(looked)),
        Finding::NoMatch {
            roots,
            asked,
            nearest,
        } => {
            let nearest: Vec<&str> = nearest.iter().map(|guess| guess.family.as_str()).collect();
            let nearest = if nearest.is_empty() {
                "none".to_owned()
            } else {
                nearest.join(", ")
            };
            format!(
                "no_match: nothing about {} in {} (nearest: {nearest})",
                line(asked),
                paths(roots)
            )
        }
        Finding::Unreadable { path, reason } => {
            format!("unreadable: `{}`: {}", path.display(), line(reason))
        }
    }
}

fn utc_now() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    utc(seconds)
}

/// Seconds since 1970 as `YYYY-MM-DDTHH:MM:SSZ`; the date by Hinnant's
/// `civil_from_days`.
fn utc(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_of_year = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_of_year + 2) / 5 + 1;
    let month = if month_of_year < 10 {
        month_of_year + 3
    } else {
        month_of_year - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn times_are_utc() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(utc(1_764_000_000), "2025-11-24T16:00:00Z");
    }
}
