//! `summary.md` and `winning-commands.md`.

use std::fmt::Write;

use super::max_load::MaxLoad;
use super::metrics::Verdict;
use super::ranking::{Standing, standings};
use super::row::{Row, RowStatus};
use super::session::Phase;
use crate::load_point::load_point;

/// The three parts: best commands by framework, the comparison across
/// frameworks, and what failed or broke its SLA.
pub fn summary(rows: &[Row], job_id: &str, warnings: &[String], loads: &[MaxLoad]) -> String {
    let mut text = format!(
        "# Benchmark summary\n\nJob `{job_id}`, {} rows.\n",
        rows.len()
    );
    let cells = standings(rows);
    text.push_str("\n## Best command of each framework\n\n");
    best_commands(&mut text, &cells, rows);
    text.push_str("\n## Comparison\n\n");
    comparison(&mut text, &cells);
    if !loads.is_empty() {
        text.push_str("\n## Highest load within the SLA\n\n");
        highest_loads(&mut text, loads);
    }
    text.push_str("\n## Failed or over the SLA\n\n");
    failures(&mut text, rows);
    if !warnings.is_empty() {
        text.push_str("\n## Warnings\n\n");
        for warning in warnings {
            let _ = writeln!(text, "- {warning}");
        }
    }
    text
}

/// The winner of each scenario and load, with its command ready to paste.
pub fn winning_commands(rows: &[Row]) -> String {
    let mut text = String::from(
        "# Winning commands\n\nAs they were launched; any free port will do. Secrets are replaced.\n",
    );
    for cell in standings(rows) {
        let Some(best) = cell.iter().find(|standing| standing.ok > 0) else {
            continue;
        };
        let _ = write!(
            text,
            "\n## {}: {} `{}`\n\n```sh\n{}\n```\n",
            title(best),
            best.framework,
            best.candidate_id,
            command_of(best, rows)
        );
    }
    text
}

fn title(standing: &Standing) -> String {
    let rate = standing
        .request_rate
        .map_or_else(|| "rate inf".to_owned(), |rate| format!("{rate} req/s"));
    match standing.max_concurrency {
        Some(cap) => format!("{}, {rate}, at most {cap} in flight", standing.scenario),
        None => format!("{}, {rate}", standing.scenario),
    }
}

fn command_of<'a>(standing: &Standing, rows: &'a [Row]) -> &'a str {
    row_of(standing, rows).map_or("", |row| row.server_command.as_str())
}

fn row_of<'a>(standing: &Standing, rows: &'a [Row]) -> Option<&'a Row> {
    rows.iter().rev().find(|row| {
        row.framework == standing.framework
            && row.candidate_id == standing.candidate_id
            && row.workload.scenario == standing.scenario
            && row.workload.request_rate == standing.request_rate
            && row.workload.max_concurrency == standing.max_concurrency
            && row.status == RowStatus::Ok
    })
}

fn best_commands(text: &mut String, cells: &[Vec<Standing>], rows: &[Row]) {
    text.push_str("| framework | scenario | candidate | req/s | command | artifacts |\n");
    text.push_str("| --- | --- | --- | ---: | --- | --- |\n");
    for cell in cells {
        let mut seen: Vec<&str> = Vec::new();
        for best in cell {
            if seen.contains(&best.framework.as_str()) || best.ok == 0 {
                continue;
            }
            seen.push(&best.framework);
            let artifacts = row_of(best, rows)
                .map(|row| {
                    [&row.artifacts.server_log, &row.artifacts.raw_result]
                        .into_iter()
                        .flatten()
                        .map(|path| format!("`{}`", path.display()))
                        .collect::<Vec<_>>()
                        .join(" ")
                })
                .unwrap_or_default();
            let _ = writeln!(
                text,
                "| {} | {} | `{}` | {} | `{}` | {artifacts} |",
                best.framework,
                title(best),
                best.candidate_id,
                number(best.request_throughput, 3),
                command_of(best, rows).replace('|', "\\|"),
            );
        }
    }
}

fn comparison(text: &mut String, cells: &[Vec<Standing>]) {
    text.push_str("| scenario | rank | framework | candidate | runs ok | SLA | req/s | output tok/s | p50 TTFT ms | p50 TPOT ms |\n");
    text.push_str("| --- | ---: | --- | --- | ---: | --- | ---: | ---: | ---: | ---: |\n");
    for cell in cells {
        for (rank, standing) in cell.iter().filter(|standing| standing.ok > 0).enumerate() {
            let _ = writeln!(
                text,
                "| {} | {} | {} | `{}` | {} of {} | {} | {} | {} | {} | {} |",
                title(standing),
                rank + 1,
                standing.framework,
                standing.candidate_id,
                standing.ok,
                standing.runs,
                if standing.sla_passed {
                    "passed"
                } else {
                    "missed"
                },
                number(standing.request_throughput, 3),
                number(standing.output_token_throughput, 1),
                number(standing.p50_ttft_ms, 1),
                number(standing.p50_tpot_ms, 2),
            );
        }
    }
}

fn highest_loads(text: &mut String, loads: &[MaxLoad]) {
    text.push_str(
        "| scenario | framework | candidate | passes at req/s | fails at req/s | tried |\n",
    );
    text.push_str("| --- | --- | --- | ---: | ---: | --- |\n");
    for load in loads {
        let tried: Vec<String> = load
            .trials
            .iter()
            .map(|trial| {
                let verdict = match trial.verdict {
                    Verdict::Pass => "pass",
                    Verdict::Fail => "fail",
                    Verdict::Undecided => "undecided",
                };
                format!(
                    "{}: {verdict} ({:.1}%, {:.1} to {:.1})",
                    trial.request_rate,
                    trial.share * 100.0,
                    trial.interval[0] * 100.0,
                    trial.interval[1] * 100.0
                )
            })
            .collect();
        let _ = writeln!(
            text,
            "| {} | {} | `{}` | {} | {} | {} |",
            load.scenario,
            load.framework,
            load.candidate_id,
            number(load.highest_pass, 3),
            number(load.lowest_fail, 3),
            tried.join("; ")
        );
    }
}

fn failures(text: &mut String, rows: &[Row]) {
    let mut any = false;
    // A rate beyond what the SLA allows is an answer, no failure.
    let compared = |row: &&Row| row.phase != Phase::MaxLoad || row.status != RowStatus::Ok;
    for row in rows.iter().filter(compared) {
        let reason = match row.status {
            RowStatus::Ok if row.sla.passed => continue,
            RowStatus::Ok => format!("missed the SLA: {}", row.sla.broken.join("; ")),
            status => format!(
                "{status}: {}",
                row.failure_reason
                    .as_deref()
                    .unwrap_or("no reason was recorded")
            ),
        };
        any = true;
        let _ = writeln!(
            text,
            "- {} `{}`, {}, repeat {}: {reason}",
            row.framework,
            row.candidate_id,
            load_point(
                &row.workload.scenario,
                row.workload.request_rate,
                row.workload.max_concurrency
            ),
            row.repeat
        );
    }
    if !any {
        text.push_str("None.\n");
    }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}
