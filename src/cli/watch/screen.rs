//! The terminal: drawn twice a second, given back as it was.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use super::subject::Subject;
use super::view;
use crate::fault::{Fault, FaultCode};

const EVERY: Duration = Duration::from_millis(500);
/// Token rates kept for the sparkline.
const KEPT: usize = 240;

/// Shows the job until a key ends it.
pub fn show(subject: &Subject) -> Result<(), Fault> {
    let mut snapshot = subject.look()?;
    let mut rates: VecDeque<u64> = VecDeque::new();
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let shown = loop {
        if let Some(live) = &snapshot.live {
            rates.push_back(live.tokens_per_s.round() as u64);
            if rates.len() > KEPT {
                rates.pop_front();
            }
        }
        let recent: Vec<u64> = rates.iter().copied().collect();
        if let Err(error) = terminal.draw(|frame| view::draw(frame, &snapshot, &recent, colour)) {
            break Err(failed(error));
        }
        match left(EVERY) {
            Ok(true) => break Ok(()),
            Ok(false) => {}
            Err(error) => break Err(failed(error)),
        }
        match subject.look() {
            Ok(look) => snapshot = look,
            Err(fault) => break Err(fault),
        }
    };
    ratatui::restore();
    shown
}

/// Waits, and tells whether a key asked to leave.
fn left(wait: Duration) -> std::io::Result<bool> {
    let until = Instant::now() + wait;
    loop {
        let rest = until.saturating_duration_since(Instant::now());
        if !event::poll(rest)? {
            return Ok(false);
        }
        match event::read()? {
            Event::Key(key) if key.kind == KeyEventKind::Press => {
                let is_interrupt =
                    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                    return Ok(true);
                }
            }
            Event::Resize(..) => return Ok(false),
            _ => {}
        }
    }
}

fn failed(error: std::io::Error) -> Fault {
    Fault::new(
        FaultCode::NotWritable,
        format!("the terminal cannot be used: {error}"),
        "look once with `sota-loop watch --once`",
    )
}
