//! Answers and streamed chunks in the exact shape of each dialect and endpoint.

use std::fmt::Write;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Value, json};

use super::dialect::Dialect;
use super::request::{Endpoint, Request};
use super::sequence::{Emission, Finish};
use super::text::Output;

/// Writes one request's answer.
pub struct Reply {
    dialect: Dialect,
    endpoint: Endpoint,
    include_usage: bool,
    continuous_usage: bool,
    prompt_tokens: u32,
    output: Output,
    id: String,
    created: u64,
    model: String,
    /// Everything of a chunk before its text.
    head: String,
    /// Whether `/generate` repeats all text and ids so far in every chunk.
    cumulative: bool,
    text: String,
    ids: String,
    started: bool,
}

impl Reply {
    /// The answer to `request`, whose id is `id` and whose model is called `model`.
    pub fn new(dialect: Dialect, request: &Request, output: Output, id: u64, model: &str) -> Self {
        let created = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |elapsed| elapsed.as_secs());
        let model = request.model.as_deref().unwrap_or(model).to_owned();
        let id = named(dialect, request.endpoint, id);
        let head = chunk_head(request.endpoint, &id, created, &model);
        Self {
            dialect,
            endpoint: request.endpoint,
            include_usage: request.include_usage,
            continuous_usage: request.continuous_usage,
            prompt_tokens: request.prompt.len() as u32,
            output,
            id,
            created,
            model,
            head,
            cumulative: true,
            text: String::new(),
            ids: String::new(),
            started: false,
        }
    }

    /// Streams only new text on `/generate`.
    pub fn incremental(&mut self) {
        self.cumulative = false;
    }

    /// Appends the chunks for one emission: the first also opens the stream, the last closes it.
    pub fn stream(&mut self, emission: &Emission, out: &mut BytesMut) {
        match self.endpoint {
            Endpoint::Generate => self.stream_generate(emission, out),
            Endpoint::Completions => {
                self.open_chunk(out);
                self.put_text(emission, out);
                self.close_completion(emission, out);
            }
            Endpoint::Chat => self.stream_chat(emission, out),
        }
        if emission.finish.is_some() {
            if self.include_usage {
                self.put_usage_chunk(emission, out);
            }
            out.put_slice(b"data: [DONE]\n\n");
        }
    }

    fn stream_chat(&mut self, emission: &Emission, out: &mut BytesMut) {
        let sglang = self.dialect == Dialect::Sglang;
        let (delta, tail) = if sglang {
            ("\"reasoning_content\":null,", ",\"matched_stop\":null}]")
        } else {
            ("", "}]")
        };
        if !self.started {
            self.started = true;
            self.open_chunk(out);
            let _ = write!(
                out,
                "{delta}\"role\":\"assistant\",\"content\":\"\"}},\"logprobs\":null,\"finish_reason\":null{tail}"
            );
            // SGLang counts only chunks that carry tokens.
            if self.continuous_usage && !sglang {
                self.put_usage(0, out);
            }
            out.put_slice(b"}\n\n");
        }
        self.open_chunk(out);
        let _ = write!(out, "{delta}\"content\":\"");
        self.put_text(emission, out);
        // SGLang finishes with a chunk of its own.
        let finish = if sglang { None } else { emission.finish };
        let _ = write!(
            out,
            "\"}},\"logprobs\":null,\"finish_reason\":{}{tail}",
            reason(finish)
        );
        if self.continuous_usage {
            self.put_usage(emission.generated, out);
        }
        out.put_slice(b"}\n\n");
        if sglang && emission.finish.is_some() {
            self.open_chunk(out);
            let _ = write!(
                out,
                "\"reasoning_content\":null}},\"logprobs\":null,\"finish_reason\":{}{tail}}}\n\n",
                reason(emission.finish)
            );
        }
    }

    fn close_completion(&self, emission: &Emission, out: &mut BytesMut) {
        let _ = write!(
            out,
            "\",\"logprobs\":null,\"finish_reason\":{}",
            reason(emission.finish)
        );
        out.put_slice(match self.dialect {
            Dialect::Sglang => b",\"matched_stop\":null}]".as_slice(),
            Dialect::Vllm => {
                b",\"stop_reason\":null,\"prompt_token_ids\":null,\"token_ids\":null}]"
            }
            Dialect::OpenAi => b"}]",
        });
        if self.continuous_usage {
            self.put_usage(emission.generated, out);
        } else if self.dialect == Dialect::Sglang {
            out.put_slice(b",\"usage\":null");
        }
        out.put_slice(b"}\n\n");
    }

    fn stream_generate(&mut self, emission: &Emission, out: &mut BytesMut) {
        if !self.cumulative {
            self.text.clear();
            self.ids.clear();
        }
        for index in emission.generated - emission.new_tokens..emission.generated {
            self.text.push_str(self.output.piece(index));
            let comma = if self.ids.is_empty() { "" } else { "," };
            let _ = write!(self.ids, "{comma}{}", self.output.token(index));
        }
        let _ = write!(
            out,
            "data: {{\"text\":\"{}\",\"output_ids\":[{}],\"meta_info\":{}}}\n\n",
            self.text,
            self.ids,
            self.meta_info(emission)
        );
    }

    fn meta_info(&self, emission: &Emission) -> Value {
        let finish = emission.finish.map(|finish| match finish {
            Finish::Length => json!({"type": "length", "length": emission.generated}),
            Finish::Stop => json!({"type": "stop", "matched": 2}),
        });
        let mut info = json!({
            "id": self.id, "finish_reason": finish, "prompt_tokens": self.prompt_tokens,
            "weight_version": "default", "num_retractions": 0, "queue_time": 0.0,
            "reasoning_tokens": 0, "completion_tokens": emission.generated,
            "cached_tokens": emission.cached_tokens, "cached_tokens_details": null,
            "dp_rank": null,
        });
        if finish.is_some()
            && let Some(info) = info.as_object_mut()
        {
            let latency = (emission.at - emission.arrived) as f64 / 1e9;
            info.insert("e2e_latency".to_owned(), json!(latency));
        }
        info
    }

    fn open_chunk(&self, out: &mut BytesMut) {
        out.put_slice(self.head.as_bytes());
    }

    fn put_text(&self, emission: &Emission, out: &mut BytesMut) {
        for index in emission.generated - emission.new_tokens..emission.generated {
            out.put_slice(self.output.piece(index).as_bytes());
        }
    }

    fn put_usage(&self, generated: u32, out: &mut BytesMut) {
        let prompt = self.prompt_tokens;
        let total = prompt + generated;
        let _ = write!(
            out,
            ",\"usage\":{{\"prompt_tokens\":{prompt},\"total_tokens\":{total},\"completion_tokens\":{generated}"
        );
        if self.dialect == Dialect::Sglang {
            out.put_slice(b",\"prompt_tokens_details\":null,\"reasoning_tokens\":0");
        }
        out.put_u8(b'}');
    }

    fn put_usage_chunk(&self, emission: &Emission, out: &mut BytesMut) {
        let kind = stream_object(self.endpoint);
        let _ = write!(
            out,
            "data: {{\"id\":\"{}\",\"object\":\"{kind}\",\"created\":{},\"model\":{},\"choices\":[]",
            self.id,
            self.created,
            quoted(&self.model)
        );
        self.put_usage(emission.generated, out);
        out.put_slice(b"}\n\n");
    }

    /// The answer without streaming, once the last token is there.
    pub fn whole(&self, last: &Emission) -> Bytes {
        let text: String = (0..last.generated)
            .map(|index| self.output.piece(index))
            .collect();
        if self.endpoint == Endpoint::Generate {
            let ids: Vec<u32> = (0..last.generated)
                .map(|index| self.output.token(index))
                .collect();
            let body = json!({
                "text": text, "output_ids": ids, "meta_info": self.meta_info(last),
            });
            return body.to_string().into();
        }
        let finish = last.finish.map(name);
        let mut choice = match self.endpoint {
            Endpoint::Chat => json!({
                "index": 0, "message": {"role": "assistant", "content": text},
                "logprobs": null, "finish_reason": finish,
            }),
            _ => json!({"index": 0, "text": text, "logprobs": null, "finish_reason": finish}),
        };
        if let (Some(choice), Some(key)) = (
            choice.as_object_mut(),
            match self.dialect {
                Dialect::Sglang => Some("matched_stop"),
                Dialect::Vllm => Some("stop_reason"),
                Dialect::OpenAi => None,
            },
        ) {
            choice.insert(key.to_owned(), Value::Null);
        }
        let object = match self.endpoint {
            Endpoint::Chat => "chat.completion",
            _ => "text_completion",
        };
        let cached = (last.cached_tokens > 0).then(|| json!({"cached_tokens": last.cached_tokens}));
        let body = json!({
            "id": self.id, "object": object, "created": self.created, "model": self.model,
            "choices": [choice],
            "usage": {
                "prompt_tokens": self.prompt_tokens,
                "total_tokens": self.prompt_tokens + last.generated,
                "completion_tokens": last.generated,
                "prompt_tokens_details": cached,
            },
        });
        body.to_string().into()
    }
}

fn named(dialect: Dialect, endpoint: Endpoint, id: u64) -> String {
    let hash = super::prefix_cache::mix(id);
    match (dialect, endpoint) {
        (Dialect::Sglang, _) => format!("{hash:016x}{:016x}", super::prefix_cache::mix(hash)),
        (_, Endpoint::Chat) => format!("chatcmpl-{hash:016x}"),
        (_, _) => format!("cmpl-{hash:016x}"),
    }
}

fn stream_object(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Chat => "chat.completion.chunk",
        _ => "text_completion",
    }
}

fn chunk_head(endpoint: Endpoint, id: &str, created: u64, model: &str) -> String {
    let opening = match endpoint {
        Endpoint::Chat => "\"delta\":{",
        _ => "\"text\":\"",
    };
    format!(
        "data: {{\"id\":\"{id}\",\"object\":\"{}\",\"created\":{created},\"model\":{},\"choices\":[{{\"index\":0,{opening}",
        stream_object(endpoint),
        quoted(model)
    )
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn name(finish: Finish) -> &'static str {
    match finish {
        Finish::Length => "length",
        Finish::Stop => "stop",
    }
}

fn reason(finish: Option<Finish>) -> &'static str {
    match finish {
        None => "null",
        Some(Finish::Length) => "\"length\"",
        Some(Finish::Stop) => "\"stop\"",
    }
}
