//! Where the windows of a run lie, and sums over them.

use super::spans::Request;

/// No more windows than about this.
const MOST_WINDOWS: f64 = 4096.0;
/// Quiet stretches are cut into about this many pieces a run.
const PIECES: f64 = 400.0;
/// But a piece has at least about this many decode steps, or the client's
/// jitter would be larger than what is measured.
const STEPS: f64 = 6.0;
/// First tokens closer than this share of the run, at most [`CLUSTER_S`],
/// came with one step.
const CLUSTER: f64 = 1.0 / 2000.0;
const CLUSTER_S: f64 = 0.02;

/// Boundaries of windows and the decode tokens in each.
#[derive(Debug)]
pub struct Grid {
    /// n + 1 times for n windows, rising.
    edges: Vec<f64>,
    pub tokens: Vec<f64>,
    pub context: Vec<f64>,
    /// Tokens before each edge.
    before: Vec<f64>,
}

impl Grid {
    /// Cuts a run at clusters of first tokens and of ends, and cuts what is
    /// long between them; then counts the decode tokens of each window.
    pub fn new(requests: &[Request<'_>], firsts: &[f64], ends: &[f64], duration: f64) -> Self {
        let mut grid = Self {
            edges: on_steps(edges(firsts, ends, duration, mean_gap(requests)), requests),
            tokens: Vec::new(),
            context: Vec::new(),
            before: Vec::new(),
        };
        grid.tokens = vec![0.0; grid.len()];
        grid.context = vec![0.0; grid.len()];
        for request in requests {
            grid.count(request);
        }
        let mut sum = 0.0;
        grid.before = vec![0.0];
        for tokens in &grid.tokens {
            sum += tokens;
            grid.before.push(sum);
        }
        grid
    }

    pub fn len(&self) -> usize {
        self.edges.len().saturating_sub(1)
    }

    /// The window that holds a time; one that ends at it rather than begins.
    pub fn window_of(&self, at: f64) -> usize {
        self.edges
            .partition_point(|edge| *edge < at)
            .saturating_sub(1)
            .min(self.len().saturating_sub(1))
    }

    /// Start and end of a window.
    pub fn bounds(&self, window: usize) -> (f64, f64) {
        let edge = |i: usize| self.edges.get(i).copied().unwrap_or_default();
        (edge(window), edge(window + 1))
    }

    /// Decode tokens of the windows that lie wholly between two times.
    pub fn tokens_within(&self, from: f64, to: f64) -> f64 {
        let before = |window: usize| self.before.get(window).copied().unwrap_or_default();
        let first = self.edges.partition_point(|edge| *edge < from);
        let last = self
            .edges
            .partition_point(|edge| *edge <= to)
            .saturating_sub(1);
        (before(last) - before(first)).max(0.0)
    }

    fn count(&mut self, request: &Request<'_>) {
        let prompt = request.span.prompt as f64;
        let mut window = self.window_of(request.span.first);
        let last = self.len().saturating_sub(1);
        for (at, tokens, had) in request.later_chunks() {
            while window < last && self.edges.get(window + 1).is_some_and(|edge| *edge < at) {
                window += 1;
            }
            if let (Some(sum), Some(context)) =
                (self.tokens.get_mut(window), self.context.get_mut(window))
            {
                *sum += tokens;
                *context += tokens * (prompt + had);
            }
        }
    }

    /// Time-weighted means over the windows of how many intervals cover each
    /// moment.
    pub fn mean_cover(&self, intervals: impl Iterator<Item = (f64, f64)>) -> Vec<f64> {
        let n = self.len();
        // Whole windows by differences, the two windows at the ends by overlap.
        let mut steps = vec![0.0; n + 1];
        let mut partial = vec![0.0; n];
        for (from, to) in intervals.filter(|(from, to)| to > from) {
            let (a, b) = (self.window_of_start(from), self.window_of(to));
            if a >= b {
                self.overlap(&mut partial, a, from, to);
                continue;
            }
            self.overlap(&mut partial, a, from, to);
            self.overlap(&mut partial, b, from, to);
            if let Some(step) = steps.get_mut(a + 1) {
                *step += 1.0;
            }
            if let Some(step) = steps.get_mut(b) {
                *step -= 1.0;
            }
        }
        let mut level = 0.0;
        (0..n)
            .map(|i| {
                level += steps.get(i).copied().unwrap_or_default();
                let (from, to) = self.bounds(i);
                let covered = partial.get(i).copied().unwrap_or_default();
                level + covered / (to - from).max(f64::MIN_POSITIVE)
            })
            .collect()
    }

    /// The window that holds a time; one that begins at it rather than ends.
    fn window_of_start(&self, at: f64) -> usize {
        self.edges
            .partition_point(|edge| *edge <= at)
            .saturating_sub(1)
            .min(self.len().saturating_sub(1))
    }

    fn overlap(&self, partial: &mut [f64], window: usize, from: f64, to: f64) {
        let (a, b) = self.bounds(window);
        if let Some(sum) = partial.get_mut(window) {
            *sum += (to.min(b) - from.max(a)).max(0.0);
        }
    }
}

/// Mean time between the tokens of a request.
fn mean_gap(requests: &[Request<'_>]) -> f64 {
    let (seconds, tokens) = requests.iter().fold((0.0, 0.0), |(seconds, tokens), r| {
        let span = &r.span;
        (
            seconds + span.end - span.first,
            tokens + span.output.saturating_sub(1) as f64,
        )
    });
    if tokens > 0.0 { seconds / tokens } else { 0.0 }
}

/// Rising times, and whether each must stay where it is.
fn edges(firsts: &[f64], ends: &[f64], duration: f64, step: f64) -> Vec<(f64, bool)> {
    let cluster = (CLUSTER * duration).min(CLUSTER_S);
    let narrow = (duration / MOST_WINDOWS).max(cluster);
    let mut cuts: Vec<(f64, bool)> = clusters(firsts, cluster)
        .map(|at| (at, true))
        .chain(clusters(ends, cluster).map(|at| (at, false)))
        .collect();
    cuts.push((duration, false));
    cuts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let piece = (duration / PIECES).max(STEPS * step);
    let mut edges = vec![(0.0, true)];
    let mut last = 0.0;
    for (at, _) in cuts {
        let at = at.min(duration);
        if at - last < narrow && at < duration || at <= last {
            continue;
        }
        let pieces = ((at - last) / piece).floor().max(1.0);
        let from = last;
        for i in 1..pieces as usize {
            edges.push((from + (at - from) * i as f64 / pieces, false));
        }
        edges.push((at, true));
        last = at;
    }
    edges
}

/// Moves the cuts within quiet stretches to moments at which a token came to
/// one and the same request, so that windows hold whole decode steps.
fn on_steps(cuts: Vec<(f64, bool)>, requests: &[Request<'_>]) -> Vec<f64> {
    let mut by_first: Vec<&Request<'_>> = requests.iter().collect();
    by_first.sort_by(|a, b| a.span.first.total_cmp(&b.span.first));
    let mut next = by_first.into_iter().peekable();
    let mut longest: Option<&Request<'_>> = None;
    let mut edges: Vec<f64> = Vec::with_capacity(cuts.len());
    for (at, fixed) in cuts {
        while let Some(request) = next.next_if(|request| request.span.first <= at) {
            if longest.is_none_or(|other| other.span.end < at) {
                longest = Some(request);
            }
        }
        let token = longest
            .filter(|request| !fixed && request.span.end >= at)
            .and_then(|request| request.token_by(at));
        let at = token.unwrap_or(at);
        if edges.last().is_none_or(|last| *last < at) {
            edges.push(at);
        }
    }
    edges
}

/// The last time of each cluster of sorted times.
fn clusters(sorted: &[f64], width: f64) -> impl Iterator<Item = f64> + '_ {
    sorted
        .iter()
        .enumerate()
        .filter(move |(i, at)| sorted.get(i + 1).is_none_or(|next| *next - *at > width))
        .map(|(_, at)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(edges: &[f64]) -> Grid {
        let n = edges.len() - 1;
        Grid {
            edges: edges.to_vec(),
            tokens: vec![10.0; n],
            context: vec![0.0; n],
            before: (0..=n).map(|i| 10.0 * i as f64).collect(),
        }
    }

    #[test]
    fn intervals_are_weighted_by_time() {
        let grid = grid(&[0.0, 1.0, 2.0, 4.0]);
        let cover = grid.mean_cover([(0.5, 3.0), (1.0, 2.0)].into_iter());
        assert_eq!(cover, [0.5, 2.0, 0.5]);
        assert_eq!(grid.mean_cover([(0.25, 0.75)].into_iter()), [0.5, 0.0, 0.0]);
    }

    #[test]
    fn only_whole_windows_count() {
        let grid = grid(&[0.0, 1.0, 2.0, 4.0]);
        assert_eq!(grid.tokens_within(0.5, 1.5), 0.0);
        assert_eq!(grid.tokens_within(1.0, 3.9), 10.0);
        assert_eq!(grid.tokens_within(0.0, 9.0), 30.0);
    }

    #[test]
    fn long_stretches_are_cut_and_clusters_are_not() {
        let edges = edges(&[1.0, 1.001, 1.002, 5.0], &[10.0], 10.0, 0.001);
        assert!(edges.contains(&(1.002, true)) && !edges.contains(&(1.0, true)));
        assert!(edges.windows(2).all(|pair| pair[1].0 > pair[0].0));
        assert!((380..=410).contains(&edges.len()), "{}", edges.len());
        assert_eq!(edges.last(), Some(&(10.0, true)));
    }
}
