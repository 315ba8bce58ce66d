//! What a person or a script reads on standard output.

use std::io::{self, IsTerminal, Write};

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Row, Table};
use serde::Serialize;

use crate::fault::{Fault, FaultCode};

/// Tables and text for a person, or one JSON document for a script.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints `record` as JSON under `--json`, else what `human` renders.
    pub fn record<T: Serialize>(
        &self,
        record: &T,
        human: impl FnOnce(&T) -> String,
    ) -> Result<(), Fault> {
        let text = if self.json {
            serde_json::to_string_pretty(record).map_err(|error| {
                Fault::new(
                    FaultCode::Internal,
                    format!("the result cannot be written as JSON: {error}"),
                    "this is a defect of sota-loop; please report it",
                )
            })?
        } else {
            human(record)
        };
        print(&text);
        Ok(())
    }

    /// Prints a failure on standard error (as JSON on standard output under `--json`).
    pub fn fault(&self, fault: &Fault) {
        if self.json {
            print(&serde_json::to_string_pretty(fault).unwrap_or_else(|_| fault.message.clone()));
            return;
        }
        let (red, cyan, plain) = match colours(&io::stderr()) {
            true => ("\u{1b}[1;31m", "\u{1b}[36m", "\u{1b}[0m"),
            false => ("", "", ""),
        };
        let mut text = format!("{red}error:{plain} {}\n", fault.message);
        if !fault.hint.is_empty() {
            text.push_str(&format!(" {cyan}hint:{plain} {}\n", fault.hint));
        }
        for fact in &fault.evidence {
            text.push_str(&format!("  see: {fact}\n"));
        }
        // Nothing is left to tell when standard error is closed.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// Width of tables where no terminal bounds them.
const PLAIN_WIDTH: u16 = 160;

/// Whether this stream shows colours: it is a terminal, and `NO_COLOR` is not set.
pub fn colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// An aligned table that fits the terminal.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    let bold = |title: &&str| Cell::new(title).add_attribute(Attribute::Bold);
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_truncation_indicator("…")
        .set_header(header.iter().map(bold));
    if !colours(&io::stdout()) {
        table.force_no_tty();
    }
    table.set_width(width());
    table
}

/// An aligned table whose columns `numbers` stand to the right.
pub fn aligned(header: &[&str], numbers: &[usize]) -> Table {
    let mut table = table(header);
    right(&mut table, numbers);
    table
}

/// Columns of the terminal that standard output is, else of plain text.
pub fn width() -> u16 {
    let size = ratatui::crossterm::terminal::size().ok();
    let size = size.filter(|_| io::stdout().is_terminal());
    size.map_or(PLAIN_WIDTH, |(columns, _)| columns)
}

/// Below this many columns tables leave out what matters least.
const NARROW: u16 = 100;

/// Whether tables have little room.
pub fn is_narrow() -> bool {
    width() < NARROW
}

/// Text whose lines break between words where the terminal would break them
/// anywhere; what follows a break is indented by two more than its line.
pub fn prose(text: &str) -> String {
    match io::stdout().is_terminal() {
        true => wrapped(text, usize::from(width())),
        false => text.to_owned(),
    }
}

fn wrapped(text: &str, width: usize) -> String {
    let lines: Vec<String> = text.lines().map(|line| wrapped_line(line, width)).collect();
    lines.join("\n")
}

fn wrapped_line(line: &str, width: usize) -> String {
    let indent = line.len() - line.trim_start().len() + 2;
    let mut text = String::new();
    let mut column = 0;
    for word in line.split_inclusive(' ') {
        let letters = seen_letters(word.trim_end());
        if column + letters > width && column > indent {
            text.truncate(text.trim_end().len());
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            column = indent;
        }
        text.push_str(word);
        column += seen_letters(word);
    }
    text
}

/// Letters of a text without the escapes that colour it.
fn seen_letters(text: &str) -> usize {
    let mut is_escape = false;
    let seen = text.chars().filter(|&letter| {
        is_escape |= letter == '\u{1b}';
        let is_seen = !is_escape;
        is_escape &= letter != 'm';
        is_seen
    });
    seen.count()
}

/// Adds a row that stays one line high: what does not fit ends in `…`.
pub fn line(table: &mut Table, cells: impl Into<Row>) {
    let mut row = cells.into();
    row.max_height(1);
    table.add_row(row);
}

/// Aligns columns to the right.
pub fn right(table: &mut Table, columns: &[usize]) {
    for &index in columns {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// How a word is meant, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Good,
    Doubtful,
    Bad,
    Plain,
}

/// A cell whose colour says how it is meant; the word says it too.
pub fn cell(text: impl ToString, mood: Mood) -> Cell {
    let cell = Cell::new(text);
    match mood {
        Mood::Good => cell.fg(Color::Green),
        Mood::Doubtful => cell.fg(Color::Yellow),
        Mood::Bad => cell.fg(Color::Red),
        Mood::Plain => cell,
    }
}

/// Prints a line; a closed pipe (`| head`) ends the program quietly.
pub fn print(text: &str) {
    if writeln!(io::stdout().lock(), "{text}").is_err() {
        std::process::exit(0);
    }
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_break_between_words_and_hang() {
        assert_eq!(wrapped("short", 10), "short");
        assert_eq!(
            wrapped("one two three four", 10),
            "one two\n  three\n  four"
        );
        assert_eq!(
            wrapped("  idle: launch bound\nnext", 14),
            "  idle: launch\n    bound\nnext"
        );
        assert_eq!(wrapped("\u{1b}[1ma\u{1b}[0m b", 3), "\u{1b}[1ma\u{1b}[0m b");
        // A path stays whole.
        assert_eq!(wrapped("a /long/path/name b", 8), "a /long/path/name\n  b");
    }
}
