//! Brings the index of a knowledge folder up to date with its files.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::UNIX_EPOCH;

use rusqlite::params;
use sha2::{Digest, Sha256};

use super::card::{self, Card};
use super::class::Classes;
use super::error::HistoryError;
use super::record::Finding;
use super::roots::{Document, documents};
use super::store::{Key, Row, Store, Terms};
use super::terms::for_each_term;

/// Largest Markdown file that is read.
const LARGEST: u64 = 64 << 20;
/// How often a file that changes under the reader is read again.
const TRIES: usize = 3;

/// What a synchronisation did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Files read because they are new or changed.
    pub read: u64,
    pub removed: u64,
    pub findings: Vec<Finding>,
    pub warnings: Vec<String>,
}

/// A file's state when it was read: the index is fresh while it is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    /// Nanoseconds since 1970; 0 asks for a comparison of content.
    modified: i64,
    size: u64,
}

struct Known {
    id: i64,
    stamp: Stamp,
    sha256: Vec<u8>,
}

/// A file that has been read and cut into cards.
struct Parsed {
    document: Document,
    stamp: Stamp,
    sha256: Vec<u8>,
    coverage: Vec<String>,
    cards: Vec<(Row, Terms)>,
    warning: Option<String>,
}

enum Reading {
    New(Box<Parsed>),
    /// Touched, but with the same content.
    Same(Document, Stamp),
    Failed(PathBuf, String),
}

/// Reads what is new or changed under `root` into `store`.
pub fn knowledge(store: &mut Store, root: &Path) -> Result<Outcome, HistoryErrorOrSql> {
    let mut outcome = Outcome::default();
    let listed = documents(root, &mut outcome.findings);
    let known = known_files(store)?;
    let gone: Vec<i64> = missing(&known, &listed, &outcome.findings, root);
    let changed: Vec<Document> = listed
        .into_iter()
        .filter(|document| {
            let stamp = stamp(&document.path).ok();
            let before = known.get(&document.relative);
            !matches!((stamp, before), (Some(now), Some(then)) if now == then.stamp)
        })
        .collect();
    if changed.is_empty() && gone.is_empty() {
        return Ok(outcome);
    }
    let classes = Classes::built_in()?;
    let hashes: HashMap<String, Vec<u8>> = known
        .iter()
        .map(|(path, known)| (path.clone(), known.sha256.clone()))
        .collect();
    store.transaction(|store| -> Result<(), HistoryErrorOrSql> {
        for id in &gone {
            forget(store, *id)?;
            outcome.removed += 1;
        }
        read_all(&changed, &hashes, classes, |reading| {
            absorb(store, reading, &known, &mut outcome)
        })?;
        if outcome.read + outcome.removed > 0 {
            if known.is_empty() {
                store.compact()?;
            }
            store.refresh_vocabulary()?;
        }
        Ok(())
    })?;
    Ok(outcome)
}

/// Either kind of failure while a transaction is open.
#[derive(Debug, thiserror::Error)]
pub enum HistoryErrorOrSql {
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    #[error(transparent)]
    Other(#[from] HistoryError),
}

fn known_files(store: &Store) -> rusqlite::Result<HashMap<String, Known>> {
    let mut read = store
        .db()
        .prepare("SELECT path, id, modified, size, sha256 FROM files")?;
    let rows = read.query_map([], |row| {
        let known = Known {
            id: row.get(1)?,
            stamp: Stamp {
                modified: row.get(2)?,
                size: row.get::<_, i64>(3)?.unsigned_abs(),
            },
            sha256: row.get(4)?,
        };
        Ok((row.get(0)?, known))
    })?;
    rows.collect()
}

/// Files of the index that are no longer there. What lies in a folder that
/// cannot be read just now is kept.
fn missing(
    known: &HashMap<String, Known>,
    listed: &[Document],
    findings: &[Finding],
    root: &Path,
) -> Vec<i64> {
    let present: HashSet<&str> = listed.iter().map(|d| d.relative.as_str()).collect();
    let hidden = |path: &str| {
        findings.iter().any(|finding| match finding {
            Finding::Unreadable { path: folder, .. } => root.join(path).starts_with(folder),
            _ => false,
        })
    };
    known
        .iter()
        .filter(|(path, _)| !present.contains(path.as_str()) && !hidden(path))
        .map(|(_, known)| known.id)
        .collect()
}

fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let meta = fs::metadata(path)?;
    let modified = meta
        .modified()?
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(0));
    Ok(Stamp {
        modified,
        size: meta.len(),
    })
}

/// Reads files on every core and hands each result to `take` on this thread.
fn read_all(
    documents: &[Document],
    hashes: &HashMap<String, Vec<u8>>,
    classes: &Classes,
    mut take: impl FnMut(Reading) -> Result<(), HistoryErrorOrSql>,
) -> Result<(), HistoryErrorOrSql> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(8));
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::sync_channel(2 * threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                while let Some(document) = documents.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let before = hashes.get(&document.relative).map(Vec::as_slice);
                    // The receiver is gone when taking has failed.
                    if send.send(read_one(document, before, classes)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let taken = receive.iter().try_for_each(&mut take);
        drop(receive);
        taken
    })
}

fn read_one(document: &Document, before: Option<&[u8]>, classes: &Classes) -> Reading {
    let failed = |reason: String| Reading::Failed(document.path.clone(), reason);
    let (bytes, stamp, settled) = match read_settled(&document.path) {
        Ok(read) => read,
        Err(error) => return failed(error.to_string()),
    };
    let sha256 = Sha256::digest(&bytes).to_vec();
    if before == Some(sha256.as_slice()) {
        return Reading::Same(document.clone(), stamp);
    }
    let mut warning = (!settled).then(|| {
        format!(
            "{} changed while it was read; the next call reads it again",
            document.path.display()
        )
    });
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            warning = Some(format!(
                "{} is not UTF-8 at byte {}; the broken characters are replaced",
                document.path.display(),
                error.utf8_error().valid_up_to()
            ));
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }
    };
    let parsed = card::parse(&text);
    let cards = parsed
        .cards
        .into_iter()
        .map(|card| stored(document, card, classes))
        .collect();
    Reading::New(Box::new(Parsed {
        document: document.clone(),
        stamp,
        sha256,
        coverage: parsed.coverage,
        cards,
        warning,
    }))
}

/// Reads a file until it is the same before and after.
fn read_settled(path: &Path) -> std::io::Result<(Vec<u8>, Stamp, bool)> {
    let mut before = stamp(path)?;
    for _ in 0..TRIES {
        if before.size > LARGEST {
            return Err(std::io::Error::other(format!(
                "{} bytes are more than the {LARGEST} that one file may have",
                before.size
            )));
        }
        let bytes = fs::read(path)?;
        let after = stamp(path)?;
        if after == before && bytes.len() as u64 == after.size {
            return Ok((bytes, distrust_if_young(after), true));
        }
        before = after;
    }
    let unsettled = Stamp {
        modified: 0,
        ..before
    };
    Ok((fs::read(path)?, unsettled, false))
}

/// A file written just now may change again within the clock's tick: its
/// content is compared next time.
fn distrust_if_young(stamp: Stamp) -> Stamp {
    let now = std::time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let age = now.saturating_sub(u128::from(stamp.modified.unsigned_abs()));
    if age < 50_000_000 {
        Stamp {
            modified: 0,
            ..stamp
        }
    } else {
        stamp
    }
}

fn absorb(
    store: &Store,
    reading: Reading,
    known: &HashMap<String, Known>,
    outcome: &mut Outcome,
) -> Result<(), HistoryErrorOrSql> {
    match reading {
        Reading::Failed(path, reason) => {
            outcome.findings.push(Finding::Unreadable { path, reason });
        }
        Reading::Same(document, stamp) => {
            store.db().execute(
                "UPDATE files SET modified = ?2 WHERE path = ?1",
                params![document.relative, stamp.modified],
            )?;
        }
        Reading::New(parsed) => {
            if let Some(known) = known.get(&parsed.document.relative) {
                forget(store, known.id)?;
            }
            insert(store, &parsed)?;
            outcome.read += 1;
            outcome.warnings.extend(parsed.warning);
        }
    }
    Ok(())
}

fn forget(store: &Store, file: i64) -> rusqlite::Result<()> {
    store.remove(Key::File, &file)?;
    store
        .db()
        .execute("DELETE FROM coverage WHERE file = ?1", [file])?;
    store
        .db()
        .execute("DELETE FROM files WHERE id = ?1", [file])?;
    Ok(())
}

fn insert(store: &Store, parsed: &Parsed) -> rusqlite::Result<()> {
    let db = store.db();
    let Document {
        relative,
        framework,
        family,
        ..
    } = &parsed.document;
    db.prepare_cached(
        "INSERT INTO files (path, framework, family, modified, size, sha256) VALUES (?1,?2,?3,?4,?5,?6)",
    )?
    .execute(params![
        relative,
        framework,
        family,
        parsed.stamp.modified,
        i64::try_from(parsed.stamp.size).unwrap_or(i64::MAX),
        parsed.sha256
    ])?;
    let file = db.last_insert_rowid();
    for path in &parsed.coverage {
        db.prepare_cached(
            "INSERT INTO coverage (file, framework, family, path) VALUES (?1,?2,?3,?4)",
        )?
        .execute(params![file, framework, family, path])?;
    }
    for (row, terms) in &parsed.cards {
        store.add(Some(file), row, terms)?;
    }
    Ok(())
}

fn stored(document: &Document, card: Card, classes: &Classes) -> (Row, Terms) {
    let texts = [card.title.as_str()]
        .into_iter()
        .chain(card.files.iter().map(String::as_str))
        .chain(card.symbols.iter().map(String::as_str));
    let bits = classes.of(texts);
    let mut seen = HashSet::new();
    let terms = Terms {
        title: field(&[&card.title], &mut HashSet::new()),
        files: field(&card.files, &mut HashSet::new()),
        symbols: field(&card.symbols, &mut HashSet::new()),
        tags: field(
            &[&document.framework, &document.family],
            &mut HashSet::new(),
        ),
        prose: {
            field(&[&card.title], &mut seen);
            field(&card.files, &mut seen);
            field(&[&card.prose], &mut seen)
        },
        code: field(&[&card.code], &mut seen),
    };
    let row = Row {
        framework: document.framework.clone(),
        family: Some(document.family.clone()),
        pr: card.pr,
        title: card.title,
        state: card.state.unwrap_or("unknown").to_owned(),
        date: card.date,
        classes: bits,
        files: card.files,
        symbols: card.symbols,
        risk: card.risk,
        path: document.relative.clone(),
        line: card.line,
        line_end: card.line_end,
        revision: None,
        kin: Vec::new(),
    };
    (row, terms)
}

/// The terms of `texts` that `seen` does not have yet.
pub fn field<S: AsRef<str>>(texts: &[S], seen: &mut HashSet<String>) -> String {
    let mut out = String::new();
    for text in texts {
        for_each_term(text.as_ref(), |term| {
            if !seen.contains(term) {
                seen.insert(term.to_owned());
                out.push_str(term);
                out.push(' ');
            }
        });
    }
    out
}
