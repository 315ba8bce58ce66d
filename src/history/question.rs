//! A query's words, with what each may mean in one index.

use std::collections::HashSet;

use super::terms::words;
use super::vocabulary::{Reading, Vocabulary};

/// Most words of a query that are searched.
const WORDS: usize = 32;
/// Words that say nothing when others are there.
const EMPTY: [&str; 26] = [
    "a", "an", "the", "for", "of", "in", "to", "and", "or", "on", "with", "by", "from", "is",
    "are", "be", "at", "as", "that", "this", "it", "what", "which", "how", "pr", "did",
];

/// A query, ready for one index.
#[derive(Debug, Default)]
pub struct Question {
    pub units: Vec<Unit>,
    /// Numbers that may be those of pull requests.
    pub numbers: Vec<u64>,
}

/// One word of the query.
#[derive(Debug)]
pub struct Unit {
    /// The word as searched.
    pub word: String,
    /// How much it counts.
    pub weight: f64,
    /// Known terms for the whole word.
    pub whole: Vec<Reading>,
    /// Known terms for each part of an identifier, with the part's weight.
    pub parts: Vec<(f64, Vec<Reading>)>,
}

impl Question {
    /// Reads a query against the words that titles use.
    pub fn read(query: &str, titles: &Vocabulary) -> Self {
        let mut seen = HashSet::new();
        let mut words = words(query);
        words.retain(|word| seen.insert(word.whole.clone()));
        let full = |word: &str| !EMPTY.contains(&word);
        if words.iter().any(|word| full(&word.whole)) {
            words.retain(|word| full(&word.whole));
        }
        words.truncate(WORDS);
        let numbers = words
            .iter()
            .filter(|word| query.contains(&format!("#{}", word.whole)) || word.whole.len() >= 3)
            .filter_map(|word| word.whole.parse().ok())
            .collect();
        let units = words
            .into_iter()
            .map(|word| Unit::read(word.whole, &word.parts, titles))
            .collect();
        Self { units, numbers }
    }

    /// Every term that is searched, once.
    pub fn terms(&self) -> Vec<&str> {
        let mut terms: Vec<&str> = Vec::new();
        for unit in &self.units {
            terms.push(&unit.word);
            let parts = unit.parts.iter().flat_map(|(_, readings)| readings);
            terms.extend(unit.whole.iter().chain(parts).map(|r| r.term.as_str()));
        }
        let mut seen = HashSet::new();
        terms.retain(|term| seen.insert(*term));
        terms
    }

    /// The terms that find the candidates: those of the rarest words, and of
    /// commoner ones only as long as there are few. The order of the candidates
    /// goes by all words.
    pub fn rare_terms(&self, titles: &Vocabulary) -> Vec<&str> {
        let mut terms = self.terms();
        terms.sort_by_key(|term| titles.count(term));
        let enough = titles.changes() / 2;
        let mut rows = 0;
        let mut words = 0;
        terms.retain(|term| {
            let count = titles.count(term);
            let keep = words < 2 || rows + count <= enough;
            rows += if keep { count } else { 0 };
            words += usize::from(keep && count > 0);
            keep
        });
        terms
    }

    /// The weight of all words together.
    pub fn weight(&self) -> f64 {
        self.units.iter().map(|unit| unit.weight).sum()
    }
}

impl Unit {
    fn read(word: String, parts: &[String], titles: &Vocabulary) -> Self {
        let whole = titles.readings(&word);
        let read_part = |part: &str| {
            let readings = titles.readings(part);
            (weigh(part, &readings, titles), readings)
        };
        let mut known_parts: Vec<(f64, Vec<Reading>)> =
            parts.iter().map(|part| read_part(part)).collect();
        if whole.is_empty()
            && parts.is_empty()
            && let Some((left, right)) = titles.split(&word)
        {
            known_parts = vec![read_part(left), read_part(right)];
        }
        let by_parts: f64 = known_parts.iter().map(|(weight, _)| weight).sum();
        let weight = weigh(&word, &whole, titles).max(by_parts.min(2.0 * titles.rarity("")));
        Self {
            word,
            weight,
            whole,
            parts: known_parts,
        }
    }

    /// How well a title that has `terms` answers this word, 0 to 1; `hit` is
    /// called with each title term that does.
    pub fn answered<'a>(&'a self, terms: &HashSet<&str>, hit: &mut impl FnMut(&'a str)) -> f64 {
        let best = |readings: &'a [Reading], hit: &mut dyn FnMut(&'a str)| {
            let found = readings.iter().find(|r| terms.contains(r.term.as_str()));
            found.map_or(0.0, |reading| {
                hit(&reading.term);
                reading.likeness
            })
        };
        let whole = best(&self.whole, hit);
        let total: f64 = self.parts.iter().map(|(weight, _)| weight).sum();
        if whole >= 1.0 || total <= 0.0 {
            return whole;
        }
        let parts = self
            .parts
            .iter()
            .map(|(weight, readings)| weight * best(readings, hit));
        whole.max(parts.sum::<f64>() / total)
    }
}

/// A word that no title uses cannot tell titles apart, but it may stand in the
/// files or the text: it counts as a middling one.
fn weigh(word: &str, readings: &[Reading], titles: &Vocabulary) -> f64 {
    match readings.first() {
        Some(reading) => titles.rarity(&reading.term) * reading.likeness,
        None => 0.4 * titles.rarity(word),
    }
}
