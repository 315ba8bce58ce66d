//! Catalogues and thresholds: compiled in, and replaced by the file of the same
//! name in the folder that `SOTA_REFERENCES` names, where there is one.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// The variable that names the user's own folder of catalogues.
pub const FOLDER: &str = "SOTA_REFERENCES";

/// A catalogue that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    #[error("{}: {source}; mend the file, or unset {FOLDER}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{place}: {problem}")]
    Parse { place: String, problem: String },
}

/// The catalogue `name`, as TOML; `built_in` unless the user has one.
pub fn load<T: DeserializeOwned>(name: &str, built_in: &'static str) -> Result<T, ReferenceError> {
    let folder = std::env::var_os(FOLDER).filter(|folder| !folder.is_empty());
    load_from(folder.as_deref().map(Path::new), name, built_in)
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
