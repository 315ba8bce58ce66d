//! Request bodies of the three generating endpoints, checked and made alike.

use serde::Deserialize;

use super::api_error::ApiError;
use super::dialect::Dialect;
use super::text::tokenize;

/// Output length of `/v1/completions` where the request gives none.
const DEFAULT_COMPLETION_TOKENS: u64 = 16;
/// Output length of `/generate` where the request gives none.
const DEFAULT_GENERATE_TOKENS: u64 = 128;
/// Tokens that the simulated chat template adds to the prompt and to each message.
const TEMPLATE_TOKENS: usize = 5;
const MESSAGE_TOKENS: usize = 4;

/// An endpoint that generates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    Completions,
    Chat,
    Generate,
}

/// A request that may be submitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub endpoint: Endpoint,
    /// Name of the model as the request gave it, for the answer.
    pub model: Option<String>,
    pub prompt: Vec<u32>,
    /// Longest output in tokens.
    pub max_tokens: u32,
    pub ignore_eos: bool,
    pub stream: bool,
    /// A last chunk with the token counts.
    pub include_usage: bool,
    /// Token counts on every chunk.
    pub continuous_usage: bool,
}

/// What a request is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    pub dialect: Dialect,
    pub served_name: &'a str,
    pub context_length: u32,
    pub kv_tokens: u32,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Prompt {
    Ids(Vec<u32>),
    ManyIds(Vec<Vec<u32>>),
    Text(String),
    ManyTexts(Vec<String>),
}

#[derive(Deserialize, Default)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
    #[serde(default)]
    continuous_usage_stats: bool,
}

#[derive(Deserialize)]
struct OpenAiBody {
    model: Option<String>,
    prompt: Option<Prompt>,
    messages: Option<Vec<Message>>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    #[serde(default)]
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    ignore_eos: Option<bool>,
    n: Option<u32>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: serde_json::Value,
}

#[derive(Deserialize)]
struct GenerateBody {
    text: Option<Prompt>,
    input_ids: Option<Prompt>,
    #[serde(default)]
    sampling_params: SamplingParams,
    #[serde(default)]
    stream: Option<bool>,
}

#[derive(Deserialize, Default)]
struct SamplingParams {
    max_new_tokens: Option<u64>,
    #[serde(default)]
    ignore_eos: Option<bool>,
}

/// Reads and checks a body.
pub fn parse(endpoint: Endpoint, body: &[u8], bounds: Bounds) -> Result<Request, ApiError> {
    let dialect = bounds.dialect;
    let (request, max_tokens) = match endpoint {
        Endpoint::Generate => generate(decode(body, dialect)?, dialect)?,
        Endpoint::Completions | Endpoint::Chat => openai(endpoint, decode(body, dialect)?, bounds)?,
    };
    fit(request, max_tokens, bounds)
}

fn decode<T: serde::de::DeserializeOwned>(body: &[u8], dialect: Dialect) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        let what = if error.is_data() {
            "invalid request"
        } else {
            "JSON decode error"
        };
        ApiError::bad_request(dialect, format!("{what}: {error}"), None)
    })
}

fn openai(
    endpoint: Endpoint,
    body: OpenAiBody,
    bounds: Bounds,
) -> Result<(Request, Option<u64>), ApiError> {
    let dialect = bounds.dialect;
    let model = body.model;
    if let Some(model) = &model
        && dialect != Dialect::Sglang
        && model != bounds.served_name
    {
        return Err(ApiError::unknown_model(dialect, model));
    }
    if body.n.is_some_and(|n| n != 1) {
        return Err(ApiError::bad_request(
            dialect,
            "the simulated engine has n = 1 only",
            Some("n"),
        ));
    }
    let (prompt, default) = match endpoint {
        Endpoint::Chat => (chat_prompt(body.messages, dialect)?, None),
        _ => (
            one_prompt(body.prompt, "prompt", dialect)?,
            Some(DEFAULT_COMPLETION_TOKENS),
        ),
    };
    let options = body.stream_options.unwrap_or_default();
    let request = Request {
        endpoint,
        model,
        prompt,
        max_tokens: 0,
        ignore_eos: body.ignore_eos.unwrap_or(false),
        stream: body.stream.unwrap_or(false),
        include_usage: options.include_usage,
        continuous_usage: options.include_usage && options.continuous_usage_stats,
    };
    Ok((
        request,
        body.max_completion_tokens.or(body.max_tokens).or(default),
    ))
}

fn generate(body: GenerateBody, dialect: Dialect) -> Result<(Request, Option<u64>), ApiError> {
    let prompt = one_prompt(body.input_ids.or(body.text), "text or input_ids", dialect)?;
    let request = Request {
        endpoint: Endpoint::Generate,
        model: None,
        prompt,
        max_tokens: 0,
        ignore_eos: body.sampling_params.ignore_eos.unwrap_or(false),
        stream: body.stream.unwrap_or(false),
        include_usage: false,
        continuous_usage: false,
    };
    let wanted = body.sampling_params.max_new_tokens;
    Ok((request, wanted.or(Some(DEFAULT_GENERATE_TOKENS))))
}

fn one_prompt(prompt: Option<Prompt>, key: &str, dialect: Dialect) -> Result<Vec<u32>, ApiError> {
    let wrong = |message: String| ApiError::bad_request(dialect, message, Some(key));
    let single = |mut many: Vec<Vec<u32>>| match (many.pop(), many.len()) {
        (Some(ids), 0) => Ok(ids),
        (_, rest) => Err(wrong(format!(
            "the simulated engine takes one prompt a request, not {}",
            rest + 1
        ))),
    };
    let ids = match prompt {
        None => return Err(wrong(format!("{key} is missing"))),
        Some(Prompt::Ids(ids)) => ids,
        Some(Prompt::Text(text)) => tokenize(&text),
        Some(Prompt::ManyIds(many)) => single(many)?,
        Some(Prompt::ManyTexts(texts)) => {
            single(texts.iter().map(|text| tokenize(text)).collect())?
        }
    };
    if ids.is_empty() {
        return Err(wrong(format!("{key} is empty")));
    }
    Ok(ids)
}

fn chat_prompt(messages: Option<Vec<Message>>, dialect: Dialect) -> Result<Vec<u32>, ApiError> {
    let messages = messages
        .filter(|messages| !messages.is_empty())
        .ok_or_else(|| {
            ApiError::bad_request(dialect, "messages is missing or empty", Some("messages"))
        })?;
    let mut ids = vec![1; TEMPLATE_TOKENS];
    for message in &messages {
        ids.extend([2; MESSAGE_TOKENS]);
        match &message.content {
            serde_json::Value::String(text) => ids.extend(tokenize(text)),
            serde_json::Value::Null => {}
            parts => ids.extend(tokenize(&parts.to_string())),
        }
    }
    Ok(ids)
}

/// Sets the output length, and refuses what can never be served.
fn fit(mut request: Request, wanted: Option<u64>, bounds: Bounds) -> Result<Request, ApiError> {
    let context = u64::from(bounds.context_length);
    let prompt = request.prompt.len() as u64;
    let left = context.saturating_sub(prompt);
    let tokens = wanted.unwrap_or(left);
    if tokens == 0 && left > 0 {
        let message = "max_tokens must be at least 1";
        return Err(ApiError::bad_request(
            bounds.dialect,
            message,
            Some("max_tokens"),
        ));
    }
    if prompt + tokens > context || left == 0 {
        return Err(too_long(bounds, prompt, tokens));
    }
    if prompt + tokens > u64::from(bounds.kv_tokens) {
        let message = format!(
            "{prompt} prompt and {tokens} output tokens do not fit the KV cache of {} tokens",
            bounds.kv_tokens
        );
        return Err(ApiError::bad_request(bounds.dialect, message, None));
    }
    request.max_tokens = tokens as u32;
    Ok(request)
}

fn too_long(bounds: Bounds, prompt: u64, tokens: u64) -> ApiError {
    let context = bounds.context_length;
    let total = prompt + tokens;
    let (message, param) = match bounds.dialect {
        Dialect::Sglang => (
            format!(
                "Requested token count exceeds the model's maximum context length of {context} \
                 tokens. You requested a total of {total} tokens: {prompt} tokens from the input \
                 messages and {tokens} tokens for the completion. Please reduce the number of \
                 tokens in the input messages or the completion to fit within the limit."
            ),
            None,
        ),
        _ if tokens > u64::from(context) => (
            format!(
                "max_tokens={tokens} cannot be greater than max_model_len=max_total_tokens=\
                 {context}. Please request fewer output tokens. (parameter=max_tokens, \
                 value={tokens})"
            ),
            Some("max_tokens"),
        ),
        _ => (
            format!(
                "This model's maximum context length is {context} tokens. However, you requested \
                 {tokens} output tokens and your prompt contains {prompt} input tokens, for a \
                 total of {total} tokens. Please reduce the length of the input prompt or the \
                 number of requested output tokens."
            ),
            Some("input_tokens"),
        ),
    };
    ApiError::bad_request(bounds.dialect, message, param)
}
