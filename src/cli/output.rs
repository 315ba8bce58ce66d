//! What a person or a script reads on standard output.

use std::io::{self, IsTerminal, Write};

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table};
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
        .set_header(header.iter().map(bold));
    if !colours(&io::stdout()) {
        table.force_no_tty();
    }
    table.set_width(width());
    table
}

/// Columns of the terminal that standard output is, else of plain text.
pub fn width() -> u16 {
    let size = ratatui::crossterm::terminal::size().ok();
    let size = size.filter(|_| io::stdout().is_terminal());
    size.map_or(PLAIN_WIDTH, |(columns, _)| columns)
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
