//! The catalogues that a user may replace through `SOTA_REFERENCES`, checked as
//! one before any work begins.

use std::path::{Path, PathBuf};

use crate::fault::{Fault, FaultCode};
use crate::nearest::nearest;
use crate::references::{self, Replaceable};
use crate::{bench, engine, gap, ncu, trace, triage};

/// Every one. A catalogue is missing here when gates rest on it or an index on
/// disk was made with it.
fn all() -> impl Iterator<Item = &'static Replaceable> {
    [
        engine::CATALOGUES,
        bench::CATALOGUES,
        gap::CATALOGUES,
        trace::CATALOGUES,
        triage::CATALOGUES,
        ncu::CATALOGUES,
    ]
    .into_iter()
    .flatten()
}

/// Refuses a folder of catalogues that is missing, or holds a file that is
/// broken or replaces nothing. Nothing is read without such a folder.
pub fn check() -> Result<(), Fault> {
    match references::folder() {
        Some(folder) => check_folder(&folder),
        None => Ok(()),
    }
}

fn check_folder(folder: &Path) -> Result<(), Fault> {
    let fault = |message: String, hint: &str| {
        let hint = format!(
            "{hint}, or unset {} to use the built-in catalogues; a running MCP server reads them at its start",
            references::FOLDER
        );
        Fault::new(FaultCode::InvalidInput, message, hint)
    };
    for name in files(folder).map_err(|error| {
        let message = format!("{}: {error}", folder.display());
        fault(message, "name a folder that can be read")
    })? {
        if all().any(|known| Path::new(known.name) == name) {
            continue;
        }
        let text = name.to_string_lossy();
        let hint = match nearest(&text, all().map(|known| known.name)) {
            Some(near) => format!("did you mean {near}? Rename the file"),
            None => {
                let names: Vec<&str> = all().map(|known| known.name).collect();
                format!("it replaces none of {}; move it away", names.join(", "))
            }
        };
        let path = folder.join(&name);
        let message = format!("{}: no catalogue has this name", path.display());
        return Err(fault(message, &hint));
    }
    match all().find_map(Replaceable::problem) {
        Some(problem) => Err(fault(problem, "mend the file")),
        None => Ok(()),
    }
}

/// TOML files of the folder and of its folder `engines`, relative to it.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for below in ["", "engines"] {
        let entries = match std::fs::read_dir(folder.join(below)) {
            Ok(entries) => entries,
            Err(_) if !below.is_empty() => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let name = Path::new(below).join(entry?.file_name());
            if name.extension().is_some_and(|kind| kind == "toml") {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_catalogue_is_a_file_and_reads() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("references");
        for catalogue in all() {
            assert!(folder.join(catalogue.name).is_file(), "{}", catalogue.name);
            assert_eq!(catalogue.problem(), None);
        }
    }

    #[test]
    fn a_folder_that_is_missing_or_replaces_nothing_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("engines")).unwrap();
        std::fs::write(folder.path().join("README.md"), "notes").unwrap();
        check_folder(folder.path()).unwrap();

        std::fs::write(folder.path().join("kernel-category.toml"), "").unwrap();
        let fault = check_folder(folder.path()).unwrap_err();
        assert!(
            fault
                .message
                .ends_with("kernel-category.toml: no catalogue has this name")
        );
        assert!(
            fault
                .hint
                .starts_with("did you mean kernel-categories.toml?"),
            "{}",
            fault.hint
        );

        let fault = check_folder(&folder.path().join("absent")).unwrap_err();
        assert!(fault.hint.starts_with("name a folder"), "{}", fault.hint);
    }
}
