//! What hosts install: copies equal their originals, and the documents made
//! from the binary are those that it would make now.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::BINARY;

const MEND: &str = "run .ci/generate and commit what it wrote";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let path = repository().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below a folder, by its path within.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_path_buf();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn described(form: &str) -> String {
    let output = Command::new(BINARY)
        .args(["describe", form])
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_tool_reference_is_up_to_date() {
    assert!(read("docs/tools.md") == described("markdown"), "{MEND}");
}

#[test]
fn the_bootstrap_snapshot_is_up_to_date() {
    assert!(read("bin/support/mcp.json") == described("mcp"), "{MEND}");
}

#[test]
fn a_skill_stands_alone() {
    let skills = files(&repository().join("skill"));
    for (name, bytes) in &skills {
        if name.iter().any(|part| part == "references") {
            let original = repository()
                .join("references")
                .join(name.file_name().unwrap());
            let original = std::fs::read(&original)
                .unwrap_or_else(|error| panic!("{}: {error}", original.display()));
            assert!(*bytes == original, "{}: {MEND}", name.display());
        }
    }
    assert!(skills == files(&repository().join("skills")), "{MEND}");
    assert!(
        read("references/gates.md") == read("docs/gates.md"),
        "{MEND}"
    );
}

#[test]
fn a_skill_is_one_that_hosts_take() {
    for name in ["sglang-sota-humanize-loop", "vllm-sota-humanize-loop"] {
        let text = read(&format!("skill/{name}/SKILL.md"));
        assert!(text.lines().count() < 500, "{name}");
        let (front, body) = text
            .strip_prefix("---\n")
            .and_then(|rest| rest.split_once("---\n"))
            .unwrap();
        let field = |key: &str| {
            front
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
                .unwrap()
        };
        assert_eq!(field("name"), name);
        let length = field("description").chars().count();
        assert!(length <= 1024, "{name}: {length} characters");
        for link in body.split("](").skip(1) {
            let target = link.split(')').next().unwrap();
            let path = repository().join("skill").join(name).join(target);
            assert!(path.is_file(), "{name}: {target}");
        }
    }
}

#[test]
fn manifests_agree_with_the_crate() {
    let manifests = [
        ".claude-plugin/plugin.json",
        ".codex-plugin/plugin.json",
        "plugin.json",
    ];
    for path in manifests {
        let manifest: Value = serde_json::from_str(&read(path)).unwrap();
        assert_eq!(manifest["name"], env!("CARGO_PKG_NAME"), "{path}");
        assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"), "{path}");
    }
    let marketplace: Value =
        serde_json::from_str(&read(".claude-plugin/marketplace.json")).unwrap();
    assert_eq!(
        marketplace["plugins"][0]["version"],
        env!("CARGO_PKG_VERSION")
    );
}
