//! A folder of the host inside a container, and paths translated between both.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One bind mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path on the host.
    pub host: PathBuf,
    /// Absolute path inside the container.
    pub inside: PathBuf,
    pub read_only: bool,
}

impl Mount {
    /// Reads `/host:/inside` or `/host:/inside:ro`; an error completes the
    /// sentence that begins with the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = text.split(':');
        let (Some(host), Some(inside)) = (parts.next(), parts.next()) else {
            return Err("has no `:` between the two folders");
        };
        let read_only = match parts.next() {
            None => false,
            Some("ro") => true,
            Some("rw") => false,
            Some(_) => return Err("ends in something else than `ro` or `rw`"),
        };
        if parts.next().is_some() {
            return Err("has too many `:`");
        }
        if !host.starts_with('/') || !inside.starts_with('/') {
            return Err("has a path that is not absolute");
        }
        // docker reads the option as comma-separated values.
        if text.contains([',', '"', '\n', '\0']) {
            return Err("has a comma, a quotation mark or a line break in a path");
        }
        Ok(Self {
            host: PathBuf::from(host),
            inside: PathBuf::from(inside),
            read_only,
        })
    }

    /// The same path on both sides, read-only.
    pub fn same(path: &Path) -> Self {
        Self {
            host: path.to_path_buf(),
            inside: path.to_path_buf(),
            read_only: true,
        }
    }

    pub(super) fn option(&self) -> String {
        format!(
            "--mount=type=bind,source={},target={}{}",
            self.host.display(),
            self.inside.display(),
            if self.read_only { ",readonly" } else { "" }
        )
    }
}

/// Where a path of the host lies inside; none: no mount has it.
pub fn to_inside(mounts: &[Mount], path: &Path) -> Option<PathBuf> {
    translate(
        mounts
            .iter()
            .map(|mount| (mount.host.as_path(), mount.inside.as_path())),
        path,
    )
}

/// Where a path inside the container lies on the host.
pub fn to_host(mounts: &[Mount], path: &Path) -> Option<PathBuf> {
    translate(
        mounts
            .iter()
            .map(|mount| (mount.inside.as_path(), mount.host.as_path())),
        path,
    )
}

/// The deepest mount that holds the path decides.
fn translate<'a>(
    pairs: impl Iterator<Item = (&'a Path, &'a Path)>,
    path: &Path,
) -> Option<PathBuf> {
    pairs
        .filter_map(|(from, to)| Some((from, to, path.strip_prefix(from).ok()?)))
        .max_by_key(|(from, ..)| from.components().count())
        .map(|(_, to, rest)| {
            if rest.as_os_str().is_empty() {
                to.to_path_buf()
            } else {
                to.join(rest)
            }
        })
}

/// An argument with the paths of the host that it is, or that stand after its
/// first `=`, translated.
pub(super) fn argument_inside(mounts: &[Mount], argument: &str) -> String {
    let (lead, path) = match argument.split_once('=') {
        Some((flag, value)) if flag.starts_with('-') => (format!("{flag}="), value),
        _ => (String::new(), argument),
    };
    match to_inside(mounts, Path::new(path)) {
        Some(inside) if path.starts_with('/') => format!("{lead}{}", inside.display()),
        _ => argument.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_both_ways_by_the_deepest_mount() {
        let mounts = [
            Mount::parse("/data:/d").unwrap(),
            Mount::parse("/data/models:/models:ro").unwrap(),
        ];
        for (host, inside) in [
            ("/data/models/qwen", "/models/qwen"),
            ("/data/models", "/models"),
            ("/data/x y", "/d/x y"),
        ] {
            let (host, inside) = (Path::new(host), Path::new(inside));
            assert_eq!(to_inside(&mounts, host).as_deref(), Some(inside));
            assert_eq!(to_host(&mounts, inside).as_deref(), Some(host));
        }
        // A name that only begins alike is another folder.
        assert_eq!(to_inside(&mounts, Path::new("/database")), None);
        assert_eq!(
            argument_inside(&mounts, "--model-path=/data/models/qwen"),
            "--model-path=/models/qwen"
        );
        assert_eq!(
            argument_inside(&mounts, "/data/models/qwen"),
            "/models/qwen"
        );
        assert_eq!(argument_inside(&mounts, "--port=30000"), "--port=30000");
    }
}
