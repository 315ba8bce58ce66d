//! `sota-loop demo --loop`: a whole campaign on simulated engines, from 6% behind
//! to tied, with what is refused on the way.

use std::path::Path;

use serde_json::{Value, json};

use super::output::{Output, print};
use crate::demo::{InProcess, Play, Stage, Told};
use crate::fault::Fault;
use crate::gap::GapRecord;

/// Plays the campaign in `folder` and shows every call.
pub fn run(folder: &Path, output: &Output) -> Result<(), Fault> {
    let stage = Stage::set_up(folder)?;
    let quiet = output.is_json();
    let mut play = Play::new(InProcess, &stage, move |told| {
        if !quiet {
            show(&told);
        }
    });
    let runtime = super::runtime()?;
    let record = runtime.block_on(play.to_tied())?;
    let refusals = std::mem::take(&mut play.refusals);
    if quiet {
        let refused: Vec<Value> = refusals.iter().map(|fault| json!(fault)).collect();
        let whole = json!({"campaign": record, "refusals": refused});
        return output.record(&whole, |_| String::new());
    }
    print(&format!(
        "\n{} steps were refused on the way, each until its evidence was there.\nreport:   {}\ncheckout: {} (git log main..faster)\neverything is in {}",
        refusals.len(),
        record["finished"]["report_path"]
            .as_str()
            .unwrap_or_default(),
        stage.checkout.display(),
        stage.workspace.display(),
    ));
    Ok(())
}

fn show(told: &Told) {
    match told {
        Told::Chapter(title) => print(&format!("\n--- {title} ---")),
        Told::Did(what) => print(&format!("$ {what}")),
        Told::Called { tool, arguments } => print(&format!("> {tool} {}", shortened(arguments))),
        Told::Answered { tool, record } => {
            for line in answer(tool, record) {
                print(&format!("  {line}"));
            }
        }
        Told::Refused(fault) => match &fault.refusal {
            Some(refusal) => print(&format!(
                "  refused by gate `{}`: {}",
                refusal.gate,
                clipped(&refusal.missing.join("; "))
            )),
            None => print(&format!("  refused: {}", clipped(&fault.message))),
        },
        Told::Progress(_) => {}
    }
}

/// The facts of an answer that a person follows the play by.
fn answer(tool: &str, record: &Value) -> Vec<String> {
    let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
    match tool {
        "check_gap" => match serde_json::from_value::<GapRecord>(record.clone()) {
            Ok(gap) => super::gap::human(&gap).lines().map(str::to_owned).collect(),
            Err(_) => vec![text("decision")],
        },
        "run_benchmark" if record["state"] == "done" => {
            let winners = record["winners"].as_array().cloned().unwrap_or_default();
            winners
                .iter()
                .map(|winner| {
                    format!(
                        "best at {}: {} {}",
                        winner["scenario"].as_str().unwrap_or_default(),
                        winner["framework"].as_str().unwrap_or_default(),
                        winner["candidate_id"].as_str().unwrap_or_default()
                    )
                })
                .collect()
        }
        "run_benchmark" | "profile" if record["state"].is_string() && record["state"] != "done" => {
            vec![format!("{}: {}", text("job_id"), text("state"))]
        }
        "query_history" => {
            let cards = record["cards"].as_array().cloned().unwrap_or_default();
            cards
                .iter()
                .take(3)
                .map(|card| {
                    let name = match card["pr"].as_u64() {
                        Some(pr) => format!("#{pr}"),
                        None => file_name(card["path"].as_str().unwrap_or_default()),
                    };
                    format!(
                        "{} {name} {}",
                        card["framework"].as_str().unwrap_or_default(),
                        card["title"].as_str().unwrap_or_default()
                    )
                })
                .collect()
        }
        "campaign" => vec![format!(
            "phase {}, next: {}",
            text("phase"),
            clipped(&text("next"))
        )],
        _ => match record["next"].as_str() {
            Some(next) if !next.is_empty() => vec![format!("next: {}", clipped(next))],
            _ => Vec::new(),
        },
    }
}

fn file_name(path: &str) -> String {
    let name = Path::new(path).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Arguments as one line that fits a terminal.
fn shortened(arguments: &Value) -> String {
    clipped(&arguments.to_string())
}

fn clipped(text: &str) -> String {
    const MOST: usize = 160;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let start: String = text.chars().take(MOST).collect();
    format!("{start}…")
}
