//! Small questions to a running engine: is it up, what does it serve.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::engine;

    #[test]
    fn a_starting_engine_says_what_it_is_at() {
        let sglang = engine("sglang").unwrap();
        let line = "[2026-11-24 06:18:41] Capture target prefill CUDA graph begin. backend=x";
        assert_eq!(stage_of(sglang, line), Some("capturing CUDA graphs"));
        assert_eq!(stage_of(sglang, "something else"), None);
    }
}
