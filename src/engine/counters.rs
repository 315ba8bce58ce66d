//! What a running engine counts and says of itself: token counters before and
//! after a run, and the settings that it ended up with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::facts::{Engine, SettingNames};
use crate::http::{self, Base, Limits};

/// Counters of one moment, or, after [`Counts::since`], of a run. A counter
/// that the engine does not have is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Counts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_tokens: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<f64>,
    /// Prompt tokens found in the prefix cache, and looked up in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix_cache_hit_tokens: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix_cache_query_tokens: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preemptions: Option<f64>,
    /// Drafts of speculative decoding, their tokens, and those accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drafts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft_tokens: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_tokens: Option<f64>,
    /// Seconds that requests waited for the scheduler, and how many did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued_requests: Option<f64>,
    /// Gauges: tokens that the KV cache holds, and how drafts do just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_cache_tokens: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_length: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_rate: Option<f64>,
}

impl Counts {
    /// What was counted since `before`; gauges are those of now. A counter
    /// that appears only once it counts began at 0.
    pub fn since(&self, before: &Self) -> Self {
        let delta =
            |pick: fn(&Self) -> Option<f64>| Some(pick(self)? - pick(before).unwrap_or(0.0));
        Self {
            generation_tokens: delta(|counts| counts.generation_tokens),
            prompt_tokens: delta(|counts| counts.prompt_tokens),
            prefix_cache_hit_tokens: delta(|counts| counts.prefix_cache_hit_tokens),
            prefix_cache_query_tokens: delta(|counts| counts.prefix_cache_query_tokens),
            preemptions: delta(|counts| counts.preemptions),
            drafts: delta(|counts| counts.drafts),
            draft_tokens: delta(|counts| counts.draft_tokens),
            accepted_tokens: delta(|counts| counts.accepted_tokens),
            queue_seconds: delta(|counts| counts.queue_seconds),
            queued_requests: delta(|counts| counts.queued_requests),
            ..*self
        }
    }

    /// Share of looked-up prompt tokens that the prefix cache held.
    pub fn prefix_cache_hit_rate(&self) -> Option<f64> {
        let hits = self.prefix_cache_hit_tokens?;
        let looked_up = self.prefix_cache_query_tokens.or(self.prompt_tokens)?;
        (looked_up > 0.0).then(|| hits / looked_up)
    }

    /// Mean tokens of a step with a draft: the accepted ones and its own.
    pub fn mean_accept_length(&self) -> Option<f64> {
        match (self.accepted_tokens, self.drafts) {
            (Some(accepted), Some(drafts)) if drafts > 0.0 => Some(1.0 + accepted / drafts),
            _ => self.accept_length.filter(|length| *length > 0.0),
        }
    }

    /// Mean wait of a request for the scheduler, in milliseconds.
    pub fn queue_ms(&self) -> Option<f64> {
        let requests = self.queued_requests.filter(|requests| *requests > 0.0)?;
        Some(self.queue_seconds? * 1e3 / requests)
    }

    /// Share of drafted tokens that were accepted.
    pub fn acceptance_rate(&self) -> Option<f64> {
        match (self.accepted_tokens, self.draft_tokens) {
            (Some(accepted), Some(drafted)) if drafted > 0.0 => Some(accepted / drafted),
            _ => self.accept_rate.filter(|rate| *rate > 0.0),
        }
    }
}

/// Reads the engine's counters; none without a metrics endpoint.
pub async fn snapshot(engine: &Engine, base: &Base, limits: Limits) -> Option<Counts> {
    let text = metrics(base, limits).await?;
    let names = &engine.counters;
    let sum = |list: &[String]| list.iter().find_map(|name| sum_of(&text, name));
    let gauge = |name: &Option<String>| sum_of(&text, name.as_deref()?);
    Some(Counts {
        generation_tokens: sum(&names.generation_tokens),
        prompt_tokens: sum(&names.prompt_tokens),
        prefix_cache_hit_tokens: sum(&names.prefix_cache_hit_tokens),
        prefix_cache_query_tokens: sum(&names.prefix_cache_query_tokens),
        preemptions: sum(&names.preemptions),
        drafts: sum(&names.drafts),
        draft_tokens: sum(&names.draft_tokens),
        accepted_tokens: sum(&names.accepted_tokens),
        queue_seconds: sum(&names.queue_seconds),
        queued_requests: sum(&names.queued_requests),
        kv_cache_tokens: gauge(&engine.gauges.kv_cache_tokens),
        accept_length: gauge(&engine.gauges.accept_length),
        accept_rate: gauge(&engine.gauges.accept_rate),
    })
}

async fn metrics(base: &Base, limits: Limits) -> Option<String> {
    let reply = http::get(base, "/metrics", limits).await.ok()?;
    Some(reply.success().ok()?.text().into_owned())
}

/// Settings that a server says it runs with; absent where it does not say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix_cache_enabled: Option<bool>,
    /// Share of GPU memory that the engine may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_fraction: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_cache_dtype: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_cache_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtype: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention_backend: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speculative_algorithm: Option<String>,
}

/// Asks a server for its settings.
pub async fn settings(engine: &Engine, base: &Base, limits: Limits) -> Settings {
    let names = &engine.settings;
    let told = match (&names.path, &names.metric) {
        (Some(path), _) => json(base, path, limits).await,
        (None, Some(metric)) => metrics(base, limits)
            .await
            .and_then(|text| labels_of(&text, metric)),
        (None, None) => None,
    };
    told.map(|told| named(names, &told)).unwrap_or_default()
}

async fn json(base: &Base, path: &str, limits: Limits) -> Option<Value> {
    let reply = http::get(base, path, limits).await.ok()?;
    reply.success().ok()?.json().ok()
}

/// Labels come as text, JSON as typed values; both are read.
fn named(names: &SettingNames, told: &Value) -> Settings {
    let value = |key: &Option<String>| told.get(key.as_deref()?).filter(|value| !is_none(value));
    let text = |key: &Option<String>| {
        value(key).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    let flag = |key: &Option<String>| match value(key)? {
        Value::Bool(flag) => Some(*flag),
        Value::String(word) => word.to_lowercase().parse().ok(),
        _ => None,
    };
    Settings {
        version: text(&names.version),
        prefix_cache_enabled: flag(&names.prefix_cache_enabled)
            .or_else(|| flag(&names.prefix_cache_disabled).map(|off| !off)),
        memory_fraction: text(&names.memory_fraction).and_then(|text| text.parse().ok()),
        kv_cache_dtype: text(&names.kv_cache_dtype),
        kv_cache_tokens: text(&names.kv_cache_tokens).and_then(|text| text.parse().ok()),
        dtype: text(&names.dtype),
        quantization: text(&names.quantization),
        attention_backend: text(&names.attention_backend),
        speculative_algorithm: text(&names.speculative_algorithm),
    }
}

fn is_none(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("None")
}

/// Sum of a metric's samples in Prometheus text format.
fn sum_of(text: &str, name: &str) -> Option<f64> {
    let values: Vec<f64> = text
        .lines()
        .filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let rest = match rest.strip_prefix('{') {
                Some(labels) => labels.rsplit_once('}')?.1,
                None => rest.strip_prefix(' ')?,
            };
            rest.split_whitespace().next()?.parse().ok()
        })
        .collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

/// The labels of a metric's first sample as an object of strings.
fn labels_of(text: &str, name: &str) -> Option<Value> {
    let inside = text.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?.strip_prefix('{')?;
        Some(rest.rsplit_once('}')?.0)
    })?;
    let mut labels = serde_json::Map::new();
    let mut rest = inside;
    while let Some((name, after)) = rest.split_once("=\"") {
        let end = quote_end(after)?;
        let value = after[..end].replace("\\\"", "\"").replace("\\\\", "\\");
        labels.insert(name.trim_start_matches(',').to_owned(), value.into());
        rest = after.get(end + 1..)?;
    }
    Some(labels.into())
}

/// Where a quoted value ends; quotes inside it are escaped.
fn quote_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::engine;
    use serde_json::json;

    #[test]
    fn sums_a_counter_over_its_labels() {
        let text = "# TYPE vllm:generation_tokens_total counter\n\
            vllm:generation_tokens_total{engine=\"0\",m=\"a}b\"} 70.0\n\
            vllm:generation_tokens_total{engine=\"1\"} 2.5e1\n\
            vllm:generation_tokens_total_other 5\n\
            llamacpp:tokens_predicted_total 12\n";
        assert_eq!(sum_of(text, "vllm:generation_tokens_total"), Some(95.0));
        assert_eq!(sum_of(text, "llamacpp:tokens_predicted_total"), Some(12.0));
        assert_eq!(sum_of(text, "absent"), None);
    }

    /// A line as vLLM 0.25.0 wrote it, shortened.
    #[test]
    fn vllm_tells_its_settings_in_labels() {
        let text = "vllm:cache_config_info{block_size=\"16\",cache_dtype=\"auto\",\
            enable_prefix_caching=\"False\",engine=\"0\",gpu_memory_utilization=\"0.85\",\
            kv_cache_dtype_skip_layers=\"[]\",kv_cache_size_tokens=\"384560\",\
            sliding_window=\"None\",x=\"a\\\"b,c=\"} 1.0\n";
        let labels = labels_of(text, "vllm:cache_config_info").unwrap();
        assert_eq!(labels["x"], "a\"b,c=");
        let settings = named(&engine("vllm").unwrap().settings, &labels);
        assert_eq!(settings.prefix_cache_enabled, Some(false));
        assert_eq!(settings.memory_fraction, Some(0.85));
        assert_eq!(settings.kv_cache_tokens, Some(384_560));
        assert_eq!(settings.kv_cache_dtype.as_deref(), Some("auto"));
    }

    #[test]
    fn sglang_tells_its_settings_in_json() {
        let told = json!({"version": "0.5.15", "disable_radix_cache": true,
            "mem_fraction_static": 0.82, "kv_cache_dtype": "auto", "quantization": null,
            "max_total_num_tokens": 370_553, "attention_backend": "fa3"});
        let settings = named(&engine("sglang").unwrap().settings, &told);
        assert_eq!(settings.version.as_deref(), Some("0.5.15"));
        assert_eq!(settings.prefix_cache_enabled, Some(false));
        assert_eq!(settings.kv_cache_tokens, Some(370_553));
        assert_eq!(settings.quantization, None);
    }

    #[test]
    fn a_counter_that_appears_during_a_run_began_at_zero() {
        let before = Counts {
            prompt_tokens: Some(100.0),
            ..Counts::default()
        };
        let after = Counts {
            prompt_tokens: Some(300.0),
            prefix_cache_hit_tokens: Some(50.0),
            accept_length: Some(2.5),
            ..Counts::default()
        };
        let run = after.since(&before);
        assert_eq!(run.prompt_tokens, Some(200.0));
        assert_eq!(run.prefix_cache_hit_rate(), Some(0.25));
        assert_eq!(run.mean_accept_length(), Some(2.5));
        assert_eq!(run.generation_tokens, None);
    }

    #[test]
    fn drafts_tell_how_many_tokens_a_step_gains() {
        let run = Counts {
            drafts: Some(10.0),
            draft_tokens: Some(30.0),
            accepted_tokens: Some(15.0),
            ..Counts::default()
        };
        assert_eq!(run.mean_accept_length(), Some(2.5));
        assert_eq!(run.acceptance_rate(), Some(0.5));
    }
}
