//! Prompts from a file, one JSON object a line.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{Input, Prompt, WorkloadError};
use crate::bounded_lines::BoundedLines;
use crate::disk::DiskError;

/// Longest line, in bytes.
const LONGEST_LINE: u64 = 16 << 20;

/// Most prompts of one file.
const MOST_PROMPTS: usize = 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    prompt: Option<TextOrIds>,
    #[serde(default)]
    messages: Option<Value>,
    output_len: u32,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`prompt` must be text or a list of token ids")]
enum TextOrIds {
    Text(String),
    Ids(Vec<u32>),
}

/// Reads prompts of the form `{"prompt": "text" or [ids], "output_len": n}`
/// or `{"messages": [...], "output_len": n}`, one a line. Empty lines are
/// passed over. With `most`, exactly the first `most` prompts are taken.
pub fn read_prompts(path: &Path, most: Option<usize>) -> Result<Vec<Prompt>, WorkloadError> {
    let disk = |source| DiskError::Read {
        path: path.to_path_buf(),
        source,
    };
    let reader = BufReader::new(File::open(path).map_err(disk)?);
    let mut lines = BoundedLines::new(reader, LONGEST_LINE);
    let mut prompts = Vec::new();
    for number in 1.. {
        if most.is_some_and(|most| prompts.len() >= most) {
            break;
        }
        let Some(line) = lines.next_line().map_err(disk)? else {
            break;
        };
        let bad = |reason| WorkloadError::BadLine {
            path: path.to_path_buf(),
            line: number,
            reason,
        };
        if line.len() as u64 == LONGEST_LINE {
            return Err(bad(format!("longer than {LONGEST_LINE} bytes")));
        }
        if prompts.len() == MOST_PROMPTS {
            return Err(bad(format!("more than {MOST_PROMPTS} prompts")));
        }
        if !line.trim_ascii().is_empty() {
            prompts.push(prompt(line).map_err(bad)?);
        }
    }
    match most {
        Some(wanted) if prompts.len() < wanted => Err(WorkloadError::TooFew {
            path: path.to_path_buf(),
            found: prompts.len(),
            wanted,
        }),
        _ if prompts.is_empty() => Err(WorkloadError::TooFew {
            path: path.to_path_buf(),
            found: 0,
            wanted: 1,
        }),
        _ => Ok(prompts),
    }
}

fn prompt(line: &[u8]) -> Result<Prompt, String> {
    let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if line.output_len == 0 {
        return Err("`output_len` is 0".to_owned());
    }
    let input = match (line.prompt, line.messages) {
        (Some(TextOrIds::Text(text)), None) if !text.is_empty() => Input::Text(text),
        (Some(TextOrIds::Ids(ids)), None) if !ids.is_empty() => Input::Ids(ids),
        (Some(_), None) => return Err("`prompt` is empty".to_owned()),
        (None, Some(Value::Array(messages))) if !messages.is_empty() => {
            Input::Messages(Value::Array(messages))
        }
        (None, Some(_)) => return Err("`messages` is no list of messages".to_owned()),
        (Some(_), Some(_)) => return Err("both `prompt` and `messages` are given".to_owned()),
        (None, None) => return Err("neither `prompt` nor `messages` is given".to_owned()),
    };
    Ok(Prompt {
        input,
        output_len: line.output_len,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::json;

    use super::*;

    fn read(content: &str, most: Option<usize>) -> Result<Vec<Prompt>, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        read_prompts(file.path(), most).map_err(|error| {
            error
                .to_string()
                .replace(&file.path().display().to_string(), "FILE")
        })
    }

    #[test]
    fn reads_text_ids_and_messages() {
        let prompts = read(
            "{\"prompt\": \"hi\", \"output_len\": 4}\n\n{\"prompt\": [1, 2], \"output_len\": 5}\r\n{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"output_len\": 6}",
            None,
        )
        .unwrap();
        let expected = [
            (Input::Text("hi".to_owned()), 4),
            (Input::Ids(vec![1, 2]), 5),
            (
                Input::Messages(json!([{"role": "user", "content": "x"}])),
                6,
            ),
        ]
        .map(|(input, output_len)| Prompt { input, output_len });
        assert_eq!(prompts, expected);
    }

    #[test]
    fn says_which_line_is_wrong_and_why() {
        let good = "{\"prompt\": [1], \"output_len\": 1}\n";
        for (line, words) in [
            (
                "{\"prompt\": 7, \"output_len\": 1}",
                "must be text or a list",
            ),
            ("{\"prompt\": \"x\"}", "missing field `output_len`"),
            (
                "{\"prompt\": \"x\", \"output_len\": 0}",
                "`output_len` is 0",
            ),
            ("{\"prompt\": [], \"output_len\": 1}", "`prompt` is empty"),
            ("{\"output_len\": 1}", "neither `prompt` nor `messages`"),
            (
                "{\"messages\": [], \"output_len\": 1}",
                "no list of messages",
            ),
            (
                "{\"promt\": \"x\", \"output_len\": 1}",
                "unknown field `promt`",
            ),
            ("not json", "expected"),
        ] {
            let error = read(&format!("{good}{line}\n"), None).unwrap_err();
            assert!(
                error.starts_with("FILE: line 2: ") && error.contains(words),
                "{line}: {error}"
            );
        }
    }

    #[test]
    fn takes_the_first_and_never_repeats() {
        let two = "{\"prompt\": [1], \"output_len\": 1}\n{\"prompt\": [2], \"output_len\": 1}\n";
        assert_eq!(read(two, Some(1)).unwrap().len(), 1);
        assert_eq!(
            read(two, Some(3)).unwrap_err(),
            "FILE: holds 2 prompts, but 3 are asked for"
        );
        assert_eq!(
            read("\n", None).unwrap_err(),
            "FILE: holds 0 prompts, but 1 are asked for"
        );
    }
}
