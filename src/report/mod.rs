//! `final_report.html`: a campaign or a benchmark as one page to look at.
//!
//! [`of_campaign`] and [`of_rows`] read what was recorded, draw every figure,
//! and write one file that needs no network: pictures as SVG, their data as a
//! table below each and as JSON in the page. A figure without data says what
//! is missing. `docs/report.md` explains every figure.

mod attempts;
mod attribution;
mod candidates;
mod error;
mod failures;
mod figure;
mod files;
mod forest;
mod gap;
mod html;
mod latency;
mod layers;
mod material;
mod page;
mod peaks;
mod roofline;
mod stages;
mod timeline;

pub use error::ReportError;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::campaign::Campaign;
use crate::{disk, job};
use figure::Figure;
use material::Material;

/// File name of the page in its campaign or output folder.
pub const FILE_NAME: &str = "final_report.html";

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportRecord {
    pub report_path: PathBuf,
    /// Size of the page.
    pub bytes: usize,
    pub figures: Vec<FigureState>,
    pub warnings: Vec<String>,
}

/// Whether a figure has data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FigureState {
    /// Its anchor in the page; its JSON is in the element `data-<id>`.
    pub id: String,
    pub title: String,
    /// Rows of its table.
    pub rows: usize,
    /// What is missing, and how to get it; absent where there is data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// Writes the page of a campaign as it stands now, by default into its root.
pub fn of_campaign(campaign: &Campaign, out: Option<&Path>) -> Result<ReportRecord, ReportError> {
    let material = Material::of_campaign(campaign)?;
    write(&material, out.unwrap_or(&campaign.root.join(FILE_NAME)))
}

/// Writes the page of the rows of a benchmark outside any campaign, by default
/// beside them. `folder` is its output folder or the rows themselves.
pub fn of_rows(
    folder: &Path,
    target: Option<&str>,
    out: Option<&Path>,
) -> Result<ReportRecord, ReportError> {
    let rows = if folder.is_dir() {
        folder.join("candidates.jsonl")
    } else {
        folder.to_path_buf()
    };
    if !rows.is_file() {
        return Err(ReportError::NothingHere {
            path: folder.to_path_buf(),
        });
    }
    let material = Material::of_rows(&rows, target)?;
    write(&material, out.unwrap_or(&rows.with_file_name(FILE_NAME)))
}

fn write(material: &Material, path: &Path) -> Result<ReportRecord, ReportError> {
    let figures = figures(material)?;
    let text = page::page(material, &figures, &job::now());
    disk::write_atomic(path, text.as_bytes())?;
    Ok(ReportRecord {
        report_path: path.to_path_buf(),
        bytes: text.len(),
        figures: figures.iter().map(FigureState::of).collect(),
        warnings: material.warnings.clone(),
    })
}

/// Every figure, in the order of the page.
fn figures(material: &Material) -> Result<Vec<Figure>, ReportError> {
    Ok(vec![
        gap::figure(material)?,
        attribution::figure(material)?,
        timeline::figure(material)?,
        candidates::figure(material)?,
        latency::figure(material)?,
        stages::figure(material)?,
        layers::figure(material)?,
        roofline::figure(material)?,
        attempts::figure(material)?,
        failures::figure(material),
    ])
}

impl FigureState {
    fn of(figure: &Figure) -> Self {
        Self {
            id: figure.id.to_owned(),
            title: figure.title.to_owned(),
            rows: figure.table.rows.len(),
            missing: figure.missing.clone(),
        }
    }
}
