//! Small questions to a running engine: is it up, what does it serve, how many
//! tokens has it made.

use serde_json::Value;

use super::Engine;
use crate::http::{self, Base, HttpError, Limits};

/// What a starting engine is at, by a line of its log.
pub fn stage_of<'a>(engine: &'a Engine, line: &str) -> Option<&'a str> {
    engine
        .progress
        .iter()
        .rev()
        .find(|progress| progress.pattern.is_match(line))
        .map(|progress| progress.says.as_str())
}

/// The model names that the server lists; none where it has no such list.
pub async fn served_models(base: &Base, limits: Limits) -> Option<Vec<String>> {
    let reply = http::get(base, "/v1/models", limits).await.ok()?;
    let list: Value = reply.success().ok()?.json().ok()?;
    let names = list
        .get("data")?
        .as_array()?
        .iter()
        .filter_map(|model| Some(model.get("id")?.as_str()?.to_owned()))
        .collect();
    Some(names)
}

/// Empties the prefix cache. `Ok(false)`: the server has no way to.
pub async fn flush_cache(engine: &Engine, base: &Base, limits: Limits) -> Result<bool, HttpError> {
    let Some(path) = &engine.flush_path else {
        return Ok(false);
    };
    let reply = http::post_json(base, path, "{}", limits).await?;
    if reply.status == 404 {
        return Ok(false);
    }
    reply.success().map(|_| true)
}

/// The server's own count of generated tokens, summed over label sets.
pub async fn generation_tokens(engine: &Engine, base: &Base, limits: Limits) -> Option<f64> {
    let reply = http::get(base, "/metrics", limits).await.ok()?;
    let text = reply.success().ok()?.text().into_owned();
    engine
        .generation_tokens
        .iter()
        .find_map(|name| sum_of(&text, name))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::engine;

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

    #[test]
    fn a_starting_engine_says_what_it_is_at() {
        let sglang = engine("sglang").unwrap();
        let line = "[2026-11-24 06:18:41] Capture target prefill CUDA graph begin. backend=x";
        assert_eq!(stage_of(sglang, line), Some("capturing CUDA graphs"));
        assert_eq!(stage_of(sglang, "something else"), None);
    }
}
