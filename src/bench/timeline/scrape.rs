//! The engine's metrics once a second, while a run lasts.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::record::{ServerPoint, Source, micros};
use super::sources::{self, EngineSources, Field};
use crate::http::{self, Base, Limits};

const EVERY: Duration = Duration::from_secs(1);
const QUESTION: Limits = Limits {
    time: Duration::from_secs(2),
    body: 16 << 20,
};
/// After so many failures in a row the endpoint is taken as absent.
const MOST_FAILURES: u32 = 5;
/// Ten hours.
const MOST_POINTS: usize = 36_000;

/// What was scraped during one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scrape {
    pub points: Vec<ServerPoint>,
}

/// Scrapes until it is finished or dropped.
#[derive(Debug)]
pub struct Scraper {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Scrape>,
}

impl Scraper {
    /// Starts scraping an engine; its clock starts now. None for an engine
    /// whose metrics are not known.
    pub fn start(engine: &str, base: Base) -> Option<Self> {
        let sources = sources::of_engine(engine)?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(scrape(sources, base, stopped));
        Some(Self { stop, task })
    }

    /// Takes a last look and returns everything.
    pub async fn finish(self) -> Scrape {
        // The task has ended by itself where the engine has no metrics.
        let _ = self.stop.send(());
        self.task.await.unwrap_or_default()
    }
}

async fn scrape(
    sources: &'static EngineSources,
    base: Base,
    mut stopped: oneshot::Receiver<()>,
) -> Scrape {
    let started = Instant::now();
    let mut scrape = Scrape::default();
    let mut failures = 0;
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        let last = tokio::select! {
            _ = tick.tick() => false,
            // Also when the sender was dropped with a failed run.
            _ = &mut stopped => true,
        };
        match look(sources, &base).await {
            Some(mut point) => {
                failures = 0;
                point.t = micros(started.elapsed().as_secs_f64());
                scrape.points.push(point);
            }
            None => failures += 1,
        }
        if last || failures >= MOST_FAILURES || scrape.points.len() >= MOST_POINTS {
            return scrape;
        }
    }
}

async fn look(sources: &EngineSources, base: &Base) -> Option<ServerPoint> {
    let reply = http::get(base, "/metrics", QUESTION).await.ok()?;
    let text = reply.success().ok()?.text().into_owned();
    parse(sources, &text)
}

/// The point that a page of Prometheus text tells; none when it names no
/// metric that is known.
fn parse(sources: &EngineSources, text: &str) -> Option<ServerPoint> {
    let mut found: Vec<(Field, usize, f64, u32)> = Vec::new();
    let mut capacity = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        if let Some(label) = sources.capacity_label.as_ref()
            && label.metric == name
        {
            capacity = label_value(rest, &label.label);
        }
        let Some((field, rank)) = field_of(sources, name) else {
            continue;
        };
        let value = match rest.strip_prefix('{') {
            Some(labels) => labels.rsplit_once('}').map(|(_, value)| value),
            None => Some(rest),
        };
        let value = value
            .and_then(|value| value.split_whitespace().next()?.parse::<f64>().ok())
            .filter(|value| value.is_finite());
        let Some(value) = value else { continue };
        match found
            .iter_mut()
            .find(|(f, r, ..)| (*f, *r) == (field, rank))
        {
            Some((.., sum, count)) => {
                *sum += value;
                *count += 1;
            }
            None => found.push((field, rank, value, 1)),
        }
    }
    // The first name that exists counts.
    found.sort_by_key(|(_, rank, ..)| *rank);
    let get = |wanted: Field| {
        let (.., sum, count) = found.iter().find(|(field, ..)| *field == wanted)?;
        Some(if wanted.is_mean() {
            sum / f64::from(*count)
        } else {
            *sum
        })
    };
    let hit_rate = || {
        let queries = get(Field::CacheQueries).filter(|queries| *queries > 0.0)?;
        Some(get(Field::CacheHits)? / queries)
    };
    let known = !found.is_empty() || capacity.is_some();
    known.then(|| ServerPoint {
        source: Source::Metrics,
        running: get(Field::Running),
        waiting: get(Field::Waiting),
        kv_used_tokens: get(Field::KvUsedTokens),
        kv_capacity_tokens: get(Field::KvCapacityTokens).or(capacity),
        kv_usage: get(Field::KvUsage),
        cache_hit_rate: get(Field::CacheHitRate).or_else(hit_rate),
        preemptions: get(Field::Preemptions),
        accept_length: get(Field::AcceptLength).filter(|length| *length > 1.0),
        gpu_busy_pct: get(Field::GpuBusyPct),
        prompt_tokens: get(Field::PromptTokens),
        generation_tokens: get(Field::GenerationTokens),
        generation_tps: get(Field::GenerationTps),
        ..ServerPoint::default()
    })
}

fn field_of(sources: &EngineSources, name: &str) -> Option<(Field, usize)> {
    sources.metrics.iter().find_map(|(field, names)| {
        let rank = names.iter().position(|known| known == name)?;
        Some((*field, rank))
    })
}

fn label_value(labels: &str, wanted: &str) -> Option<f64> {
    let start = labels.find(&format!("{wanted}=\""))? + wanted.len() + 2;
    labels.get(start..)?.split('"').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sglangs_page() {
        let page = "# TYPE sglang:num_running_reqs gauge\n\
            sglang:num_running_reqs{tp_rank=\"0\"} 37.0\n\
            sglang:kv_used_tokens{tp_rank=\"0\"} 325069.0\n\
            sglang:num_used_tokens{tp_rank=\"0\"} 1.0\n\
            sglang:max_total_num_tokens{tp_rank=\"0\"} 370553.0\n\
            sglang:token_usage{tp_rank=\"0\"} 0.88\n\
            sglang:token_usage{tp_rank=\"1\"} 0.86\n\
            sglang:fwd_occupancy{tp_rank=\"0\"} NaN\n";
        let point = parse(sources::of_engine("sglang").unwrap(), page).unwrap();
        assert_eq!(point.running, Some(37.0));
        assert_eq!(point.kv_used_tokens, Some(325_069.0));
        assert_eq!(point.kv_capacity_tokens, Some(370_553.0));
        assert_eq!(point.kv_usage, Some(0.87));
        assert_eq!(point.gpu_busy_pct, None);
    }

    #[test]
    fn vllms_page() {
        let page = "vllm:cache_config_info{block_size=\"16\",kv_cache_size_tokens=\"384560\"} 1.0\n\
            vllm:num_requests_running{engine=\"0\"} 46.0\n\
            vllm:num_requests_running{engine=\"1\"} 2.0\n\
            vllm:prefix_cache_queries_total{engine=\"0\"} 200.0\n\
            vllm:prefix_cache_hits_total{engine=\"0\"} 50.0\n";
        let point = parse(sources::of_engine("vllm").unwrap(), page).unwrap();
        assert_eq!(point.running, Some(48.0));
        assert_eq!(point.kv_capacity_tokens, Some(384_560.0));
        assert_eq!(point.cache_hit_rate, Some(0.25));
    }

    #[test]
    fn a_page_of_another_program_is_none() {
        let sources = sources::of_engine("vllm").unwrap();
        assert_eq!(parse(sources, "process_open_fds 12\n"), None);
    }
}
