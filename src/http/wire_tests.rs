use proptest::prelude::*;

use super::*;

/// Status, each byte of the body with the second of its time, whether the
/// connection can be kept.
type Answered = (u16, Vec<(u8, u64)>, bool);

/// Feeds the pieces to an inbox as one read each, at 1, 2, 3, ... seconds.
fn read(pieces: &[&[u8]]) -> Result<Answered, WireError> {
    let mut inbox = Inbox::new();
    let origin = Instant::now();
    let mut status = None;
    let mut body = Vec::new();
    let mut pieces = pieces.iter().zip(1..);
    loop {
        if status.is_none() {
            status = inbox.head()?;
        }
        if let Some(status) = status {
            while let Some(part) = inbox.next_part()? {
                let second = inbox.read_at().duration_since(origin).as_secs();
                body.extend(inbox.bytes(part).iter().map(|byte| (*byte, second)));
            }
            if inbox.is_done() {
                return Ok((status, body, inbox.is_idle()));
            }
        }
        let Some((piece, second)) = pieces.next() else {
            if status.is_none() {
                return Err(WireError::EndInHead);
            }
            inbox.closed()?;
            continue;
        };
        inbox.room()[..piece.len()].copy_from_slice(piece);
        inbox.filled(piece.len(), origin + std::time::Duration::from_secs(second));
    }
}

/// Status, body and whether the connection can be kept.
fn whole(answer: &[u8]) -> Result<(u16, String, bool), String> {
    let (status, body, keep) = read(&[answer]).map_err(|error| error.to_string())?;
    let body = body.into_iter().map(|(byte, _)| byte).collect();
    Ok((status, String::from_utf8(body).unwrap(), keep))
}

#[test]
fn the_end_of_a_body_is_found_by_what_the_head_says() {
    for (answer, status, body, keep) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            200,
            "hi",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            200,
            "",
            true,
        ),
        (
            "HTTP/1.1 204 No\r\ncontent-length: 9\r\n\r\n",
            204,
            "",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\n\r\nto the end",
            200,
            "to the end",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: x, Close\r\n\r\nhi",
            200,
            "hi",
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            200,
            "hi",
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nhi",
            200,
            "hi",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi and more",
            200,
            "hi",
            false,
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            200,
            "hi",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2;a=b\r\nhi\r\nA \r\n0123456789\r\n00\r\nx: y\r\n\r\n",
            200,
            "hi0123456789",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            200,
            "hi",
            false,
        ),
    ] {
        assert_eq!(
            whole(answer.as_bytes()),
            Ok((status, body.to_owned(), keep)),
            "{answer}"
        );
    }
}

#[test]
fn what_breaks_the_rules_is_refused_with_the_reason() {
    for (answer, words) in [
        ("SSH-2.0-OpenSSH_9.2\r\n", "no HTTP/1.1"),
        ("HTTP/1.1 200 OK\r\ncontent-le", "within the head"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi",
            "before the end of the body",
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nhi", "\"+2\""),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi",
            "\"3\"",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
            "\"gzip, chunked\"",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi",
            "before the end of the body",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi!",
            "0x21",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-2\r\nhi",
            "0x2d",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\nhi",
            "0x0d",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\nhi",
            "0x0a",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n11111111111111111\r\n",
            "beyond 64 bits",
        ),
    ] {
        let error = whole(answer.as_bytes()).unwrap_err();
        assert!(error.contains(words), "{answer}: {error}");
    }
}

#[test]
fn endless_heads_and_asides_are_cut_off() {
    let head = |rest: &str| format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{rest}");
    let filler = "x".repeat(1 << 20);
    for (answer, words) in [
        (head(&format!("a: {filler}")), "longer than 65536 bytes"),
        (head(&format!("\r\n1;{filler}")), "longer than 16384 bytes"),
        (
            head(&format!("\r\n0\r\n{filler}")),
            "longer than 16384 bytes",
        ),
    ] {
        let pieces: Vec<&[u8]> = answer.as_bytes().chunks(64).collect();
        let error = read(&pieces).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.dedup();
    at.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect()
}

fn answer(chunks: &[Vec<u8>], kind: u8) -> (Vec<u8>, Vec<usize>) {
    let total: usize = chunks.iter().map(Vec::len).sum();
    let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
    bytes.extend(
        match kind {
            0 => "transfer-encoding: chunked\r\n\r\n".to_owned(),
            1 => format!("content-length: {total}\r\n\r\n"),
            _ => "\r\n".to_owned(),
        }
        .into_bytes(),
    );
    let mut places = Vec::new();
    for chunk in chunks {
        if kind == 0 {
            bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        }
        places.extend(bytes.len()..bytes.len() + chunk.len());
        bytes.extend(chunk);
        if kind == 0 {
            bytes.extend(b"\r\n");
        }
    }
    if kind == 0 {
        bytes.extend(b"0\r\n\r\n");
    }
    (bytes, places)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// However the bytes are cut, the body is the same, and each of its bytes
    /// bears the time of the very read that brought it.
    #[test]
    fn any_cut_gives_the_same_body_and_the_right_times(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
        kind in 0..3_u8,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let (bytes, places) = answer(&chunks, kind);
        let pieces = cut(&bytes, &cuts);
        let (status, body, keep) = read(&pieces).unwrap();
        prop_assert_eq!((status, keep), (200, kind < 2));
        let mut ends = Vec::new();
        for piece in &pieces {
            ends.push(ends.last().unwrap_or(&0) + piece.len());
        }
        let expected: Vec<(u8, u64)> = places
            .iter()
            .map(|place| (bytes[*place], ends.partition_point(|end| end <= place) as u64 + 1))
            .collect();
        prop_assert_eq!(body, expected);
    }

    #[test]
    fn damaged_answers_end_the_same_way_however_they_are_cut(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
        kind in 0..3_u8,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let (mut bytes, _) = answer(&chunks, kind);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let outcome = |pieces: &[&[u8]]| {
            read(pieces)
                .map(|(status, body, _)| {
                    let body: Vec<u8> = body.into_iter().map(|(byte, _)| byte).collect();
                    (status, body)
                })
                .map_err(|error| std::mem::discriminant(&error))
        };
        prop_assert_eq!(outcome(&cut(&bytes, &cuts)), outcome(&[&bytes]));
    }
}
