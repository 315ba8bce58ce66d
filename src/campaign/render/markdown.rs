//! Small pieces of Markdown.

use std::fmt::Write;

use serde_json::Value;

/// A table that is built row by row.
pub struct Table {
    text: String,
    rows: usize,
}

impl Table {
    pub fn new(columns: &[&str]) -> Self {
        let mut text = format!("| {} |\n|", columns.join(" | "));
        for _ in columns {
            text.push_str(" --- |");
        }
        text.push('\n');
        Self { text, rows: 0 }
    }

    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cells: Vec<String> = cells
            .into_iter()
            .map(|cell| cell.as_ref().replace('|', "\\|").replace('\n', " "))
            .collect();
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
        self.rows += 1;
    }

    /// The table, or `none` where it has no row.
    pub fn or(self, none: &str) -> String {
        if self.rows == 0 {
            format!("{none}\n")
        } else {
            self.text
        }
    }
}

/// A JSON value as a reader wants it.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "unknown".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A percentage with its sign.
pub fn pct(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:+.2}%"))
}

/// A value, or a dash.
pub fn or_dash(text: Option<&str>) -> &str {
    text.unwrap_or("–")
}
