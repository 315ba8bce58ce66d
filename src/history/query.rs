//! From a request to its record.

use crate::detail::Detail;
use std::collections::BTreeMap;
use std::path::Path;

use super::class::Classes;
use super::error::HistoryError;
use super::family::{self, Resolution, Signs};
use super::index::Index;
use super::lineage::Names;
use super::notes;
use super::record::{Card, FamilyFiles, FamilyGuess, Finding, QueryRecord, QueryRequest, RootRead};
use super::roots::{Found, Kind, Places, Root, find};
use super::search::{Filters, Hit, lookup, newest, search};
use super::store::{Row, Store};
use super::sync::{self, HistoryErrorOrSql, Outcome};
use super::{mine, overview};

const DEFAULT_LIMIT: u32 = 8;
const LARGEST_LIMIT: u32 = 100;
const FILES_SHOWN: usize = 5;
const SYMBOLS_SHOWN: usize = 8;
const RISK_SHOWN: usize = 240;

/// Answers a request with the places of this user.
pub fn query(request: &QueryRequest) -> Result<QueryRecord, HistoryError> {
    query_in(&Places::from_env(), request)
}

/// Answers a request with the given places.
pub fn query_in(places: &Places, request: &QueryRequest) -> Result<QueryRecord, HistoryError> {
    let question = Question::of(request)?;
    let found = find(places, &request.roots, request.checkout.as_deref());
    let mut record = QueryRecord {
        findings: found.findings.clone(),
        warnings: found.warnings.clone(),
        ..QueryRecord::default()
    };
    let mut answers = Vec::new();
    for root in &found.roots {
        match ask(places, root, &question, &mut record) {
            Ok(answer) => answers.push((root, answer)),
            // One root that fails leaves the others to answer.
            Err(error) => record.findings.push(Finding::Unreadable {
                path: root.path.clone(),
                reason: error.to_string(),
            }),
        }
    }
    let family = settle_family(&mut record, &answers);
    let decided = notes::decide(request, &answers, family.as_deref())?;
    record.family_files = answers
        .iter()
        .flat_map(|(_, answer)| answer.files.clone())
        .collect();
    record
        .family_files
        .dedup_by(|a, b| a.framework == b.framework);
    gather(&mut record, answers, &question, family)?;
    note_absence(&mut record, &found, &question);
    if request.record.is_some() {
        let notes = notes::Notes::of(request, &record, decided)?;
        let folder = request.workspace.as_ref().unwrap_or(&places.current_dir);
        let path = notes::write(folder, &notes)?;
        record.notes_path = Some(path);
        record.notes = Some(notes);
    }
    if request.detail == Detail::Summary {
        shorten(&mut record);
    }
    record.next = next(&record, request);
    Ok(record)
}

/// A request, checked.
struct Question<'a> {
    request: &'a QueryRequest,
    signs: Option<Signs>,
    filters: Filters,
    limit: usize,
}

/// What one root answers.
pub struct Answer {
    resolution: Resolution,
    hits: Vec<Hit>,
    total: usize,
    files: Vec<FamilyFiles>,
    /// For each decision of the request, the changes that it may mean.
    pub decisions: Vec<Vec<Row>>,
}

impl<'a> Question<'a> {
    fn of(request: &'a QueryRequest) -> Result<Self, HistoryError> {
        let said =
            |text: &Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
        if !said(&request.model) && !said(&request.query) {
            return Err(HistoryError::NothingAsked);
        }
        Ok(Self {
            request,
            signs: request.model.as_deref().map(Signs::of).transpose()?,
            filters: filters(request)?,
            limit: limit(request)?,
        })
    }
}

fn ask(
    places: &Places,
    root: &Root,
    question: &Question,
    record: &mut QueryRecord,
) -> Result<Answer, HistoryError> {
    let mut index = Index::of(root, places.index_dir.as_deref());
    let asked = index.with(|store| {
        let outcome = match root.kind {
            Kind::Knowledge => sync::knowledge(store, &root.path)?,
            Kind::Git => mine::commits(store, &root.path, places.index_dir.as_deref())?,
        };
        let answer = answer(store, question)?;
        Ok((outcome, answer, store.count()?))
    });
    record.warnings.append(&mut index.warnings);
    let (outcome, answer, cards) = asked?;
    let Outcome {
        read,
        removed,
        findings,
        warnings,
    } = outcome;
    record.warnings.extend(warnings);
    record.findings.extend(findings);
    record.roots.push(RootRead {
        path: root.path.clone(),
        source: source(root).to_owned(),
        found_by: root.found_by.to_owned(),
        cards,
        updated: read + removed,
        index: index.path().map(Path::to_path_buf),
    });
    Ok(answer)
}

fn answer(store: &Store, question: &Question) -> Result<Answer, HistoryErrorOrSql> {
    let request = question.request;
    let names = Names::built_in()?;
    let mut resolution = Resolution::default();
    if let (Some(signs), Some(model)) = (&question.signs, &request.model) {
        let folders = overview::folders(store)?;
        resolution = family::resolve(signs, &folders)?;
        if resolution.best.is_none() && family::is_source(model) {
            resolution.adopt(overview::family_naming(store, model)?, &folders);
        }
    }
    let mut families: Vec<String> = resolution.by_framework.values().cloned().collect();
    families.dedup();
    let files = resolution
        .by_framework
        .iter()
        .map(|(framework, family)| overview::implementation(store, framework, family, names))
        .collect::<rusqlite::Result<_>>()?;
    let words = request
        .query
        .as_deref()
        .filter(|query| !query.trim().is_empty());
    let (hits, total) = match words {
        Some(query) => search(store, query, &families, &question.filters, question.limit)?,
        None => newest(store, &families, &question.filters, question.limit)?,
    };
    let wanted = request.record.iter().flat_map(|record| &record.decisions);
    let decisions = wanted
        .map(|decision| {
            let framework = decision
                .framework
                .as_deref()
                .or(request.framework.as_deref());
            let framework = framework.map(framework_name);
            lookup(
                store,
                decision.pr,
                decision.path.as_deref(),
                framework.as_deref(),
                &families,
            )
        })
        .collect::<rusqlite::Result<_>>()?;
    Ok(Answer {
        resolution,
        hits,
        total,
        files,
        decisions,
    })
}

/// The family over all roots; a folder's name counts before one made from files.
fn settle_family(record: &mut QueryRecord, answers: &[(&Root, Answer)]) -> Option<String> {
    let of_kind = |kind: Kind| {
        answers
            .iter()
            .filter(move |(root, _)| root.kind == kind)
            .filter_map(|(_, answer)| answer.resolution.best.as_ref())
            .max_by(|a, b| a.confidence.total_cmp(&b.confidence))
    };
    let best = of_kind(Kind::Knowledge)
        .or_else(|| of_kind(Kind::Git))
        .cloned();
    let mut others: BTreeMap<String, f64> = BTreeMap::new();
    for (_, answer) in answers
        .iter()
        .filter(|(root, _)| root.kind == Kind::Knowledge)
    {
        let guesses = answer
            .resolution
            .best
            .iter()
            .chain(&answer.resolution.runners_up);
        for guess in guesses.filter(|guess| best.as_ref().is_none_or(|b| b.family != guess.family))
        {
            let known = others.entry(guess.family.clone()).or_default();
            *known = known.max(guess.confidence);
        }
    }
    let guess = |(family, confidence)| FamilyGuess { family, confidence };
    record.runners_up = others.into_iter().map(guess).collect();
    record
        .runners_up
        .sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    record.runners_up.truncate(4);
    record.confidence = best.as_ref().map_or(0.0, |best| best.confidence);
    record.family = best.map(|best| best.family);
    record.family.clone()
}

/// Puts the hits of all roots into one order, one card a pull request.
fn gather(
    record: &mut QueryRecord,
    answers: Vec<(&Root, Answer)>,
    question: &Question,
    family: Option<String>,
) -> Result<(), HistoryError> {
    let classes = Classes::built_in()?;
    let listing = question
        .request
        .query
        .as_deref()
        .is_none_or(|query| query.trim().is_empty());
    let mut cards: Vec<Card> = Vec::new();
    for (root, answer) in answers {
        record.total += answer.total;
        for hit in answer.hits {
            let own = answer.resolution.by_framework.get(&hit.row.framework);
            let is_own =
                own.is_some_and(|own| hit.row.family.iter().chain(&hit.row.kin).any(|f| f == own));
            let mut card = card(hit, root, classes);
            if root.kind == Kind::Git && is_own {
                card.family.clone_from(&family);
            }
            cards.push(card);
        }
    }
    let by_date = |a: &Card, b: &Card| b.date.cmp(&a.date);
    let by_score = |a: &Card, b: &Card| b.score.total_cmp(&a.score);
    // Of one change, the card with the review comes before the bare commit.
    let by_source = |a: &Card, b: &Card| b.source.cmp(&a.source);
    if listing {
        cards.sort_by(|a, b| by_date(a, b).then_with(|| by_source(a, b)));
    } else {
        cards.sort_by(|a, b| {
            by_score(a, b)
                .then_with(|| by_source(a, b))
                .then_with(|| by_date(a, b))
        });
    }
    for card in cards {
        let same = |known: &&mut Card| {
            known.pr.is_some()
                && known.pr == card.pr
                && known.framework == card.framework
                && (known.source != card.source || known.title == card.title)
        };
        match record.cards.iter_mut().find(same) {
            Some(known) => {
                record.total = record.total.saturating_sub(1);
                merge(known, card);
            }
            None => record.cards.push(card),
        }
    }
    record.cards.truncate(question.limit);
    Ok(())
}

/// Adds what a second source knows of the same change.
fn merge(known: &mut Card, other: Card) {
    if known.source == "git" && other.source == "knowledge" {
        let score = known.score.max(other.score);
        let first = std::mem::replace(known, other);
        known.score = score;
        known.commit = first.commit;
    } else {
        known.commit = known.commit.take().or(other.commit);
    }
}

fn card(hit: Hit, root: &Root, classes: &Classes) -> Card {
    let row = hit.row;
    Card {
        framework: row.framework,
        family: row.family,
        pr: row.pr,
        title: row.title,
        state: row.state,
        date: row.date,
        files: row.files,
        symbols: row.symbols,
        classes: classes.names(row.classes),
        risk: row.risk,
        path: root.path.join(&row.path),
        line: row.line,
        line_end: row.line_end,
        source: source(root).to_owned(),
        commit: row.revision,
        also_in: hit.also_in,
        score: (hit.score * 1000.0).round() / 1000.0,
        reason: hit.reason,
    }
}

fn source(root: &Root) -> &'static str {
    match root.kind {
        Kind::Knowledge => "knowledge",
        Kind::Git => "git",
    }
}

fn note_absence(record: &mut QueryRecord, found: &Found, question: &Question) {
    let asked = question
        .request
        .model
        .as_ref()
        .or(question.request.query.as_ref());
    if found.roots.is_empty() {
        record.findings.push(Finding::NoRoot {
            looked: found.looked.clone(),
        });
    } else if record.cards.is_empty() || (question.signs.is_some() && record.family.is_none()) {
        record.findings.push(Finding::NoMatch {
            roots: found.roots.iter().map(|root| root.path.clone()).collect(),
            asked: asked.cloned().unwrap_or_default(),
            nearest: record.runners_up.clone(),
        });
    }
}

fn shorten(record: &mut QueryRecord) {
    for card in &mut record.cards {
        let long = card.files.len() > FILES_SHOWN || card.symbols.len() > SYMBOLS_SHOWN;
        record.truncated |= long;
        card.files.truncate(FILES_SHOWN);
        card.symbols.truncate(SYMBOLS_SHOWN);
        if let Some(risk) = card.risk.as_mut().filter(|risk| risk.len() > RISK_SHOWN) {
            *risk = format!("{}…", super::card::clip(risk, RISK_SHOWN));
            record.truncated = true;
        }
    }
    record.truncated |= record.total > record.cards.len();
}

fn next(record: &QueryRecord, request: &QueryRequest) -> String {
    let asked = match (&request.model, &request.query) {
        (Some(model), _) => format!("\"model\": {model:?}"),
        (None, query) => format!("\"query\": {:?}", query.as_deref().unwrap_or_default()),
    };
    let absent = |finding: &Finding| !matches!(finding, Finding::Unreadable { .. });
    if let Some(path) = &record.notes_path {
        format!(
            "read {}; then run_benchmark with label \"baseline\"",
            path.display()
        )
    } else if record.findings.iter().any(absent) && record.cards.is_empty() {
        format!(
            "query_history {{{asked}, \"record\": {{\"decisions\": []}}}} writes down that nothing was found"
        )
    } else {
        let pr = record.cards.iter().find_map(|card| card.pr);
        let pr = pr.map_or("\"path\": \"...\"".to_owned(), |pr| format!("\"pr\": {pr}"));
        format!(
            "read the cards at their lines, then query_history {{{asked}, \"record\": {{\"decisions\": [{{{pr}, \"influenced\": \"...\", \"risk\": \"...\"}}]}}}}"
        )
    }
}

fn limit(request: &QueryRequest) -> Result<usize, HistoryError> {
    let limit = request.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=LARGEST_LIMIT).contains(&limit) {
        return Err(HistoryError::Argument {
            field: "limit",
            value: limit.to_string(),
            expected: format!("1 to {LARGEST_LIMIT}"),
        });
    }
    Ok(limit as usize)
}

fn filters(request: &QueryRequest) -> Result<Filters, HistoryError> {
    let classes = Classes::built_in()?;
    let class = request.class.as_deref().map(|name| classes.bit(name));
    Ok(Filters {
        framework: request.framework.as_deref().map(framework_name),
        family: request.family.clone(),
        file: request.file.clone(),
        class: class.transpose()?,
        state: request.state.as_deref().map(state).transpose()?,
        since: day("since", request.since.as_deref())?,
        until: day("until", request.until.as_deref())?,
    })
}

fn framework_name(name: &str) -> String {
    name.trim().to_lowercase().replace('-', "_")
}

fn state(name: &str) -> Result<String, HistoryError> {
    let name = name.trim().to_lowercase();
    if ["merged", "open", "closed", "unknown"].contains(&name.as_str()) {
        return Ok(name);
    }
    Err(HistoryError::Argument {
        field: "state",
        value: name,
        expected: "merged, open or closed".to_owned(),
    })
}

fn day(field: &'static str, value: Option<&str>) -> Result<Option<String>, HistoryError> {
    let Some(value) = value else { return Ok(None) };
    let shaped = value.len() == 10
        && value.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if shaped {
        return Ok(Some(value.to_owned()));
    }
    Err(HistoryError::Argument {
        field,
        value: value.to_owned(),
        expected: "a day as YYYY-MM-DD".to_owned(),
    })
}
