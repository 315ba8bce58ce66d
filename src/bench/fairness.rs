//! `fairness/diagnostics.md`: what every compared server ran with, what of it
//! differs, and what could not be said or made equal.

use std::fmt::Write;
use std::path::Path;

use indexmap::IndexMap;

use super::installation::Installation;
use super::model_files::model_files;
use super::plan::Plan;
use super::ranking::standings;
use super::row::{Row, RowStatus};
use super::server::engine_of;
use crate::launch::GpuId;

/// Everything that the diagnostics rest on.
#[derive(Debug)]
pub struct FairnessInputs<'a> {
    pub plan: &'a Plan,
    pub rows: &'a [Row],
    pub installations: &'a IndexMap<String, Installation>,
    pub gpus: &'a [GpuId],
    pub job_id: &'a str,
}

/// Whether a difference in a setting makes a comparison unfair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Must be the same in every column.
    Equal,
    /// Tuned to each engine: listed, not forced equal.
    ByNature,
    /// What the engine is.
    Identity,
}

/// One line of the table: a setting and its value in every column.
#[derive(Debug)]
struct Setting {
    name: String,
    rule: Rule,
    values: Vec<Option<String>>,
}

/// The whole report as Markdown.
pub fn diagnostics(inputs: &FairnessInputs<'_>) -> String {
    let columns = columns(inputs.rows);
    let settings = settings(inputs, &columns);
    let mut text = format!("# Fairness diagnostics\n\nJob `{}`.\n", inputs.job_id);
    text.push_str("\n## What was compared\n\n");
    if columns.is_empty() {
        text.push_str("No run succeeded.\n");
    } else {
        table(&mut text, &columns, &settings);
    }
    text.push_str("\n## Differences that must not be\n\n");
    differences(&mut text, &columns, &settings, Rule::Equal);
    text.push_str("\n## Differences by nature\n\n");
    differences(&mut text, &columns, &settings, Rule::ByNature);
    text.push_str("\n## What a framework does not tell or cannot do\n\n");
    untold(&mut text, inputs, &columns, &settings);
    text.push_str("\n## Frameworks that are not compared\n\n");
    excluded(&mut text, inputs);
    model(&mut text, inputs.plan);
    text
}

/// A candidate that won somewhere, with its successful rows.
struct Column<'a> {
    framework: &'a str,
    candidate: &'a str,
    rows: Vec<&'a Row>,
}

fn columns(rows: &[Row]) -> Vec<Column<'_>> {
    let mut columns: Vec<Column<'_>> = Vec::new();
    for cell in standings(rows) {
        let mut seen: Vec<String> = Vec::new();
        for standing in cell.into_iter().filter(|standing| standing.ok > 0) {
            if seen.contains(&standing.framework) {
                continue;
            }
            let its: Vec<&Row> = rows
                .iter()
                .filter(|row| {
                    row.status == RowStatus::Ok
                        && row.framework == standing.framework
                        && row.candidate_id == standing.candidate_id
                })
                .collect();
            seen.push(standing.framework);
            let Some(first) = its.first() else { continue };
            let known = columns
                .iter()
                .any(|c| c.framework == first.framework && c.candidate == first.candidate_id);
            if !known {
                columns.push(Column {
                    framework: &first.framework,
                    candidate: &first.candidate_id,
                    rows: its,
                });
            }
        }
    }
    columns.sort_by(|a, b| a.framework.cmp(b.framework));
    columns
}

fn settings(inputs: &FairnessInputs<'_>, columns: &[Column<'_>]) -> Vec<Setting> {
    use Rule::{ByNature, Equal, Identity};
    let list = |name: &str, rule, pick: &dyn Fn(&Row) -> Option<String>| Setting {
        name: name.to_owned(),
        rule,
        values: columns
            .iter()
            .map(|column| distinct(column.rows.iter().filter_map(|row| pick(row))))
            .collect(),
    };
    let told = |pick: fn(&crate::engine::Settings) -> Option<String>| {
        move |row: &Row| row.server_settings.as_ref().and_then(pick)
    };
    let number = |value: Option<f64>, digits: usize| value.map(|value| format!("{value:.digits$}"));
    let gpus = distinct(inputs.gpus.iter().map(|gpu| {
        format!(
            "{} {}",
            gpu.index,
            gpu.uuid.as_deref().unwrap_or("(no UUID)")
        )
    }));
    vec![
        list("GPUs", Equal, &|_| gpus.clone()),
        list("GPU count", Equal, &|row| {
            Some(row.hardware.gpu_count.to_string())
        }),
        list("model", Equal, &|_| {
            Some(inputs.plan.model.path().to_owned())
        }),
        list("tokenizer", Equal, &|_| {
            let model = &inputs.plan.model;
            Some(
                model
                    .tokenizer
                    .clone()
                    .unwrap_or_else(|| model.path().to_owned()),
            )
        }),
        list("precision asked for", Equal, &|_| {
            inputs.plan.model.precision.clone()
        }),
        list("quantization asked for", Equal, &|_| {
            inputs.plan.model.quantization.clone()
        }),
        list("endpoint", Equal, &|row| {
            Some(row.workload.endpoint.clone())
        }),
        list("workload of repeat 1", Equal, &|row| {
            let first = row.repeat == 1;
            let hash = row.workload.workload_sha256.as_ref().filter(|_| first)?;
            Some(format!("{} {}", row.workload.scenario, hash.get(..12)?))
        }),
        list("prompt tokens, p50", Equal, &|row| {
            number(row.workload.input_len_p50, 0)
                .map(|tokens| format!("{} {tokens}", row.workload.scenario))
        }),
        list("output tokens, p50", Equal, &|row| {
            number(row.workload.output_len_p50, 0)
                .map(|tokens| format!("{} {tokens}", row.workload.scenario))
        }),
        list("dtype", Equal, &told(|settings| settings.dtype.clone())),
        list(
            "quantization",
            Equal,
            &told(|settings| settings.quantization.clone()),
        ),
        list(
            "KV cache dtype",
            Equal,
            &told(|settings| settings.kv_cache_dtype.clone()),
        ),
        list("prefix cache", Equal, &|row| {
            let enabled = row.cache.prefix_cache_enabled?;
            Some(if enabled { "on" } else { "off" }.to_owned())
        }),
        list("prefix cache hit rate", Equal, &|row| {
            // Distinct prompts find nothing: less than a percent is none.
            row.cache.prefix_cache_hit_rate.map(|rate| {
                if rate < 0.01 {
                    "under 1%".to_owned()
                } else {
                    format!("{:.0}%", rate * 100.0)
                }
            })
        }),
        list("speculative decoding", Equal, &|row| {
            let settings = row.server_settings.as_ref()?;
            settings.speculative_algorithm.clone().or_else(|| {
                Some(
                    if row.spec_decode.is_null() {
                        "off"
                    } else {
                        "on"
                    }
                    .to_owned(),
                )
            })
        }),
        list("accept length", ByNature, &|row| {
            number(row.spec_decode["mean_accept_length"].as_f64(), 2)
        }),
        list("cache emptied before runs", ByNature, &|row| {
            row.cache.flushed.map(|flushed| flushed.to_string())
        }),
        list(
            "memory fraction",
            ByNature,
            &told(|settings| {
                settings
                    .memory_fraction
                    .map(|fraction| fraction.to_string())
            }),
        ),
        list(
            "KV cache tokens",
            ByNature,
            &told(|settings| settings.kv_cache_tokens.map(|tokens| tokens.to_string())),
        ),
        list(
            "attention backend",
            ByNature,
            &told(|settings| settings.attention_backend.clone()),
        ),
        list("wait for the scheduler, ms", ByNature, &|row| {
            number(row.phase_metrics["queue_ms"].as_f64(), 1)
                .map(|ms| format!("{} {ms}", row.workload.scenario))
        }),
        list("version", Identity, &|row| row.framework_version.clone()),
        list("packages", Identity, &|row| {
            let found = inputs.installations.get(&row.framework)?;
            distinct(
                found
                    .probe
                    .packages
                    .iter()
                    .map(|(name, version)| format!("{name} {version}")),
            )
        }),
        list("help", Identity, &|row| {
            row.artifacts
                .server_help
                .as_ref()
                .map(|path| path.display().to_string())
        }),
    ]
}

/// What the plan says or leaves out is nothing that a server should tell.
fn asked_in_plan(setting: &str) -> bool {
    setting == "GPUs" || setting.ends_with("asked for")
}

/// The different values in their order, one after another.
fn distinct(values: impl Iterator<Item = String>) -> Option<String> {
    let mut list: Vec<String> = Vec::new();
    for value in values {
        if !list.contains(&value) {
            list.push(value);
        }
    }
    // A value of every repeat would fill the page.
    const MOST: usize = 8;
    if list.len() > MOST {
        let more = list.len() - MOST;
        list.truncate(MOST);
        list.push(format!("{more} more"));
    }
    (!list.is_empty()).then(|| list.join(", "))
}

fn table(text: &mut String, columns: &[Column<'_>], settings: &[Setting]) {
    text.push_str("| |");
    for column in columns {
        let _ = write!(text, " {} `{}` |", column.framework, column.candidate);
    }
    text.push_str("\n| --- |");
    text.push_str(&" --- |".repeat(columns.len()));
    for setting in settings {
        let _ = write!(text, "\n| {} |", setting.name);
        for value in &setting.values {
            let _ = write!(
                text,
                " {} |",
                value.as_deref().unwrap_or("–").replace('|', "\\|")
            );
        }
    }
    text.push('\n');
}

fn differences(text: &mut String, columns: &[Column<'_>], settings: &[Setting], rule: Rule) {
    let mut any = false;
    for setting in settings.iter().filter(|setting| setting.rule == rule) {
        let mut told: Vec<&String> = setting.values.iter().flatten().collect();
        told.sort_unstable();
        told.dedup();
        if told.len() < 2 {
            continue;
        }
        any = true;
        let each: Vec<String> = columns
            .iter()
            .zip(&setting.values)
            .filter_map(|(column, value)| {
                Some(format!(
                    "{} `{}`: {}",
                    column.framework,
                    column.candidate,
                    value.as_ref()?
                ))
            })
            .collect();
        let _ = writeln!(text, "- {}: {}", setting.name, each.join("; "));
    }
    if !any {
        text.push_str("None.\n");
    }
}

fn untold(
    text: &mut String,
    inputs: &FairnessInputs<'_>,
    columns: &[Column<'_>],
    settings: &[Setting],
) {
    let mut any = false;
    for (index, column) in columns.iter().enumerate() {
        let missing: Vec<&str> = settings
            .iter()
            .filter(|setting| setting.rule == Rule::Equal && !asked_in_plan(&setting.name))
            .filter(|setting| setting.values.get(index).is_some_and(Option::is_none))
            .map(|setting| setting.name.as_str())
            .collect();
        let framework = inputs.plan.frameworks.get(column.framework);
        let engine = framework.and_then(|framework| engine_of(column.framework, framework).ok());
        let mut cannot = Vec::new();
        if engine.is_some_and(|engine| engine.flush_path.is_none())
            || column.rows.iter().all(|row| row.cache.flushed.is_none())
        {
            cannot.push(
                "its prefix cache was not emptied by request: prompts are fresh in every run",
            );
        }
        if column
            .rows
            .iter()
            .all(|row| row.server_generation_tokens_delta.is_none())
        {
            cannot.push("it counts no tokens itself: the client's count stands alone");
        }
        if inputs
            .installations
            .get(column.framework)
            .is_some_and(|found| found.flags.is_none())
        {
            cannot.push("its flags were not held against its help");
        }
        if !missing.is_empty() {
            any = true;
            let _ = writeln!(
                text,
                "- {} `{}` does not tell: {}",
                column.framework,
                column.candidate,
                missing.join(", ")
            );
        }
        for one in cannot {
            any = true;
            let _ = writeln!(text, "- {} `{}`: {one}", column.framework, column.candidate);
        }
    }
    if !any {
        text.push_str("Nothing.\n");
    }
}

fn excluded(text: &mut String, inputs: &FairnessInputs<'_>) {
    let mut any = false;
    for (name, framework) in &inputs.plan.frameworks {
        let its = || inputs.rows.iter().filter(|row| row.framework == *name);
        let reason = if !framework.is_enabled() {
            "not enabled in the plan".to_owned()
        } else if its().any(|row| row.status == RowStatus::Ok) {
            continue;
        } else {
            its()
                .find_map(|row| row.failure_reason.clone())
                .unwrap_or_else(|| "no row yet".to_owned())
        };
        any = true;
        let _ = writeln!(text, "- {name}: {reason}");
    }
    if !any {
        text.push_str("None.\n");
    }
}

fn model(text: &mut String, plan: &Plan) {
    let files = model_files(Path::new(plan.model.path()));
    if files.is_empty() {
        return;
    }
    text.push_str("\n## Model files\n\nThe same folder for every framework.\n\n");
    for (name, sha256) in files {
        let _ = writeln!(text, "- {name}: {sha256}");
    }
}
