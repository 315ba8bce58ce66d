//! What an interpreter would import as a framework: version, file, and the
//! packages that decide its speed.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::facts::Engine;

/// What a Python environment has of a framework.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The installed distribution's version.
    pub version: Option<String>,
    /// The file that `import` would run; none: the package is not there.
    pub module_path: Option<PathBuf>,
    /// The interpreter itself.
    pub executable: Option<PathBuf>,
    pub python: Option<String>,
    /// Versions of what the framework's speed rests on.
    #[serde(default)]
    pub packages: IndexMap<String, String>,
}

/// Looks the package up exactly as `import` does, without running it.
const SCRIPT: &str = r#"
import importlib.metadata as m, importlib.util as u, json, sys
def version(name):
    try: return m.version(name)
    except Exception: return None
spec = u.find_spec(sys.argv[1])
path = spec and (spec.origin or next(iter(spec.submodule_search_locations or []), None))
names = "torch triton flashinfer-python sglang-kernel sgl-kernel deep-gemm flash-attn transformers".split()
packages = {n: version(n) for n in names}
print("sota-loop-probe " + json.dumps({
    "version": version(sys.argv[2]), "module_path": path, "executable": sys.executable,
    "python": sys.version.split()[0], "packages": {n: v for n, v in packages.items() if v}}))
"#;

/// The command that [`read_probe`] reads the output of; none for an engine
/// that is no Python package.
pub fn probe_command(engine: &Engine, interpreter: &str) -> Option<Vec<String>> {
    let module = engine.module.as_deref()?;
    let distribution = engine.distribution.as_deref().unwrap_or(module);
    Some(
        [interpreter, "-c", SCRIPT, module, distribution]
            .map(str::to_owned)
            .to_vec(),
    )
}

/// Finds the answer among whatever else the interpreter printed.
pub fn read_probe(output: &str) -> Option<Probe> {
    output
        .lines()
        .rev()
        .find_map(|line| serde_json::from_str(line.strip_prefix("sota-loop-probe ")?).ok())
}
