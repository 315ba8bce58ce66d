//! Pieces of HTML; everything that comes from outside is escaped here.

use std::fmt::Write;

/// Text that cannot be markup.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Forbidden in HTML, whichever way they are written.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub title: String,
    pub is_number: bool,
}

/// The data of a figure, as people read it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<String>>,
    /// Rows that were left out at the end.
    pub left_out: usize,
}

/// More rows than this stay in the JSON only.
const MOST_ROWS: usize = 300;

impl Table {
    /// Titles that begin with `#` head numbers.
    pub fn new(titles: &[&str]) -> Self {
        let columns = titles.iter().map(|title| Column {
            title: title.trim_start_matches('#').to_owned(),
            is_number: title.starts_with('#'),
        });
        Self {
            columns: columns.collect(),
            ..Self::default()
        }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        if self.rows.len() < MOST_ROWS {
            self.rows.push(cells.into_iter().collect());
        } else {
            self.left_out += 1;
        }
    }

    /// A table that scrolls by itself where it is too wide.
    pub fn html(&self, caption: &str) -> String {
        let mut text = format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table><caption>{0}</caption><thead><tr>",
            escape(caption)
        );
        for column in &self.columns {
            let class = class(column);
            let _ = write!(
                text,
                "<th scope=\"col\"{class}>{}</th>",
                escape(&column.title)
            );
        }
        text.push_str("</tr></thead><tbody>");
        for row in &self.rows {
            text.push_str("<tr>");
            for (index, cell) in row.iter().enumerate() {
                let class = self.columns.get(index).map_or("", class);
                let _ = write!(text, "<td{class}>{}</td>", escape(cell));
            }
            text.push_str("</tr>");
        }
        text.push_str("</tbody></table></div>");
        if self.left_out > 0 {
            let _ = write!(
                text,
                "<p class=\"note\">{} more rows are in the JSON of this figure.</p>",
                self.left_out
            );
        }
        text
    }
}

fn class(column: &Column) -> &'static str {
    if column.is_number {
        " class=\"number\""
    } else {
        ""
    }
}

/// A value as JSON that may stand inside a `script` element.
pub fn script_json(value: &serde_json::Value) -> String {
    value
        .to_string()
        .replace("</", "<\\/")
        .replace("<!--", "<\\u0021--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_is_markup() {
        assert_eq!(
            escape("<b a='1'>&\u{1}\""),
            "&lt;b a=&#39;1&#39;&gt;&amp;\u{fffd}&quot;"
        );
        let value = serde_json::json!({"k": "</script><!--"});
        let text = script_json(&value);
        assert!(!text.contains("</") && !text.contains("<!--"));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
    }

    #[test]
    fn long_tables_say_what_they_leave_out() {
        let mut table = Table::new(&["name", "#ms"]);
        for row in 0..MOST_ROWS + 2 {
            table.row([row.to_string(), "1".to_owned()]);
        }
        assert!(table.html("t").contains("2 more rows"));
    }
}
