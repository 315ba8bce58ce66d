//! `sota-loop history`: earlier changes on a model's path, for a person.

use std::path::PathBuf;

use clap::Args;

use super::output::{self, Output};
use super::patience::patiently;
use crate::detail::Detail;
use crate::fault::Fault;
use crate::history::{self, Card, Finding, QueryRecord, QueryRequest};

const EXAMPLES: &str = "\
Examples:
  sota-loop history \"fused qk norm rope\" --model Qwen/Qwen3-8B
  sota-loop history --model /models/qwen3-8b --class moe --since 2025-06-01
  sota-loop history \"#13998\" --root ~/sglang --root ~/history

Knowledge folders are found through --root, SOTA_HISTORY_ROOT, the skill folders of
Claude Code and Codex, and model-pr-optimization-history/ beside the checkout.";

/// Find what has already been changed on a model's path, and by which PR.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct HistoryArgs {
    /// Words of a title, a kernel, function or file name, a path, or #12345.
    query: Vec<String>,
    /// Model id, model folder, config.json or source path.
    #[arg(long)]
    model: Option<String>,
    /// Only this framework.
    #[arg(long)]
    framework: Option<String>,
    /// Only this family's folder.
    #[arg(long)]
    family: Option<String>,
    /// Only changes to files whose path contains this.
    #[arg(long)]
    file: Option<String>,
    /// attention, moe, fusion, quantisation, cache, scheduler, sampling,
    /// communication or loader.
    #[arg(long)]
    class: Option<String>,
    /// merged, open or closed.
    #[arg(long)]
    state: Option<String>,
    /// Not before this day, YYYY-MM-DD.
    #[arg(long)]
    since: Option<String>,
    /// Not after this day, YYYY-MM-DD.
    #[arg(long)]
    until: Option<String>,
    /// Most changes shown, 1 to 100.
    #[arg(long, short = 'n')]
    limit: Option<u32>,
    /// A knowledge folder or a framework's git checkout; may be repeated.
    #[arg(long = "root")]
    roots: Vec<PathBuf>,
    /// The target framework's git checkout.
    #[arg(long)]
    checkout: Option<PathBuf>,
}

pub fn run(args: HistoryArgs, output: &Output) -> Result<(), Fault> {
    let query = args.query.join(" ");
    let request = QueryRequest {
        model: args.model,
        query: (!query.trim().is_empty()).then_some(query),
        framework: args.framework,
        family: args.family,
        file: args.file,
        class: args.class,
        state: args.state,
        since: args.since,
        until: args.until,
        limit: args.limit,
        roots: args.roots,
        checkout: args.checkout,
        detail: if output.is_json() {
            Detail::Full
        } else {
            Detail::Summary
        },
        ..QueryRequest::default()
    };
    let record = patiently(output, "reading the history", &[], || {
        history::query(&request)
    })?;
    output.record(&record, human)
}

fn human(record: &QueryRecord) -> String {
    let mut lines = Vec::new();
    if let Some(family) = &record.family {
        let others: Vec<String> = record
            .runners_up
            .iter()
            .map(|guess| format!("{} {:.2}", guess.family, guess.confidence))
            .collect();
        let others = if others.is_empty() {
            String::new()
        } else {
            format!(" (else {})", others.join(", "))
        };
        lines.push(format!(
            "family {family}, confidence {:.2}{others}",
            record.confidence
        ));
        for files in &record.family_files {
            lines.push(format!("  {}: {}", files.framework, files.files.join(", ")));
        }
        lines.push(String::new());
    }
    for (card, place) in record.cards.iter().zip(1..) {
        lines.extend(card_lines(card, place));
    }
    let left = record.total.saturating_sub(record.cards.len());
    if left > 0 {
        lines.push(format!("{left} more match; --limit shows more"));
    }
    lines.extend(record.findings.iter().map(finding));
    lines.extend(
        record
            .warnings
            .iter()
            .map(|warning| format!("warning: {warning}")),
    );
    output::prose(lines.join("\n").trim_end())
}

fn card_lines(card: &Card, place: usize) -> Vec<String> {
    let number = card.pr.map_or_else(
        || {
            card.commit
                .as_deref()
                .map_or("-", |sha| sha.get(..12).unwrap_or(sha))
                .to_owned()
        },
        |pr| format!("#{pr}"),
    );
    let date = card.date.as_deref().unwrap_or("no date");
    let family = card.family.as_deref().unwrap_or("no family");
    let mut lines = vec![
        format!("{place}. {} {number} {}", card.framework, card.title),
        format!(
            "   {}, {date}, {family}; {}",
            card.state,
            card.classes.join(", ")
        ),
        format!("   {}:{}-{}", card.path.display(), card.line, card.line_end),
    ];
    if !card.files.is_empty() {
        lines.push(format!("   files: {}", card.files.join(", ")));
    }
    if !card.symbols.is_empty() {
        lines.push(format!("   symbols: {}", card.symbols.join(", ")));
    }
    lines.push(format!("   why: {}", card.reason));
    lines.push(String::new());
    lines
}

fn finding(finding: &Finding) -> String {
    match finding {
        Finding::NoRoot { looked } => {
            let places: Vec<String> = looked
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            format!("no history was found; looked at {}", places.join(", "))
        }
        Finding::NoMatch { asked, nearest, .. } => {
            let nearest: Vec<&str> = nearest.iter().map(|guess| guess.family.as_str()).collect();
            let nearest = if nearest.is_empty() {
                "none".to_owned()
            } else {
                nearest.join(", ")
            };
            format!("nothing fits {asked}; nearest families: {nearest}")
        }
        Finding::Unreadable { path, reason } => {
            format!("not readable: {}: {reason}", path.display())
        }
    }
}
