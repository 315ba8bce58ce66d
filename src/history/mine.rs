//! Brings the index of a checkout up to date with its commits.
//!
//! One log gives subjects and files, a second the changed functions and classes
//! of source files. A second call reads only the commits since the last one.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::card::clip;
use super::class::Classes;
use super::error::HistoryError;
use super::family::is_source;
use super::git::Git;
use super::lineage::Names;
use super::patch::{Hunks, hunks};
use super::store::{Key, Row, Store, Terms};
use super::sync::{HistoryErrorOrSql, Outcome, field};

/// Most commits that are read, newest first.
const COMMITS: &str = "200000";
const FILES: usize = 200;
const BODY: usize = 2000;
const FAMILIES: usize = 16;
/// `git` names the function of a hunk by these drivers.
const ATTRIBUTES: &str = "*.py diff=python\n*.cu diff=cpp\n*.cuh diff=cpp\n*.cpp diff=cpp\n*.h diff=cpp\n*.rs diff=rust\n";

/// One commit as the first log tells it.
#[derive(Debug, Default)]
struct Commit {
    sha: String,
    date: String,
    subject: String,
    body: String,
    files: Vec<String>,
    is_merge: bool,
}

/// How far a checkout's history reaches.
struct Reach {
    head: String,
    /// Changes when a shallow clone is deepened.
    boundary: String,
    shallow: HashSet<String>,
    partial: Option<String>,
}

/// Reads the commits of `root` that `store` does not have yet; `attributes` is
/// a folder for the file that tells `git` where functions begin.
pub fn commits(
    store: &mut Store,
    root: &Path,
    attributes: Option<&Path>,
) -> Result<Outcome, HistoryErrorOrSql> {
    let git = Git { checkout: root };
    let mut outcome = Outcome::default();
    let Ok(head) = git.run(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]) else {
        outcome.warnings.push(format!(
            "{} has no commit that git can read",
            root.display()
        ));
        return Ok(outcome);
    };
    let reach = reach(&git, head)?;
    tell_reach(&reach, root, &mut outcome);
    if store.meta("head")?.as_deref() == Some(&reach.head)
        && store.meta("boundary")?.as_deref() == Some(&reach.boundary)
    {
        return Ok(outcome);
    }
    let before = known_head(store, &git, &reach)?;
    let gone = match &before {
        Some(before) => removed(&git, &reach.head, before)?,
        None => Vec::new(),
    };
    let (commits, mut hunks) = read(
        &git,
        &reach,
        before.as_deref(),
        attributes,
        root,
        &mut outcome,
    )?;
    let names = Names::built_in()?;
    let classes = Classes::built_in()?;
    let framework = framework(names, root);
    store.transaction(|store| -> Result<(), HistoryErrorOrSql> {
        if before.is_none() {
            store.clear()?;
        }
        for sha in &gone {
            store.remove(Key::Revision, sha)?;
            outcome.removed += 1;
        }
        for commit in commits {
            let hunks = hunks.remove(&commit.sha).unwrap_or_default();
            if let Some((row, terms)) = stored(commit, hunks, &framework, names, classes) {
                store.add(None, &row, &terms)?;
                outcome.read += 1;
            }
        }
        store.set_meta("head", &reach.head)?;
        store.set_meta("boundary", &reach.boundary)?;
        if before.is_none() {
            store.compact()?;
        }
        store.refresh_vocabulary()?;
        Ok(())
    })?;
    Ok(outcome)
}

fn framework(names: &Names, root: &Path) -> String {
    let folder = root
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    names.framework_at(root).map_or(folder, str::to_owned)
}

fn reach(git: &Git, head: String) -> Result<Reach, HistoryError> {
    let path = git.run(&["rev-parse", "--git-path", "shallow"])?;
    let text = fs::read_to_string(git.checkout.join(path)).unwrap_or_default();
    let boundary = Sha256::digest(text.as_bytes())
        .iter()
        .take(8)
        .map(|b| format!("{b:02x}"))
        .collect();
    let partial = git
        .run(&[
            "config",
            "--get-regexp",
            r"^remote\..*\.partialclonefilter$",
        ])
        .ok()
        .and_then(|line| line.split_whitespace().nth(1).map(str::to_owned));
    Ok(Reach {
        head,
        boundary,
        shallow: text.lines().map(str::to_owned).collect(),
        partial,
    })
}

fn tell_reach(reach: &Reach, root: &Path, outcome: &mut Outcome) {
    if !reach.shallow.is_empty() {
        outcome.warnings.push(format!(
            "{} is a shallow clone: its history ends at {} boundary commit(s); `git fetch --unshallow` brings the rest",
            root.display(),
            reach.shallow.len()
        ));
    }
    if let Some(filter) = &reach.partial {
        outcome.warnings.push(format!(
            "{} is a partial clone ({filter}): nothing was fetched, so what it lacks is not searched",
            root.display()
        ));
    }
}

/// The commit up to which the index is complete, unless it must be built anew.
fn known_head(store: &Store, git: &Git, reach: &Reach) -> rusqlite::Result<Option<String>> {
    let same_boundary = store.meta("boundary")?.as_deref() == Some(&reach.boundary);
    let head = store.meta("head")?.filter(|_| same_boundary);
    Ok(head.filter(|head| {
        git.run(&["cat-file", "-e", &format!("{head}^{{commit}}")])
            .is_ok()
    }))
}

/// Commits of the index that the branch has left behind.
fn removed(git: &Git, head: &str, before: &str) -> Result<Vec<String>, HistoryError> {
    let listed = git.run(&[
        "rev-list",
        "--max-count",
        COMMITS,
        before,
        &format!("^{head}"),
    ])?;
    Ok(listed.lines().map(str::to_owned).collect())
}

type Read = (Vec<Commit>, HashMap<String, Hunks>);

/// Runs both logs at once. A log that stops early, because a partial clone
/// lacks something, leaves what it has told so far.
fn read(
    git: &Git,
    reach: &Reach,
    before: Option<&str>,
    attributes: Option<&Path>,
    root: &Path,
    outcome: &mut Outcome,
) -> Result<Read, HistoryError> {
    let not_before = before.map(|before| format!("^{before}"));
    let range: Vec<&str> = std::iter::once(reach.head.as_str())
        .chain(not_before.as_deref())
        .collect();
    let ((commits, names), (hunks, patches)) = std::thread::scope(|scope| {
        let patches = scope.spawn(|| patches(git, &range, attributes, reach));
        let names = subjects(git, &range, true);
        let patches = patches.join().unwrap_or_else(|_| (HashMap::new(), Ok(())));
        (names, patches)
    });
    let mut commits = commits;
    if let Err(error) = names {
        let known: HashMap<String, Vec<String>> = commits
            .into_iter()
            .map(|commit| (commit.sha, commit.files))
            .collect();
        let (all, bare) = subjects(git, &range, false);
        bare?;
        outcome.warnings.push(format!(
            "{}: the files of {} of {} commits are not known ({})",
            root.display(),
            all.len().saturating_sub(known.len()),
            all.len(),
            first_line(&error)
        ));
        commits = all;
        for commit in &mut commits {
            commit.files = known.get(&commit.sha).cloned().unwrap_or_default();
        }
    }
    if let Err(error) = patches {
        outcome.warnings.push(format!(
            "{}: changed functions and classes are known for {} of {} commits only ({})",
            root.display(),
            hunks.len(),
            commits.len(),
            first_line(&error)
        ));
    }
    for commit in &mut commits {
        // A boundary of a shallow clone seems to add every file.
        if reach.shallow.contains(&commit.sha) {
            commit.files.clear();
        }
    }
    Ok((commits, hunks))
}

fn first_line(error: &HistoryError) -> String {
    let text = match error {
        HistoryError::Git { stderr, .. } => stderr.clone(),
        other => other.to_string(),
    };
    text.lines().next().unwrap_or_default().to_owned()
}

fn subjects(
    git: &Git,
    range: &[&str],
    with_files: bool,
) -> (Vec<Commit>, Result<(), HistoryError>) {
    let mut arguments = vec![
        "log",
        "--no-color",
        "--no-renames",
        "--max-count",
        COMMITS,
        "--format=%x01%H%x02%P%x02%cs%x02%s%x02%b%x03",
    ];
    if with_files {
        arguments.extend(["--name-only", "--diff-merges=first-parent"]);
    }
    arguments.extend(range);
    arguments.push("--");
    let mut commits = Vec::new();
    let done = git.records(&arguments, |record| commits.extend(commit(record)));
    (commits, done)
}

fn commit(record: &str) -> Option<Commit> {
    let (message, files) = record.split_once('\x03')?;
    let mut fields = message.splitn(5, '\x02');
    let sha = fields.next()?.to_owned();
    let is_merge = fields.next()?.contains(' ');
    let date = fields.next()?.to_owned();
    let subject = fields.next()?.to_owned();
    let body = clip(fields.next()?, BODY).to_owned();
    let files = files
        .lines()
        .map(|line| line.trim_matches('"'))
        .filter(|line| !line.is_empty());
    Some(Commit {
        sha,
        date,
        subject,
        body,
        files: files.take(FILES).map(str::to_owned).collect(),
        is_merge,
    })
}

fn patches(
    git: &Git,
    range: &[&str],
    attributes: Option<&Path>,
    reach: &Reach,
) -> (HashMap<String, Hunks>, Result<(), HistoryError>) {
    let mut found = HashMap::new();
    let setting = attributes.and_then(|folder| {
        let path = folder.join("git-attributes");
        let written = crate::disk::write_atomic(&path, ATTRIBUTES.as_bytes());
        written
            .ok()
            .map(|()| format!("core.attributesFile={}", path.display()))
    });
    let mut arguments = Vec::new();
    if let Some(setting) = &setting {
        arguments.extend(["-c", setting.as_str()]);
    }
    arguments.extend([
        "log",
        "--no-color",
        "--no-renames",
        "--no-merges",
        "--no-ext-diff",
        "--no-textconv",
        "--patch",
        "--unified=0",
        "--max-count",
        COMMITS,
        "--format=%x01%H",
    ]);
    arguments.extend(range);
    arguments.extend([
        "--", "*.py", "*.cu", "*.cuh", "*.cpp", "*.cc", "*.h", "*.hpp", "*.rs",
    ]);
    let done = git.records(&arguments, |record| {
        let (sha, patch) = record.split_once('\n').unwrap_or((record, ""));
        if !reach.shallow.contains(sha) {
            found.insert(sha.to_owned(), hunks(patch));
        }
    });
    (found, done)
}

fn stored(
    commit: Commit,
    hunks: Hunks,
    framework: &str,
    names: &Names,
    classes: &Classes,
) -> Option<(Row, Terms)> {
    let (pr, title) = numbered(&commit);
    if commit.is_merge && pr.is_none() {
        return None;
    }
    let mut families: Vec<String> = Vec::new();
    for file in commit.files.iter().filter(|file| is_source(file)) {
        if let Some(family) = names.family_of_file(file)
            && families.len() < FAMILIES
            && !families.contains(&family)
        {
            families.push(family);
        }
    }
    let model_file = |file: &&String| is_source(file) && names.family_of_file(file).is_some();
    let main = hunks.first.clone().or_else(|| {
        let files = &commit.files;
        let main = files.iter().find(model_file).or_else(|| files.first())?;
        Some((main.clone(), 1, 1))
    });
    let (path, line, line_end) = main.unwrap_or_default();
    let texts = std::iter::once(title)
        .chain(commit.files.iter().map(String::as_str))
        .chain(hunks.symbols.iter().map(String::as_str));
    let bits = classes.of(texts);
    let mut seen = HashSet::new();
    let tags: Vec<&str> = std::iter::once(framework)
        .chain(families.iter().map(String::as_str))
        .collect();
    let terms = Terms {
        title: field(&[title], &mut HashSet::new()),
        files: field(&commit.files, &mut HashSet::new()),
        symbols: field(&hunks.symbols, &mut HashSet::new()),
        tags: field(&tags, &mut HashSet::new()),
        prose: {
            field(&[title], &mut seen);
            field(&[&commit.body], &mut seen)
        },
        code: String::new(),
    };
    let title = clip(title, 400).to_owned();
    let mut families = families.into_iter();
    let row = Row {
        framework: framework.to_owned(),
        family: families.next(),
        kin: families.collect(),
        pr,
        title,
        state: "merged".to_owned(),
        date: Some(commit.date),
        classes: bits,
        files: commit.files,
        symbols: hunks.symbols,
        risk: None,
        path,
        line: line.max(1),
        line_end: line_end.max(1),
        revision: Some(commit.sha),
    };
    Some((row, terms))
}

/// The number and title of a commit: `Title (#12)`, or a merge of pull request 12.
fn numbered(commit: &Commit) -> (Option<u64>, &str) {
    let digits = |text: &str| -> Option<u64> {
        let length = text.bytes().take_while(u8::is_ascii_digit).count();
        text[..length].parse().ok()
    };
    if let Some(rest) = commit.subject.strip_prefix("Merge pull request #") {
        let title = commit.body.lines().find(|line| !line.trim().is_empty());
        return (digits(rest), title.unwrap_or(&commit.subject));
    }
    if let Some(at) = commit.subject.rfind("(#")
        && let Some(pr) = digits(&commit.subject[at + 2..])
    {
        return (Some(pr), commit.subject[..at].trim_end());
    }
    let pr = commit
        .subject
        .rfind('#')
        .and_then(|at| digits(&commit.subject[at + 1..]));
    (pr, &commit.subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_from_subjects() {
        let commit = |subject: &str, body: &str| Commit {
            subject: subject.to_owned(),
            body: body.to_owned(),
            ..Commit::default()
        };
        let squash = commit("[Perf] Fuse qk norm (#13998)", "");
        assert_eq!(numbered(&squash), (Some(13998), "[Perf] Fuse qk norm"));
        let merge = commit("Merge pull request #12 from a/b", "\nFuse it\n");
        assert_eq!(numbered(&merge), (Some(12), "Fuse it"));
        assert_eq!(numbered(&commit("No number", "")), (None, "No number"));
        let revert = commit("Revert \"Fuse (#7)\" (#9)", "");
        assert_eq!(numbered(&revert), (Some(9), "Revert \"Fuse (#7)\""));
    }
}
