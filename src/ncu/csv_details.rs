//! `--page details`: one row for each header metric and each rule message.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use super::csv::{Table, assemble};
use super::csv_number::{number, to_base};
use super::report::{
    Launch, MessageKind, Metric, Names, Report, RuleItem, RuleMessage, RuleResult, Speedup,
    SpeedupScope, Value,
};
use crate::references::Catalogue;

/// Section title, then label, to metric name.
pub(super) static LABELS: Catalogue<HashMap<String, HashMap<String, String>>> = Catalogue::new(
    "ncu-labels.toml",
    include_str!("../../references/ncu-labels.toml"),
);

pub(super) fn report(table: &Table) -> Result<Report, (u64, String)> {
    let mut names = Names::default();
    let mut launches: BTreeMap<u64, (Launch, Vec<Metric>)> = BTreeMap::new();
    for (line, row) in &table.rows {
        let id = table.cell(row, "ID");
        let id: u64 = id.parse().map_err(|_| {
            (
                *line,
                format!("column \"ID\" holds {id:?}, not a whole number"),
            )
        })?;
        let (launch, metrics) = match launches.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert((table.launch(*line, row)?, Vec::new())),
        };
        if !table.cell(row, "Rule Name").is_empty() {
            launch.rules.push(rule(table, *line, row)?);
        } else if let Some(metric) = metric(table, row, &mut names) {
            metrics.push(metric);
        }
    }
    Ok(assemble(launches.into_values().collect(), names))
}

fn metric(table: &Table, row: &[String], names: &mut Names) -> Option<Metric> {
    let section = table.cell(row, "Section Name");
    let label = table.cell(row, "Metric Name");
    let name = metric_name(section, label)?;
    let cell = table.cell(row, "Metric Value");
    let value = match cell {
        "" | "no data" => None,
        cell => Some(match number(cell, table.decimal) {
            Some(value) => Value::F64(value * to_base(table.cell(row, "Metric Unit"))),
            None => Value::Text(cell.into()),
        }),
    };
    Some(Metric {
        name: names.intern(&name),
        value,
        ..Metric::default()
    })
}

/// A cell may hold the label, the metric name, or both.
fn metric_name(section: &str, label: &str) -> Option<String> {
    if label.is_empty() {
        return None;
    }
    let named = label
        .split([' ', '(', ')', '[', ']'])
        .find(|word| word.contains("__"));
    Some(match named {
        Some(name) => name.to_string(),
        None => LABELS
            .table()
            .get(section)
            .and_then(|labels| labels.get(label))
            .map_or_else(|| label.to_string(), Clone::clone),
    })
}

fn rule(table: &Table, line: u64, row: &[String]) -> Result<RuleResult, (u64, String)> {
    let kind = match table.cell(row, "Rule Type") {
        "INF" => MessageKind::Ok,
        "OPT" => MessageKind::Optimization,
        "WRN" => MessageKind::Warning,
        "ERR" => MessageKind::Error,
        _ => MessageKind::None,
    };
    let percent = table.cell(row, "Estimated Speedup");
    let speedup = if percent.is_empty() {
        None
    } else {
        let percent = number(percent, table.decimal).ok_or_else(|| {
            (
                line,
                format!("column \"Estimated Speedup\" holds {percent:?}, not a number"),
            )
        })?;
        let scope = match table.cell(row, "Estimated Speedup Type") {
            "local" => SpeedupScope::Local,
            "global" => SpeedupScope::Global,
            _ => SpeedupScope::Unknown,
        };
        Some(Speedup { scope, percent })
    };
    Ok(RuleResult {
        identifier: table.cell(row, "Rule Name").to_string(),
        section: table.cell(row, "Section Name").to_string(),
        items: vec![RuleItem {
            message: Some(RuleMessage {
                text: table.cell(row, "Rule Description").to_string(),
                kind,
                ..RuleMessage::default()
            }),
            speedup,
            focus: Vec::new(),
        }],
        ..RuleResult::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_file_is_read() {
        assert_eq!(
            metric_name("GPU Speed Of Light Throughput", "Duration").as_deref(),
            Some("gpu__time_duration.sum")
        );
        assert_eq!(LABELS.table().values().map(HashMap::len).sum::<usize>(), 90);
    }

    #[test]
    fn names_pass_through() {
        assert_eq!(metric_name("", "a__b.sum").as_deref(), Some("a__b.sum"));
        assert_eq!(
            metric_name("", "Duration (a__b.sum)").as_deref(),
            Some("a__b.sum")
        );
    }
}
