//! Files that `git status` is told to pass over although they can change what
//! a program does: index flags, and ignored code beside tracked code.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::{answer, output, zero_ended};

/// Names of files that are code, or that code reads beside itself.
const RUNS: [&str; 13] = [
    "py", "pyc", "so", "json", "c", "cc", "cpp", "h", "hpp", "cu", "cuh", "jinja", "jinja2",
];
/// Extensions that Python's `import` finds.
const IMPORTED: [&str; 3] = ["py", "pyc", "so"];

/// Paths of a working tree, relative to `top`, that git does not look at, each
/// with the reason.
///
/// - Tracked files with the flag skip-worktree or assume-unchanged. A file that
///   a sparse checkout leaves out is no such file.
/// - Untracked code beside tracked code that takes the place of a tracked
///   module, or that is ignored by a rule outside the tree (`.git/info/exclude`,
///   the user's own ignore file, an untracked `.gitignore`). What a build leaves
///   behind and a tracked `.gitignore` names is none.
/// - `.git/info/attributes` with a filter: git compares what the filter makes of
///   a file.
pub fn hidden(top: &Path) -> Result<Vec<(String, String)>, String> {
    let listed = output(top, &["ls-files", "-v", "-z"])?;
    let tracked: Vec<(char, String)> = zero_ended(&listed)
        .filter_map(|entry| {
            let (tag, path) = entry.split_once(' ')?;
            Some((tag.chars().next()?, path.to_owned()))
        })
        .collect();
    let mut found = flagged(top, &tracked)?;
    found.extend(filtered(top)?);
    found.extend(unseen_code(top, &Tracked::of(&tracked))?);
    Ok(found)
}

fn flagged(top: &Path, tracked: &[(char, String)]) -> Result<Vec<(String, String)>, String> {
    let flagged: Vec<_> = tracked
        .iter()
        .filter(|(tag, _)| *tag == 'S' || tag.is_lowercase())
        .collect();
    if flagged.is_empty() {
        return Ok(Vec::new());
    }
    // Without the setting git ends with 1.
    let is_sparse = output(top, &["config", "--type=bool", "core.sparseCheckout"])
        .is_ok_and(|value| value.starts_with(b"true"));
    Ok(flagged
        .into_iter()
        .filter(|(tag, path)| {
            let is_left_out = *tag == 'S' && is_sparse;
            !(is_left_out && top.join(path).symlink_metadata().is_err())
        })
        .map(|(tag, path)| {
            let flag = match tag {
                'S' | 's' => "skip-worktree",
                _ => "assume-unchanged",
            };
            let reason = format!(
                "{flag} hides it from git: git update-index --no-skip-worktree --no-assume-unchanged"
            );
            (path.clone(), reason)
        })
        .collect())
}

fn filtered(top: &Path) -> Result<Option<(String, String)>, String> {
    let path = output(top, &["rev-parse", "--git-path", "info/attributes"])?;
    let path = String::from_utf8_lossy(&path).trim_end().to_owned();
    let text = std::fs::read(top.join(&path)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let is_filter = |line: &str| !line.trim_start().starts_with('#') && line.contains("filter");
    Ok(text.lines().any(is_filter).then(|| {
        let reason = "its filter can hide changes from git: remove it".to_owned();
        (path, reason)
    }))
}

/// Tracked files by folder.
struct Tracked {
    paths: HashSet<String>,
    /// Of each folder: the extensions that it has, and the names of its modules.
    folders: HashMap<String, Folder>,
}

#[derive(Default)]
struct Folder {
    extensions: HashSet<String>,
    modules: HashSet<String>,
}

impl Tracked {
    fn of(tracked: &[(char, String)]) -> Self {
        let mut folders: HashMap<String, Folder> = HashMap::new();
        for (_, path) in tracked {
            let (folder, name) = split(path);
            let Some((stem, extension)) = name.rsplit_once('.') else {
                continue;
            };
            let folder = folders.entry(folder.to_owned()).or_default();
            folder.extensions.insert(extension.to_owned());
            if extension == "py" {
                folder.modules.insert(stem.to_owned());
            }
        }
        Self {
            paths: tracked.iter().map(|(_, path)| path.clone()).collect(),
            folders,
        }
    }
}

fn unseen_code(top: &Path, tracked: &Tracked) -> Result<Vec<(String, String)>, String> {
    let all = [
        "ls-files",
        "--others",
        "--directory",
        "--no-empty-directory",
        "-z",
    ];
    let mut found = Vec::new();
    let mut asked = Vec::new();
    for path in zero_ended(&output(top, &all)?) {
        let (parent, name) = split(path.trim_end_matches('/'));
        let Some(folder) = tracked.folders.get(parent) else {
            continue;
        };
        if !runs(top, &path, name, folder) {
            continue;
        }
        let module = name.split('.').next().unwrap_or(name);
        let is_imported = path.ends_with('/') || has_extension(name, &IMPORTED);
        if is_imported && folder.modules.contains(module) {
            let reason = format!("untracked, it takes the place of the module `{module}`");
            found.push((path, reason));
        } else {
            asked.push(path);
        }
    }
    found.extend(ignored_from_outside(top, &asked, &tracked.paths)?);
    Ok(found)
}

/// Whether an untracked file or folder is code that could run with its folder.
fn runs(top: &Path, path: &str, name: &str, folder: &Folder) -> bool {
    if !path.ends_with('/') {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        return RUNS.contains(&extension)
            && (folder.extensions.contains(extension)
                || (IMPORTED.contains(&extension) && folder.extensions.contains("py")));
    }
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    is_name
        && name != "__pycache__"
        && folder.extensions.contains("py")
        && std::fs::read_dir(top.join(path)).is_ok_and(|entries| {
            entries
                .flatten()
                .any(|entry| has_extension(&entry.file_name().to_string_lossy(), &IMPORTED))
        })
}

fn has_extension(name: &str, extensions: &[&str]) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, extension)| extensions.contains(&extension))
}

/// Of these paths those that a rule outside the tree ignores.
fn ignored_from_outside(
    top: &Path,
    paths: &[String],
    tracked: &HashSet<String>,
) -> Result<Vec<(String, String)>, String> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let asked = ["check-ignore", "-v", "-z", "--stdin"];
    let ran = answer(top, &asked, paths.join("\0").into_bytes())?;
    // 1: none of them is ignored.
    if !matches!(ran.status.code(), Some(0 | 1)) {
        let complaint = String::from_utf8_lossy(&ran.stderr);
        return Err(format!("git check-ignore: {}", complaint.trim()));
    }
    let fields: Vec<String> = ran
        .stdout
        .split(|byte| *byte == 0)
        .map(|field| String::from_utf8_lossy(field).into_owned())
        .collect();
    let found: BTreeSet<(String, String)> = fields
        .chunks_exact(4)
        .filter_map(|entry| match entry {
            [source, _, _, path] if !tracked.contains(source) => {
                let reason = format!("code that only {source} ignores");
                Some((path.clone(), reason))
            }
            _ => None,
        })
        .collect();
    Ok(found.into_iter().collect())
}

/// Folder and name of a path; the folder of the top is empty.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}
