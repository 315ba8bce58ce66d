//! What a person or a script reads on standard output.

use std::io::{self, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table};
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
        let mut text = format!("error: {}\n", fault.message);
        if !fault.hint.is_empty() {
            text.push_str(&format!(" hint: {}\n", fault.hint));
        }
        for fact in &fault.evidence {
            text.push_str(&format!("  see: {fact}\n"));
        }
        // Nothing is left to tell when standard error is closed.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// An aligned table that fits the terminal.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.iter().copied());
    if !io::stdout().is_terminal() {
        table.set_width(160);
    }
    table
}

/// Prints a line; a closed pipe (`| head`) ends the program quietly.
pub fn print(text: &str) {
    if writeln!(io::stdout().lock(), "{text}").is_err() {
        std::process::exit(0);
    }
}
