use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

/// Serves connection i with the i-th script: for each request one list of bytes; then closes.
async fn serve(scripts: Vec<Vec<&'static [u8]>>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        for script in scripts {
            let (mut stream, _) = listener.accept().await.unwrap();
            for answer in script {
                read_request(&mut stream).await;
                seen.fetch_add(1, Ordering::SeqCst);
                stream.write_all(answer).await.unwrap();
            }
        }
    });
    (address, requests)
}

async fn read_request(stream: &mut TcpStream) {
    let mut seen = Vec::new();
    while !seen.windows(4).any(|four| four == b"\r\n\r\n") {
        if stream.read_buf(&mut seen).await.unwrap() == 0 {
            return;
        }
    }
}

fn limits(time_ms: u64, body: usize) -> Limits {
    Limits {
        time: Duration::from_millis(time_ms),
        body,
    }
}

async fn post(pool: &Pool) -> Result<Exchange, HttpError> {
    pool.post_json("/v1/completions", Bytes::new()).await
}

async fn drain(pool: &Pool, mut exchange: Exchange) -> usize {
    let mut bytes = 0;
    while let Some(chunk) = exchange.chunk().await.unwrap() {
        bytes += chunk.bytes.len();
    }
    pool.put_back(exchange);
    bytes
}

#[tokio::test]
async fn get_returns_any_status_and_success_keeps_the_engines_words() {
    let (address, _) = serve(vec![vec![
        b"HTTP/1.1 503 Busy\r\ncontent-length: 7\r\n\r\nloading",
    ]])
    .await;
    let reply = get(&Base::at(address), "/health", Limits::default())
        .await
        .unwrap();
    assert_eq!(reply.status, 503);
    assert_eq!(
        reply.success().unwrap_err().to_string(),
        format!("GET http://{address}/health answered 503: loading")
    );
}

#[tokio::test]
async fn a_chunked_body_is_read_whole() {
    let (address, _) = serve(vec![vec![
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n{\"a\": \r\n2\r\n7}\r\n0\r\n\r\n",
    ]])
    .await;
    let reply = get(&Base::at(address), "/v1/models", Limits::default())
        .await
        .unwrap();
    let value: serde_json::Value = reply.json().unwrap();
    assert_eq!(value["a"], 7);
}

#[tokio::test]
async fn a_silent_engine_is_a_timeout_that_names_the_url() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let error = get(&Base::at(address), "/health", limits(30, 100))
        .await
        .unwrap_err();
    assert!(error.is_timeout() && error.is_retryable());
    assert_eq!(
        error.to_string(),
        format!("GET http://{address}/health did not answer within 0.03 s")
    );
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let (address, _) = serve(vec![vec![OK]]).await;
    let error = get(&Base::at(address), "/", limits(1000, 1))
        .await
        .unwrap_err();
    assert!(matches!(error, HttpError::BodyTooLarge { limit: 1, .. }));
}

#[tokio::test]
async fn nobody_listening_is_refused_and_closing_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    let error = get(&Base::at(free), "/", Limits::default())
        .await
        .unwrap_err();
    assert!(error.is_refused(), "{error}");

    let (address, _) = serve(vec![vec![b""]]).await;
    let error = get(&Base::at(address), "/", Limits::default())
        .await
        .unwrap_err();
    assert!(
        matches!(error, HttpError::ClosedBeforeAnswer { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn not_http_is_a_protocol_error() {
    let (address, _) = serve(vec![vec![b"SSH-2.0-OpenSSH_9.2\r\n"]]).await;
    let error = get(&Base::at(address), "/", Limits::default())
        .await
        .unwrap_err();
    assert!(matches!(error, HttpError::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn the_pool_keeps_connections_alive() {
    let (address, requests) = serve(vec![vec![OK, OK, OK, OK]]).await;
    let pool = Pool::new(Base::at(address));
    for turn in 0..3 {
        let exchange = post(&pool).await.unwrap();
        assert_eq!((exchange.status, exchange.reused), (200, turn > 0));
        assert_eq!(drain(&pool, exchange).await, 2);
    }
    assert_eq!(requests.load(Ordering::SeqCst), 3);
    let counts = pool.counts();
    assert_eq!((counts.opened, counts.reused), (1, 2));
    assert_eq!((counts.not_kept, counts.stale_retries), (0, 0));
}

#[tokio::test]
async fn a_stale_connection_is_retried_once_and_counted() {
    // The first connection takes a second request and closes without a byte.
    let (address, requests) = serve(vec![vec![OK, b""], vec![OK]]).await;
    let pool = Pool::new(Base::at(address));
    let first = post(&pool).await.unwrap();
    drain(&pool, first).await;
    let before = std::time::Instant::now();
    let second = post(&pool).await.unwrap();
    assert!(second.retried && !second.reused && second.sent > before);
    assert_eq!(drain(&pool, second).await, 2);
    assert_eq!(requests.load(Ordering::SeqCst), 3);
    let counts = pool.counts();
    assert_eq!((counts.opened, counts.reused), (2, 1));
    assert_eq!(counts.stale_retries, 1);
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced() {
    let (address, _) = serve(vec![vec![OK], vec![OK, OK]]).await;
    let pool = Pool::new(Base::at(address));
    let first = post(&pool).await.unwrap();
    drain(&pool, first).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let second = post(&pool).await.unwrap();
    assert_eq!(drain(&pool, second).await, 2);
    let counts = pool.counts();
    assert_eq!(counts.opened, 2);
    assert_eq!(counts.not_kept + counts.stale_retries, 1);
}

#[tokio::test]
async fn no_second_try_on_a_fresh_connection_or_after_a_byte() {
    let (address, requests) = serve(vec![vec![b""], vec![OK, b"HTTP/1.1 200"]]).await;
    let pool = Pool::new(Base::at(address));
    let error = post(&pool).await.unwrap_err();
    assert!(matches!(error, HttpError::ClosedBeforeAnswer { .. }));
    let good = post(&pool).await.unwrap();
    drain(&pool, good).await;
    let error = post(&pool).await.unwrap_err();
    assert!(matches!(error, HttpError::Protocol { .. }), "{error}");
    assert_eq!(requests.load(Ordering::SeqCst), 3);
    assert_eq!(pool.counts().stale_retries, 0);
}

#[tokio::test]
async fn a_body_cut_short_is_an_error() {
    let (address, _) = serve(vec![vec![
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ]])
    .await;
    let pool = Pool::new(Base::at(address));
    let mut exchange = post(&pool).await.unwrap();
    assert_eq!(exchange.chunk().await.unwrap().unwrap().bytes, b"hello");
    assert!(matches!(
        exchange.chunk().await,
        Err(HttpError::Protocol { .. })
    ));
}
