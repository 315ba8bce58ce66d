//! Splits a byte stream into server-sent events, wherever it is cut.

use memchr::memchr;

/// Longest event that is held, in bytes. `/generate` repeats the whole text
/// and all token ids in every event, so this is generous.
const LONGEST_EVENT: usize = 64 << 20;

/// One event: its data, and whether it was named `error`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event<'a> {
    pub(super) data: &'a [u8],
    pub(super) is_error: bool,
}

/// An event longer than is ever held.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EventTooLong;

/// Keeps what was left of the last piece: at most one partial line and the
/// data lines of one unfinished event. Bytes once scanned are not scanned
/// again. Lines end in `\n` or `\r\n`; a lone `\r`, which the standard also
/// allows, is used by no engine.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    partial: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    is_error: bool,
}

impl Splitter {
    /// Takes the next piece and hands on each event that it completes.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), EventTooLong> {
        let mut rest = piece;
        if !self.partial.is_empty() {
            let Some(end) = memchr(b'\n', rest) else {
                return self.keep_partial(rest);
            };
            self.partial.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            let line = std::mem::take(&mut self.partial);
            self.line(&line, sink)?;
            self.partial = line;
            self.partial.clear();
        }
        while let Some(end) = memchr(b'\n', rest) {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            match self.whole_event(line, rest) {
                Some((data, after)) => {
                    sink(Event {
                        data,
                        is_error: std::mem::take(&mut self.is_error),
                    });
                    rest = after;
                }
                None => self.line(line, sink)?,
            }
        }
        self.keep_partial(rest)
    }

    /// Hands on an event that the end of the stream completes.
    pub(super) fn finish(&mut self, sink: &mut impl FnMut(Event<'_>)) -> Result<(), EventTooLong> {
        let line = std::mem::take(&mut self.partial);
        if !line.is_empty() {
            self.line(&line, sink)?;
        }
        self.dispatch(sink);
        Ok(())
    }

    /// The usual case, without a copy: one data line and the empty line behind it.
    fn whole_event<'a>(&self, line: &'a [u8], rest: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        if self.has_data {
            return None;
        }
        let data = data_of(without_return(line))?;
        let after = rest
            .strip_prefix(b"\n")
            .or_else(|| rest.strip_prefix(b"\r\n"))?;
        Some((data, after))
    }

    fn line(&mut self, line: &[u8], sink: &mut impl FnMut(Event<'_>)) -> Result<(), EventTooLong> {
        let line = without_return(line);
        if line.is_empty() {
            self.dispatch(sink);
        } else if let Some(data) = data_of(line) {
            if self.data.len() + data.len() > LONGEST_EVENT {
                return Err(EventTooLong);
            }
            if self.has_data {
                self.data.push(b'\n');
            }
            self.has_data = true;
            self.data.extend_from_slice(data);
        } else if let Some(name) = value_of(line, b"event") {
            self.is_error = name == b"error";
        }
        Ok(())
    }

    fn dispatch(&mut self, sink: &mut impl FnMut(Event<'_>)) {
        let is_error = std::mem::take(&mut self.is_error);
        if std::mem::take(&mut self.has_data) {
            sink(Event {
                data: &self.data,
                is_error,
            });
            self.data.clear();
        }
    }

    fn keep_partial(&mut self, rest: &[u8]) -> Result<(), EventTooLong> {
        if self.partial.len() + rest.len() > LONGEST_EVENT {
            return Err(EventTooLong);
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn data_of(line: &[u8]) -> Option<&[u8]> {
    value_of(line, b"data")
}

/// The value of a field line: what follows the colon, less one space.
fn value_of<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(field)?.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<(String, bool)> {
        let mut splitter = Splitter::default();
        let mut found = Vec::new();
        let mut sink = |event: Event<'_>| {
            found.push((
                String::from_utf8(event.data.to_vec()).unwrap(),
                event.is_error,
            ));
        };
        for piece in pieces {
            splitter.push(piece, &mut sink).unwrap();
        }
        splitter.finish(&mut sink).unwrap();
        found
    }

    fn data(pieces: &[&[u8]]) -> Vec<String> {
        events(pieces).into_iter().map(|(data, _)| data).collect()
    }

    #[test]
    fn several_events_in_one_piece() {
        assert_eq!(data(&[b"data: a\n\ndata: b\n\n"]), ["a", "b"]);
    }

    #[test]
    fn carriage_returns() {
        assert_eq!(data(&[b"data: a\r\n\r\ndata: b\r\n\r\n"]), ["a", "b"]);
        assert_eq!(
            data(&[b"data: a\r", b"\n\r", b"\ndata: b\r\n\r\n"]),
            ["a", "b"]
        );
    }

    #[test]
    fn comments_ids_and_retries_are_no_events() {
        assert_eq!(
            data(&[b": ping\n\ndata: a\n\nid: 7\nretry: 10\n: x\ndata: b\n\n:\n\n"]),
            ["a", "b"]
        );
    }

    #[test]
    fn data_without_a_space_and_with_two() {
        assert_eq!(data(&[b"data:a\n\ndata:  b\n\ndata:\n\n"]), ["a", " b", ""]);
    }

    #[test]
    fn several_data_lines_are_one_event() {
        assert_eq!(data(&[b"data: {\ndata: }\n\n"]), ["{\n}"]);
    }

    #[test]
    fn an_error_event_is_told_apart_and_only_once() {
        assert_eq!(
            events(&[b"event: error\ndata: a\n\ndata: b\n\nevent: message\ndata: c\n\n"]),
            [
                ("a".to_owned(), true),
                ("b".to_owned(), false),
                ("c".to_owned(), false)
            ]
        );
    }

    #[test]
    fn line_separators_inside_json_do_not_split() {
        let text = "data: {\"text\":\"a\u{2028}b\u{85}c\"}\n\n";
        assert_eq!(
            data(&[text.as_bytes()]),
            ["{\"text\":\"a\u{2028}b\u{85}c\"}"]
        );
    }

    #[test]
    fn the_last_event_may_lack_its_empty_line() {
        assert_eq!(data(&[b"data: a\n\ndata: b\n"]), ["a", "b"]);
        assert_eq!(data(&[b"data: a\n\ndata: b"]), ["a", "b"]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut splitter = Splitter::default();
        let piece = vec![b'x'; 1 << 20];
        let refused = (0..65).find(|_| splitter.push(&piece, &mut |_| ()).is_err());
        assert_eq!(refused, Some(64));
    }

    /// A megabyte in one-byte pieces takes about as many steps as bytes.
    #[test]
    fn a_long_event_in_tiny_pieces_is_whole() {
        let long = "x".repeat(1 << 20);
        let stream = format!("data: {long}\n\n");
        let pieces: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(data(&pieces), [long]);
    }

    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("data: {\"a\":1}".to_owned()),
            Just("data:[DONE]".to_owned()),
            Just(": comment".to_owned()),
            Just("event: error".to_owned()),
            Just(String::new()),
            "(data: )?[ -~é]{0,12}",
        ]
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(
            lines in prop::collection::vec((line(), any::<bool>()), 0..24),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let stream: String = lines
                .iter()
                .map(|(line, long)| format!("{line}{}", if *long { "\r\n" } else { "\n" }))
                .collect();
            let bytes = stream.as_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.push(0);
            at.push(bytes.len());
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let lossy = |pieces: &[&[u8]]| {
                let mut splitter = Splitter::default();
                let mut found = Vec::new();
                let mut sink = |event: Event<'_>| found.push((event.data.to_vec(), event.is_error));
                for piece in pieces {
                    splitter.push(piece, &mut sink).unwrap();
                }
                splitter.finish(&mut sink).unwrap();
                found
            };
            prop_assert_eq!(lossy(&pieces), lossy(&[bytes]));
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(lossy(&single), lossy(&[bytes]));
        }
    }
}
