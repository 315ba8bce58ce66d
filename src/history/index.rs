//! The index file of a root: opened when it is sound, else built anew.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::HistoryError;
use super::roots::{Kind, Root};
use super::store::Store;
use super::sync::HistoryErrorOrSql;

/// The index of a root, for the length of one query.
pub struct Index {
    path: Option<PathBuf>,
    pub warnings: Vec<String>,
}

impl Index {
    /// The index of `root` in `folder`; without a folder it is kept in memory.
    pub fn of(root: &Root, folder: Option<&Path>) -> Self {
        let kind = match root.kind {
            Kind::Knowledge => "knowledge",
            Kind::Git => "git",
        };
        let digest = Sha256::digest(root.path.as_os_str().as_encoded_bytes());
        let key: String = digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut warnings = Vec::new();
        let path = match folder.map(|folder| (folder, fs::create_dir_all(folder))) {
            Some((folder, Ok(()))) => Some(folder.join(format!("{kind}-{key}.sqlite"))),
            Some((folder, Err(error))) => {
                warnings.push(format!(
                    "the index is not kept, so that every call reads everything: {}: {error}",
                    folder.display()
                ));
                None
            }
            None => {
                warnings.push(
                    "the index is not kept, so that every call reads everything: neither XDG_CACHE_HOME nor HOME is set"
                        .to_owned(),
                );
                None
            }
        };
        Self { path, warnings }
    }

    /// Where it is kept.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Runs `work` on the index; a broken one is built anew.
    pub fn with<T>(
        &mut self,
        mut work: impl FnMut(&mut Store) -> Result<T, HistoryErrorOrSql>,
    ) -> Result<T, HistoryError> {
        let Some(path) = self.path.clone() else {
            let mut store =
                Store::in_memory().map_err(|error| failed(Path::new(":memory:"), error))?;
            return work(&mut store).map_err(|error| wrap(Path::new(":memory:"), error));
        };
        if path.exists() {
            match Store::open(&path)
                .map_err(Into::into)
                .and_then(|mut store| work(&mut store))
            {
                Ok(value) => return Ok(value),
                Err(HistoryErrorOrSql::Sql(error)) if !is_busy(&error) => {
                    self.warnings.push(format!(
                        "the index {} could not be used ({error}) and was built anew",
                        path.display()
                    ));
                }
                Err(error) => return Err(wrap(&path, error)),
            }
        }
        self.build(&path, &mut work)
    }

    fn build<T>(
        &mut self,
        path: &Path,
        work: &mut impl FnMut(&mut Store) -> Result<T, HistoryErrorOrSql>,
    ) -> Result<T, HistoryError> {
        let aside = path.with_extension(format!("{}.tmp", std::process::id()));
        let _ = fs::remove_file(&aside);
        let built = Store::create(&aside)
            .map_err(Into::into)
            .and_then(|mut store| work(&mut store));
        let kept = match &built {
            Ok(_) => File::open(&aside)
                .and_then(|file| file.sync_all())
                .and_then(|()| fs::rename(&aside, path)),
            Err(_) => fs::remove_file(&aside),
        };
        if let (Ok(_), Err(error)) = (&built, kept) {
            self.warnings
                .push(format!("the index {} is not kept: {error}", path.display()));
        }
        built.map_err(|error| wrap(path, error))
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, OperationInterrupted};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseBusy | DatabaseLocked | DiskFull | OperationInterrupted)
    )
}

fn failed(path: &Path, source: rusqlite::Error) -> HistoryError {
    HistoryError::Index {
        path: path.to_path_buf(),
        source,
    }
}

fn wrap(path: &Path, error: HistoryErrorOrSql) -> HistoryError {
    match error {
        HistoryErrorOrSql::Sql(source) => failed(path, source),
        HistoryErrorOrSql::Other(error) => error,
    }
}
