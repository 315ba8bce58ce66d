//! `--page raw`: a header, a row of units, one row a launch.

use super::csv::{ID_COLUMNS, Table, assemble};
use super::csv_number::{number, to_base};
use super::report::{Metric, Names, Report, Value};

pub(super) fn report(table: &Table) -> Result<Report, (u64, String)> {
    let mut rows = table.rows.iter();
    let Some((line, units)) = rows.next() else {
        return Err((2, "the row of units is missing".to_string()));
    };
    if !table.cell(units, "ID").is_empty() {
        return Err((
            *line,
            "the row of units is missing: the first row has an ID".to_string(),
        ));
    }
    let mut names = Names::default();
    let columns: Vec<_> = table
        .header
        .iter()
        .enumerate()
        .filter(|(_, name)| !ID_COLUMNS.contains(&name.as_str()))
        .map(|(at, name)| {
            let factor = to_base(units.get(at).map_or("", String::as_str));
            (at, names.intern(name), factor)
        })
        .collect();
    let mut launches = Vec::new();
    for (line, row) in rows {
        if row.len() != table.header.len() {
            return Err((
                *line,
                format!(
                    "the row has {} cells, the header {}",
                    row.len(),
                    table.header.len()
                ),
            ));
        }
        let metrics = columns
            .iter()
            .map(|&(at, name, factor)| Metric {
                name,
                value: row.get(at).and_then(|cell| match cell.as_str() {
                    "" | "no data" => None,
                    cell => Some(match number(cell, table.decimal) {
                        Some(value) => Value::F64(value * factor),
                        None => Value::Text(cell.into()),
                    }),
                }),
                ..Metric::default()
            })
            .collect();
        launches.push((table.launch(*line, row)?, metrics));
    }
    Ok(assemble(launches, names))
}
