//! The same program in the user's cache on the engine's host, found by its hash.

use std::time::Duration;

use super::{Answer, Binary, Body, Channel, RemoteError};

/// What the host is, where the program would be, and the hash of what is there.
/// `$1` is the wanted hash. Fixed text of one line, without quotation marks or
/// backslashes: the shell at the other end may be any.
const LOOK: &str = r#"dir=${XDG_CACHE_HOME:-$HOME/.cache}/sota-loop/bin; echo "sota-loop-host $(uname -s) $(uname -m)"; echo "sota-loop-file $dir/$1"; if [ -x "$dir/$1" ]; then echo "sota-loop-hash $(sha256sum < "$dir/$1")"; fi"#;

/// Writes standard input aside, checks its hash, and renames it into place.
const PUT: &str = r#"umask 077; dir=${XDG_CACHE_HOME:-$HOME/.cache}/sota-loop/bin; mkdir -p "$dir" || exit 73; aside=$dir/.$1.$$; fail() { rm -f "$aside"; exit "$1"; }; cat > "$aside" || fail 74; have=$(sha256sum < "$aside") || fail 69; [ "${have%% *}" = "$1" ] || { echo "the copy has another SHA-256" >&2; fail 65; }; chmod 700 "$aside" || fail 77; mv -f "$aside" "$dir/$1" || fail 77"#;

const SHORT: Duration = Duration::from_secs(60);
/// 20 MB over a slow line.
const COPY: Duration = Duration::from_secs(600);

/// Brings `binary` to the host unless it is there, and gives its path.
pub async fn install(channel: &Channel, binary: &Binary) -> Result<String, RemoteError> {
    let host = channel.host().to_owned();
    let looked = look(channel, binary).await?;
    if let Some(ours) = binary.machine
        && (looked.machine != ours || looked.system != "Linux")
    {
        return Err(RemoteError::Machine {
            host,
            ours: format!("Linux {ours}"),
            theirs: format!("{} {}", looked.system, looked.machine),
        });
    }
    if looked.hash.as_deref() != Some(binary.sha256.as_str()) {
        let put = channel
            .run(
                &["sh", "-c", PUT, "sota-loop", &binary.sha256],
                Body::Bytes(&binary.bytes),
                COPY,
            )
            .await?;
        if !put.is_success() {
            return Err(RemoteError::Cache {
                host,
                place: looked.file,
                reason: put.reason(),
            });
        }
    }
    let tried = channel
        .run(&[&looked.file, "--version"], Body::Nothing, SHORT)
        .await?;
    if tried.is_success() {
        Ok(looked.file)
    } else {
        Err(RemoteError::DoesNotRun {
            host,
            reason: tried.reason(),
        })
    }
}

struct Looked {
    system: String,
    machine: String,
    file: String,
    hash: Option<String>,
}

async fn look(channel: &Channel, binary: &Binary) -> Result<Looked, RemoteError> {
    let answer = channel
        .run(
            &["sh", "-c", LOOK, "sota-loop", &binary.sha256],
            Body::Nothing,
            SHORT,
        )
        .await?;
    parse(&answer).ok_or_else(|| RemoteError::Garbled {
        host: channel.host().to_owned(),
        program: "uname".to_owned(),
        reason: answer.reason(),
    })
}

/// A login script may print lines of its own before ours.
fn parse(answer: &Answer) -> Option<Looked> {
    let text = String::from_utf8_lossy(&answer.out);
    let after = |word: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
    };
    let (system, machine) = after("sota-loop-host")?.split_once(' ')?;
    let file = after("sota-loop-file")?;
    let hash = after("sota-loop-hash").and_then(|line| line.split_whitespace().next());
    file.starts_with('/').then(|| Looked {
        system: system.to_owned(),
        machine: machine.to_owned(),
        file: file.to_owned(),
        hash: hash.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_pass_through_any_login_shell() {
        for script in [LOOK, PUT] {
            assert!(!script.contains(['\'', '\\', '\n', '!']), "{script}");
        }
    }

    #[test]
    fn lines_of_a_login_script_are_passed_over() {
        let answer = Answer {
            code: Some(0),
            out: b"Welcome!\nsota-loop-host Linux x86_64\nsota-loop-file /h/x\n".to_vec(),
            err: String::new(),
        };
        let looked = parse(&answer).unwrap();
        assert_eq!((looked.file.as_str(), looked.hash), ("/h/x", None));
    }
}
