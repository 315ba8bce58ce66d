//! `sota-loop report`: the page of a campaign or a benchmark.

use std::path::{Path, PathBuf};

use clap::Args;

use super::output::{self, Output};
use super::serve::project_dir;
use crate::campaign::{self, Campaign, Found};
use crate::fault::Fault;
use crate::report::{self, ReportRecord};

const EXAMPLES: &str = "\
Examples:
  sota-loop report                          the campaign of this folder
  sota-loop report 20260101_qwen3-8b_sota_humanize
  sota-loop report out                      the output folder of `sota-loop bench`
  sota-loop report out --target vllm --out /tmp/vllm.html

One HTML file that needs no network: gap, candidates, latencies, stages, layers, roofline
and attempts, each with its data as a table and as JSON. docs/report.md explains them.";

/// Write a campaign or a benchmark as one HTML page.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReportArgs {
    /// Id or folder of a campaign, or the output folder of a benchmark; default: the
    /// campaign of this folder.
    source: Option<PathBuf>,
    /// The framework whose gap is shown, outside a campaign [default: sglang, else the first].
    #[arg(long)]
    target: Option<String>,
    /// The page [default: final_report.html in that folder].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(args: ReportArgs, output: &Output) -> Result<(), Fault> {
    let out = args.out.as_deref();
    let record = match find(args.source.as_deref())? {
        Source::Campaign(campaign) => report::of_campaign(&campaign, out)?,
        Source::Rows(folder) => report::of_rows(&folder, args.target.as_deref(), out)?,
    };
    output.record(&record, human)
}

enum Source {
    Campaign(Campaign),
    Rows(PathBuf),
}

/// A folder with an event log is a campaign, any other folder or file holds
/// rows, and what is no path is a campaign's id.
fn find(source: Option<&Path>) -> Result<Source, Fault> {
    let named = match source {
        Some(path) => match path.canonicalize() {
            Ok(path) => {
                let campaign = Campaign::at(&path);
                if !campaign.log().path().is_file() {
                    return Ok(Source::Rows(path));
                }
                return Ok(Source::Campaign(campaign));
            }
            Err(_) => Some(path.display().to_string()),
        },
        None => None,
    };
    let workspace = campaign::workspace(None, project_dir().as_deref())?;
    match campaign::locate(&workspace, named.as_deref()) {
        Ok(Found::Campaign(campaign)) => Ok(Source::Campaign(campaign)),
        Ok(Found::None) => Ok(Source::Rows(workspace.join("out"))),
        Err(error) => {
            let mut fault = Fault::from(error);
            fault
                .hint
                .push_str("; or name the output folder of a benchmark");
            Err(fault)
        }
    }
}

fn human(record: &ReportRecord) -> String {
    let mut table = output::table(&["figure", "rows", "missing"]);
    output::right(&mut table, &[1]);
    for figure in &record.figures {
        table.add_row([
            figure.title.clone(),
            figure.rows.to_string(),
            figure.missing.clone().unwrap_or_default(),
        ]);
    }
    let mut text = format!("{table}\n\n");
    for warning in &record.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    text.push_str(&format!(
        "{} ({} KB)",
        record.report_path.display(),
        record.bytes.div_ceil(1000)
    ));
    text
}
