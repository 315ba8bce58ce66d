//! The next MCP call of a record as the command that a person types.

use serde_json::{Map, Value};

/// `check_gap {"rows": "out/candidates.jsonl"}` as `sota-loop gap
/// out/candidates.jsonl`; advice that is no call stays as it is.
pub fn next_command(next: &str) -> String {
    let call = next.split_once(' ').and_then(|(tool, arguments)| {
        let arguments: Map<String, Value> = serde_json::from_str(arguments).ok()?;
        Some((tool, arguments))
    });
    match call {
        Some((tool, arguments)) => typed(tool, &arguments).unwrap_or_else(|| {
            let arguments = Value::Object(arguments).to_string();
            format!("sota-loop call {tool} {}", quoted(&arguments))
        }),
        None => next.to_owned(),
    }
}

/// The command that does the same; none where only the tool has it.
fn typed(tool: &str, arguments: &Map<String, Value>) -> Option<String> {
    let text = |key: &str| arguments.get(key)?.as_str().map(quoted);
    match tool {
        "check_gap" => {
            let target =
                text("target").map_or_else(String::new, |target| format!(" --target {target}"));
            Some(format!("sota-loop gap {}{target}", text("rows")?))
        }
        "run_benchmark" => Some(format!("sota-loop bench --job {}", text("job_id")?)),
        _ => None,
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_becomes_its_command_and_advice_stays() {
        for (next, wanted) in [
            (
                r#"check_gap {"rows": "out/my rows.jsonl", "target": "sglang"}"#,
                "sota-loop gap 'out/my rows.jsonl' --target sglang",
            ),
            (
                r#"run_benchmark {"job_id": "bench-1", "wait_s": 240}"#,
                "sota-loop bench --job bench-1",
            ),
            (
                r#"check_gap {"campaign": "c"}"#,
                r#"sota-loop call check_gap '{"campaign":"c"}'"#,
            ),
            (
                "give the same plan again to resume",
                "give the same plan again to resume",
            ),
        ] {
            assert_eq!(next_command(next), wanted);
        }
    }
}
