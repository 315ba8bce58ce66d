//! Citations: from an event's number and a row's name to the row.

use super::State;
use crate::campaign::events::{Citation, PipelineRecorded, ProfileRecorded, Table};

/// A row that a citation points at.
#[derive(Debug, Clone, PartialEq)]
pub struct Cited {
    /// Its whole name.
    pub row: String,
    /// The engine whose table it is; none for the gap's attribution.
    pub framework: Option<String>,
    /// The source tree that was measured, where it was verified.
    pub tree: Option<String>,
    /// Share in percent of what its table splits: the stage's kernel time, the
    /// gap, or the pass.
    pub share_pct: Option<f64>,
}

impl State {
    /// The row that a citation points at, or what is wrong with the citation.
    pub fn cited(&self, citation: &Citation) -> Result<Cited, String> {
        let found = match citation.table {
            Table::Kernel | Table::Overlap | Table::Fusion | Table::Comparison => {
                let profile = find(&self.profiles, citation.event)
                    .ok_or_else(|| no_event(citation, "profile_recorded", &seqs(&self.profiles)))?;
                profile_row(&profile.body, citation)?
            }
            Table::Layer | Table::HotKernel => {
                let pipeline = find(&self.pipelines, citation.event).ok_or_else(|| {
                    no_event(citation, "pipeline_recorded", &seqs(&self.pipelines))
                })?;
                pipeline_row(&pipeline.body, citation)?
            }
            Table::Attribution => {
                let gap = find(&self.gaps, citation.event)
                    .ok_or_else(|| no_event(citation, "gap_checked", &seqs(&self.gaps)))?;
                let rows = gap
                    .body
                    .record
                    .scenarios
                    .iter()
                    .filter(|scenario| is_part(citation, &scenario.scenario))
                    .flat_map(|scenario| scenario.attribution.iter().flatten())
                    .map(|cause| (cause.cause.as_str(), Some(cause.share_pct)));
                let (row, share_pct) = named(citation, rows)?;
                Cited {
                    row,
                    framework: None,
                    tree: gap.body.verified_tree().map(str::to_owned),
                    share_pct,
                }
            }
            Table::Digest => {
                let digest = find(&self.digests, citation.event)
                    .ok_or_else(|| no_event(citation, "ncu_recorded", &seqs(&self.digests)))?;
                let rows = digest.body.kernels.iter().map(|name| (name.as_str(), None));
                let (row, share_pct) = named(citation, rows)?;
                Cited {
                    row,
                    framework: None,
                    tree: None,
                    share_pct,
                }
            }
        };
        Ok(found)
    }
}

fn profile_row(profile: &ProfileRecorded, citation: &Citation) -> Result<Cited, String> {
    let stages = || {
        profile
            .stages
            .iter()
            .filter(|stage| is_part(citation, stage.stage.as_str()))
    };
    let (row, share_pct) = match citation.table {
        Table::Kernel => {
            let rows = stages().flat_map(|stage| &stage.kernels);
            named(citation, rows.map(|row| (&*row.name, Some(row.share_pct))))?
        }
        Table::Overlap => {
            let rows = stages().flat_map(|stage| &stage.overlap);
            named(
                citation,
                rows.map(|row| (&*row.name, Some(row.exposed_share_pct))),
            )?
        }
        Table::Fusion => {
            let rows = stages().flat_map(|stage| &stage.fusion);
            named(
                citation,
                rows.map(|row| (&*row.pattern, Some(row.share_pct))),
            )?
        }
        _ => {
            let rows: Vec<(String, Option<f64>)> = profile
                .comparison
                .iter()
                .filter(|stage| is_part(citation, stage.stage.as_str()))
                .flat_map(|stage| &stage.classes)
                .map(|row| (snake(&row.class), Some(row.gap_share_pct)))
                .collect();
            named(
                citation,
                rows.iter().map(|(name, share)| (name.as_str(), *share)),
            )?
        }
    };
    Ok(Cited {
        row,
        framework: Some(profile.framework.clone()),
        tree: profile.source.verified_tree().map(str::to_owned),
        share_pct,
    })
}

fn pipeline_row(pipeline: &PipelineRecorded, citation: &Citation) -> Result<Cited, String> {
    let (row, share_pct) = match citation.table {
        Table::Layer => {
            let rows = &pipeline.layer_types;
            let rows = rows
                .iter()
                .map(|row| (&*row.r#type, Some(row.pass_share_pct)));
            named(citation, rows)?
        }
        _ => {
            let rows = pipeline
                .hot_kernels
                .iter()
                .filter(|row| is_part(citation, &row.r#type))
                .map(|row| (&*row.name, Some(row.share_pct)));
            named(citation, rows)?
        }
    };
    Ok(Cited {
        row,
        framework: pipeline.framework.clone(),
        tree: pipeline.source.verified_tree().map(str::to_owned),
        share_pct,
    })
}

/// The row of that name; else the one row whose name has it as a part. Of
/// several with the same name the largest counts.
fn named<'a>(
    citation: &Citation,
    rows: impl Iterator<Item = (&'a str, Option<f64>)>,
) -> Result<(String, Option<f64>), String> {
    let wanted = citation.row.trim();
    if wanted.is_empty() {
        return Err("it names no row".to_owned());
    }
    let mut rows: Vec<(&str, Option<f64>)> = rows.collect();
    rows.sort_by(|a, b| b.1.unwrap_or(0.0).total_cmp(&a.1.unwrap_or(0.0)));
    if let Some((name, share)) = rows.iter().find(|(name, _)| *name == wanted) {
        return Ok(((*name).to_owned(), *share));
    }
    let mut parts: Vec<(&str, Option<f64>)> = rows
        .iter()
        .copied()
        .filter(|(name, _)| name.contains(wanted))
        .collect();
    parts.dedup_by_key(|(name, _)| *name);
    match parts[..] {
        [(name, share)] => Ok((name.to_owned(), share)),
        [] => Err(format!(
            "event {} has no row `{wanted}` there; it has: {}",
            citation.event,
            listed(rows.iter().map(|(name, _)| *name))
        )),
        _ => Err(format!(
            "`{wanted}` is part of several rows of event {}: {}",
            citation.event,
            listed(parts.iter().map(|(name, _)| *name))
        )),
    }
}

/// At most six names, long ones cut.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 6;
    const LONGEST: usize = 60;
    let names: Vec<String> = names
        .map(|name| name.chars().take(LONGEST).collect())
        .collect();
    match names.len() {
        0 => "none".to_owned(),
        count if count > SHOWN => format!(
            "{} and {} more",
            names.get(..SHOWN).unwrap_or_default().join(", "),
            count - SHOWN
        ),
        _ => names.join(", "),
    }
}

fn is_part(citation: &Citation, part: &str) -> bool {
    citation.part.as_deref().is_none_or(|wanted| wanted == part)
}

fn find<B>(events: &[super::Recorded<B>], seq: u64) -> Option<&super::Recorded<B>> {
    events.iter().find(|event| event.seq == seq)
}

fn seqs<B>(events: &[super::Recorded<B>]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

fn no_event(citation: &Citation, kind: &str, known: &[u64]) -> String {
    let known: Vec<String> = known.iter().rev().take(6).map(u64::to_string).collect();
    let known = if known.is_empty() {
        "the log has none".to_owned()
    } else {
        format!("newest first: {}", known.join(", "))
    };
    format!(
        "event {} is no {kind} event, which table {} needs ({known})",
        citation.event,
        snake(&citation.table)
    )
}

/// The name of a plain enum's value as JSON has it.
pub(crate) fn snake<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}
