//! The far end: one request on standard input, one answer on standard output.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};

use super::files;
use super::host_job::{HostJob, dir_of, jobs_dir};
use super::protocol::{Answer, Look, MARK, Request, is_plain};
use crate::disk;
use crate::fault::{Fault, FaultCode};
use crate::sha256;
use crate::source_state::SourceState;

/// Longest request; a plan with every candidate is far below it.
const LONGEST: u64 = 64 << 20;
/// Largest file that a task reads.
const LARGEST: u64 = 1 << 30;

/// Answers the request that `input` holds.
pub fn serve(input: &mut impl BufRead, output: &mut impl Write) -> io::Result<()> {
    let (answer, bytes) = match answer(input) {
        Ok(answered) => answered,
        Err(fault) => (Answer::Fault(fault), Vec::new()),
    };
    let line = serde_json::to_string(&answer).map_err(io::Error::other)?;
    // Whatever a login script printed may lack the end of its line.
    writeln!(output, "\n{MARK}{line}")?;
    output.write_all(&bytes)?;
    output.flush()
}

fn answer(input: &mut impl BufRead) -> Result<(Answer, Vec<u8>), Fault> {
    let request = read_request(input)?;
    let done = |()| (Answer::Done, Vec::new());
    match request {
        Request::Hello => Ok((
            Answer::Hello {
                jobs_dir: jobs_dir(),
            },
            Vec::new(),
        )),
        Request::Sources { checkouts } => {
            let states = checkouts.iter().map(|checkout| SourceState::of(checkout));
            Ok((
                Answer::Sources(states.collect::<Result<_, _>>()?),
                Vec::new(),
            ))
        }
        Request::Place { id, tasks, how } => HostJob::place(&id, &tasks, how).map(|_| done(())),
        Request::Put { id, name, sha256 } => put(&id, &name, &sha256, input).map(done),
        Request::Start { id, env } => HostJob::open(&id)?.start(&env).map(done),
        Request::Look {
            id,
            have,
            ask_queue,
        } => look(&id, &have, ask_queue),
        Request::Sums { id } => Ok((Answer::Sums(sums(&id)?), Vec::new())),
        Request::Cancel { id } => HostJob::open(&id)?.cancel().map(done),
        Request::Kill { id } => HostJob::open(&id)?.kill().map(done),
        Request::Remove { id } => HostJob::open(&id)?.remove().map(done),
    }
}

fn broken(problem: impl std::fmt::Display) -> Fault {
    Fault::new(
        FaultCode::InvalidArgument,
        format!("the request cannot be read: {problem}"),
        "this program is called by sota-loop itself, of the same version",
    )
}

fn read_request(input: &mut impl BufRead) -> Result<Request, Fault> {
    let mut line = Vec::new();
    input
        .take(LONGEST)
        .read_until(b'\n', &mut line)
        .map_err(broken)?;
    serde_json::from_slice(&line).map_err(broken)
}

fn put(id: &str, name: &str, sha256: &str, input: &mut impl BufRead) -> Result<(), Fault> {
    if !is_plain(name) {
        return Err(broken(format!("`{name}` is no file name")));
    }
    let mut bytes = Vec::new();
    input
        .take(LARGEST)
        .read_to_end(&mut bytes)
        .map_err(broken)?;
    if sha256::hex(&bytes) != sha256 {
        return Err(broken("the file arrived with another SHA-256"));
    }
    Ok(disk::write_atomic(&dir_of(id)?.join(name), &bytes)?)
}

fn look(
    id: &str,
    have: &BTreeMap<String, super::protocol::Seen>,
    ask_queue: bool,
) -> Result<(Answer, Vec<u8>), Fault> {
    let job = HostJob::open(id)?;
    // Before the files, so that a task that is over has all of them.
    let tasks = job.look(ask_queue)?;
    let (pieces, bytes, more) = files::news(&job.dir, have).map_err(|source| {
        Fault::from(disk::DiskError::Read {
            path: job.dir.clone(),
            source,
        })
    })?;
    let look = Look {
        tasks,
        pieces,
        more,
    };
    Ok((Answer::Look(look), bytes))
}

fn sums(id: &str) -> Result<BTreeMap<String, String>, Fault> {
    let dir = dir_of(id)?;
    let mut sums = BTreeMap::new();
    for path in files::list(&dir).into_keys() {
        let file = dir.join(&path);
        let (sum, _) = sha256::of_file(&file, None)?;
        sums.insert(path, sum);
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(request: &str) -> String {
        let mut output = Vec::new();
        serve(&mut request.as_bytes(), &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn what_is_no_request_gets_a_fault() {
        for request in ["", "{}", "{\"op\":\"hello\"", "{\"op\":\"x\"}"] {
            assert!(ask(request).contains("invalid_argument"), "{request}");
        }
    }

    #[test]
    fn no_id_leaves_the_folder_of_jobs() {
        for id in ["../x", "/etc", "", ".", "a/b", "a\\u0000b"] {
            let answer = ask(&format!(r#"{{"op":"sums","id":"{id}"}}"#));
            assert!(answer.contains("is no id of a job"), "{answer}");
        }
        let put = ask("{\"op\":\"put\",\"id\":\"a\",\"name\":\"../b\",\"sha256\":\"\"}\nx");
        assert!(put.contains("is no file name"), "{put}");
    }
}
