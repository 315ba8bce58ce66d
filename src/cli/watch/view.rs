//! What a look shows, on any size of terminal.

use ratatui::Frame;
use ratatui::backend::TestBackend;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Gauge, Paragraph, Sparkline};

use super::{PLAIN, Snapshot, rows};
use crate::bench::LiveRun;
use crate::bench::load::Quantiles;
use crate::job::JobState;
use crate::launch::GpuReading;

/// The look as plain text.
pub fn text(snapshot: &Snapshot) -> String {
    let (width, height) = PLAIN;
    let mut text = String::new();
    let Ok(mut terminal) = ratatui::Terminal::new(TestBackend::new(width, height));
    if terminal
        .draw(|frame| draw(frame, snapshot, &[], false))
        .is_err()
    {
        return snapshot.message.clone();
    }
    let buffer = terminal.backend().buffer();
    for y in 0..height {
        let line: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// Draws one look; `rates` are output tokens a second, oldest first.
pub fn draw(frame: &mut Frame<'_>, snapshot: &Snapshot, rates: &[u64], colour: bool) {
    let area = frame.area();
    let rows = (snapshot.rows.len() as u16 + 3).clamp(4, (area.height / 3).max(4));
    let live = if snapshot.live.is_some() {
        live_height(snapshot)
    } else {
        3
    };
    let parts = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(live),
        Constraint::Length(rows),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .split(area);
    let place = |index: usize| parts.get(index).copied().unwrap_or_default();
    head(frame, place(0), snapshot, colour);
    match &snapshot.live {
        Some(run) => live_run(frame, place(1), run, rates, colour),
        None => {
            let idle = Paragraph::new("no load at this moment").block(titled("run"));
            frame.render_widget(idle, place(1));
        }
    }
    rows::draw(frame, place(2), &snapshot.rows, colour);
    log(frame, place(3), snapshot);
    let keys = Paragraph::new("q leaves; the job goes on").alignment(Alignment::Right);
    frame.render_widget(keys, place(4));
}

fn live_height(snapshot: &Snapshot) -> u16 {
    let gpus = snapshot.live.as_ref().map_or(0, |live| live.gpus.len());
    6 + gpus.clamp(1, 8) as u16
}

pub fn titled(title: impl Into<String>) -> Block<'static> {
    Block::bordered().title(format!(" {} ", title.into()))
}

pub fn paint(colour: bool, tone: Color) -> Style {
    if colour {
        Style::new().fg(tone)
    } else {
        Style::new()
    }
}

fn head(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, colour: bool) {
    let title = match &snapshot.campaign {
        Some(campaign) => format!("{} of {campaign}", snapshot.job_id),
        None => snapshot.job_id.clone(),
    };
    let block = titled(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let parts = Layout::vertical([Constraint::Length(1), Constraint::Length(1)]).split(inner);
    let tone = match snapshot.state {
        JobState::Done => Color::Green,
        JobState::Failed | JobState::Lost => Color::Red,
        JobState::Queued | JobState::Cancelled => Color::Yellow,
        JobState::Running => Color::Cyan,
    };
    let state = format!("{:?}", snapshot.state).to_lowercase();
    let line = Line::from(vec![
        Span::styled(state, paint(colour, tone).add_modifier(Modifier::BOLD)),
        Span::raw(format!("  {}", snapshot.message)),
    ]);
    frame.render_widget(
        Paragraph::new(line),
        parts.first().copied().unwrap_or_default(),
    );
    let progress = snapshot.progress;
    let left = match progress.eta_s {
        Some(eta) if !snapshot.state.is_final() => format!(", {} left", clock(eta)),
        _ => String::new(),
    };
    let ratio = (progress.done / progress.total.max(1.0)).clamp(0.0, 1.0);
    let gauge = Gauge::default()
        .ratio(if ratio.is_finite() { ratio } else { 0.0 })
        .label(format!(
            "{:.0} of {:.0} runs{left}",
            progress.done, progress.total
        ))
        .gauge_style(paint(colour, Color::Cyan));
    frame.render_widget(gauge, parts.get(1).copied().unwrap_or_default());
}

/// Seconds as `1 h 02 min`, `3 min 20 s` or `12 s`.
fn clock(seconds: f64) -> String {
    let seconds = seconds.max(0.0).round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}

fn live_run(frame: &mut Frame<'_>, area: Rect, run: &LiveRun, rates: &[u64], colour: bool) {
    let block = titled(run.run.clone());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let wide = inner.width >= 90 && !rates.is_empty();
    let parts = Layout::horizontal([
        Constraint::Min(40),
        Constraint::Length(if wide { inner.width / 3 } else { 0 }),
    ])
    .split(inner);
    let counts = &run.counts;
    let mut lines = vec![
        Line::raw(format!(
            "requests  {} of {} done, {} waiting, {} decoding, {} failed",
            counts.done, run.total, counts.waiting, counts.decoding, counts.failed
        )),
        Line::raw(format!(
            "rates     {:.2} req/s, {:.0} output tok/s, {:.0} s",
            run.requests_per_s, run.tokens_per_s, run.elapsed_s
        )),
        Line::raw(format!("TTFT ms   {}", quantiles(counts.ttft_us))),
        Line::raw(format!("ITL ms    {}", quantiles(counts.itl_us))),
    ];
    if run.gpus.is_empty() {
        lines.push(Line::raw(
            "GPU       no reading (no NVML, or the plan names no GPU)",
        ));
    }
    lines.extend(run.gpus.iter().map(|gpu| Line::raw(gpu_line(gpu))));
    frame.render_widget(
        Paragraph::new(lines),
        parts.first().copied().unwrap_or_default(),
    );
    if wide {
        let area = parts.get(1).copied().unwrap_or_default();
        let shown = rates.len().saturating_sub(usize::from(area.width));
        let chart = Sparkline::default()
            .data(rates.iter().skip(shown).copied())
            .style(paint(colour, Color::Cyan));
        frame.render_widget(chart, area);
    }
}

fn quantiles(values: Option<Quantiles>) -> String {
    let Some(values) = values else {
        return "no value yet".to_owned();
    };
    let ms = |us: u64| format!("{:.2}", us as f64 / 1e3);
    format!(
        "p50 {}  p90 {}  p99 {}  of {}",
        ms(values.p50),
        ms(values.p90),
        ms(values.p99),
        values.count
    )
}

fn gpu_line(gpu: &GpuReading) -> String {
    let mut parts = Vec::new();
    if let Some(watts) = gpu.power_w {
        parts.push(format!("{watts:.0} W"));
    }
    if let (Some(used), Some(total)) = (gpu.memory_used_mib, gpu.memory_total_mib) {
        let gib = |mib: u64| mib as f64 / 1024.0;
        parts.push(format!("{:.1} of {:.1} GiB", gib(used), gib(total)));
    }
    if let Some(busy) = gpu.utilization_pct {
        parts.push(format!("{busy}% busy"));
    }
    format!("GPU {}     {}", gpu.gpu, parts.join(", "))
}

fn log(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let fits = usize::from(area.height.saturating_sub(2));
    let from = snapshot.log.len().saturating_sub(fits);
    let lines: Vec<Line<'_>> = snapshot
        .log
        .iter()
        .skip(from)
        .map(|line| Line::raw(line.as_str()))
        .collect();
    let name = snapshot
        .log_path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    frame.render_widget(Paragraph::new(lines).block(titled(name)), area);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_short() {
        assert_eq!(clock(12.4), "12 s");
        assert_eq!(clock(200.0), "3 min 20 s");
        assert_eq!(clock(3_725.0), "1 h 02 min");
    }
}
