//! Catalogues and thresholds: compiled in, and replaced by the file of the same
//! name in the folder that `SOTA_REFERENCES` names, where there is one.
//!
//! [`crate::catalogues`] lists the ones that a user may replace.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use regex::Regex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// The variable that names the user's own folder of catalogues.
pub const FOLDER: &str = "SOTA_REFERENCES";

/// A catalogue that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{place}: {problem}")]
    Parse { place: String, problem: String },
}

/// A catalogue that is read when it is first used.
pub struct Catalogue<T> {
    name: &'static str,
    built_in: &'static str,
    read: OnceLock<(T, Option<ReferenceError>)>,
}

impl<T: DeserializeOwned + Default> Catalogue<T> {
    /// The catalogue `name`, a path below `references/`.
    pub const fn new(name: &'static str, built_in: &'static str) -> Self {
        Self {
            name,
            built_in,
            read: OnceLock::new(),
        }
    }

    /// The user's table, or else the built-in one, which also stands in for a
    /// file that cannot be used: [`problem`](Self::problem) says so.
    pub fn table(&self) -> &T {
        &self.read_once().0
    }

    /// Why the user's file cannot be used.
    pub fn problem(&self) -> Option<String> {
        self.read_once().1.as_ref().map(ToString::to_string)
    }

    fn read_once(&self) -> &(T, Option<ReferenceError>) {
        self.read
            .get_or_init(|| match load(self.name, self.built_in) {
                Ok(table) => (table, None),
                Err(error) => (
                    toml::from_str(self.built_in).unwrap_or_default(),
                    Some(error),
                ),
            })
    }
}

/// Reads a regular expression from a string.
pub fn regex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Regex, D::Error> {
    let text = String::deserialize(deserializer)?;
    Regex::new(&text).map_err(serde::de::Error::custom)
}

/// A catalogue that a user may replace.
pub struct Replaceable {
    /// Its path below `references/`, and below the user's folder.
    pub name: &'static str,
    problem: fn(&str) -> Option<String>,
}

impl Replaceable {
    /// `problem` says why the user's file of that name cannot be used.
    pub const fn new(name: &'static str, problem: fn(&str) -> Option<String>) -> Self {
        Self { name, problem }
    }

    /// Why the user's file cannot be used.
    pub fn problem(&self) -> Option<String> {
        (self.problem)(self.name)
    }
}

/// The user's folder of catalogues, if there is one.
pub fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os(FOLDER).filter(|folder| !folder.is_empty())?;
    Some(folder.into())
}

/// The catalogue `name`, as TOML; `built_in` unless the user has one.
pub fn load<T: DeserializeOwned>(name: &str, built_in: &'static str) -> Result<T, ReferenceError> {
    load_from(folder().as_deref(), name, built_in)
}

fn load_from<T: DeserializeOwned>(
    folder: Option<&Path>,
    name: &str,
    built_in: &'static str,
) -> Result<T, ReferenceError> {
    let mut place = format!("references/{name}");
    let mut text = Cow::Borrowed(built_in);
    if let Some(path) = folder.map(|folder| folder.join(name)) {
        match std::fs::read_to_string(&path) {
            Ok(own) => {
                place = path.display().to_string();
                text = Cow::Owned(own);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ReferenceError::Read { path, source }),
        }
    }
    toml::from_str(&text).map_err(|error| ReferenceError::Parse {
        place,
        problem: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Limits {
        least: u32,
    }

    #[test]
    fn a_users_file_replaces_the_built_in_one_and_a_broken_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let load = || load_from::<Limits>(Some(folder.path()), "limits.toml", "least = 1");
        assert_eq!(load().unwrap(), Limits { least: 1 });
        let path = folder.path().join("limits.toml");
        std::fs::write(&path, "least = 7").unwrap();
        assert_eq!(load().unwrap(), Limits { least: 7 });
        std::fs::write(&path, "least = 'many'").unwrap();
        let error = load().unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
        assert!(error.contains("line 1"), "{error}");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(load(), Err(ReferenceError::Read { .. })));
    }
}
