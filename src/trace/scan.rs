//! A forgiving scanner over JSON text that may end anywhere.
//!
//! It knows only what a trace reader needs: where a value begins and ends,
//! what a string holds, and numbers. Control characters inside strings and
//! words such as `NaN` pass; what a string holds is decoded by its user.

use memchr::memchr2;

/// Why scanning stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The text ends inside the value.
    Incomplete,
    /// The text is not JSON at this offset.
    Malformed { at: usize, expected: &'static str },
}

/// A position in text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a [u8], at: usize) -> Self {
        Self { text, at }
    }

    /// The next byte that is not white space, not consumed.
    #[inline]
    pub fn peek(&mut self) -> Result<u8, Stop> {
        while let Some(&byte) = self.text.get(self.at) {
            if byte > b' ' {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(Stop::Incomplete)
    }

    /// Consumes one expected byte after white space.
    #[inline]
    pub fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Stop> {
        if self.peek()? != byte {
            return Err(self.malformed(expected));
        }
        self.at += 1;
        Ok(())
    }

    pub fn malformed(&self, expected: &'static str) -> Stop {
        Stop::Malformed {
            at: self.at,
            expected,
        }
    }

    /// The content of a string, without quotes, undecoded.
    #[inline]
    pub fn string(&mut self) -> Result<&'a [u8], Stop> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        loop {
            let rest = self.text.get(self.at..).unwrap_or(&[]);
            let skipped = short_string_end(rest).ok_or(Stop::Incomplete)?;
            self.at += skipped;
            if self.text[self.at] == b'"' {
                self.at += 1;
                return Ok(&self.text[start..self.at - 1]);
            }
            self.at += 2;
        }
    }

    /// A key and its colon.
    #[inline]
    pub fn key(&mut self) -> Result<&'a [u8], Stop> {
        let key = self.string()?;
        self.expect(b':', "a colon after a key")?;
        Ok(key)
    }

    /// Steps to the next member of an object: true when there is one, false
    /// when the object ends here. `first` is whether none was read yet.
    #[inline]
    pub fn member(&mut self, first: bool, close: u8) -> Result<bool, Stop> {
        match self.peek()? {
            byte if byte == close => {
                self.at += 1;
                Ok(false)
            }
            b',' => {
                self.at += 1;
                if self.peek()? == close {
                    self.at += 1;
                    return Ok(false);
                }
                Ok(true)
            }
            _ if first => Ok(true),
            _ => Err(self.malformed("a comma or the end")),
        }
    }

    /// A number, word or string, without quotes, undecoded.
    #[inline]
    pub fn scalar(&mut self) -> Result<&'a [u8], Stop> {
        if self.peek()? == b'"' {
            return self.string();
        }
        let start = self.at;
        while let Some(&byte) = self.text.get(self.at) {
            if matches!(byte, b',' | b'}' | b']') || byte <= b' ' {
                return Ok(&self.text[start..self.at]);
            }
            if matches!(byte, b'{' | b'[' | b'"' | b':') {
                return Err(self.malformed("a number, a word or a string"));
            }
            self.at += 1;
        }
        Err(Stop::Incomplete)
    }

    /// Passes over one value of any kind.
    #[inline]
    pub fn skip_value(&mut self) -> Result<(), Stop> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' | b'[' => self.skip_nested(),
            _ => self.scalar().map(drop),
        }
    }

    #[inline]
    fn skip_nested(&mut self) -> Result<(), Stop> {
        if let Some(end) = flat_object_end(&self.text[self.at..]) {
            self.at += end;
            return Ok(());
        }
        let mut depth = 0usize;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
        Err(Stop::Incomplete)
    }
}

/// The first quote or backslash; most strings here are short, so a plain loop
/// goes first.
#[inline]
fn short_string_end(text: &[u8]) -> Option<usize> {
    let near = text.len().min(16);
    for (at, &byte) in text[..near].iter().enumerate() {
        if byte == b'"' || byte == b'\\' {
            return Some(at);
        }
    }
    memchr2(b'"', b'\\', &text[near..]).map(|at| near + at)
}

/// The length of an object that holds no object, array or backslash.
///
/// The first `}` ends the object if the quotes before it are balanced; that
/// is so exactly when their number is even, as none is escaped.
#[inline]
fn flat_object_end(text: &[u8]) -> Option<usize> {
    if text.first() != Some(&b'{') {
        return None;
    }
    let end = memchr::memchr(b'}', text)?;
    let body = &text[1..end];
    let mut quotes = 0u8;
    let mut other = false;
    for &byte in body {
        quotes ^= u8::from(byte == b'"');
        other |= byte == b'{' || byte == b'\\' || byte == b'[';
    }
    (quotes == 0 && !other).then_some(end + 1)
}

/// Microseconds, written as a decimal, in whole nanoseconds; `None` for
/// anything that is no finite number in range.
#[inline]
pub(super) fn nanoseconds(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let mut value: i64 = 0;
    let mut decimals: Option<u32> = None;
    let mut seen = false;
    for &byte in digits {
        match byte {
            b'0'..=b'9' => {
                seen = true;
                if let Some(places) = &mut decimals {
                    if *places == 3 {
                        continue;
                    }
                    *places += 1;
                }
                value = value.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
            }
            b'.' if decimals.is_none() => decimals = Some(0),
            _ => return from_float(text),
        }
    }
    if !seen {
        return None;
    }
    let scale = [1000, 100, 10, 1][decimals.unwrap_or(0) as usize];
    let value = value.checked_mul(scale)?;
    Some(if negative { -value } else { value })
}

#[cold]
fn from_float(text: &[u8]) -> Option<i64> {
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let ns = (number * 1000.0).round();
    (ns.is_finite() && ns.abs() < 9.0e18).then_some(ns as i64)
}

/// A whole number that is not negative; `None` for anything else.
#[inline]
pub(super) fn whole(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, &byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then_some(())?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(text: &str) -> Result<usize, Stop> {
        let mut cursor = Cursor::new(text.as_bytes(), 0);
        cursor.skip_value().map(|()| cursor.at)
    }

    #[test]
    fn values_end_where_they_end() {
        assert_eq!(skipped(r#"{"a": 1, "b": "x"} tail"#), Ok(18));
        assert_eq!(skipped(r#"{"a": "}"} tail"#), Ok(10));
        assert_eq!(skipped(r#"{"a": "}", "b}": "}{"} tail"#), Ok(22));
        assert_eq!(skipped(r#"{"a": "\"}"} tail"#), Ok(12));
        assert_eq!(skipped(r#"{"a": {"b": [1, 2]}} tail"#), Ok(20));
        assert_eq!(skipped("[1, [2, \"]\"]] tail"), Ok(13));
        assert_eq!(skipped("NaN, "), Ok(3));
        assert_eq!(skipped("{\"a\": 1"), Err(Stop::Incomplete));
        assert_eq!(skipped("\"open"), Err(Stop::Incomplete));
        assert_eq!(skipped("\"open\\"), Err(Stop::Incomplete));
        assert_eq!(skipped("12"), Err(Stop::Incomplete));
    }

    #[test]
    fn times_keep_every_nanosecond() {
        assert_eq!(
            nanoseconds(b"4643977804425.024"),
            Some(4_643_977_804_425_024)
        );
        assert_eq!(nanoseconds(b"1.5"), Some(1500));
        assert_eq!(nanoseconds(b"7"), Some(7000));
        assert_eq!(nanoseconds(b"0.0019"), Some(1));
        assert_eq!(nanoseconds(b"-2.25"), Some(-2250));
        assert_eq!(nanoseconds(b"1.5e3"), Some(1_500_000));
        for bad in [
            "",
            "NaN",
            "nan",
            "inf",
            "-",
            ".",
            "1e400",
            "12x",
            "99999999999999999999",
        ] {
            assert_eq!(nanoseconds(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn whole_numbers_only() {
        assert_eq!(whole(b"42"), Some(42));
        for bad in ["", "-1", "1.0", "x", "18446744073709551616"] {
            assert_eq!(whole(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_scanner_panic(text in ".{0,200}") {
            let mut cursor = Cursor::new(text.as_bytes(), 0);
            let _ = cursor.skip_value();
            let _ = nanoseconds(text.as_bytes());
        }

        #[test]
        fn skipping_agrees_with_a_json_parser(
            keys in proptest::collection::vec("[a-z\"{}\\\\\\[\\]]{0,8}", 0..5),
            values in proptest::collection::vec("[a-z\"{}\\\\\\[\\]]{0,20}", 5),
        ) {
            let object: serde_json::Map<String, serde_json::Value> = keys
                .into_iter()
                .zip(values)
                .map(|(key, value)| (key, value.into()))
                .collect();
            let text = serde_json::to_string(&object).unwrap();
            let followed = format!("{text}, \"more\": {{}}}}");
            let mut cursor = Cursor::new(followed.as_bytes(), 0);
            cursor.skip_value().unwrap();
            proptest::prop_assert_eq!(cursor.at, text.len());
        }
    }
}
