//! Request bodies, written before the clock starts.

use std::io::Write;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Endpoint, LoadError, LoadRun};
use crate::bench::workload::{Input, Prompt};

/// Most memory for all bodies of a run.
const MOST_BYTES: usize = 4 << 30;

/// The bodies of all requests, in the order of the prompts.
pub(super) fn bodies(run: &LoadRun) -> Result<Vec<Bytes>, LoadError> {
    for key in ["prompt", "input_ids", "text", "messages", "stream", "n"] {
        if run.extra_body.contains_key(key) {
            return Err(LoadError::ReservedKey {
                key: key.to_owned(),
            });
        }
    }
    let mut total = 0;
    let mut bodies = Vec::with_capacity(run.prompts.len());
    for (index, prompt) in run.prompts.iter().enumerate() {
        let body = body(run, index, prompt)?;
        total += body.len();
        if total > MOST_BYTES {
            return Err(LoadError::TooLarge {
                bytes: total,
                limit: MOST_BYTES,
            });
        }
        bodies.push(Bytes::from(body));
    }
    Ok(bodies)
}

/// One body: the small part by way of a JSON object, the prompt written behind
/// it, because thousands of token ids are no work for a tree of values.
fn body(run: &LoadRun, index: usize, prompt: &Prompt) -> Result<Vec<u8>, LoadError> {
    let mut object = parameters(run, prompt.output_len);
    merge(&mut object, &run.extra_body);
    let mut body = Value::Object(object).to_string().into_bytes();
    body.pop();
    let wrong = |kind| LoadError::WrongInput {
        index,
        kind,
        endpoint: run.endpoint.path(),
    };
    match (run.endpoint, &prompt.input) {
        (Endpoint::Completions, Input::Ids(ids)) => push_ids(&mut body, "prompt", ids),
        (Endpoint::Generate, Input::Ids(ids)) => push_ids(&mut body, "input_ids", ids),
        (Endpoint::Completions, Input::Text(text)) => push(&mut body, "prompt", &json!(text)),
        (Endpoint::Generate, Input::Text(text)) => push(&mut body, "text", &json!(text)),
        (Endpoint::Chat, Input::Text(text)) => {
            let messages = json!([{"role": "user", "content": text}]);
            push(&mut body, "messages", &messages);
        }
        (Endpoint::Chat, Input::Messages(messages)) => push(&mut body, "messages", messages),
        (Endpoint::Chat, Input::Ids(_)) => return Err(wrong("token ids")),
        (_, Input::Messages(_)) => return Err(wrong("chat messages")),
    }
    body.push(b'}');
    Ok(body)
}

fn push(body: &mut Vec<u8>, key: &str, value: &Value) {
    // Writing to a vector cannot fail.
    let _ = write!(body, ",\"{key}\":{value}");
}

fn push_ids(body: &mut Vec<u8>, key: &str, ids: &[u32]) {
    let _ = write!(body, ",\"{key}\":[");
    for (i, id) in ids.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(body, "{comma}{id}");
    }
    body.push(b']');
}

fn parameters(run: &LoadRun, output_len: u32) -> Map<String, Value> {
    let sampling = run.sampling;
    let seed = sampling.seed.filter(|_| sampling.temperature != Some(0.0));
    let mut chosen = Map::new();
    if let Some(temperature) = sampling.temperature {
        chosen.insert("temperature".to_owned(), json!(temperature));
    }
    if sampling.ignore_eos {
        chosen.insert("ignore_eos".to_owned(), json!(true));
    }
    let mut object = Map::new();
    if run.endpoint == Endpoint::Generate {
        chosen.insert("max_new_tokens".to_owned(), json!(output_len));
        if let Some(seed) = seed {
            chosen.insert("sampling_seed".to_owned(), json!(seed));
        }
        object.insert("sampling_params".to_owned(), Value::Object(chosen));
        object.insert("stream".to_owned(), json!(true));
        return object;
    }
    object.insert("model".to_owned(), json!(run.model));
    object.insert("max_tokens".to_owned(), json!(output_len));
    object.append(&mut chosen);
    if let Some(seed) = seed {
        object.insert("seed".to_owned(), json!(seed));
    }
    object.insert("stream".to_owned(), json!(true));
    let mut options = json!({"include_usage": true});
    if run.continuous_usage {
        options["continuous_usage_stats"] = json!(true);
    }
    object.insert("stream_options".to_owned(), options);
    object
}

/// Lays `extra` over `object`: objects are merged, `null` removes.
fn merge(object: &mut Map<String, Value>, extra: &Map<String, Value>) {
    for (key, value) in extra {
        match (object.get_mut(key), value) {
            (_, Value::Null) => {
                object.shift_remove(key);
            }
            (Some(Value::Object(below)), Value::Object(above)) => merge(below, above),
            _ => {
                object.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::bench::load::Sampling;
    use crate::http::Base;

    fn run(endpoint: Endpoint, input: Input) -> LoadRun {
        let base = Base::at(SocketAddr::from(([127, 0, 0, 1], 1)));
        let prompt = Prompt {
            input,
            output_len: 16,
        };
        LoadRun::new(base, endpoint, "tiny", vec![prompt])
    }

    fn only(run: &LoadRun) -> String {
        let bodies = bodies(run).unwrap();
        assert_eq!(bodies.len(), 1);
        String::from_utf8(bodies[0].to_vec()).unwrap()
    }

    #[test]
    fn completions_send_token_ids() {
        assert_eq!(
            only(&run(Endpoint::Completions, Input::Ids(vec![5, 4095, 7]))),
            r#"{"model":"tiny","max_tokens":16,"temperature":0.0,"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true},"prompt":[5,4095,7]}"#
        );
    }

    #[test]
    fn chat_wraps_text_and_sends_messages_as_they_stand() {
        let mut asked = run(Endpoint::Chat, Input::Text("say \"hi\"".to_owned()));
        asked.continuous_usage = false;
        asked.sampling = Sampling {
            temperature: Some(0.7),
            ignore_eos: false,
            seed: Some(3),
        };
        assert_eq!(
            only(&asked),
            r#"{"model":"tiny","max_tokens":16,"temperature":0.7,"seed":3,"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"say \"hi\""}]}"#
        );
        let messages = json!([{"role": "system", "content": "x"}]);
        let body = only(&run(Endpoint::Chat, Input::Messages(messages)));
        assert!(body.ends_with(r#","messages":[{"role":"system","content":"x"}]}"#));
    }

    #[test]
    fn generate_nests_the_sampling_parameters() {
        assert_eq!(
            only(&run(Endpoint::Generate, Input::Ids(vec![1]))),
            r#"{"sampling_params":{"temperature":0.0,"ignore_eos":true,"max_new_tokens":16},"stream":true,"input_ids":[1]}"#
        );
    }

    #[test]
    fn extra_keys_are_merged_and_null_removes() {
        let mut asked = run(Endpoint::Completions, Input::Ids(vec![1]));
        asked.extra_body = serde_json::from_str(
            r#"{"top_p": 0.9, "ignore_eos": null, "stream_options": {"continuous_usage_stats": null}}"#,
        )
        .unwrap();
        assert_eq!(
            only(&asked),
            r#"{"model":"tiny","max_tokens":16,"temperature":0.0,"stream":true,"stream_options":{"include_usage":true},"top_p":0.9,"prompt":[1]}"#
        );
    }

    #[test]
    fn what_an_endpoint_cannot_carry_is_named() {
        let error = bodies(&run(Endpoint::Chat, Input::Ids(vec![1]))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "prompt 0 is token ids, which /v1/chat/completions cannot carry"
        );
        let mut asked = run(Endpoint::Completions, Input::Ids(vec![1]));
        asked.extra_body.insert("prompt".to_owned(), json!("x"));
        assert_eq!(
            bodies(&asked).unwrap_err().to_string(),
            "the extra request body sets `prompt`, which the workload sets"
        );
    }
}
