//! From a request to its record.

use std::path::Path;

use super::class::Classes;
use super::error::HistoryError;
use super::index::Index;
use super::record::{Card, Detail, Finding, QueryRecord, QueryRequest, RootRead};
use super::roots::{Found, Kind, Places, Root, find};
use super::search::{Filters, Hit, newest, search};
use super::store::Store;
use super::sync;

const DEFAULT_LIMIT: u32 = 8;
const LARGEST_LIMIT: u32 = 100;

/// Answers a request with the places of this user.
pub fn query(request: &QueryRequest) -> Result<QueryRecord, HistoryError> {
    query_in(&Places::from_env(), request)
}

/// Answers a request with the given places.
pub fn query_in(places: &Places, request: &QueryRequest) -> Result<QueryRecord, HistoryError> {
    let filters = filters(request)?;
    let limit = limit(request)?;
    if request.model.is_none() && request.query.is_none() {
        return Err(HistoryError::NothingAsked);
    }
    let found = find(places, &request.roots, request.checkout.as_deref());
    let mut record = QueryRecord {
        findings: found.findings.clone(),
        warnings: found.warnings.clone(),
        ..QueryRecord::default()
    };
    let mut hits: Vec<(Hit, &Root)> = Vec::new();
    for root in &found.roots {
        let mut index = Index::of(root, places.index_dir.as_deref());
        let answer = index.with(|store| {
            let outcome = sync::knowledge(store, &root.path)?;
            let query = request.query.as_deref().unwrap_or_default();
            let (hits, total) = search(store, query, None, &filters, limit)?;
            Ok((outcome, hits, total, store.count()?))
        })?;
        let (outcome, found, total, cards) = answer;
        record.warnings.extend(outcome.warnings);
        record.findings.extend(outcome.findings);
        record.warnings.append(&mut index.warnings);
        record.total += total;
        record.roots.push(RootRead {
            path: root.path.clone(),
            source: "knowledge".to_owned(),
            found_by: root.found_by.to_owned(),
            cards,
            updated: outcome.read + outcome.removed,
            index: index.path().map(Path::to_path_buf),
        });
        hits.extend(found.into_iter().map(|hit| (hit, root)));
    }
    hits.sort_by(|a, b| b.0.score.total_cmp(&a.0.score));
    hits.truncate(limit);
    let classes = Classes::built_in()?;
    record.cards = hits
        .into_iter()
        .map(|(hit, root)| card(hit, root, classes))
        .collect();
    Ok(record)
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
        source: match root.kind {
            Kind::Knowledge => "knowledge",
            Kind::Git => "git",
        }
        .to_owned(),
        commit: row.revision,
        also_in: hit.also_in,
        score: (hit.score * 1000.0).round() / 1000.0,
        reason: hit.reason,
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
