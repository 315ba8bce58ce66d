//! How well a family's folder fits a model.

use std::collections::BTreeSet;

use super::lineage::{Lineage, Names};

impl Names {
    /// How well a folder fits a model, 0 to 1; 0.5 and more is a fit.
    pub fn fit(&self, model: &Lineage, folder: &Lineage) -> f64 {
        if model.line.is_empty() || folder.line.is_empty() {
            return 0.0;
        }
        let kin = self.kin.get(&model.line) == Some(&folder.line);
        if model.line != folder.line && !kin {
            return 0.0;
        }
        let mut score = 0.55 + self.version_fit(model, folder);
        if kin {
            score -= 0.15;
        }
        score += self.strong_fit(model, folder);
        let matched = folder.weak.intersection(&model.weak).count();
        score += 0.10 * matched as f64;
        score -= 0.25 * (folder.weak.len() - matched) as f64;
        score -= 0.03 * (model.weak.len() - matched) as f64;
        score += self.words_fit(model, folder);
        score.clamp(0.0, 0.99)
    }

    fn words_fit(&self, model: &Lineage, folder: &Lineage) -> f64 {
        let fit = |word: &String| {
            let weight = if self.series.contains(word) {
                0.10
            } else {
                0.04
            };
            if model.words.contains(word) {
                weight
            } else {
                -weight
            }
        };
        folder.words.iter().map(fit).sum::<f64>().max(-0.2)
    }

    fn version_fit(&self, model: &Lineage, folder: &Lineage) -> f64 {
        match (model.versions.is_empty(), folder.versions.is_empty()) {
            (true, true) => return 0.35,
            (true, false) => return -0.08,
            (false, true) => return 0.25,
            (false, false) => {}
        }
        if !model.versions.is_disjoint(&folder.versions) {
            return 0.40;
        }
        let related = self.siblings.iter().any(|(line, versions)| {
            let has = |lineage: &Lineage| lineage.versions.iter().any(|v| versions.contains(v));
            *line == model.line && has(model) && has(folder)
        });
        let major = |lineage: &Lineage| -> BTreeSet<char> {
            lineage
                .versions
                .iter()
                .filter_map(|v| v.chars().next())
                .collect()
        };
        match (related, major(model).is_disjoint(&major(folder))) {
            // Nearer versions of one implementation first.
            (true, false) => 0.20,
            (true, true) => 0.02,
            (false, false) => -0.15,
            (false, true) => -0.40,
        }
    }

    fn strong_fit(&self, model: &Lineage, folder: &Lineage) -> f64 {
        let group = |tag: &String| self.groups.iter().find(|group| group.contains(tag));
        let covered = |tag: &String, by: &BTreeSet<String>| {
            group(tag).is_some_and(|group| by.iter().any(|other| group.contains(other)))
        };
        // A folder with several tags is for each of them.
        let mut score: f64 = if folder.strong.iter().any(|tag| model.strong.contains(tag)) {
            0.15
        } else if folder.strong.iter().all(|tag| covered(tag, &model.strong)) {
            0.0
        } else {
            -0.50
        };
        for tag in model.strong.difference(&folder.strong) {
            score -= if covered(tag, &folder.strong) {
                0.10
            } else {
                0.30
            };
        }
        score
    }
}
