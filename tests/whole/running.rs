//! A simulated engine that the test starts by itself.

use std::process::{Child, Stdio};

use crate::support::{Home, wait_for};

/// A server that runs on its own.
pub struct Running {
    pub child: Child,
    pub url: String,
}

impl Running {
    pub fn start(home: &Home, dialect: &str, extra: &[&str]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port()
            .to_string();
        let mark = home.mark();
        let mut arguments = vec![
            "sim",
            "--dialect",
            dialect,
            "--port",
            &port,
            "--revision",
            &mark,
            "--layers",
            "4",
            "--decode-base-ms",
            "1",
            "--load-s",
            "0",
        ];
        arguments.extend(extra);
        let child = home
            .command(&arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = format!("127.0.0.1:{port}");
        wait_for("the server", || {
            std::net::TcpStream::connect(&address).is_ok()
        });
        Self {
            child,
            url: format!("http://{address}"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
