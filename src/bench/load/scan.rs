//! The short way through the usual event: one pass, no tree, no allocation.
//!
//! Takes the events that OpenAI-compatible engines send thousands of times a
//! second, and declines everything else: escapes, several choices, tool calls,
//! errors, `meta_info`, a key given twice. What it declines is read by
//! `serde_json`; what it takes, it must read exactly alike, which a property
//! test checks.

use memchr::memchr;

use super::chunk::ChunkFacts;

/// Deepest nesting that is followed.
const DEEPEST: u32 = 8;

/// The facts of a usual event; `None` when it is not one.
pub(super) fn scan_chunk(data: &[u8]) -> Option<ChunkFacts> {
    let text = std::str::from_utf8(data).ok()?;
    let mut scanner = Scanner {
        rest: text.as_bytes(),
    };
    let mut facts = ChunkFacts::default();
    let mut seen = 0;
    scanner.object(0, |scanner, key| match key {
        b"choices" => {
            once(&mut seen, 1)?;
            scanner.choices(&mut facts)
        }
        b"usage" => {
            once(&mut seen, 2)?;
            scanner.usage(&mut facts)
        }
        b"object" => {
            once(&mut seen, 4)?;
            (scanner.string()? != b"error").then_some(())
        }
        b"error" | b"message" | b"text" | b"output_ids" | b"meta_info" => None,
        _ => scanner.skip(1),
    })?;
    scanner.skip_space();
    scanner.rest.is_empty().then_some(facts)
}

/// Declines a key that was seen before.
fn once(seen: &mut u32, bit: u32) -> Option<()> {
    let first = *seen & bit == 0;
    *seen |= bit;
    first.then_some(())
}

struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    fn choices(&mut self, facts: &mut ChunkFacts) -> Option<()> {
        if self.null() {
            return Some(());
        }
        self.expect(b'[')?;
        if self.take(b']') {
            return Some(());
        }
        facts.is_answer = true;
        let mut seen = 0;
        self.object(2, |scanner, key| match key {
            b"text" => {
                once(&mut seen, 1)?;
                facts.has_content |= scanner.has_text()?;
                Some(())
            }
            b"delta" => {
                once(&mut seen, 2)?;
                scanner.delta(facts)
            }
            b"finish_reason" => {
                once(&mut seen, 4)?;
                if !scanner.null() {
                    let reason = std::str::from_utf8(scanner.string()?).ok()?;
                    facts.finish_reason = Some(reason.to_owned());
                }
                Some(())
            }
            b"matched_stop" => {
                once(&mut seen, 8)?;
                scanner.null().then_some(())
            }
            _ => scanner.skip(3),
        })?;
        self.expect(b']')
    }

    fn delta(&mut self, facts: &mut ChunkFacts) -> Option<()> {
        if self.null() {
            return Some(());
        }
        let mut seen = 0;
        self.object(3, |scanner, key| {
            let bit = match key {
                b"content" => 1,
                b"reasoning_content" => 2,
                b"reasoning" => 4,
                b"refusal" => 8,
                b"tool_calls" => 16,
                _ => return scanner.skip(4),
            };
            once(&mut seen, bit)?;
            if bit == 16 {
                return scanner.null().then_some(());
            }
            facts.has_content |= scanner.has_text()?;
            Some(())
        })
    }

    fn usage(&mut self, facts: &mut ChunkFacts) -> Option<()> {
        if self.null() {
            return Some(());
        }
        let mut seen = 0;
        self.object(1, |scanner, key| match key {
            b"completion_tokens" => {
                once(&mut seen, 1)?;
                facts.completion_tokens = scanner.count()?;
                Some(())
            }
            b"prompt_tokens" => {
                once(&mut seen, 2)?;
                facts.prompt_tokens = scanner.count()?;
                Some(())
            }
            b"prompt_tokens_details" => {
                once(&mut seen, 4)?;
                scanner.null().then_some(())
            }
            _ => scanner.skip(2),
        })
    }

    /// Whether the text that comes is not empty; null is.
    fn has_text(&mut self) -> Option<bool> {
        if self.null() {
            return Some(false);
        }
        Some(!self.string()?.is_empty())
    }

    /// An unsigned number of at most 18 digits, or null.
    fn count(&mut self) -> Option<Option<u64>> {
        if self.null() {
            return Some(None);
        }
        let digits = self.digits()?;
        let value = digits
            .iter()
            .fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
        (digits.len() <= 18 && self.number_ends()).then_some(Some(value))
    }

    /// The digits of an integer without a leading zero.
    fn digits(&mut self) -> Option<&'a [u8]> {
        self.skip_space();
        let len = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(len);
        self.rest = rest;
        let leading_zero = len > 1 && digits.first() == Some(&b'0');
        (len > 0 && len <= 18 && !leading_zero).then_some(digits)
    }

    /// Whether the number does not go on as a fraction or a power.
    fn number_ends(&self) -> bool {
        !matches!(self.rest.first(), Some(b'.' | b'e' | b'E'))
    }

    /// Passes over any value that is usual.
    fn skip(&mut self, depth: u32) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        self.skip_space();
        match self.rest.first()? {
            b'"' => self.string().map(|_| ()),
            b'{' => self.object(depth, |scanner, _| scanner.skip(depth + 1)),
            b'[' => self.array(depth),
            b'0'..=b'9' => {
                self.digits()?;
                self.number_ends().then_some(())
            }
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Option<()> {
        let words: [&[u8]; 3] = [b"null", b"true", b"false"];
        let rest = words
            .iter()
            .find_map(|word| self.rest.strip_prefix(*word))?;
        self.rest = rest;
        Some(())
    }

    fn array(&mut self, depth: u32) -> Option<()> {
        self.expect(b'[')?;
        if self.take(b']') {
            return Some(());
        }
        loop {
            self.skip(depth + 1)?;
            if self.take(b']') {
                return Some(());
            }
            self.expect(b',')?;
        }
    }

    /// Hands each key to `member`, which takes the value.
    fn object(
        &mut self,
        depth: u32,
        mut member: impl FnMut(&mut Self, &'a [u8]) -> Option<()>,
    ) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        self.expect(b'{')?;
        if self.take(b'}') {
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.expect(b':')?;
            member(self, key)?;
            if self.take(b'}') {
                return Some(());
            }
            self.expect(b',')?;
        }
    }

    /// A string without escapes or control characters.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let end = memchr(b'"', self.rest)?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..)?;
        let plain = text.iter().all(|byte| *byte != b'\\' && *byte >= b' ');
        plain.then_some(text)
    }

    fn null(&mut self) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(b"null") {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn skip_space(&mut self) {
        while let Some((b' ' | b'\n' | b'\t' | b'\r', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::bench::load::chunk::read_whole;

    /// What is taken must be read as `serde_json` reads it.
    fn agrees(data: &[u8]) -> Result<(), String> {
        match (scan_chunk(data), read_whole(data)) {
            (None, _) => Ok(()),
            (Some(short), Ok(long)) if short == long => Ok(()),
            (short, long) => Err(format!(
                "{}: {short:?} and {long:?}",
                String::from_utf8_lossy(data)
            )),
        }
    }

    #[test]
    fn real_engines_events_take_the_short_way() {
        for (stream, least) in [
            (
                include_str!("../../../tests/fixtures/bench/vllm_completions.sse"),
                25,
            ),
            (
                include_str!("../../../tests/fixtures/bench/vllm_chat.sse"),
                24,
            ),
            (
                include_str!("../../../tests/fixtures/bench/sglang_completions.sse"),
                25,
            ),
            (
                include_str!("../../../tests/fixtures/bench/sglang_chat.sse"),
                24,
            ),
        ] {
            let events = stream
                .lines()
                .filter_map(|line| line.strip_prefix("data: "))
                .filter(|data| *data != "[DONE]");
            let mut taken = 0;
            for data in events {
                agrees(data.as_bytes()).unwrap();
                taken += usize::from(scan_chunk(data.as_bytes()).is_some());
            }
            assert!(taken >= least, "{taken} of at least {least}: {stream:.80}");
        }
    }

    #[test]
    fn the_unusual_is_declined() {
        for data in [
            r#"{"choices":[{"text":"a\n"}]}"#,
            r#"{"choices":[{"text":"a"},{"text":"b"}]}"#,
            r#"{"choices":[{"text":"a","text":"b"}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{}]}}]}"#,
            r#"{"choices":[{"matched_stop":"NaN happened"}]}"#,
            r#"{"usage":{"completion_tokens":-1}}"#,
            r#"{"usage":{"completion_tokens":1.5}}"#,
            r#"{"error":{"message":"x"}}"#,
            r#"{"object":"error","x":1}"#,
            r#"{"text":"a","meta_info":{}}"#,
            r#"{"choices":[]} x"#,
            r#"{"choices":[]"#,
            "{\"x\":\"\u{1}\"}",
            r#"{"x":01}"#,
            r#"{"x":[[[[[[[[[[1]]]]]]]]]]}"#,
            "",
        ] {
            assert_eq!(scan_chunk(data.as_bytes()), None, "{data}");
        }
    }

    fn content() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            "[ -~é\n]{0,4}".prop_map(Value::from),
            Just(json!([])),
            Just(json!([{"index": 0}])),
            Just(json!({})),
            any::<i8>().prop_map(Value::from),
        ]
    }

    fn number() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<u64>().prop_map(Value::from),
            (0..200_u64).prop_map(Value::from),
            any::<i8>().prop_map(Value::from),
            Just(json!(1.5)),
            Just(Value::Null),
        ]
    }

    fn choice() -> impl Strategy<Value = Value> {
        let member = prop_oneof![
            content().prop_map(|value| ("text", value)),
            prop::collection::vec(
                (
                    prop_oneof![
                        Just("content"),
                        Just("reasoning_content"),
                        Just("reasoning"),
                        Just("tool_calls"),
                        Just("role"),
                    ],
                    content()
                ),
                0..3
            )
            .prop_map(|members| ("delta", members.into_iter().collect())),
            content().prop_map(|value| ("finish_reason", value)),
            content().prop_map(|value| ("matched_stop", value)),
            content().prop_map(|value| ("logprobs", value)),
        ];
        prop::collection::vec(member, 0..4).prop_map(|members| members.into_iter().collect())
    }

    fn chunk() -> impl Strategy<Value = Value> {
        let usage = prop::collection::vec(
            (
                prop_oneof![
                    Just("completion_tokens"),
                    Just("prompt_tokens"),
                    Just("total_tokens"),
                    Just("prompt_tokens_details"),
                ],
                number(),
            ),
            0..4,
        )
        .prop_map(|members| members.into_iter().collect::<Value>());
        let member = prop_oneof![
            prop::collection::vec(choice(), 0..3).prop_map(|list| ("choices", Value::from(list))),
            usage.prop_map(|value| ("usage", value)),
            content().prop_map(|value| ("usage", value)),
            content().prop_map(|value| ("object", value)),
            content().prop_map(|value| ("error", value)),
            content().prop_map(|value| ("id", value)),
            number().prop_map(|value| ("created", value)),
        ];
        prop::collection::vec(member, 0..5).prop_map(|members| members.into_iter().collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn agrees_with_serde_json(chunk in chunk(), pretty in any::<bool>()) {
            let text = if pretty {
                serde_json::to_string_pretty(&chunk).unwrap()
            } else {
                chunk.to_string()
            };
            prop_assert_eq!(agrees(text.as_bytes()), Ok(()));
        }

        #[test]
        fn agrees_on_damaged_events(
            chunk in chunk(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<bool>(),
        ) {
            let mut text = chunk.to_string().into_bytes();
            let at = at.index(text.len());
            if cut {
                text.truncate(at);
            } else {
                text[at] = byte;
            }
            prop_assert_eq!(agrees(&text), Ok(()));
        }

        #[test]
        fn agrees_on_keys_given_twice(first in chunk(), second in chunk()) {
            let (first, second) = (first.to_string(), second.to_string());
            let inner = |text: &str| text[1..text.len() - 1].to_owned();
            let text = format!("{{{},{}}}", inner(&first), inner(&second));
            prop_assert_eq!(agrees(text.as_bytes()), Ok(()));
        }
    }
}
