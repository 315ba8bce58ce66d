//! What an index holds about families: their folders and their files.

use std::collections::HashMap;

use super::family::is_source;
use super::lineage::Names;
use super::record::FamilyFiles;
use super::store::Store;

/// Most files named for one family and framework.
const FILES: usize = 12;

/// The families of an index as (framework, slug).
pub fn folders(store: &Store) -> rusqlite::Result<Vec<(String, String)>> {
    let mut read = store.db().prepare(
        "SELECT framework, family FROM files UNION
         SELECT framework, family FROM cards WHERE family IS NOT NULL",
    )?;
    let rows = read.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// The family whose coverage, or whose changes, name a file most.
pub fn family_naming(store: &Store, path: &str) -> rusqlite::Result<Option<String>> {
    use rusqlite::OptionalExtension;
    let mut read = store.db().prepare(
        "SELECT family FROM (
            SELECT family, 1000 AS weight FROM coverage WHERE path = ?1
            UNION ALL SELECT family, 1 FROM cards WHERE 0 < instr(files, ?1) AND family IS NOT NULL
         ) GROUP BY family ORDER BY SUM(weight) DESC, family LIMIT 1",
    )?;
    read.query_row([path], |row| row.get(0)).optional()
}

/// The files that implement a family in a framework: those of its coverage
/// table that are source, else those that most of its changes touch.
pub fn implementation(
    store: &Store,
    framework: &str,
    family: &str,
    names: &Names,
) -> rusqlite::Result<FamilyFiles> {
    let mut covered = store.db().prepare(
        "SELECT DISTINCT path FROM coverage WHERE framework = ?1 AND family = ?2 ORDER BY rowid",
    )?;
    let mut files: Vec<String> = covered
        .query_map([framework, family], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    files.retain(|file| is_source(file) && !is_test(file));
    if files.is_empty() {
        files = most_changed(store, framework, family, names)?;
    }
    files.truncate(FILES);
    Ok(FamilyFiles {
        framework: framework.to_owned(),
        files,
    })
}

fn most_changed(
    store: &Store,
    framework: &str,
    family: &str,
    names: &Names,
) -> rusqlite::Result<Vec<String>> {
    let mut read = store
        .db()
        .prepare("SELECT files FROM cards WHERE framework = ?1 AND family = ?2")?;
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut rows = read.query([framework, family])?;
    while let Some(row) = rows.next()? {
        for file in row.get_ref(0)?.as_str()?.lines() {
            if is_source(file) && !is_test(file) && names.family_of_file(file).is_some() {
                *counts.entry(file.to_owned()).or_default() += 1;
            }
        }
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(counts.into_iter().map(|(file, _)| file).collect())
}

fn is_test(path: &str) -> bool {
    path.split('/')
        .any(|part| part == "test" || part == "tests" || part.starts_with("test_"))
}
