//! The rows of the job so far; a narrow terminal shows fewer columns.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Row, Table};

use super::view::{paint, titled};
use crate::bench::{BriefRow, RowStatus};

/// One column.
struct Column {
    title: &'static str,
    width: Constraint,
    is_number: bool,
    /// Terminals at least this wide show it.
    from: u16,
    text: fn(&BriefRow) -> String,
}

const COLUMNS: [Column; 8] = [
    column("framework", Constraint::Length(12), 0, |row| {
        row.framework.clone()
    }),
    column("candidate", Constraint::Min(12), 84, |row| {
        row.candidate_id.clone()
    }),
    column("scenario", Constraint::Min(14), 48, |row| row.place()),
    column("run", Constraint::Length(9), 72, run),
    column("status", Constraint::Length(10), 0, status),
    number("req/s", 8, |row| shown(row.request_throughput, 3)),
    number("TTFT p50", 9, |row| shown(row.p50_ttft_ms, 1)),
    number("TPOT p50", 9, |row| shown(row.p50_tpot_ms, 2)),
];

const fn column(
    title: &'static str,
    width: Constraint,
    from: u16,
    text: fn(&BriefRow) -> String,
) -> Column {
    Column {
        title,
        width,
        is_number: false,
        from,
        text,
    }
}

const fn number(title: &'static str, width: u16, text: fn(&BriefRow) -> String) -> Column {
    Column {
        title,
        width: Constraint::Length(width),
        is_number: true,
        from: 0,
        text,
    }
}

fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

fn run(row: &BriefRow) -> String {
    match row.repeat {
        0 => "search".to_owned(),
        repeat => format!("repeat {repeat}"),
    }
}

fn status(row: &BriefRow) -> String {
    match (row.status, row.sla_passed) {
        (RowStatus::Ok, false) => "SLA missed".to_owned(),
        (status, _) => status.to_string(),
    }
}

fn tone(row: &BriefRow) -> Color {
    match (row.status, row.sla_passed) {
        (RowStatus::Ok, true) => Color::Reset,
        (RowStatus::Ok, false) | (RowStatus::Skipped, _) => Color::Yellow,
        _ => Color::Red,
    }
}

/// Draws as many rows as fit, the newest first.
pub fn draw(frame: &mut Frame<'_>, area: Rect, rows: &[BriefRow], colour: bool) {
    let columns: Vec<&Column> = COLUMNS
        .iter()
        .filter(|column| area.width >= column.from)
        .collect();
    let cell = |column: &Column, text: String| match column.is_number {
        true => Line::from(text).alignment(Alignment::Right),
        false => Line::from(text),
    };
    let lines = rows.iter().take(usize::from(area.height)).map(|row| {
        let cells = columns
            .iter()
            .map(|column| cell(column, (column.text)(row)));
        Row::new(cells).style(paint(colour, tone(row)))
    });
    let titles = columns
        .iter()
        .map(|column| cell(column, column.title.to_owned()));
    let header = Row::new(titles).style(Style::new().add_modifier(Modifier::BOLD));
    let widths: Vec<Constraint> = columns.iter().map(|column| column.width).collect();
    let title = format!("candidates, newest first ({} rows)", rows.len());
    let table = Table::new(lines, widths)
        .header(header)
        .block(titled(title));
    frame.render_widget(table, area);
}
