//! Python writes `Infinity`, `-Infinity` and `NaN` into what it calls JSON.

use std::borrow::Cow;

use memchr::memchr2;

const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];

/// Replaces those words, where they stand outside strings, with `null`.
pub(super) fn strict_json(text: &[u8]) -> Cow<'_, [u8]> {
    if !WORDS[1..]
        .iter()
        .any(|word| memchr::memmem::find(text, word).is_some())
    {
        return Cow::Borrowed(text);
    }
    let mut strict = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.first() {
        let taken = match first {
            b'"' => string_len(rest),
            b'-' | b'I' | b'N' => match WORDS.iter().find(|word| rest.starts_with(word)) {
                Some(word) => {
                    strict.extend_from_slice(b"null");
                    rest = &rest[word.len()..];
                    continue;
                }
                None => 1,
            },
            _ => 1,
        };
        let (head, tail) = rest.split_at(taken);
        strict.extend_from_slice(head);
        rest = tail;
    }
    Cow::Owned(strict)
}

/// Bytes of the string that `text` begins with, quotes included.
fn string_len(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found + 1;
        if text[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_words_become_null() {
        let text = br#"{"a": Infinity, "b": [-Infinity, NaN, -1.5], "c": "NaN \" Infinity\\", "d": "Infinity"}"#;
        let strict = strict_json(text);
        let value: serde_json::Value = serde_json::from_slice(&strict).unwrap();
        let expected = serde_json::json!({
            "a": null, "b": [null, null, -1.5], "c": "NaN \" Infinity\\", "d": "Infinity"
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn plain_json_and_cut_off_strings_pass_through() {
        assert!(matches!(strict_json(b"{\"a\": 1}"), Cow::Borrowed(_)));
        assert_eq!(&*strict_json(b"NaN \"NaN"), b"null \"NaN");
        assert_eq!(&*strict_json(b"NaN \"x\\"), b"null \"x\\");
    }
}
