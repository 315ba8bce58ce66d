//! What one event of a stream says: tokens, text, an end, or an error.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::scan::scan_chunk;

/// The facts of one event that a measurement needs, in any of the dialects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ChunkFacts {
    /// Whether it is part of the answer, rather than bookkeeping such as a
    /// usage-only chunk with `choices: []`.
    pub(super) is_answer: bool,
    /// Whether it carries text, reasoning or a tool call.
    pub(super) has_content: bool,
    /// Output tokens so far, as the engine counts them.
    pub(super) completion_tokens: Option<u64>,
    pub(super) prompt_tokens: Option<u64>,
    /// Prompt tokens that came from the prefix cache.
    pub(super) cached_tokens: Option<u64>,
    /// Whether the counts come from SGLang's `meta_info`.
    pub(super) from_meta_info: bool,
    pub(super) finish_reason: Option<String>,
    /// What the engine says made it stop, where it says so.
    pub(super) matched_stop: Option<String>,
    /// The engine's words, when the event is an error.
    pub(super) error: Option<String>,
}

/// Reads one event's JSON.
pub(super) fn read_chunk(data: &[u8]) -> Result<ChunkFacts, serde_json::Error> {
    scan_chunk(data).map_or_else(|| read_whole(data), Ok)
}

/// Reads any event's JSON, the unusual included.
pub(super) fn read_whole(data: &[u8]) -> Result<ChunkFacts, serde_json::Error> {
    serde_json::from_slice::<ChunkJson<'_>>(data).map(ChunkFacts::from)
}

#[derive(serde::Deserialize)]
struct ChunkJson<'a> {
    #[serde(default)]
    object: Option<Text<'a>>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(default)]
    text: Content,
    #[serde(default)]
    output_ids: Content,
    #[serde(borrow, default)]
    meta_info: Option<MetaInfo<'a>>,
}

#[derive(serde::Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    text: Content,
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(borrow, default)]
    finish_reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    matched_stop: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Delta {
    #[serde(default)]
    content: Content,
    #[serde(default)]
    reasoning_content: Content,
    #[serde(default)]
    reasoning: Content,
    #[serde(default)]
    tool_calls: Content,
    #[serde(default)]
    refusal: Content,
}

#[derive(serde::Deserialize)]
struct Usage {
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(serde::Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

#[derive(serde::Deserialize)]
struct MetaInfo<'a> {
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
}

/// SGLang's own form: `{"type": "length", "length": 24}` or `{"type": "stop", "matched": ...}`.
#[derive(serde::Deserialize)]
struct FinishReason {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    matched: Option<serde_json::Value>,
    #[serde(default)]
    message: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Whether a value carries anything: a non-empty string, list or object.
#[derive(Default)]
struct Content(bool);

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor).map(Content)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("text, a list, an object or null")
    }

    fn visit_unit<E: de::Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<bool, E> {
        Ok(!text.is_empty())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let mut any = false;
        while items.next_element::<IgnoredAny>()?.is_some() {
            any = true;
        }
        Ok(any)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<bool, A::Error> {
        let mut any = false;
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            any = true;
        }
        Ok(any)
    }
}

impl From<ChunkJson<'_>> for ChunkFacts {
    fn from(chunk: ChunkJson<'_>) -> Self {
        let mut facts = ChunkFacts {
            error: error_words(&chunk),
            ..ChunkFacts::default()
        };
        if let Some(usage) = chunk.usage {
            facts.completion_tokens = usage.completion_tokens;
            facts.prompt_tokens = usage.prompt_tokens;
            facts.cached_tokens = usage
                .prompt_tokens_details
                .and_then(|details| details.cached_tokens);
        }
        for choice in chunk.choices.into_iter().flatten() {
            facts.take_choice(choice);
        }
        if let Some(meta) = chunk.meta_info {
            facts.take_meta_info(&meta, chunk.text.0 || chunk.output_ids.0);
        }
        facts
    }
}

impl ChunkFacts {
    fn take_choice(&mut self, choice: Choice<'_>) {
        self.is_answer = true;
        self.has_content |= choice.text.0;
        if let Some(delta) = choice.delta {
            self.has_content |= delta.content.0
                || delta.reasoning_content.0
                || delta.reasoning.0
                || delta.tool_calls.0
                || delta.refusal.0;
        }
        if let Some(reason) = choice.finish_reason {
            self.finish_reason = Some(reason.0.into_owned());
        }
        if let Some(stop) = choice.matched_stop.filter(|stop| stop.get() != "null") {
            self.matched_stop = Some(words(stop));
        }
    }

    fn take_meta_info(&mut self, meta: &MetaInfo<'_>, has_content: bool) {
        self.is_answer = true;
        self.has_content |= has_content;
        self.from_meta_info = true;
        self.completion_tokens = meta.completion_tokens;
        self.prompt_tokens = meta.prompt_tokens;
        self.cached_tokens = meta.cached_tokens;
        let Some(raw) = meta.finish_reason.filter(|raw| raw.get() != "null") else {
            return;
        };
        match serde_json::from_str::<FinishReason>(raw.get()) {
            Ok(reason) => {
                self.matched_stop = reason
                    .matched
                    .map(|matched| matched.as_str().map_or(matched.to_string(), str::to_owned));
                if reason.kind == "abort" {
                    self.error = reason.message.or_else(|| Some(raw.get().to_owned()));
                }
                self.finish_reason = Some(reason.kind);
            }
            Err(_) => self.finish_reason = Some(words(raw)),
        }
    }
}

/// The words of `{"error": ...}` or of `{"object": "error", "message": ...}`.
fn error_words(chunk: &ChunkJson<'_>) -> Option<String> {
    if let Some(error) = chunk.error.filter(|error| error.get() != "null") {
        return Some(error.get().to_owned());
    }
    let is_error = chunk.object.as_ref().is_some_and(|o| o.0 == "error");
    is_error.then(|| chunk.message.map_or_else(|| "error".to_owned(), words))
}

/// A JSON string without its quotes; any other value as it stands.
fn words(raw: &RawValue) -> String {
    serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned())
}
