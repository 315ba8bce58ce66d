//! What a query asks and what it answers.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::detail::Detail;

/// One question to the history. Give `model`, `query`, or both.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueryRequest {
    /// Model id (`Qwen/Qwen3-8B`), a model folder or its `config.json`, or a
    /// source path (`python/sglang/srt/models/qwen3.py`). It picks the family;
    /// alone it lists the family's changes, newest first.
    pub model: Option<String>,
    /// Free text, English or Chinese: title words, a kernel, function or file
    /// name, a path, `#12345`. Typing errors are forgiven.
    pub query: Option<String>,
    /// Only this framework (`sglang`, `vllm`, ...).
    pub framework: Option<String>,
    /// Only this family: a folder name under `<root>/<framework>/`.
    pub family: Option<String>,
    /// Only changes to files whose path contains this text.
    pub file: Option<String>,
    /// Only this class: attention, moe, fusion, quantisation, cache,
    /// scheduler, sampling, communication or loader.
    pub class: Option<String>,
    /// Only changes in this state: merged, open or closed.
    pub state: Option<String>,
    /// Only changes on or after this day, YYYY-MM-DD.
    pub since: Option<String>,
    /// Only changes on or before this day, YYYY-MM-DD.
    pub until: Option<String>,
    /// Cards returned, 1 to 100. Default 8.
    pub limit: Option<u32>,
    /// Knowledge folders and framework checkouts to read, absolute. They come
    /// before the known places (`SOTA_HISTORY_ROOT`, the hosts' skill folders,
    /// `model-pr-optimization-history/` beside the checkout).
    pub roots: Vec<PathBuf>,
    /// The target framework's git checkout, absolute: its commits are searched
    /// too.
    pub checkout: Option<PathBuf>,
    /// Writes the notes that gate `history` reads: the decisions that the
    /// cards found have influenced.
    pub record: Option<RecordRequest>,
    /// The folder that receives `history/model-pr-history-notes.md`, absolute:
    /// a campaign's root, or default the current folder.
    pub workspace: Option<PathBuf>,
    /// `summary` (default) shortens each card's lists; `full` gives them whole.
    pub detail: Detail,
}

/// What to write into the notes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecordRequest {
    /// One entry a change or path that has influenced a decision. Empty when
    /// the server itself found that there is nothing to read.
    pub decisions: Vec<Decision>,
}

/// A change or path, and what it has led to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Decision {
    /// Number of the pull request; it must be in the index.
    pub pr: Option<u64>,
    /// Or a path: a file that some card names, or a file under a root.
    pub path: Option<String>,
    /// Framework of the pull request, where two have the same number.
    pub framework: Option<String>,
    /// The decision that it influenced, in a sentence.
    pub influenced: String,
    /// What could break, and what would show it.
    pub risk: String,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueryRecord {
    /// Slug of the model's family, as its folder is called; null without a
    /// model, or when no family fits.
    pub family: Option<String>,
    /// How sure the family is, 0 to 1; 0 when there is none.
    pub confidence: f64,
    /// Other families that could be meant, best first.
    pub runners_up: Vec<FamilyGuess>,
    /// The family's implementation files, a framework each.
    pub family_files: Vec<FamilyFiles>,
    /// The changes found, best first.
    pub cards: Vec<Card>,
    /// How many changes match.
    pub total: usize,
    /// Whether `cards` or a card's lists were cut.
    pub truncated: bool,
    /// Facts that the server found: nothing to read, nothing fits, or not readable.
    pub findings: Vec<Finding>,
    /// What was read.
    pub roots: Vec<RootRead>,
    /// The notes, when `record` was given.
    pub notes_path: Option<PathBuf>,
    /// What was written there, when `record` was given.
    pub notes: Option<super::notes::Notes>,
    /// What did not work or deserves care.
    pub warnings: Vec<String>,
    /// The next call that makes sense.
    pub next: String,
}

/// A family and how well it fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FamilyGuess {
    /// Folder name of the family.
    pub family: String,
    /// Fit, 0 to 1.
    pub confidence: f64,
}

/// Where a framework implements a family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FamilyFiles {
    pub framework: String,
    /// Paths inside the framework's repository, most changed first.
    pub files: Vec<String>,
}

/// One change: a card of a knowledge folder, or a commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Card {
    pub framework: String,
    /// Folder name of the family; null for a commit outside every family.
    pub family: Option<String>,
    /// Number of the pull request, if it has one.
    pub pr: Option<u64>,
    pub title: String,
    /// `merged`, `open`, `closed`, or `unknown`.
    pub state: String,
    /// Day, YYYY-MM-DD, if known.
    pub date: Option<String>,
    /// Files changed.
    pub files: Vec<String>,
    /// Functions and classes changed.
    pub symbols: Vec<String>,
    /// What the change is about: attention, moe, fusion, ...
    pub classes: Vec<String>,
    /// What it may break, in the card's words.
    pub risk: Option<String>,
    /// The file to read: the card's Markdown, or the main changed file of a commit.
    pub path: PathBuf,
    /// First line there, from 1.
    pub line: u32,
    /// Last line there.
    pub line_end: u32,
    /// `knowledge` or `git`.
    pub source: String,
    /// The commit, if known.
    pub commit: Option<String>,
    /// Other families or frameworks' folders with the same change.
    pub also_in: Vec<String>,
    /// Rank weight; comparable only within one answer.
    pub score: f64,
    /// Why it ranks here.
    pub reason: String,
}

/// A fact found by the server while it looked; gate `history` reads these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// No knowledge folder and no checkout exists in any of these places.
    NoRoot { looked: Vec<PathBuf> },
    /// The roots were read, and nothing in them is about this.
    NoMatch {
        roots: Vec<PathBuf>,
        asked: String,
        nearest: Vec<FamilyGuess>,
    },
    /// This exists, but could not be read.
    Unreadable { path: PathBuf, reason: String },
}

/// A root that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RootRead {
    pub path: PathBuf,
    /// `knowledge` or `git`.
    pub source: String,
    /// Where it was named: `argument`, `SOTA_HISTORY_ROOT`, `claude_skill`,
    /// `codex_skill`, `beside_checkout` or `checkout`.
    pub found_by: String,
    /// Cards or commits in the index.
    pub cards: u64,
    /// Files or commits that were new or changed since the last call.
    pub updated: u64,
    /// The index of this root.
    pub index: Option<PathBuf>,
}
