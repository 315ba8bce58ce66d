//! What an attempt has changed, as git sees it.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use crate::campaign::checkout::Git;
use crate::campaign::gates::{Change, ChangedFile, FileKind};
use crate::git::TEXT_DIFF;

/// Which paths of a checkout are code, parameters, tests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Areas {
    layouts: Vec<Layout>,
    tests: Vec<String>,
    parameters: Vec<String>,
    documents: Vec<String>,
    skips: Vec<String>,
    test_names: Vec<String>,
    kernel_extensions: Vec<String>,
    kernel_marks: Vec<String>,
}

/// One framework's repository, known by a path that it has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layout {
    has: String,
    sources: Vec<String>,
    parameters: Vec<String>,
}

static AREAS: LazyLock<Option<Compiled>> = LazyLock::new(|| {
    let areas: Areas = toml::from_str(include_str!("../../../references/code-areas.toml")).ok()?;
    let any = |patterns: &[String]| Regex::new(&format!("(?:{})", patterns.join("|"))).ok();
    Some(Compiled {
        tests: any(&areas.tests)?,
        parameters: any(&areas.parameters)?,
        documents: any(&areas.documents)?,
        skips: any(&areas.skips)?,
        test_name: any(&areas.test_names)?,
        areas,
    })
});

struct Compiled {
    areas: Areas,
    tests: Regex,
    parameters: Regex,
    documents: Regex,
    skips: Regex,
    test_name: Regex,
}

/// The diff between two trees of a checkout.
pub fn change_between(checkout: &Path, base: &str, tree: &str) -> Result<Change, String> {
    let areas = AREAS
        .as_ref()
        .ok_or("references/code-areas.toml cannot be read")?;
    let git = Git::at(checkout);
    let names = ["--no-relative", "--name-only", "-z", base, tree];
    let names = git.output(&[&TEXT_DIFF[..], &names].concat())?;
    let names = String::from_utf8_lossy(&names).into_owned();
    let layout = areas
        .areas
        .layouts
        .iter()
        .find(|layout| checkout.join(&layout.has).exists());
    let files: Vec<ChangedFile> = names
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(|name| ChangedFile {
            path: PathBuf::from(name),
            kind: areas.kind(name, layout),
        })
        .collect();
    let mut change = Change {
        files,
        ..Change::default()
    };
    for file in &change.files {
        if file.kind == FileKind::Test {
            let path = file.path.to_string_lossy();
            let range = ["--unified=0", base, tree, "--", &*path];
            let diff = git.output(&[&TEXT_DIFF[..], &range].concat())?;
            let (removed, skips) = areas.test_changes(&path, &String::from_utf8_lossy(&diff));
            change.removed_tests.extend(removed);
            change.skips.extend(skips);
        }
    }
    Ok(change)
}

/// Whether a file is CUDA, Triton, CuTe or TileLang source, by its name or
/// what it imports.
pub fn is_kernel_source(path: &Path) -> bool {
    /// A mark stands among the imports or decorators at a file's top.
    const READ: usize = 256 << 10;
    let Some(areas) = AREAS.as_ref() else {
        return false;
    };
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    if areas
        .areas
        .kernel_extensions
        .iter()
        .any(|known| *known == extension)
    {
        return true;
    }
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes.get(..READ.min(bytes.len())).unwrap_or_default());
    areas
        .areas
        .kernel_marks
        .iter()
        .any(|mark| text.contains(mark.as_str()))
}

impl Compiled {
    fn kind(&self, path: &str, layout: Option<&Layout>) -> FileKind {
        let in_sources = |layout: &Layout| {
            layout
                .sources
                .iter()
                .any(|prefix| path.starts_with(prefix.as_str()))
        };
        let is_own_parameters =
            layout.is_some_and(|layout| layout.parameters.iter().any(|p| p == path));
        if self.tests.is_match(path) {
            FileKind::Test
        } else if is_own_parameters || self.parameters.is_match(path) {
            FileKind::Parameters
        } else if self.documents.is_match(path) || layout.is_some_and(|layout| !in_sources(layout))
        {
            FileKind::Other
        } else {
            FileKind::Source
        }
    }

    /// Tests that a diff of a test file removes, and lines that skip some.
    fn test_changes(&self, path: &str, diff: &str) -> (Vec<String>, Vec<String>) {
        let name_in = |line: &str| {
            let found = self.test_name.captures(line)?;
            let name = found.iter().skip(1).flatten().next()?;
            Some(name.as_str().to_owned())
        };
        let lines = |sign: char, header: &'static str| {
            diff.lines()
                .filter(move |line| !line.starts_with(header))
                .filter_map(move |line| line.strip_prefix(sign))
        };
        let added: Vec<String> = lines('+', "+++").filter_map(name_in).collect();
        let removed = lines('-', "---")
            .filter_map(name_in)
            .filter(|name| !added.contains(name))
            .map(|name| format!("{path}: {name}"))
            .collect();
        let skips = lines('+', "+++")
            .filter(|line| self.skips.is_match(line))
            .map(|line| format!("{path}: {}", line.trim()))
            .collect();
        (removed, skips)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(dir: &Path, arguments: &[&str]) -> String {
        Git::at(dir).line(arguments).unwrap()
    }

    fn commit(dir: &Path, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            let path = dir.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        git(dir, &["add", "-A"]);
        let author = ["-c", "user.name=t", "-c", "user.email=t@t"];
        let commit = [&author[..], &["commit", "-qm", "x"]].concat();
        git(dir, &commit);
        git(dir, &["rev-parse", "HEAD^{tree}"])
    }

    #[test]
    fn files_are_sorted_by_what_they_are_to_the_framework() {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "-q"]);
        let base = commit(
            dir.path(),
            &[
                ("python/sglang/srt/layers/norm.py", "a"),
                (
                    "test/test_norm.py",
                    "def test_a():\n    assert 1\n\ndef test_b():\n    pass\n",
                ),
            ],
        );
        let tree = commit(
            dir.path(),
            &[
                ("python/sglang/srt/layers/norm.py", "b"),
                ("python/sglang/srt/server_args.py", "b"),
                ("docs/a.md", "b"),
                ("scripts/run.sh", "b"),
                (
                    "test/test_norm.py",
                    "@pytest.mark.skip\ndef test_a():\n    assert 1\n",
                ),
            ],
        );
        // Neither settings nor attributes blind the look at tests.
        git(dir.path(), &["config", "color.ui", "always"]);
        git(dir.path(), &["config", "diff.external", "true"]);
        let attributes = dir.path().join(".git/info/attributes");
        std::fs::write(attributes, "test/** -diff\n").unwrap();
        let change = change_between(dir.path(), &base, &tree).unwrap();
        let kinds: Vec<_> = change
            .files
            .iter()
            .map(|file| (file.path.to_str().unwrap(), file.kind))
            .collect();
        assert_eq!(
            kinds,
            [
                ("docs/a.md", FileKind::Other),
                ("python/sglang/srt/layers/norm.py", FileKind::Source),
                ("python/sglang/srt/server_args.py", FileKind::Parameters),
                ("scripts/run.sh", FileKind::Parameters),
                ("test/test_norm.py", FileKind::Test),
            ]
        );
        assert_eq!(change.removed_tests, ["test/test_norm.py: test_b"]);
        assert_eq!(change.skips, ["test/test_norm.py: @pytest.mark.skip"]);
    }

    #[test]
    fn kernel_sources_are_known_by_name_or_content() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text, wanted) in [
            ("a.cu", "", true),
            ("b.py", "import triton\n\n@triton.jit\ndef k(): ...", true),
            ("c.py", "import torch\n", false),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            assert_eq!(is_kernel_source(&path), wanted, "{name}");
        }
    }
}
