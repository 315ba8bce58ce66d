//! How an engine's torch profiler is driven: `[profiler]` in its file.

use std::path::Path;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The profiler of one engine. Text in bodies, flags and variables may hold
/// `{dir}`, `{steps}`, `{first}` and `{last}`; see [`Window`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profiler {
    /// POST here starts recording; none: a range of steps is fixed at launch.
    #[serde(default)]
    pub start_path: Option<String>,
    /// POST here ends recording and writes the traces.
    #[serde(default)]
    pub stop_path: Option<String>,
    #[serde(default)]
    start_body: Map<String, Value>,
    #[serde(default)]
    launch_flags: Map<String, Value>,
    #[serde(default)]
    launch_env: IndexMap<String, String>,
    /// What turns CUDA graphs off.
    #[serde(default)]
    pub graphs_off_flags: Map<String, Value>,
    /// Whether recording ends by itself after the steps of the start request.
    #[serde(default)]
    pub stops_itself: bool,
    /// Steps that the engine counts but does not record.
    #[serde(default)]
    pub guard_steps: u32,
    /// Steps that a request of one output token takes, at most.
    #[serde(default = "one")]
    pub steps_of_a_prefill: u32,
    /// GET here tells the server's arguments, which are kept beside the traces.
    #[serde(default)]
    pub info_path: Option<String>,
}

/// What is recorded, and where the traces go.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    pub dir: &'a Path,
    /// Steps before the first recorded one, where a range is fixed at launch.
    pub skipped: u32,
    pub steps: u32,
}

fn one() -> u32 {
    1
}

impl Profiler {
    /// Whether the range of steps is fixed at launch, so that one launch gives
    /// one recording.
    pub fn is_fixed_at_launch(&self) -> bool {
        self.start_path.is_none()
    }

    /// Whether the folder of the traces is fixed at launch.
    pub fn folder_is_fixed_at_launch(&self) -> bool {
        let named = Value::Object(self.start_body.clone());
        !named.to_string().contains("{dir}")
    }

    /// The body of the start request; empty where it has none.
    pub fn start_body(&self, window: Window<'_>) -> String {
        if self.start_body.is_empty() {
            return String::new();
        }
        window
            .filled(&Value::Object(self.start_body.clone()))
            .to_string()
    }

    /// Flags that a launch needs, as a plan writes them.
    pub fn launch_flags(&self, window: Window<'_>) -> Map<String, Value> {
        self.launch_flags
            .iter()
            .map(|(name, value)| (name.clone(), window.filled(value)))
            .collect()
    }

    /// Variables that a launch needs.
    pub fn launch_env(&self, window: Window<'_>) -> IndexMap<String, String> {
        self.launch_env
            .iter()
            .map(|(name, value)| (name.clone(), window.text(value)))
            .collect()
    }

    /// The launch settings as a person would write them, for messages.
    pub fn launch_hint(&self) -> String {
        let flags = self
            .launch_flags
            .iter()
            .map(|(name, value)| format!("{name}: {value}"));
        let env = self
            .launch_env
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        flags.chain(env).collect::<Vec<_>>().join(", ")
    }
}

impl Window<'_> {
    fn text(&self, text: &str) -> String {
        text.replace("{dir}", &self.dir.display().to_string())
            .replace("{steps}", &self.steps.to_string())
            .replace("{first}", &self.skipped.to_string())
            .replace("{last}", &(self.skipped + self.steps).to_string())
    }

    /// The value with its placeholders filled; `"{steps}"` alone is a number.
    fn filled(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if text == "{steps}" => self.steps.into(),
            Value::String(text) => self.text(text).into(),
            Value::Array(items) => items.iter().map(|item| self.filled(item)).collect(),
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| (key.clone(), self.filled(value)))
                .collect::<Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::engine;
    use serde_json::json;

    fn window() -> Window<'static> {
        Window {
            dir: Path::new("/t"),
            skipped: 20,
            steps: 5,
        }
    }

    fn profiler(name: &str) -> &'static Profiler {
        engine(name).unwrap().profiler.as_ref().unwrap()
    }

    #[test]
    fn sglang_is_told_folder_and_steps_at_the_start() {
        let sglang = profiler("sglang");
        assert!(!sglang.folder_is_fixed_at_launch() && !sglang.is_fixed_at_launch());
        let body: Value = serde_json::from_str(&sglang.start_body(window())).unwrap();
        assert_eq!(body["output_dir"], "/t");
        assert_eq!(body["num_steps"], 5);
        assert_eq!(body["activities"], json!(["CPU", "GPU"]));
        assert!(sglang.launch_flags(window()).is_empty());
    }

    #[test]
    fn vllm_is_told_the_folder_at_launch() {
        let vllm = profiler("vllm");
        assert!(vllm.folder_is_fixed_at_launch() && !vllm.is_fixed_at_launch());
        assert_eq!(vllm.start_body(window()), "");
        assert_eq!(
            Value::Object(vllm.launch_flags(window())),
            json!({"profiler_config": {"profiler": "torch", "torch_profiler_dir": "/t"}})
        );
    }

    #[test]
    fn a_range_is_filled_in_at_launch() {
        let text = "launch_env = { TRACE = \"{dir}/trace.json\", RANGE = \"{first}-{last}\" }";
        let ranged: Profiler = toml::from_str(text).unwrap();
        assert!(ranged.is_fixed_at_launch());
        let env = ranged.launch_env(window());
        assert_eq!(env["TRACE"], "/t/trace.json");
        assert_eq!(env["RANGE"], "20-25");
    }
}
