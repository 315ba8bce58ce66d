use std::borrow::Cow;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::index::NameId;

/// Every distinct string of a trace, stored once.
#[derive(Debug, Default)]
pub struct StringTable {
    text: String,
    /// End of each string in `text`.
    ends: Vec<usize>,
    slots: HashTable<NameId>,
    hasher: DefaultHashBuilder,
}

impl StringTable {
    /// The string behind a handle of this table; empty for a foreign handle.
    pub fn get(&self, id: NameId) -> &str {
        let row = id.row();
        let Some(&end) = self.ends.get(row) else {
            return "";
        };
        let start = row
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .copied()
            .unwrap_or(0);
        self.text.get(start..end).unwrap_or("")
    }

    /// The number of distinct strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether no string was stored.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Every handle with its string, in the order of first appearance.
    pub fn iter(&self) -> impl Iterator<Item = (NameId, &str)> {
        (0..self.len())
            .filter_map(NameId::new)
            .map(|id| (id, self.get(id)))
    }

    /// The handle of a string that is already stored.
    pub fn find(&self, text: &str) -> Option<NameId> {
        self.lookup(text.as_bytes())
    }

    /// Stores a plain string.
    pub(super) fn intern(&mut self, text: &str) -> Option<NameId> {
        match self.lookup(text.as_bytes()) {
            Some(id) => Some(id),
            None => self.insert(text),
        }
    }

    /// Stores the content of a JSON string literal, given without its quotes.
    ///
    /// Escapes are decoded; invalid UTF-8 becomes U+FFFD; raw control
    /// characters, which Kineto lets through, are kept.
    pub(super) fn intern_literal(&mut self, raw: &[u8]) -> Option<NameId> {
        if let Some(id) = self.lookup(raw) {
            return Some(id);
        }
        let text = decode(raw);
        self.intern(&text)
    }

    fn lookup(&self, bytes: &[u8]) -> Option<NameId> {
        let hash = self.hasher.hash_one(bytes);
        self.slots
            .find(hash, |&id| self.get(id).as_bytes() == bytes)
            .copied()
    }

    fn insert(&mut self, text: &str) -> Option<NameId> {
        let id = NameId::new(self.ends.len())?;
        self.text.push_str(text);
        self.ends.push(self.text.len());
        let hash = self.hasher.hash_one(text.as_bytes());
        let (ends, whole, hasher) = (&self.ends, &self.text, &self.hasher);
        self.slots.insert_unique(hash, id, |&id| {
            let row = id.row();
            let start = if row == 0 { 0 } else { ends[row - 1] };
            hasher.hash_one(&whole.as_bytes()[start..ends[row]])
        });
        Some(id)
    }
}

/// Decodes the content of a JSON string literal, tolerating what JSON forbids.
pub(super) fn decode(raw: &[u8]) -> Cow<'_, str> {
    if memchr::memchr(b'\\', raw).is_none() {
        return String::from_utf8_lossy(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'u') => push_code_unit(&mut out, &mut bytes),
            Some(other) => out.push(other),
            None => out.push(b'\\'),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

fn push_code_unit(out: &mut Vec<u8>, bytes: &mut (impl Iterator<Item = u8> + Clone)) {
    let Some(high) = hex4(bytes) else {
        out.extend_from_slice("\u{fffd}".as_bytes());
        return;
    };
    let mut code = high;
    if (0xd800..0xdc00).contains(&high) {
        let mut ahead = bytes.clone();
        let low = match (ahead.next(), ahead.next()) {
            (Some(b'\\'), Some(b'u')) => hex4(&mut ahead),
            _ => None,
        };
        if let Some(low @ 0xdc00..0xe000) = low {
            code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            *bytes = ahead;
        }
    }
    let decoded = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
}

fn hex4(bytes: &mut impl Iterator<Item = u8>) -> Option<u32> {
    (0..4).try_fold(0, |code, _| {
        let digit = (bytes.next()? as char).to_digit(16)?;
        Some(code * 16 + digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_share_one_handle() {
        let mut strings = StringTable::default();
        let a = strings.intern_literal(b"aten::mm").unwrap();
        let b = strings.intern_literal(b"other").unwrap();
        assert_eq!(strings.intern_literal(b"aten::mm"), Some(a));
        assert_ne!(a, b);
        assert_eq!(strings.get(a), "aten::mm");
        assert_eq!(strings.find("other"), Some(b));
        assert_eq!(strings.len(), 2);
    }

    #[test]
    fn escapes_are_decoded_and_bad_bytes_are_replaced() {
        assert_eq!(decode(br#"a\"b\\c\n\u0041"#), "a\"b\\c\nA");
        assert_eq!(decode(br"\ud83d\ude00"), "\u{1f600}");
        assert_eq!(decode(br"\ud83d!"), "\u{fffd}!");
        assert_eq!(decode(b"raw\x01control\x1f"), "raw\u{1}control\u{1f}");
        assert_eq!(decode(b"\xff\\t"), "\u{fffd}\t");
        assert_eq!(decode(br"\u12"), "\u{fffd}");
    }

    #[test]
    fn two_spellings_of_one_string_are_one() {
        let mut strings = StringTable::default();
        let plain = strings.intern_literal(b"A/B").unwrap();
        assert_eq!(strings.intern_literal(br"\u0041\/B"), Some(plain));
    }
}
