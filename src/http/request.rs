//! The bytes of a request.

use super::{Base, HttpError};

/// A request with a JSON body. `close` asks the engine to end the connection after it.
pub(super) fn request(
    base: &Base,
    method: &str,
    path: &str,
    body: &[u8],
    close: bool,
) -> Result<Vec<u8>, HttpError> {
    let target = base.path(path);
    if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(HttpError::BadPath {
            path: path.to_owned(),
            reason: "it must begin with / and hold neither spaces nor other than ASCII".to_owned(),
        });
    }
    let connection = if close { "connection: close\r\n" } else { "" };
    let mut bytes = format!(
        "{method} {target} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n{connection}content-length: {}\r\n\r\n",
        base.host(),
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    Ok(bytes)
}
