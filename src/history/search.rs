//! Finds changes in one index: candidates by BM25 over all fields, then the
//! order by how well the title answers the words.

use std::collections::HashMap;

use rusqlite::types::ToSql;

use super::question::Question;
use super::rank::{reason, score};
use super::store::{Row, Store};
use super::vocabulary::Vocabulary;

/// Candidates that are ranked with care.
const CANDIDATES: usize = 200;
/// Weights of title and tags, and of files, symbols, prose and code, in BM25.
const TITLE_FIELDS: &str = "4.0, 1.0";
const BODY_FIELDS: &str = "2.0, 4.0, 1.0, 0.5";
/// Share of the best score below which a change is not named.
const WORTH_NAMING: f64 = 0.3;

/// What narrows a search.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    pub framework: Option<String>,
    pub family: Option<String>,
    pub file: Option<String>,
    pub class: Option<u32>,
    pub state: Option<String>,
    pub since: Option<String>,
    pub until: Option<String>,
}

/// A change that was found.
#[derive(Debug, Clone)]
pub struct Hit {
    pub row: Row,
    pub score: f64,
    pub reason: String,
    /// `framework/family` of further cards of the same change.
    pub also_in: Vec<String>,
}

/// The `most` best changes for `query` in one index, best first, and how many
/// there are worth naming; changes of `families` are preferred.
pub fn search(
    store: &Store,
    query: &str,
    families: &[String],
    filters: &Filters,
    most: usize,
) -> rusqlite::Result<(Vec<Hit>, usize)> {
    let titles = Vocabulary::of_titles(store)?;
    let question = Question::read(query, &titles);
    let mut found = candidates(store, &question, &titles, filters)?;
    let best = found
        .iter()
        .map(|c| c.relevance)
        .fold(0.0, f64::max)
        .max(f64::MIN_POSITIVE);
    for candidate in &mut found {
        candidate.score = score(candidate, &question, &titles, best, families);
    }
    let language = if query.is_ascii() { ".zh." } else { ".en." };
    found.sort_by(|a, b| {
        let foreign = |c: &Candidate| c.path.contains(language);
        b.score
            .total_cmp(&a.score)
            .then_with(|| b.date.cmp(&a.date))
            .then_with(|| foreign(a).cmp(&foreign(b)))
            .then_with(|| a.path.cmp(&b.path))
    });
    let floor = found
        .first()
        .map_or(0.0, |first| first.score * WORTH_NAMING);
    let mut groups: Vec<(Candidate, Vec<String>)> = Vec::new();
    for candidate in found.into_iter().filter(|c| c.score >= floor) {
        match groups
            .iter_mut()
            .find(|(first, _)| first.same_change(&candidate))
        {
            Some((first, also)) => first.note(&candidate, also),
            None => groups.push((candidate, Vec::new())),
        }
    }
    let total = groups.len();
    let hit = |(candidate, also_in): (Candidate, Vec<String>)| {
        let row = row(store, candidate.id)?;
        let reason = reason(&row, &question, families);
        Ok(Hit {
            score: candidate.score,
            row,
            reason,
            also_in,
        })
    };
    let hits = groups
        .into_iter()
        .take(most)
        .map(hit)
        .collect::<rusqlite::Result<_>>()?;
    Ok((hits, total))
}

/// The changes of `families`, newest first, and how many there are.
pub fn newest(
    store: &Store,
    families: &[String],
    filters: &Filters,
    most: usize,
) -> rusqlite::Result<(Vec<Hit>, usize)> {
    let mut parameters: Vec<Box<dyn ToSql>> = Vec::new();
    let any: Vec<String> = families
        .iter()
        .map(|f| family_condition(f, &mut parameters))
        .collect();
    if any.is_empty() {
        return Ok((Vec::new(), 0));
    }
    let wanted = format!("({}){}", any.join(" OR "), filters.sql(&mut parameters));
    let sql = format!(
        "SELECT MIN(id), framework, pr, COUNT(*) OVER () FROM cards WHERE {wanted}
         GROUP BY framework, COALESCE(pr, -id) ORDER BY date DESC, id LIMIT {most}"
    );
    let borrowed: Vec<&dyn ToSql> = parameters.iter().map(AsRef::as_ref).collect();
    let mut read = store.db().prepare(&sql)?;
    let found: Vec<(i64, i64)> = read
        .query_map(borrowed.as_slice(), |row| Ok((row.get(0)?, row.get(3)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let total = found.first().map_or(0, |(_, total)| *total);
    let hit = |(id, _): (i64, i64)| {
        Ok(Hit {
            row: row(store, id)?,
            score: 1.0,
            reason: "a change of the family, newest first".to_owned(),
            also_in: Vec::new(),
        })
    };
    let hits = found
        .into_iter()
        .map(hit)
        .collect::<rusqlite::Result<_>>()?;
    Ok((hits, usize::try_from(total).unwrap_or(0)))
}

/// The changes with this number, or that name this file; those of `families` first.
pub fn lookup(
    store: &Store,
    pr: Option<u64>,
    path: Option<&str>,
    framework: Option<&str>,
    families: &[String],
) -> rusqlite::Result<Vec<Row>> {
    let mut parameters: Vec<Box<dyn ToSql>> = Vec::new();
    let mut conditions = Vec::new();
    let mut add = |before: &str, after: &str, value: Box<dyn ToSql>| {
        parameters.push(value);
        conditions.push(format!("{before}?{}{after}", parameters.len()));
    };
    if let Some(pr) = pr {
        add("pr = ", "", Box::new(i64::try_from(pr).unwrap_or(-1)));
    }
    if let Some(path) = path {
        add(
            "0 < instr(files || char(10) || path, ",
            ")",
            Box::new(path.to_owned()),
        );
    }
    if let Some(framework) = framework {
        add("framework = ", "", Box::new(framework.to_owned()));
    }
    let sql = format!(
        "SELECT id FROM cards WHERE {} ORDER BY date DESC LIMIT 200",
        conditions.join(" AND ")
    );
    let borrowed: Vec<&dyn ToSql> = parameters.iter().map(AsRef::as_ref).collect();
    let mut read = store.db().prepare(&sql)?;
    let ids: Vec<i64> = read
        .query_map(borrowed.as_slice(), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut rows: Vec<Row> = ids
        .into_iter()
        .map(|id| row(store, id))
        .collect::<rusqlite::Result<_>>()?;
    rows.sort_by_key(|row| {
        !row.family
            .iter()
            .chain(&row.kin)
            .any(|family| families.contains(family))
    });
    Ok(rows)
}

fn family_condition(family: &str, parameters: &mut Vec<Box<dyn ToSql>>) -> String {
    parameters.push(Box::new(family.to_owned()));
    let at = parameters.len();
    format!("(family = ?{at} OR 0 < instr(kin, '|' || ?{at} || '|'))")
}

impl Filters {
    /// Conditions on `cards`, each led by AND; their values go into `parameters`.
    fn sql(&self, parameters: &mut Vec<Box<dyn ToSql>>) -> String {
        let text = |value: &Option<String>| -> Option<Box<dyn ToSql>> {
            value.clone().map(|value| Box::new(value) as Box<dyn ToSql>)
        };
        let conditions = [
            ("framework = ", "", text(&self.framework)),
            ("state = ", "", text(&self.state)),
            ("date >= ", "", text(&self.since)),
            ("date <= ", "", text(&self.until)),
            ("0 < instr(files, ", ")", text(&self.file)),
            (
                "0 <> (classes & ",
                ")",
                self.class.map(|class| Box::new(class) as Box<dyn ToSql>),
            ),
        ];
        let mut sql = String::new();
        if let Some(family) = &self.family {
            sql.push_str(&format!(" AND {}", family_condition(family, parameters)));
        }
        for (before, after, value) in conditions {
            if let Some(value) = value {
                parameters.push(value);
                sql.push_str(&format!(" AND {before}?{}{after}", parameters.len()));
            }
        }
        sql
    }

    fn narrows(&self) -> bool {
        let texts = [
            &self.framework,
            &self.family,
            &self.file,
            &self.state,
            &self.since,
            &self.until,
        ];
        self.class.is_some() || texts.iter().any(|text| text.is_some())
    }
}

/// A change as the full-text tables give it.
pub struct Candidate {
    id: i64,
    pub title: String,
    framework: String,
    path: String,
    family: Option<String>,
    kin: Option<String>,
    pub pr: Option<u64>,
    date: Option<String>,
    /// BM25, more is better.
    pub relevance: f64,
    score: f64,
}

impl Candidate {
    /// Whether the family is among those that it changes.
    pub fn touches(&self, family: &str) -> bool {
        self.family.as_deref() == Some(family)
            || self
                .kin
                .as_ref()
                .is_some_and(|kin| kin.contains(&format!("|{family}|")))
    }

    /// The same pull request in the other language, or in another family's folder.
    fn same_change(&self, other: &Self) -> bool {
        self.pr.is_some()
            && self.pr == other.pr
            && self.framework == other.framework
            && (self.family == other.family || self.title == other.title)
    }

    fn note(&self, other: &Self, also_in: &mut Vec<String>) {
        if let Some(family) = other
            .family
            .as_ref()
            .filter(|_| other.family != self.family)
        {
            let place = format!("{}/{family}", other.framework);
            if !also_in.contains(&place) {
                also_in.push(place);
            }
        }
    }
}

fn candidates(
    store: &Store,
    question: &Question,
    titles: &Vocabulary,
    filters: &Filters,
) -> rusqlite::Result<Vec<Candidate>> {
    let everywhere = Vocabulary::everywhere(store)?;
    let terms = question.terms();
    let telling: Vec<&str> = terms
        .iter()
        .copied()
        .filter(|t| !everywhere.knows(t))
        .collect();
    let telling = if telling.is_empty() { &terms } else { &telling };
    let mut found = matching(
        store,
        "titles",
        TITLE_FIELDS,
        &question.rare_terms(titles),
        filters,
    )?;
    let mut places: HashMap<i64, usize> = found.iter().zip(0..).map(|(c, at)| (c.id, at)).collect();
    for candidate in matching(store, "bodies", BODY_FIELDS, telling, filters)? {
        match places.get(&candidate.id).and_then(|&at| found.get_mut(at)) {
            Some(known) => known.relevance += candidate.relevance,
            None => {
                places.insert(candidate.id, found.len());
                found.push(candidate);
            }
        }
    }
    for number in &question.numbers {
        let mut parameters: Vec<Box<dyn ToSql>> =
            vec![Box::new(i64::try_from(*number).unwrap_or(0))];
        let conditions = filters.sql(&mut parameters);
        let sql = format!(
            "SELECT id, title, framework, path, family, pr, date, 0.0, kin FROM cards WHERE pr = ?1{conditions} LIMIT 50"
        );
        for candidate in collect(store, &sql, &parameters)? {
            if !places.contains_key(&candidate.id) {
                found.push(candidate);
            }
        }
    }
    Ok(found)
}

/// The best changes by BM25 over one full-text table.
fn matching(
    store: &Store,
    table: &str,
    weights: &str,
    terms: &[&str],
    filters: &Filters,
) -> rusqlite::Result<Vec<Candidate>> {
    if terms.is_empty() {
        return Ok(Vec::new());
    }
    let quoted: Vec<String> = terms.iter().map(|term| format!("\"{term}\"")).collect();
    let mut parameters: Vec<Box<dyn ToSql>> = vec![Box::new(quoted.join(" OR "))];
    let conditions = filters.sql(&mut parameters);
    let narrowed = if filters.narrows() {
        format!(" AND rowid IN (SELECT id FROM cards WHERE 1{conditions})")
    } else {
        String::new()
    };
    let sql = format!(
        "SELECT c.id, c.title, c.framework, c.path, c.family, c.pr, c.date, t.relevance, c.kin FROM (
            SELECT rowid AS id, -bm25({table}, {weights}) AS relevance FROM {table}
            WHERE {table} MATCH ?1{narrowed} ORDER BY relevance DESC LIMIT {CANDIDATES}
         ) t JOIN cards c ON c.id = t.id"
    );
    collect(store, &sql, &parameters)
}

fn collect(
    store: &Store,
    sql: &str,
    parameters: &[Box<dyn ToSql>],
) -> rusqlite::Result<Vec<Candidate>> {
    let borrowed: Vec<&dyn ToSql> = parameters.iter().map(AsRef::as_ref).collect();
    let mut read = store.db().prepare_cached(sql)?;
    let rows = read.query_map(borrowed.as_slice(), |row| {
        Ok(Candidate {
            id: row.get(0)?,
            title: row.get(1)?,
            framework: row.get(2)?,
            path: row.get(3)?,
            family: row.get(4)?,
            pr: row.get::<_, Option<i64>>(5)?.map(i64::unsigned_abs),
            date: row.get(6)?,
            relevance: row.get(7)?,
            kin: row.get(8)?,
            score: 0.0,
        })
    })?;
    rows.collect()
}

fn split_kin(kin: Option<String>) -> Vec<String> {
    let text = kin.unwrap_or_default();
    let families = text.split('|').filter(|family| !family.is_empty());
    families.map(str::to_owned).collect()
}

/// One change by its place in the index.
pub fn row(store: &Store, id: i64) -> rusqlite::Result<Row> {
    let mut read = store.db().prepare_cached(
        "SELECT framework, family, pr, title, state, date, classes, files, symbols, risk, path,
         line, line_end, revision, kin FROM cards WHERE id = ?1",
    )?;
    read.query_row([id], |row| {
        let list = |text: String| text.lines().map(str::to_owned).collect();
        Ok(Row {
            framework: row.get(0)?,
            family: row.get(1)?,
            pr: row.get::<_, Option<i64>>(2)?.map(i64::unsigned_abs),
            title: row.get(3)?,
            state: row.get(4)?,
            date: row.get(5)?,
            classes: row.get(6)?,
            files: list(row.get(7)?),
            symbols: list(row.get(8)?),
            risk: row.get(9)?,
            path: row.get(10)?,
            line: row.get(11)?,
            line_end: row.get(12)?,
            revision: row.get(13)?,
            kin: split_kin(row.get(14)?),
        })
    })
}
