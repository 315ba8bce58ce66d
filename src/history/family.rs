//! From a model id, a configuration or a source path to the family's folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::error::HistoryError;
use super::lineage::{Lineage, Names, Sort};
use super::record::FamilyGuess;

/// A fit below this is only a runner-up.
pub const SURE_ENOUGH: f64 = 0.5;
const RUNNERS_UP: usize = 4;
/// Largest configuration that is read.
const LARGEST: u64 = 4 << 20;

/// What is known of a model, and how much less each sign counts than its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Signs(Vec<(Lineage, f64)>);

/// The families that fit a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resolution {
    /// Best family over all frameworks, if one fits.
    pub best: Option<FamilyGuess>,
    pub runners_up: Vec<FamilyGuess>,
    /// Best family of each framework, where one fits.
    pub by_framework: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    architectures: Option<Vec<String>>,
    model_type: Option<String>,
    #[serde(rename = "_name_or_path")]
    name: Option<String>,
}

impl Signs {
    /// Reads an id, a model folder, a `config.json` or a source path.
    pub fn of(model: &str) -> Result<Self, HistoryError> {
        let names = Names::built_in()?;
        let path = Path::new(model);
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        if file_name.ends_with(".json") && path.is_file() {
            return Self::of_config(names, path);
        }
        if path.is_absolute() && path.is_dir() {
            let config = path.join("config.json");
            return if config.is_file() {
                Self::of_config(names, &config)
            } else {
                Ok(Self::of_path(names, path))
            };
        }
        if is_source(&file_name) {
            return Ok(Self::of_source(names, path));
        }
        if model.split('/').count() > 2 {
            return Ok(Self::of_path(names, path));
        }
        let name = model.rsplit('/').next().unwrap_or(model);
        Ok(Self(vec![(names.read(name, Sort::Model), 0.0)]))
    }

    fn of_config(names: &Names, path: &Path) -> Result<Self, HistoryError> {
        let wrong = |reason: String| HistoryError::Config {
            path: path.to_path_buf(),
            reason,
        };
        let size = fs::metadata(path).map_err(|e| wrong(e.to_string()))?.len();
        if size > LARGEST {
            return Err(wrong(format!(
                "{size} bytes are more than the {LARGEST} of a configuration"
            )));
        }
        let bytes = fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let config: Config =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        let mut signs = Self::of_path(names, path.parent().unwrap_or(path)).0;
        if let Some(name) = config
            .name
            .as_deref()
            .and_then(|name| name.rsplit('/').next())
        {
            signs.push((names.read(name, Sort::Model), 0.02));
        }
        if let Some(model_type) = &config.model_type {
            signs.push((names.read(model_type, Sort::Architecture), 0.04));
        }
        for architecture in config.architectures.iter().flatten().take(4) {
            signs.push((names.read(architecture, Sort::Architecture), 0.08));
        }
        Ok(Self(signs))
    }

    /// The nearest folder of a path that names a known line
    /// (`models--Qwen--Qwen3-8B/snapshots/<hash>`).
    fn of_path(names: &Names, path: &Path) -> Self {
        let parts = path.iter().rev().take(4).map(|part| part.to_string_lossy());
        let named = parts
            .map(|part| names.read(part.rsplit("--").next().unwrap_or(&part), Sort::Model))
            .find(is_known);
        Self(named.into_iter().map(|lineage| (lineage, 0.0)).collect())
    }

    /// A source file by its stem, or by the folder it stands in.
    fn of_source(names: &Names, path: &Path) -> Self {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let parts = std::iter::once(stem).chain(
            path.iter()
                .rev()
                .skip(1)
                .take(2)
                .map(|p| p.to_string_lossy()),
        );
        let named = parts
            .map(|part| names.read(&part, Sort::File))
            .find(is_known);
        Self(named.into_iter().map(|lineage| (lineage, 0.0)).collect())
    }

    /// How well a folder fits, 0 to 1.
    fn fit(&self, names: &Names, folder: &Lineage) -> f64 {
        let fits = self
            .0
            .iter()
            .map(|(sign, less)| names.fit(sign, folder) - less);
        fits.fold(0.0, f64::max)
    }
}

fn is_known(lineage: &Lineage) -> bool {
    !lineage.line.is_empty() && !lineage.line.starts_with('?')
}

impl Resolution {
    /// Takes a family that the index itself names for a file.
    pub fn adopt(&mut self, family: Option<String>, folders: &[(String, String)]) {
        let Some(family) = family else { return };
        for (framework, slug) in folders {
            if *slug == family {
                self.by_framework.insert(framework.clone(), family.clone());
            }
        }
        self.best = Some(FamilyGuess {
            family,
            confidence: SURE_ENOUGH,
        });
    }
}

/// Whether a file name is that of a source file.
pub fn is_source(name: &str) -> bool {
    let extension = Path::new(name).extension().unwrap_or_default();
    ["py", "cu", "cuh", "cpp", "cc", "h", "hpp", "rs"]
        .iter()
        .any(|known| extension == *known)
}

/// The best of `folders` (framework, slug) for a model.
pub fn resolve(signs: &Signs, folders: &[(String, String)]) -> Result<Resolution, HistoryError> {
    let names = Names::built_in()?;
    let mut fits: BTreeMap<&str, f64> = BTreeMap::new();
    for (_, slug) in folders {
        fits.entry(slug)
            .or_insert_with(|| signs.fit(names, &names.read(slug, Sort::Folder)));
    }
    let mut ranked: Vec<FamilyGuess> = fits
        .iter()
        .filter(|(_, fit)| **fit > 0.0)
        .map(|(slug, fit)| FamilyGuess {
            family: (*slug).to_owned(),
            confidence: (fit * 100.0).round() / 100.0,
        })
        .collect();
    ranked.sort_by(|a, b| {
        b.confidence
            .total_cmp(&a.confidence)
            .then(a.family.len().cmp(&b.family.len()))
            .then_with(|| a.family.cmp(&b.family))
    });
    let mut by_framework: BTreeMap<String, String> = BTreeMap::new();
    for guess in ranked
        .iter()
        .filter(|guess| guess.confidence >= SURE_ENOUGH)
    {
        for (framework, slug) in folders {
            if *slug == guess.family && !by_framework.contains_key(framework) {
                by_framework.insert(framework.clone(), slug.clone());
            }
        }
    }
    let sure = ranked
        .first()
        .is_some_and(|guess| guess.confidence >= SURE_ENOUGH);
    let best = sure.then(|| ranked.remove(0));
    ranked.truncate(RUNNERS_UP);
    Ok(Resolution {
        best,
        runners_up: ranked,
        by_framework,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = include_str!("../../tests/fixtures/history/model-families.tsv");
    const PUBLISHED: &str = "deepseek-ocr deepseek-ocr-2 deepseek-v3-r1 deepseek-v31 deepseek-v32 \
        deepseek-v4 deepseek-v41 dots3 ernie45 exaone4 gemma4 glm-vlm-ocr glm45 glm46-glm47 \
        glm5-glm51 gpt-oss hunyuan3-preview hunyuan4 inkling intern-s1 internvl35 \
        jina-reranker-m0 kimi ling25 ling3 llada21 llama31 llama33-70b llama4 longcat-flash \
        ltx23-hq mimo-v2-flash minimax mistral-small-4 mixtral-quark-int4fp8-moe moss-vl \
        nemotron-super qwen-image qwen-vlm-omni-asr qwen3-coder qwen3-core qwen3-next qwen35 \
        qwen36 qwen38 qwen4-exp ring25 step35 step37 z-image-turbo";

    fn rows() -> impl Iterator<Item = Vec<&'static str>> {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.split('\t').collect())
    }

    /// The ids that do not reach the family of `column`, as `id: got, not wanted`.
    fn misses(folders: &[&str], column: usize) -> Vec<String> {
        let folders: Vec<(String, String)> = folders
            .iter()
            .map(|slug| ("sglang".to_owned(), (*slug).to_owned()))
            .collect();
        rows()
            .filter_map(|row| {
                let resolution = resolve(&Signs::of(row[0]).unwrap(), &folders).unwrap();
                let got = resolution.best.map_or("-".to_owned(), |best| best.family);
                (got != row[column]).then(|| format!("{}: {got}, not {}", row[0], row[column]))
            })
            .collect()
    }

    #[test]
    fn ids_reach_their_family_among_many_folders() {
        let mut folders: Vec<&str> = rows()
            .map(|row| row[1])
            .filter(|slug| *slug != "-")
            .collect();
        folders.sort_unstable();
        folders.dedup();
        assert_eq!(misses(&folders, 1), Vec::<String>::new());
    }

    #[test]
    fn ids_reach_their_family_among_the_published_folders() {
        let folders: Vec<&str> = PUBLISHED.split_whitespace().collect();
        assert_eq!(misses(&folders, 2), Vec::<String>::new());
    }
}
