//! One program run on the engine's host: its arguments, its input, its answer.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::RemoteError;
use crate::shell_words::shell_words;

/// How programs are run on the engine's host.
#[derive(Debug)]
pub enum Channel {
    /// It is this host, or shares its files and its Slurm.
    Here,
    Ssh(Ssh),
}

/// A destination, and the connection that all calls to it share.
#[derive(Debug)]
pub struct Ssh {
    host: String,
    /// Private folder for the socket of the shared connection.
    control: PathBuf,
}

/// What a program reads.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    Nothing,
    Bytes(&'a [u8]),
    /// Two parts, one after the other.
    Both(&'a [u8], &'a [u8]),
}

/// How a program ended and what it wrote.
#[derive(Debug)]
pub struct Answer {
    pub code: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }

    /// The last line that says something.
    pub fn reason(&self) -> String {
        let last = self.err.lines().rev().find(|line| !line.trim().is_empty());
        match (last, self.code) {
            (Some(line), _) => line.trim().to_owned(),
            (None, Some(code)) => format!("exit status {code}"),
            (None, None) => "killed by a signal".to_owned(),
        }
    }
}

/// More than this is not read from an answer.
const MOST_OUT: u64 = 64 << 20;
const MOST_ERR: u64 = 64 << 10;
/// ssh's own failures, where the program did not run.
const SSH_FAILED: i32 = 255;
/// Runs the program below a shell, so that its death by a signal is no failure
/// of ssh.
const RUN: &str = r#""$@"; exit $?"#;

impl Channel {
    /// A channel to `host`; nothing is connected yet.
    pub fn ssh(host: &str) -> Self {
        static CHANNELS: AtomicU32 = AtomicU32::new(1);
        // Not in the runtime folder of a login, which goes with the login while
        // a job goes on. The path of a socket must be short.
        let control = std::env::temp_dir().join(format!(
            "sota-loop-ssh-{}-{}-{}",
            nix::unistd::geteuid(),
            std::process::id(),
            CHANNELS.fetch_add(1, Ordering::Relaxed)
        ));
        Self::Ssh(Ssh {
            host: host.to_owned(),
            control,
        })
    }

    /// The host as the user named it.
    pub fn host(&self) -> &str {
        match self {
            Self::Here => "this host",
            Self::Ssh(ssh) => &ssh.host,
        }
    }

    /// Runs `argv` there, gives it `body`, and waits for its end.
    pub async fn run(
        &self,
        argv: &[&str],
        body: Body<'_>,
        limit: Duration,
    ) -> Result<Answer, RemoteError> {
        if let Self::Ssh(ssh) = self {
            // Temporary folders are cleaned up under jobs that take days.
            make_private(&ssh.control)?;
        }
        let mut command = self.command(argv);
        let program = command
            .as_std()
            .get_program()
            .to_string_lossy()
            .into_owned();
        let spawn_error = |source| RemoteError::Spawn {
            program: program.clone(),
            source,
        };
        let mut child = command.spawn().map_err(spawn_error)?;
        let answer = tokio::time::timeout(limit, talk(&mut child, body))
            .await
            .map_err(|_| RemoteError::Silent {
                host: self.host().to_owned(),
                program: argv.first().copied().unwrap_or_default().to_owned(),
                seconds: limit.as_secs(),
            })?
            .map_err(spawn_error)?;
        match self {
            Self::Ssh(ssh) if answer.code == Some(SSH_FAILED) => Err(ssh.failure(&answer)),
            _ => Ok(answer),
        }
    }

    fn command(&self, argv: &[&str]) -> Command {
        let mut command = match self {
            Self::Here => {
                let mut command = Command::new(argv.first().copied().unwrap_or_default());
                command.args(argv.get(1..).unwrap_or_default());
                command
            }
            Self::Ssh(ssh) => {
                let mut command = Command::new("ssh");
                command
                    .args(ssh.options())
                    .arg("--")
                    .arg(&ssh.host)
                    .arg(shell_words(&[&["sh", "-c", RUN, "sh"][..], argv].concat()));
                command
            }
        };
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Ends the shared connection.
    pub async fn close(&self) {
        let Self::Ssh(ssh) = self else { return };
        let ended = Command::new("ssh")
            .args(ssh.options())
            .args(["-O", "exit", "--"])
            .arg(&ssh.host)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .status();
        // Without it the connection ends by itself after a minute.
        let _ = tokio::time::timeout(Duration::from_secs(5), ended).await;
        let _ = std::fs::remove_dir_all(&ssh.control);
    }
}

impl Ssh {
    fn options(&self) -> Vec<String> {
        [
            "BatchMode=yes",
            "ConnectTimeout=10",
            "ServerAliveInterval=10",
            "ServerAliveCountMax=3",
            "ControlMaster=auto",
            "ControlPersist=60",
            &format!("ControlPath={}/socket", self.control.display()),
            "ClearAllForwardings=yes",
            "ForwardAgent=no",
            "ForwardX11=no",
            "PermitLocalCommand=no",
            "RemoteCommand=none",
            "RequestTTY=no",
            "LogLevel=INFO",
        ]
        .iter()
        .flat_map(|option| ["-o".to_owned(), (*option).to_owned()])
        .collect()
    }

    fn failure(&self, answer: &Answer) -> RemoteError {
        let host = self.host.clone();
        let reason = match answer.err.trim() {
            "" => "the connection was lost".to_owned(),
            _ => answer.reason(),
        };
        if answer.err.contains("Permission denied (") {
            RemoteError::KeyRefused { host, reason }
        } else if answer.err.contains("Host key verification failed") {
            RemoteError::HostKey { host, reason }
        } else {
            RemoteError::Unreachable { host, reason }
        }
    }
}

/// Makes a folder that only this user can look into, or finds that it is one.
fn make_private(dir: &Path) -> Result<(), RemoteError> {
    // It may be there already; what it is decides.
    let _ = DirBuilder::new().mode(0o700).create(dir);
    let own = nix::unistd::geteuid().as_raw();
    let private = std::fs::symlink_metadata(dir).is_ok_and(|data| {
        data.is_dir() && data.uid() == own && data.permissions().mode() & 0o077 == 0
    });
    if private {
        Ok(())
    } else {
        Err(RemoteError::ControlDir(dir.to_path_buf()))
    }
}

async fn talk(child: &mut Child, body: Body<'_>) -> std::io::Result<Answer> {
    let stdin = child.stdin.take();
    let write = async move {
        let Some(mut stdin) = stdin else { return };
        // A program that does not read to the end says why by itself.
        let _ = match body {
            Body::Nothing => Ok(()),
            Body::Bytes(bytes) => stdin.write_all(bytes).await,
            Body::Both(first, second) => match stdin.write_all(first).await {
                Ok(()) => stdin.write_all(second).await,
                failed => failed,
            },
        };
        let _ = stdin.shutdown().await;
    };
    let err = tokio::spawn(read_some(child.stderr.take(), MOST_ERR));
    let out = read_some(child.stdout.take(), MOST_OUT);
    let ((), out) = tokio::join!(write, out);
    let status = child.wait().await?;
    // The shared connection goes on in the background, perhaps with this pipe.
    let err = tokio::time::timeout(Duration::from_millis(500), err).await;
    Ok(Answer {
        code: status.code(),
        out,
        err: err
            .ok()
            .and_then(Result::ok)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default(),
    })
}

async fn read_some(stream: Option<impl AsyncRead + Unpin>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What cannot be read is judged by the exit status.
        let _ = stream.take(most).read_to_end(&mut bytes).await;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_reads_its_body_and_its_end_is_told() {
        let answer = Channel::Here
            .run(
                &["sh", "-c", "cat; echo oops >&2; exit 7"],
                Body::Both(b"a", b"b"),
                Duration::from_secs(10),
            )
            .await
            .unwrap();
        assert_eq!(answer.code, Some(7));
        assert_eq!(answer.out, b"ab");
        assert_eq!(answer.reason(), "oops");
    }

    #[test]
    fn ssh_gets_one_quoted_command() {
        let channel = Channel::Ssh(Ssh {
            host: "me@h".to_owned(),
            control: PathBuf::from("/run/x"),
        });
        let command = channel.command(&["prog", "a b", "$(id)"]);
        let arguments: Vec<_> = command.as_std().get_args().collect();
        assert_eq!(
            arguments[arguments.len() - 3..],
            [
                "--",
                "me@h",
                r#"sh -c '"$@"; exit $?' sh prog 'a b' '$(id)'"#
            ]
        );
    }
}
