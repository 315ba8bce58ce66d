//! The words that titles and names use: how rare each is, and which of them a
//! mistyped word may mean.

use std::collections::HashMap;

use super::store::Store;

/// Most readings of one word that are searched.
const READINGS: usize = 6;

/// Terms with the number of changes that use each.
#[derive(Debug, Default)]
pub struct Vocabulary {
    counts: HashMap<Box<str>, u32>,
    /// Number of changes.
    changes: f64,
}

/// A known term that a word may mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub term: String,
    /// 1 for the word itself, less the further away.
    pub likeness: f64,
}

impl Vocabulary {
    /// The terms of titles.
    pub fn of_titles(store: &Store) -> rusqlite::Result<Self> {
        Self::load(store, "title_terms")
    }

    /// The terms that are in so many files and texts that they tell nothing.
    pub fn everywhere(store: &Store) -> rusqlite::Result<Self> {
        Self::load(store, "common_terms")
    }

    fn load(store: &Store, key: &str) -> rusqlite::Result<Self> {
        let text = store.meta(key)?.unwrap_or_default();
        let changes = store.meta("cards")?.and_then(|count| count.parse().ok());
        let counts = text.lines().filter_map(|line| {
            let (term, count) = line.split_once(' ')?;
            Some((term.into(), count.parse().ok()?))
        });
        Ok(Self {
            counts: counts.collect(),
            changes: changes.unwrap_or(0.0),
        })
    }

    pub fn knows(&self, term: &str) -> bool {
        self.counts.contains_key(term)
    }

    /// Number of changes that use the term.
    pub fn count(&self, term: &str) -> u32 {
        self.counts.get(term).copied().unwrap_or(0)
    }

    /// Number of all changes.
    pub fn changes(&self) -> u32 {
        self.changes as u32
    }

    /// Inverse document frequency as BM25 has it (Robertson and Zaragoza 2009,
    /// with the usual +1 that keeps it positive).
    pub fn rarity(&self, term: &str) -> f64 {
        let count = f64::from(self.count(term));
        (1.0 + (self.changes - count + 0.5).max(0.0) / (count + 0.5)).ln()
    }

    /// The word itself, and known terms with the same stem or a typing error away.
    pub fn readings(&self, word: &str) -> Vec<Reading> {
        let mut found = Vec::new();
        let known = self.knows(word);
        if known {
            found.push(Reading {
                term: word.to_owned(),
                likeness: 1.0,
            });
        }
        let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
        if !word.is_ascii() || letters < 3 {
            return found;
        }
        let allowed = match (word.len(), known) {
            (..=3, true) => 0,
            (..=3, false) => 1,
            (4..=7, _) => 1,
            _ => 2,
        };
        let mask = letter_mask(word);
        let stem = stem(word);
        let mut near: Vec<(f64, u32, &str)> = Vec::new();
        for (term, count) in &self.counts {
            let gap = term.len().abs_diff(word.len());
            let unlike = (letter_mask(term) ^ mask).count_ones() as usize;
            let same_stem = stem.len() >= 3 && term.starts_with(stem) && self::stem(term) == stem;
            if &**term == word || (!same_stem && (gap > allowed || unlike > 2 * allowed)) {
                continue;
            }
            let likeness = if same_stem {
                0.9
            } else {
                match distance(word.as_bytes(), term.as_bytes(), allowed) {
                    Some(1) if digits_differ(word, term) => continue,
                    Some(1) => 0.8,
                    Some(2) => 0.6,
                    _ => continue,
                }
            };
            near.push((likeness, *count, term));
        }
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)).then(a.2.cmp(b.2)));
        found.extend(
            near.into_iter()
                .take(READINGS)
                .map(|(likeness, _, term)| Reading {
                    term: term.to_owned(),
                    likeness,
                }),
        );
        found
    }

    /// Two known terms that `word` is made of, when a space was forgotten.
    pub fn split<'a>(&self, word: &'a str) -> Option<(&'a str, &'a str)> {
        if !word.is_ascii() || word.len() < 4 {
            return None;
        }
        (2..=word.len() - 2)
            .map(|at| word.split_at(at))
            .filter(|(left, right)| self.knows(left) && self.knows(right))
            .max_by_key(|(left, right)| self.count(left).min(self.count(right)))
    }
}

/// `qwen2` for `qwen3`, `fp4` for `fp8`: another thing, not a typing error.
fn digits_differ(a: &str, b: &str) -> bool {
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    digits(a) != digits(b)
}

/// A word without the endings of English inflection.
pub fn stem(word: &str) -> &str {
    let endings = [
        "ations", "ation", "ings", "ing", "ers", "ed", "es", "er", "s", "e",
    ];
    endings
        .iter()
        .filter_map(|ending| word.strip_suffix(ending))
        .find(|stem| stem.len() >= 3)
        .unwrap_or(word)
}

/// One bit a letter; digits share bits 26 to 31.
fn letter_mask(word: &str) -> u32 {
    word.bytes().fold(0, |mask, byte| match byte {
        b'a'..=b'z' => mask | 1 << (byte - b'a'),
        b'0'..=b'9' => mask | 1 << (26 + (byte - b'0') % 6),
        _ => mask,
    })
}

/// Edits between two words (insertions, deletions, replacements, swaps of
/// neighbours; optimal string alignment), if at most `most`.
pub fn distance(a: &[u8], b: &[u8], most: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let mut before_last: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut row = vec![0; b.len() + 1];
    for (i, &from) in a.iter().enumerate() {
        row[0] = i + 1;
        for (j, &to) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(from != to);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && from == b[j - 1] && a[i - 1] == to {
                best = best.min(before_last[j - 1] + 1);
            }
            row[j + 1] = best;
        }
        if row.iter().all(|&edits| edits > most) {
            return None;
        }
        std::mem::swap(&mut before_last, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    last.last().copied().filter(|&edits| edits <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary(terms: &[(&str, u32)]) -> Vocabulary {
        Vocabulary {
            counts: terms.iter().map(|(t, c)| ((*t).into(), *c)).collect(),
            changes: 100.0,
        }
    }

    #[test]
    fn edits_are_counted_up_to_a_bound() {
        let edits = |a: &str, b: &str, most| distance(a.as_bytes(), b.as_bytes(), most);
        assert_eq!(edits("attention", "attention", 2), Some(0));
        assert_eq!(edits("atention", "attention", 2), Some(1));
        assert_eq!(edits("attnetion", "attention", 1), Some(1));
        assert_eq!(edits("kernel", "colonel", 2), None);
    }

    #[test]
    fn a_mistyped_word_finds_its_reading() {
        let known = vocabulary(&[
            ("attention", 9),
            ("fused", 4),
            ("fuse", 2),
            ("qwen3", 5),
            ("qwen2", 5),
        ]);
        let terms = |word: &str| -> Vec<String> {
            known.readings(word).into_iter().map(|r| r.term).collect()
        };
        assert_eq!(terms("atention"), ["attention"]);
        assert_eq!(terms("fused"), ["fused", "fuse"]);
        assert_eq!(terms("qwen3"), ["qwen3"]);
        assert_eq!(terms("qwne3"), ["qwen3"]);
    }

    #[test]
    fn a_forgotten_space_is_found() {
        let known = vocabulary(&[("qk", 3), ("norm", 8), ("flash", 2)]);
        assert_eq!(known.split("qknorm"), Some(("qk", "norm")));
        assert_eq!(known.split("unknown"), None);
    }

    #[test]
    fn rare_terms_weigh_more() {
        let known = vocabulary(&[("moe", 60), ("gemv", 1)]);
        assert!(known.rarity("gemv") > 3.0 * known.rarity("moe"));
    }
}
