//! What Claude Code and Codex tell a hook. Both use these names; what one of
//! them leaves out is absent here, and further keys are ignored.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

/// The event of a hook call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum HookEvent {
    Stop,
    PostToolUse,
    #[default]
    #[serde(other)]
    Other,
}

/// One hook call, as it comes on standard input.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct HookInput {
    pub hook_event_name: HookEvent,
    /// The conversation.
    pub session_id: String,
    pub cwd: Option<PathBuf>,
    /// Claude Code: work that goes on beside the conversation.
    pub background_tasks: Vec<Value>,
    pub tool_name: String,
    pub tool_input: Value,
    /// The tool's answer: an object, text, or a list of content blocks.
    pub tool_response: Value,
}

impl HookInput {
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Whether the host still waits for something of its own.
    pub fn has_background_tasks(&self) -> bool {
        const ENDED: [&str; 5] = ["completed", "failed", "killed", "stopped", "cancelled"];
        self.background_tasks.iter().any(|task| {
            let status = task
                .get("status")
                .and_then(Value::as_str)
                .unwrap_or("running");
            !ENDED.contains(&status)
        })
    }

    /// Every object in the tool's answer, also one that is JSON inside text.
    pub fn answers(&self) -> Vec<Value> {
        let mut found = Vec::new();
        collect(&self.tool_response, 0, &mut found);
        found
    }
}

/// How deep answers are looked into: structured content inside content blocks.
const DEPTH: u32 = 4;

fn collect(value: &Value, depth: u32, found: &mut Vec<Value>) {
    if depth > DEPTH {
        return;
    }
    match value {
        Value::Object(map) => {
            found.push(value.clone());
            for key in ["structuredContent", "structured_content", "content", "text"] {
                if let Some(inner) = map.get(key) {
                    collect(inner, depth + 1, found);
                }
            }
        }
        Value::Array(items) => {
            for item in items.iter().take(16) {
                collect(item, depth + 1, found);
            }
        }
        Value::String(text) if text.trim_start().starts_with('{') => {
            if let Ok(inner) = serde_json::from_str::<Value>(text) {
                collect(&inner, depth + 1, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn claude_and_codex_are_both_understood() {
        let claude = json!({
            "session_id": "s1", "transcript_path": "/t.jsonl", "cwd": "/w", "permission_mode": "default",
            "hook_event_name": "Stop", "stop_hook_active": true, "last_assistant_message": "done",
            "background_tasks": [{"id": "b1", "status": "completed"}, {"id": "b2", "status": "running"}],
        });
        let input = HookInput::parse(claude.to_string().as_bytes()).unwrap();
        assert_eq!(input.hook_event_name, HookEvent::Stop);
        assert!(input.has_background_tasks());

        let codex = json!({
            "session_id": "0199-1", "turn_id": "t", "transcript_path": null, "cwd": "/w", "model": "m",
            "hook_event_name": "Stop", "permission_mode": "never", "stop_hook_active": false,
        });
        let input = HookInput::parse(codex.to_string().as_bytes()).unwrap();
        assert_eq!(input.session_id, "0199-1");
        assert!(!input.has_background_tasks());
        let other = HookInput::parse(br#"{"hook_event_name": "SubagentStop"}"#).unwrap();
        assert_eq!(other.hook_event_name, HookEvent::Other);
    }

    #[test]
    fn answers_are_found_in_every_form() {
        let record = json!({"campaign": "c", "root": "/w/runs/c"});
        for response in [
            record.clone(),
            json!({"structuredContent": record, "content": []}),
            json!([{"type": "text", "text": record.to_string()}]),
            json!(record.to_string()),
        ] {
            let input = HookInput {
                tool_response: response,
                ..HookInput::default()
            };
            assert!(input.answers().contains(&record));
        }
    }
}
