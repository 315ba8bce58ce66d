//! The windows of a run from its requests.

use super::grid::Grid;
use super::record::{RequestSpan, Window};
use super::spans::Request;

/// Counts what each window of the grid holds.
pub fn windows(grid: &Grid, requests: &[Request<'_>]) -> Vec<Window> {
    let spans = || requests.iter().map(|request| &request.span);
    let mut windows: Vec<Window> = (0..grid.len())
        .map(|i| {
            let (from, to) = grid.bounds(i);
            Window {
                from,
                to,
                tokens: grid.tokens.get(i).copied().unwrap_or_default(),
                context: grid.context.get(i).copied().unwrap_or_default(),
                ..Window::default()
            }
        })
        .collect();
    let decoding = grid.mean_cover(spans().map(|span| (span.first, span.end)));
    let paused = grid.mean_cover(
        spans().flat_map(|span| span.pauses.iter().map(|pause| (pause.from, pause.to))),
    );
    for ((window, decoding), paused) in windows.iter_mut().zip(decoding).zip(&paused) {
        window.decoding = (decoding - paused).max(0.0);
        window.waiting = *paused;
    }
    for span in spans() {
        add_prompt(&mut windows, grid, span.first, span.prompt as f64, 1);
        for pause in &span.pauses {
            let again = (span.prompt + pause.tokens) as f64;
            add_prompt(&mut windows, grid, pause.to, again, 0);
        }
    }
    mark_idle(&mut windows, grid, spans());
    split_waiting(&mut windows, grid, requests);
    windows
}

fn add_prompt(windows: &mut [Window], grid: &Grid, at: f64, tokens: f64, first: u32) {
    if let Some(window) = windows.get_mut(grid.window_of(at)) {
        window.prompt_tokens += tokens;
        window.first_tokens += first;
    }
}

/// Times in which nothing was in flight.
fn mark_idle<'a>(
    windows: &mut [Window],
    grid: &Grid,
    spans: impl Iterator<Item = &'a RequestSpan>,
) {
    let mut flights: Vec<(f64, f64)> = spans.map(|span| (span.sent, span.end)).collect();
    flights.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut gaps = Vec::new();
    let mut until = 0.0;
    for (sent, end) in flights {
        if sent > until {
            gaps.push((until, sent));
        }
        until = f64::max(until, end);
    }
    for (window, idle) in windows.iter_mut().zip(grid.mean_cover(gaps.into_iter())) {
        window.idle = idle * window.seconds();
    }
}

/// Splits the time before the first token into waiting and being prefilled.
/// A prompt is taken to be computed just before its first token, at the
/// run's fast rate.
fn split_waiting(windows: &mut [Window], grid: &Grid, requests: &[Request<'_>]) {
    let per_token = seconds_per_prompt_token(windows);
    let begin = |span: &RequestSpan| (span.first - span.prompt as f64 * per_token).max(span.sent);
    let spans = || requests.iter().map(|request| &request.span);
    let waiting = grid.mean_cover(spans().map(|span| (span.sent, begin(span))));
    let prefilling = grid.mean_cover(spans().map(|span| (begin(span), span.first)));
    for ((window, waiting), prefilling) in windows.iter_mut().zip(waiting).zip(prefilling) {
        window.waiting += waiting;
        window.prefilling = prefilling;
    }
}

/// The lower quartile over windows that computed prompts.
fn seconds_per_prompt_token(windows: &[Window]) -> f64 {
    let mut rates: Vec<f64> = windows
        .iter()
        .filter(|window| window.prompt_tokens > 0.0)
        .map(|window| window.seconds() / window.prompt_tokens)
        .collect();
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 4).copied().unwrap_or_default()
}
