//! The address of an engine: a literal IP address, a port and a path in front.

use std::net::{IpAddr, SocketAddr};

use super::HttpError;

/// Where an engine listens. Resolved once, so that no name lookup is ever timed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    address: SocketAddr,
    host: String,
    prefix: String,
}

impl Base {
    /// An engine at a known address.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            host: address.to_string(),
            prefix: String::new(),
        }
    }

    /// Reads `http://host[:port][/path]` and resolves the host. Where a name
    /// has both kinds of address, IPv4 is taken: engines bind 127.0.0.1 or
    /// 0.0.0.0, while `localhost` often resolves to ::1 first.
    pub async fn resolve(url: &str) -> Result<Self, HttpError> {
        let (host, port, prefix) = split(url)?;
        let ip = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => ip,
            Err(_) => lookup(host, port).await?,
        };
        Ok(Self {
            address: SocketAddr::new(ip, port),
            host: format!("{host}:{port}"),
            prefix: prefix.to_owned(),
        })
    }

    /// The socket address that connections are opened to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The value of the `Host` header.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The request target of a path such as `/v1/models`.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// The whole URL of a path, for messages and records.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{}{path}", self.address, self.prefix)
    }
}

fn split(url: &str) -> Result<(&str, u16, &str), HttpError> {
    let bad = |reason: &str| HttpError::BadUrl {
        url: url.to_owned(),
        reason: reason.to_owned(),
    };
    if url.starts_with("https://") {
        return Err(HttpError::HttpsUnsupported {
            url: url.to_owned(),
        });
    }
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| bad("it must begin with http://"))?;
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    if authority.contains('@') {
        return Err(bad("a user name or password does not belong there"));
    }
    if path.contains(['?', '#']) || authority.contains(['?', '#']) {
        return Err(bad("a query or fragment does not belong there"));
    }
    let after_bracket = authority.rfind(']').map_or(0, |end| end + 1);
    let (host, port) = match authority[after_bracket..].rfind(':') {
        Some(colon) => {
            let (host, port) = authority.split_at(after_bracket + colon);
            let port = port[1..]
                .parse()
                .map_err(|_| bad("the port is not a number from 0 to 65535"))?;
            (host, port)
        }
        None => (authority, 80),
    };
    if host.is_empty() {
        return Err(bad("the host is missing"));
    }
    Ok((host, port, path.trim_end_matches('/')))
}

async fn lookup(host: &str, port: u16) -> Result<IpAddr, HttpError> {
    let failed = |reason: String| HttpError::Resolve {
        host: host.to_owned(),
        reason,
    };
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| failed(error.to_string()))?
        .collect();
    found
        .iter()
        .find(|address| address.is_ipv4())
        .or(found.first())
        .map(SocketAddr::ip)
        .ok_or_else(|| failed("the name has no address".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn parts(url: &str) -> (String, String, String) {
        let base = Base::resolve(url).await.unwrap();
        (
            base.address().to_string(),
            base.host().to_owned(),
            base.path("/v1/models"),
        )
    }

    #[tokio::test]
    async fn reads_literal_addresses_and_path_prefixes() {
        let expect = |a: &str, h: &str, p: &str| (a.to_owned(), h.to_owned(), p.to_owned());
        assert_eq!(
            parts("http://127.0.0.1:30000").await,
            expect("127.0.0.1:30000", "127.0.0.1:30000", "/v1/models")
        );
        assert_eq!(
            parts("http://10.0.0.9/engine/").await,
            expect("10.0.0.9:80", "10.0.0.9:80", "/engine/v1/models")
        );
        assert_eq!(
            parts("http://[::1]:8000/").await,
            expect("[::1]:8000", "[::1]:8000", "/v1/models")
        );
    }

    #[tokio::test]
    async fn localhost_is_the_ipv4_loopback() {
        assert_eq!(
            parts("http://localhost:8000").await,
            (
                "127.0.0.1:8000".to_owned(),
                "localhost:8000".to_owned(),
                "/v1/models".to_owned()
            )
        );
    }

    #[tokio::test]
    async fn refuses_what_is_no_plain_http_address() {
        for (url, words) in [
            ("https://127.0.0.1:1", "asks for https"),
            ("127.0.0.1:1", "must begin with http://"),
            ("http://", "the host is missing"),
            ("http://a:b@127.0.0.1:1", "user name or password"),
            ("http://127.0.0.1:70000", "the port is not a number"),
            ("http://127.0.0.1:1/x?y=1", "a query or fragment"),
        ] {
            let error = Base::resolve(url).await.unwrap_err().to_string();
            assert!(error.contains(words), "{url}: {error}");
        }
    }
}
