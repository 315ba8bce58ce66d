//! The index of one root: one SQLite file with full-text tables.
//!
//! A card's text goes in as sets of terms, a field each: repeating a word does
//! not make a card more relevant, and sets keep the index small. The full-text
//! table keeps no text, only postings; what is shown comes from `cards`.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};

/// Raised whenever tables or the meaning of their columns change.
const SCHEMA: i64 = 1;

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE files (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE,
    framework TEXT NOT NULL, family TEXT NOT NULL,
    modified INTEGER NOT NULL, size INTEGER NOT NULL, sha256 BLOB NOT NULL
);
CREATE TABLE cards (
    id INTEGER PRIMARY KEY, file INTEGER,
    framework TEXT NOT NULL, family TEXT, pr INTEGER, title TEXT NOT NULL,
    state TEXT NOT NULL, date TEXT, classes INTEGER NOT NULL,
    files TEXT NOT NULL, symbols TEXT NOT NULL, risk TEXT,
    path TEXT NOT NULL, line INTEGER NOT NULL, line_end INTEGER NOT NULL,
    revision TEXT, kin TEXT
);
CREATE INDEX cards_by_file ON cards (file);
CREATE INDEX cards_by_pr ON cards (pr);
CREATE INDEX cards_by_family ON cards (family, date);
CREATE INDEX cards_by_revision ON cards (revision);
CREATE TABLE coverage (file INTEGER NOT NULL, framework TEXT NOT NULL, family TEXT NOT NULL, path TEXT NOT NULL);
CREATE INDEX coverage_by_family ON coverage (family);
CREATE VIRTUAL TABLE titles USING fts5 (
    title, tags, content='', contentless_delete=1, tokenize=\"ascii tokenchars '_'\"
);
CREATE VIRTUAL TABLE bodies USING fts5 (
    files, symbols, prose, code,
    content='', contentless_delete=1, tokenize=\"ascii tokenchars '_'\"
);
";
const SPOKEN: &str = "
CREATE VIRTUAL TABLE temp.title_terms USING fts5vocab (main, titles, col);
CREATE VIRTUAL TABLE temp.body_terms USING fts5vocab (main, bodies, row);
";
const QUICK_INSERTS: &str = "
INSERT INTO titles (titles, rank) VALUES ('automerge', 0), ('crisismerge', 64), ('hashsize', 33554432);
INSERT INTO bodies (bodies, rank) VALUES ('automerge', 0), ('crisismerge', 64), ('hashsize', 33554432);
";
/// A body term that more than this share of all changes use cannot tell them apart.
const COMMON: f64 = 0.08;

/// One change as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    pub framework: String,
    pub family: Option<String>,
    pub pr: Option<u64>,
    pub title: String,
    pub state: String,
    pub date: Option<String>,
    pub classes: u32,
    pub files: Vec<String>,
    pub symbols: Vec<String>,
    pub risk: Option<String>,
    pub path: String,
    pub line: u32,
    pub line_end: u32,
    pub revision: Option<String>,
    /// Further families that the change touches.
    pub kin: Vec<String>,
}

/// The terms of one change, space-separated, each once a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    pub title: String,
    pub files: String,
    pub symbols: String,
    pub tags: String,
    pub prose: String,
    pub code: String,
}

/// An open index.
pub struct Store {
    db: Connection,
}

impl Store {
    /// Opens an existing index; an error means that it is not one of ours, of
    /// another version, or broken.
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(std::time::Duration::from_secs(30))?;
        let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version != SCHEMA {
            return Err(rusqlite::Error::QueryReturnedNoRows);
        }
        db.execute_batch(
            "PRAGMA synchronous=NORMAL; PRAGMA mmap_size=268435456; PRAGMA temp_store=MEMORY;",
        )?;
        db.execute_batch(SPOKEN)?;
        Ok(Self { db })
    }

    /// Makes a new index at a path that nothing else uses yet; it is not safe
    /// against a crash until the caller syncs and renames the file.
    pub fn create(path: &Path) -> rusqlite::Result<Self> {
        let db = Connection::open(path)?;
        db.execute_batch(
            "PRAGMA page_size=8192; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;
             PRAGMA cache_size=-65536;",
        )?;
        Self::fill(db)
    }

    /// An index that lives only as long as this value.
    pub fn in_memory() -> rusqlite::Result<Self> {
        Self::fill(Connection::open_in_memory()?)
    }

    fn fill(db: Connection) -> rusqlite::Result<Self> {
        db.execute_batch("PRAGMA temp_store=MEMORY;")?;
        db.execute_batch(TABLES)?;
        db.execute_batch(SPOKEN)?;
        db.execute_batch(QUICK_INSERTS)?;
        db.pragma_update(None, "user_version", SCHEMA)?;
        Ok(Self { db })
    }

    pub fn db(&self) -> &Connection {
        &self.db
    }

    /// Runs `work` in one transaction: all of it is kept, or nothing.
    pub fn transaction<T, E: From<rusqlite::Error>>(
        &mut self,
        work: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        match work(self) {
            Ok(value) => {
                self.db.execute_batch("COMMIT")?;
                Ok(value)
            }
            Err(error) => {
                // The failure itself is what the caller needs to hear of.
                let _ = self.db.execute_batch("ROLLBACK");
                Err(error)
            }
        }
    }

    /// Adds a change; `file` is the row of `files` that it stands in.
    pub fn add(&self, file: Option<i64>, row: &Row, terms: &Terms) -> rusqlite::Result<()> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO cards (file, framework, family, pr, title, state, date, classes, files,
             symbols, risk, path, line, line_end, revision, kin)
             VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)",
        )?;
        insert.execute(params![
            file,
            row.framework,
            row.family,
            row.pr.and_then(|pr| i64::try_from(pr).ok()),
            row.title,
            row.state,
            row.date,
            row.classes,
            row.files.join("\n"),
            row.symbols.join("\n"),
            row.risk,
            row.path,
            row.line,
            row.line_end,
            row.revision,
            (!row.kin.is_empty()).then(|| format!("|{}|", row.kin.join("|")))
        ])?;
        let id = self.db.last_insert_rowid();
        self.db
            .prepare_cached("INSERT INTO titles (rowid, title, tags) VALUES (?1, ?2, ?3)")?
            .execute(params![id, terms.title, terms.tags])?;
        self.db
            .prepare_cached(
                "INSERT INTO bodies (rowid, files, symbols, prose, code) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![id, terms.files, terms.symbols, terms.prose, terms.code])?;
        Ok(())
    }

    /// Removes the changes whose `column` (`file` or `revision`) is `key`.
    pub fn remove(&self, by: Key, key: &dyn rusqlite::ToSql) -> rusqlite::Result<usize> {
        let column = match by {
            Key::File => "file",
            Key::Revision => "revision",
        };
        for table in ["titles", "bodies"] {
            let sql = format!(
                "DELETE FROM {table} WHERE rowid IN (SELECT id FROM cards WHERE {column} = ?1)"
            );
            self.db.prepare_cached(&sql)?.execute([key])?;
        }
        self.db
            .prepare_cached(&format!("DELETE FROM cards WHERE {column} = ?1"))?
            .execute([key])
    }

    /// Removes every change.
    pub fn clear(&self) -> rusqlite::Result<()> {
        self.db.execute_batch(
            "INSERT INTO titles (titles) VALUES ('delete-all');
             INSERT INTO bodies (bodies) VALUES ('delete-all');
             DELETE FROM cards; DELETE FROM coverage; DELETE FROM files;",
        )
    }

    pub fn count(&self) -> rusqlite::Result<u64> {
        let mut count = self.db.prepare_cached("SELECT COUNT(*) FROM cards")?;
        count
            .query_row([], |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
    }

    pub fn meta(&self, key: &str) -> rusqlite::Result<Option<String>> {
        use rusqlite::OptionalExtension;
        let mut read = self
            .db
            .prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
        read.query_row([key], |row| row.get(0)).optional()
    }

    pub fn set_meta(&self, key: &str, value: &str) -> rusqlite::Result<()> {
        self.db.execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
            params![key, value],
        )?;
        Ok(())
    }

    /// Writes down which words titles use, for rarity and typing errors, and
    /// which words are everywhere. Call it after the last change of a transaction.
    pub fn refresh_vocabulary(&self) -> rusqlite::Result<()> {
        let count = self.count()?;
        self.set_meta("cards", &count.to_string())?;
        let titles = self.terms(
            "SELECT term, doc FROM temp.title_terms WHERE col = 'title'",
            1,
        )?;
        self.set_meta("title_terms", &titles)?;
        let common = (count as f64 * COMMON).max(20.0) as i64;
        let everywhere = self.terms("SELECT term, doc FROM temp.body_terms", common)?;
        self.set_meta("common_terms", &everywhere)
    }

    /// `term count` a line, for the terms that at least `least` changes use.
    fn terms(&self, sql: &str, least: i64) -> rusqlite::Result<String> {
        let mut text = String::new();
        let mut read = self.db.prepare(sql)?;
        let mut rows = read.query([])?;
        while let Some(row) = rows.next()? {
            let count: i64 = row.get(1)?;
            if count >= least {
                text.push_str(&format!("{} {count}\n", row.get_ref(0)?.as_str()?));
            }
        }
        Ok(text)
    }

    /// Merges what inserts have left in pieces.
    pub fn compact(&self) -> rusqlite::Result<()> {
        self.db
            .execute_batch("INSERT INTO titles (titles) VALUES ('optimize'); INSERT INTO bodies (bodies) VALUES ('optimize');")
    }
}

/// What [`Store::remove`] goes by.
#[derive(Debug, Clone, Copy)]
pub enum Key {
    File,
    Revision,
}
