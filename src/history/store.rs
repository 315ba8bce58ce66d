//! The index of one root: one SQLite file with a full-text table.
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
    revision TEXT
);
CREATE INDEX cards_by_file ON cards (file);
CREATE INDEX cards_by_pr ON cards (pr);
CREATE INDEX cards_by_family ON cards (family, date);
CREATE INDEX cards_by_revision ON cards (revision);
CREATE TABLE coverage (file INTEGER NOT NULL, framework TEXT NOT NULL, family TEXT NOT NULL, path TEXT NOT NULL);
CREATE INDEX coverage_by_family ON coverage (family);
CREATE VIRTUAL TABLE terms USING fts5 (
    title, files, symbols, tags, prose, code,
    content='', contentless_delete=1, tokenize=\"ascii tokenchars '_'\"
);
CREATE VIRTUAL TABLE temp.spoken USING fts5vocab (main, terms, col);
";

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
            "PRAGMA synchronous=NORMAL; PRAGMA mmap_size=268435456; PRAGMA temp_store=MEMORY;
             CREATE VIRTUAL TABLE temp.spoken USING fts5vocab (main, terms, col);",
        )?;
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
        db.execute_batch("INSERT INTO terms (terms, rank) VALUES ('automerge', 0), ('crisismerge', 64), ('hashsize', 33554432);")?;
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
             symbols, risk, path, line, line_end, revision)
             VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)",
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
            row.revision
        ])?;
        let id = self.db.last_insert_rowid();
        let mut insert = self.db.prepare_cached(
            "INSERT INTO terms (rowid, title, files, symbols, tags, prose, code) VALUES (?1,?2,?3,?4,?5,?6,?7)",
        )?;
        insert.execute(params![
            id,
            terms.title,
            terms.files,
            terms.symbols,
            terms.tags,
            terms.prose,
            terms.code
        ])?;
        Ok(())
    }

    /// Removes the changes whose `column` (`file` or `revision`) is `key`.
    pub fn remove(&self, by: Key, key: &dyn rusqlite::ToSql) -> rusqlite::Result<usize> {
        let column = match by {
            Key::File => "file",
            Key::Revision => "revision",
        };
        self.db
            .prepare_cached(&format!(
                "DELETE FROM terms WHERE rowid IN (SELECT id FROM cards WHERE {column} = ?1)"
            ))?
            .execute([key])?;
        self.db
            .prepare_cached(&format!("DELETE FROM cards WHERE {column} = ?1"))?
            .execute([key])
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

    /// Writes down which words titles and names use, for idf and for typing
    /// errors. Call it after the last change of a transaction.
    pub fn refresh_vocabulary(&self) -> rusqlite::Result<()> {
        let mut read = self
            .db
            .prepare("SELECT term, doc FROM temp.spoken WHERE col = ?1")?;
        for (key, column) in [
            ("title", "title"),
            ("symbols", "symbols"),
            ("files", "files"),
        ] {
            let mut text = String::new();
            let mut rows = read.query([column])?;
            while let Some(row) = rows.next()? {
                let term = row.get_ref(0)?.as_str()?;
                let count: i64 = row.get(1)?;
                text.push_str(&format!("{term} {count}\n"));
            }
            drop(rows);
            self.set_meta(&format!("vocabulary_{key}"), &text)?;
        }
        self.set_meta("cards", &self.count()?.to_string())
    }

    /// Merges what inserts have left in pieces.
    pub fn compact(&self) -> rusqlite::Result<()> {
        self.db
            .execute_batch("INSERT INTO terms (terms) VALUES ('optimize');")
    }
}

/// What [`Store::remove`] goes by.
#[derive(Debug, Clone, Copy)]
pub enum Key {
    File,
    Revision,
}
