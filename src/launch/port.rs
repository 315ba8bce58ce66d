//! Ports for engines on the loopback address.

use std::net::{Ipv4Addr, TcpListener};

use super::LaunchError;

/// A port that nothing listens on at this moment.
pub fn free_port() -> Result<u16, LaunchError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(LaunchError::NoPort)?;
    let address = listener.local_addr().map_err(LaunchError::NoPort)?;
    Ok(address.port())
}

/// Whether a server could listen on `port` now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_not_free() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(taken.local_addr().unwrap().port()));
        assert!(is_free(free_port().unwrap()));
    }
}
