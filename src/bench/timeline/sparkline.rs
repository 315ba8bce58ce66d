//! A row of blocks for the terminal.

use super::Timeline;
use super::record::Window;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Values as blocks from 0 to `top`; a missing value is a space.
pub fn sparkline(values: &[Option<f64>], top: f64) -> String {
    values
        .iter()
        .map(|value| match value {
            Some(value) if top > 0.0 => {
                let level = (value / top * BLOCKS.len() as f64).ceil() as usize;
                BLOCKS[level.clamp(1, BLOCKS.len()) - 1]
            }
            Some(_) => BLOCKS[0],
            None => ' ',
        })
        .collect()
}

/// What a timeline's lines on the terminal show, over `cells` equal parts of
/// `until_s` seconds: running requests, share of the KV cache, output tokens
/// a second.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    pub running: Vec<Option<f64>>,
    pub kv_usage: Vec<Option<f64>>,
    pub output_tps: Vec<Option<f64>>,
}

impl Rows {
    pub fn of(timeline: &Timeline, cells: usize, until_s: f64) -> Self {
        let width = until_s / cells.max(1) as f64;
        let windows = &timeline.windows;
        let mean = |value: fn(&Window) -> f64| cells_of(windows, cells, width, value);
        Self {
            running: mean(Window::running),
            output_tps: mean(|w| (w.tokens + f64::from(w.first_tokens)) / w.seconds()),
            kv_usage: usage(timeline, cells, width),
        }
    }

    pub fn peak(values: &[Option<f64>]) -> f64 {
        values.iter().flatten().copied().fold(0.0, f64::max)
    }
}

/// Time-weighted means of a quantity of the windows over equal cells.
fn cells_of(
    windows: &[Window],
    cells: usize,
    width: f64,
    value: fn(&Window) -> f64,
) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0.0); cells];
    for window in windows {
        let from = (window.from / width) as usize;
        let to = ((window.to / width) as usize).min(cells.saturating_sub(1));
        for cell in from..=to {
            let start = cell as f64 * width;
            let part = window.to.min(start + width) - window.from.max(start);
            if part > 0.0
                && let Some((sum, seconds)) = sums.get_mut(cell)
            {
                *sum += part * value(window);
                *seconds += part;
            }
        }
    }
    sums.into_iter()
        .map(|(sum, seconds)| (seconds > 0.0).then(|| sum / seconds))
        .collect()
}

/// The engine's own share of the KV cache; the last value that it told holds.
fn usage(timeline: &Timeline, cells: usize, width: f64) -> Vec<Option<f64>> {
    let points: Vec<(f64, f64)> = timeline
        .server
        .iter()
        .filter_map(|point| Some((point.t, point.kv_usage?)))
        .collect();
    let end = timeline.run.duration_s;
    (0..cells)
        .map(|cell| {
            let middle = (cell as f64 + 0.5) * width;
            if middle > end {
                return None;
            }
            let next = points.partition_point(|(t, _)| *t < middle);
            points
                .get(next)
                .or_else(|| points.last())
                .map(|(_, usage)| *usage)
        })
        .collect()
}

/// Two runs on one scale of time, the target above the leader.
pub fn sparklines(target: &Timeline, leader: &Timeline, cells: usize) -> Vec<(String, String)> {
    let until = target.run.duration_s.max(leader.run.duration_s);
    let (above, below) = (
        Rows::of(target, cells, until),
        Rows::of(leader, cells, until),
    );
    let mut lines = Vec::new();
    let mut pair = |what: &str, a: &[Option<f64>], b: &[Option<f64>], top: f64, unit: String| {
        for (side, values) in [("target", a), ("leader", b)] {
            if values.iter().any(Option::is_some) {
                lines.push((
                    format!("{what} {side}"),
                    format!("{} {unit}", sparkline(values, top)),
                ));
            }
        }
    };
    let top = Rows::peak(&above.running).max(Rows::peak(&below.running));
    pair(
        "running",
        &above.running,
        &below.running,
        top,
        format!("of {top:.0}"),
    );
    pair(
        "KV use",
        &above.kv_usage,
        &below.kv_usage,
        1.0,
        "of 100%".to_owned(),
    );
    let top = Rows::peak(&above.output_tps).max(Rows::peak(&below.output_tps));
    pair(
        "tokens/s",
        &above.output_tps,
        &below.output_tps,
        top,
        format!("of {top:.0}"),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_follow_the_values() {
        let values = [Some(0.0), Some(1.0), Some(4.0), Some(8.0), None];
        assert_eq!(sparkline(&values, 8.0), "▁▁▄█ ");
        assert_eq!(sparkline(&[Some(0.0)], 0.0), "▁");
    }
}
