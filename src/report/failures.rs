//! Runs that failed or broke their SLA: nothing is left out of a report.

use serde_json::json;

use super::figure::Figure;
use super::gap::load_name;
use super::html::Table;
use super::material::Material;
use crate::bench::{Row, RowStatus};

pub fn figure(material: &Material) -> Figure {
    let mut figure = Figure::new(
        "failures",
        "Failed runs and broken limits",
        "Every run that did not end well or missed its SLA, with its reason.",
    );
    let failed: Vec<&Row> = material
        .rows
        .iter()
        .filter(|row| row.status != RowStatus::Ok || !row.sla.passed)
        .collect();
    if failed.is_empty() {
        figure.about = format!(
            "None: all {} runs ended well and within the SLA.",
            material.rows.len()
        );
        figure.data = json!([]);
        return figure;
    }
    figure.table = Table::new(&[
        "framework",
        "candidate",
        "scenario",
        "#repeat",
        "status",
        "reason",
    ]);
    for row in &failed {
        figure.table.row([
            row.framework.clone(),
            row.candidate_id.clone(),
            load_name(
                &row.workload.scenario,
                row.workload.request_rate,
                row.workload.max_concurrency.map(f64::from),
            ),
            row.repeat.to_string(),
            row.status.to_string(),
            match row.status {
                RowStatus::Ok => row.sla.broken.join("; "),
                _ => row
                    .failure_reason
                    .clone()
                    .unwrap_or_else(|| "none was recorded".to_owned()),
            },
        ]);
    }
    figure.data = json!(
        failed
            .iter()
            .map(|row| json!({
                "framework": row.framework, "candidate_id": row.candidate_id,
                "scenario": row.workload.scenario, "repeat": row.repeat, "status": row.status,
                "failure_reason": row.failure_reason, "broken": row.sla.broken,
                "server_log": row.artifacts.server_log,
            }))
            .collect::<Vec<_>>()
    );
    figure
}
