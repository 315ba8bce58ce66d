//! What a report is made of: rows, gaps and analyses, from a campaign or from
//! the output folder of a benchmark.

use std::path::{Path, PathBuf};

use super::ReportError;
use super::attempts::AttemptRow;
use super::files;
use crate::bench::{self, Row, RowStatus};
use crate::campaign::events::{BenchmarkLabel, GapChecked};
use crate::campaign::{Campaign, Recorded, State};
use crate::gap::{self, GapRecord, GapRequest, ScenarioGap, Side};
use crate::ncu::DigestRecord;
use crate::pipeline::PipelineRecord;
use crate::triage::TriageRecord;

/// A gap as it stood at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct GapPoint {
    /// `baseline`, `round 0`, ...
    pub when: String,
    pub record: GapRecord,
}

/// Everything that a report shows.
#[derive(Debug, Clone, Default)]
pub struct Material {
    pub name: String,
    /// What was measured, where and with what.
    pub facts: Vec<(String, String)>,
    /// Paths that are gone since the folder was moved are looked for below it.
    pub base: PathBuf,
    pub target: String,
    pub rows: Vec<Row>,
    /// Oldest first.
    pub gaps: Vec<GapPoint>,
    /// Newest first.
    pub profiles: Vec<TriageRecord>,
    pub pipeline: Option<PipelineRecord>,
    pub digests: Vec<DigestRecord>,
    /// None outside a campaign.
    pub attempts: Option<Vec<AttemptRow>>,
    /// How it ended, where it has.
    pub outcome: Option<String>,
    pub warnings: Vec<String>,
}

impl Material {
    /// Of a campaign, as it stands now.
    pub fn of_campaign(campaign: &Campaign) -> Result<Self, ReportError> {
        let state = campaign.state()?;
        let rows_path = campaign.rows_path();
        let mut material = Self {
            name: campaign.id.clone(),
            base: campaign.root.clone(),
            target: state.target().to_owned(),
            rows: counted(bench::of_all(&rows_path)?),
            gaps: gaps(&state.gaps),
            facts: inputs(&state),
            attempts: Some(super::attempts::rows(&state)),
            outcome: state.finished.as_ref().map(|finished| {
                format!(
                    "{}: {}",
                    files::word(&finished.body.outcome),
                    finished.body.reason
                )
            }),
            ..Self::default()
        };
        if material.gaps.is_empty() {
            material.compare_now(&rows_path);
        }
        material.read_analyses(&state);
        material.add_row_facts();
        Ok(material)
    }

    /// Of `candidates.jsonl` and of what lies beside it.
    pub fn of_rows(rows_path: &Path, target: Option<&str>) -> Result<Self, ReportError> {
        let base = rows_path.parent().unwrap_or(Path::new(".")).to_path_buf();
        let rows = counted(bench::of_all(rows_path)?);
        let Some(first) = rows.first() else {
            return Err(ReportError::NoRows {
                path: rows_path.to_path_buf(),
            });
        };
        let mut known: Vec<String> = Vec::new();
        for row in &rows {
            if !known.contains(&row.framework) {
                known.push(row.framework.clone());
            }
        }
        let target = match target {
            Some(target) if !known.iter().any(|name| name == target) => {
                return Err(ReportError::UnknownTarget {
                    target: target.to_owned(),
                    known,
                });
            }
            Some(target) => target.to_owned(),
            None => match known.iter().find(|name| *name == "sglang") {
                Some(sglang) => sglang.clone(),
                None => first.framework.clone(),
            },
        };
        let mut material = Self {
            name: format!("Benchmark of {}", first.model),
            base,
            target,
            rows,
            ..Self::default()
        };
        material.compare_now(rows_path);
        material.read_analyses(&State::default());
        material.add_row_facts();
        Ok(material)
    }

    /// The newest gap.
    pub fn gap(&self) -> Option<&GapRecord> {
        self.gaps.last().map(|point| &point.record)
    }

    /// The scenarios of the newest gap decision.
    pub fn scenarios(&self) -> &[ScenarioGap] {
        self.gap().map_or(&[], |gap| gap.scenarios.as_slice())
    }

    /// The good runs of one side in a scenario.
    pub fn rows_of<'a>(
        &'a self,
        gap: &'a ScenarioGap,
        side: &'a Side,
    ) -> impl DoubleEndedIterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| {
            let load = &row.workload;
            row.framework == side.framework
                && row.candidate_id == side.candidate_id
                && row.status == RowStatus::Ok
                && load.scenario == gap.scenario
                && load.request_rate == gap.request_rate
                && load.max_concurrency.map(f64::from) == gap.max_concurrency
        })
    }

    /// Decides the gap from the rows, where no decision was recorded.
    fn compare_now(&mut self, rows_path: &Path) {
        if self.rows.is_empty() {
            return;
        }
        let found = gap::read_rows(rows_path).and_then(|rows| {
            let mut record = gap::check(&GapRequest::new(self.target.clone()), &rows)?;
            gap::explain_gaps(&mut record, &rows);
            Ok(record)
        });
        match found {
            Ok(record) => self.gaps.push(GapPoint {
                when: "now".to_owned(),
                record,
            }),
            Err(error) => self.warnings.push(format!("no gap: {error}")),
        }
    }

    /// Reports of traces and counters that lie in the folder.
    fn read_analyses(&mut self, state: &State) {
        let recorded = |path: &Path| files::found(path, &self.base);
        let mut reports: Vec<PathBuf> = state
            .profiles
            .iter()
            .rev()
            .filter_map(|profile| recorded(&profile.body.report_path.with_extension("json")))
            .collect();
        reports.extend(files::named(&self.base, &["profiles"], "report.json"));
        self.profiles = files::parse_all(&reports);
        let mut layers: Vec<PathBuf> = state
            .pipelines
            .iter()
            .rev()
            .filter_map(|pipeline| recorded(&pipeline.body.report_path.with_extension("json")))
            .collect();
        layers.extend(files::named(
            &self.base,
            &["analysis", "profiles"],
            "layer-pipeline.json",
        ));
        self.pipeline = files::parse_all(&layers).into_iter().next();
        let mut digests = files::named(&self.base, &["kernel"], "digest.json");
        digests.extend(state.digests.iter().filter_map(|digest| {
            recorded(&digest.body.digest_path.as_ref()?.with_extension("json"))
        }));
        self.digests = files::parse_all(&digests);
    }

    fn add_row_facts(&mut self) {
        let distinct = |pick: &dyn Fn(&Row) -> Option<String>| {
            let mut values: Vec<String> = Vec::new();
            for value in self.rows.iter().filter_map(pick) {
                if !values.contains(&value) {
                    values.push(value);
                }
            }
            values.join(", ")
        };
        let gpus = distinct(&|row| {
            let model = row.hardware.gpu_model.as_deref()?;
            Some(format!("{} × {model}", row.hardware.gpu_count))
        });
        let versions = distinct(&|row| {
            let version = row.framework_version.as_deref()?;
            Some(format!("{} {version}", row.framework))
        });
        let workload = distinct(&|row| {
            let load = &row.workload;
            Some(format!(
                "{}: {} requests of {} in, {} out",
                load.scenario, load.num_prompts, load.input_len?, load.output_len?
            ))
        });
        let mut facts = vec![
            ("GPUs", gpus),
            ("framework versions", versions),
            ("workload", workload),
            ("rows", self.rows.len().to_string()),
        ];
        if !self.facts.iter().any(|(name, _)| name == "model") {
            facts.insert(0, ("model", distinct(&|row| Some(row.model.clone()))));
        }
        let known = facts.into_iter().filter(|(_, value)| !value.is_empty());
        self.facts
            .extend(known.map(|(name, value)| (name.to_owned(), value)));
    }
}

/// Trials never stand beside rows that count.
fn counted(mut rows: Vec<Row>) -> Vec<Row> {
    let is_trial = |row: &Row| row.label.as_deref() == Some("smoke");
    if rows.iter().any(|row| !is_trial(row)) {
        rows.retain(|row| !is_trial(row));
    }
    rows
}

/// The last decision of each round; trials only where there is nothing else.
fn gaps(checked: &[Recorded<GapChecked>]) -> Vec<GapPoint> {
    let is_trial = |gap: &Recorded<GapChecked>| gap.body.label == BenchmarkLabel::Smoke;
    let only_trials = checked.iter().all(is_trial);
    let mut points: Vec<GapPoint> = Vec::new();
    for gap in checked.iter().filter(|gap| only_trials || !is_trial(gap)) {
        let when = match (gap.body.label, gap.round) {
            (BenchmarkLabel::Smoke, _) => "trial".to_owned(),
            (BenchmarkLabel::Baseline, _) => "baseline".to_owned(),
            (BenchmarkLabel::Revalidation, round) => format!("round {}", round.unwrap_or(0)),
        };
        points.retain(|point| point.when != when || point.record.metric != gap.body.record.metric);
        points.push(GapPoint {
            when,
            record: gap.body.record.clone(),
        });
    }
    points
}

fn inputs(state: &State) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let Some(inputs) = state.inputs() else {
        return facts;
    };
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            facts.push((name.to_owned(), value));
        }
    };
    add("model", inputs.model.clone());
    add("precision", inputs.precision.clone());
    add("quantization", inputs.quantization.clone());
    add("target", Some(state.target().to_owned()));
    add(
        "compared with",
        Some(state.compared().join(", ")).filter(|names| !names.is_empty()),
    );
    let excluded = inputs.excluded.as_ref().map(|excluded| {
        let each = |(name, reason): (&String, &String)| format!("{name} ({reason})");
        excluded.iter().map(each).collect::<Vec<_>>().join(", ")
    });
    add("excluded", excluded.filter(|text| !text.is_empty()));
    add("phase", Some(files::word(&state.phase())));
    add("round", Some(state.round().to_string()));
    add(
        "last event",
        Some(state.last_time.clone()).filter(|time| !time.is_empty()),
    );
    facts
}
