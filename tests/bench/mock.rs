//! A scripted engine: exact bytes at exact times, on a thread of its own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One act of the engine on a connection.
#[derive(Debug, Clone)]
pub enum Step {
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Waits until so long after the request arrived.
    At(Duration),
    /// Closes the connection.
    Close,
}

/// A running mock. It ends with the process.
#[derive(Debug, Clone)]
pub struct Mock {
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<Served>>>,
}

/// One request as the mock saw it. Not every user of this file reads all of it.
#[allow(dead_code)]
#[derive(Debug, Clone)]
pub struct Served {
    pub body: String,
    pub arrived: Instant,
    /// Just before each write.
    pub writes: Vec<Instant>,
}

impl Mock {
    /// Starts a mock that plays `script(n)` for the n-th request, from 0.
    pub fn start(script: impl Fn(usize) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let mock = Self {
            address: listener.local_addr().unwrap(),
            log: Arc::default(),
        };
        let shared = mock.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(accept(listener, shared, Arc::new(script)));
        });
        mock
    }

    /// Plays the same for every request.
    pub fn always(steps: Vec<Step>) -> Self {
        Self::start(move |_| steps.clone())
    }

    /// All requests so far, in order of arrival.
    pub fn log(&self) -> Vec<Served> {
        self.log.lock().unwrap().clone()
    }
}

async fn accept<F>(listener: std::net::TcpListener, mock: Mock, script: Arc<F>)
where
    F: Fn(usize) -> Vec<Step> + Send + Sync + 'static,
{
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(serve(stream, mock.clone(), Arc::clone(&script)));
    }
}

async fn serve<F: Fn(usize) -> Vec<Step>>(mut stream: TcpStream, mock: Mock, script: Arc<F>) {
    while let Some(body) = read_request(&mut stream).await {
        let arrived = Instant::now();
        let number = {
            let mut log = mock.log.lock().unwrap();
            log.push(Served {
                body,
                arrived,
                writes: Vec::new(),
            });
            log.len() - 1
        };
        for step in script(number) {
            match step {
                Step::Write(bytes) => {
                    mock.log.lock().unwrap()[number].writes.push(Instant::now());
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Step::At(due) => tokio::time::sleep_until((arrived + due).into()).await,
                Step::Close => return,
            }
        }
    }
}

/// Reads one request with a content length; `None` when the client has gone.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut seen = Vec::new();
    loop {
        if let Some(end) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&seen[..end]).to_lowercase();
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .and_then(|value| value.trim().parse().ok())
                .unwrap_or(0);
            while seen.len() < end + 4 + length {
                if stream.read_buf(&mut seen).await.ok()? == 0 {
                    return None;
                }
            }
            return Some(String::from_utf8_lossy(&seen[end + 4..]).into_owned());
        }
        if stream.read_buf(&mut seen).await.ok()? == 0 {
            return None;
        }
    }
}

/// The head of an event stream.
pub fn head() -> Step {
    write(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    )
}

/// Bytes as they stand.
pub fn write(bytes: impl AsRef<[u8]>) -> Step {
    Step::Write(bytes.as_ref().to_vec())
}

/// Bytes of the body as one HTTP chunk.
pub fn body(bytes: impl AsRef<[u8]>) -> Step {
    let bytes = bytes.as_ref();
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    Step::Write(chunk)
}

/// One event.
pub fn event(json: &str) -> Step {
    body(format!("data: {json}\n\n"))
}

/// The end of the body.
pub fn end() -> Step {
    write("0\r\n\r\n")
}

/// Waits until `ms` milliseconds after the request arrived.
pub fn at(ms: u64) -> Step {
    Step::At(Duration::from_millis(ms))
}
