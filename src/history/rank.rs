//! The order of candidates, and why a change stands where it does.

use std::collections::HashSet;

use super::question::Question;
use super::search::Candidate;
use super::store::Row;
use super::terms::{Word, words};
use super::vocabulary::Vocabulary;

/// Share of the title in a score; the rest is BM25 over all fields.
const TITLE_SHARE: f64 = 0.75;
/// What a change of the model's own family counts more.
const FAMILY: f64 = 1.5;
/// What the exact number of a pull request adds.
const NUMBER: f64 = 2.0;

/// The share of the query that the title answers, more for a title that says
/// little else and has the words in the same order; BM25 over the other fields
/// decides among the rest.
pub fn score(
    candidate: &Candidate,
    question: &Question,
    titles: &Vocabulary,
    best: f64,
    families: &[String],
) -> f64 {
    let title = words(&candidate.title);
    let mut terms: HashSet<&str> = HashSet::new();
    for word in &title {
        terms.insert(&word.whole);
        terms.extend(word.parts.iter().map(String::as_str));
    }
    let mut hits: Vec<&str> = Vec::new();
    let answered: f64 = question
        .units
        .iter()
        .map(|unit| unit.weight * unit.answered(&terms, &mut |term| hits.push(term)))
        .sum();
    let coverage = answered / question.weight().max(f64::MIN_POSITIVE);
    let is_hit = |word: &str| hits.contains(&word);
    let (mut said, mut asked) = (0.0, 0.0);
    for word in &title {
        let weight = titles.rarity(&word.whole);
        said += weight;
        let parts = word.parts.iter().filter(|part| is_hit(part)).count();
        if is_hit(&word.whole) {
            asked += weight;
        } else if parts > 0 {
            asked += weight * parts as f64 / word.parts.len() as f64;
        }
    }
    let precision = if said > 0.0 { asked / said } else { 0.0 };
    let by_title = coverage * (0.7 + 0.25 * precision + 0.05 * in_order(&hits, &title));
    let mut score = TITLE_SHARE * by_title + (1.0 - TITLE_SHARE) * candidate.relevance / best;
    if families.iter().any(|family| candidate.touches(family)) {
        score *= FAMILY;
    }
    if candidate
        .pr
        .is_some_and(|pr| question.numbers.contains(&pr))
    {
        score += NUMBER;
    }
    score
}

/// The share of neighbouring hits that stand in the title in the same order.
fn in_order(hits: &[&str], title: &[Word]) -> f64 {
    let place = |term: &str| {
        title
            .iter()
            .position(|word| word.whole == term || word.parts.iter().any(|part| part == term))
    };
    let pairs = hits.windows(2);
    let count = pairs.len().max(1) as f64;
    let ordered = pairs
        .filter(|pair| place(pair[0]) <= place(pair[1]))
        .count();
    ordered as f64 / count
}

/// Why a change ranks where it does, in words.
pub fn reason(row: &Row, question: &Question, families: &[String]) -> String {
    let mut parts = Vec::new();
    if let Some(pr) = row.pr.filter(|pr| question.numbers.contains(pr)) {
        parts.push(format!("it is #{pr}"));
    }
    let mut places = [
        ("title", Vec::new()),
        ("symbols", Vec::new()),
        ("files", Vec::new()),
    ];
    let texts = [
        row.title.clone(),
        row.symbols.join(" "),
        row.files.join(" "),
    ];
    for unit in &question.units {
        for ((_, hits), text) in places.iter_mut().zip(&texts) {
            let text_words = words(text);
            let terms: HashSet<&str> = text_words
                .iter()
                .flat_map(|word| word.parts.iter().chain([&word.whole]))
                .map(String::as_str)
                .collect();
            let exact = terms.contains(unit.word.as_str());
            if exact || unit.answered(&terms, &mut |_| {}) >= 0.5 {
                hits.push(unit.word.as_str());
                break;
            }
        }
    }
    let found: usize = places.iter().map(|(_, hits)| hits.len()).sum();
    for (place, hits) in &places {
        if !hits.is_empty() {
            parts.push(format!("{place}: {}", hits.join(", ")));
        }
    }
    if found < question.units.len() {
        parts.push(format!(
            "{} of {} words only in its text or not at all",
            question.units.len() - found,
            question.units.len()
        ));
    }
    let own = row.family.iter().chain(&row.kin);
    if let Some(family) = own.into_iter().find(|family| families.contains(family)) {
        parts.push(format!("family {family}"));
    }
    parts.join("; ")
}
