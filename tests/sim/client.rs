//! A small HTTP client that shows what is on the wire.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

pub struct HttpReply {
    pub status: u16,
    pub body: String,
    /// Whether the chunked body came to its end.
    pub complete: bool,
}

pub fn send(address: SocketAddr, method: &str, path: &str, body: &str) -> Option<TcpStream> {
    let mut socket = TcpStream::connect(address).ok()?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    socket.write_all(head.as_bytes()).ok()?;
    Some(socket)
}

/// One request on a connection of its own; nothing where it is refused.
pub fn http(address: SocketAddr, method: &str, path: &str, body: &str) -> Option<HttpReply> {
    let mut raw = Vec::new();
    // A reset after some bytes is a reply that is not complete.
    let _ = send(address, method, path, body)?.read_to_end(&mut raw);
    let raw = String::from_utf8(raw).unwrap();
    let (head, body) = raw.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let (body, complete) = if head.contains("transfer-encoding: chunked") {
        dechunked(body)
    } else {
        (body.to_owned(), true)
    };
    Some(HttpReply {
        status,
        body,
        complete,
    })
}

pub fn dechunked(mut rest: &str) -> (String, bool) {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        if after.len() < size + 2 {
            break;
        }
        body.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    (body, false)
}

pub fn post(address: SocketAddr, path: &str, body: &Value) -> HttpReply {
    http(address, "POST", path, &body.to_string()).unwrap()
}

/// The JSON objects of a stream, without `[DONE]`.
pub fn events(body: &str) -> Vec<Value> {
    let lines = body.split("\n\n").filter(|event| !event.is_empty());
    lines
        .map(|event| event.strip_prefix("data: ").unwrap())
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// A chunk with everything that differs from request to request made equal.
pub fn normalized(mut chunk: Value) -> String {
    for (key, value) in [
        ("id", json!("I")),
        ("created", json!(0)),
        ("model", json!("M")),
    ] {
        chunk[key] = value;
    }
    for pointer in ["/choices/0/text", "/choices/0/delta/content"] {
        if let Some(text) = chunk.pointer_mut(pointer)
            && *text != json!("")
        {
            *text = json!("T");
        }
    }
    chunk.to_string()
}

pub fn completion(prompt: usize, tokens: u32) -> Value {
    let ids: Vec<usize> = (0..prompt).collect();
    json!({
        "model": "sim-8b", "prompt": ids, "max_tokens": tokens, "ignore_eos": true, "stream": true,
        "stream_options": {"include_usage": true, "continuous_usage_stats": true},
    })
}
