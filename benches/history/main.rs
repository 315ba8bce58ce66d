//! How good and how fast the history is, on generated corpora.
//!
//! `cargo bench --bench history` prints the share of known items found by words
//! of their titles, the times to index and to ask, and the size of the index.

mod corpus;
mod random;
mod repository;
mod words;

use std::path::Path;
use std::time::{Duration, Instant};

use corpus::Known;
use random::Random;
use sota_loop::history::{Places, QueryRequest, query_in};

const BYTES: usize = 25 << 20;
const QUESTIONS: usize = 500;
const COMMITS: usize = 50_000;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("knowledge");
    let known = corpus::write(&root, BYTES, 7);
    let places = Places {
        index_dir: Some(folder.path().join("index")),
        current_dir: folder.path().to_path_buf(),
        ..Places::default()
    };
    let text = folder_size(&root);
    println!(
        "corpus: {:.1} MB, {} pull requests, {} families",
        mb(text),
        known.len(),
        words::FAMILIES.len()
    );
    let (cold, _) = ask(&places, &root, "fused qk norm rope");
    let index = folder_size(&folder.path().join("index"));
    println!(
        "index: {cold:.2?} cold; {:.1} MB, {:.2} of the text",
        mb(index),
        index as f64 / text as f64
    );
    known_items(&places, &root, &known);
    families(&places, &root);
    commits(&places, &folder.path().join("sglang"));
}

/// Real model ids against the families of the corpus: those that the alias
/// table was written with, and some that it never saw.
fn families(places: &Places, root: &Path) {
    let tables = [
        (
            "the table's own ids",
            include_str!("../../tests/fixtures/history/model-families.tsv"),
        ),
        (
            "held-out ids",
            include_str!("../../tests/fixtures/history/held-out-models.tsv"),
        ),
    ];
    for (name, table) in tables {
        let (asked, right) = family_hits(places, root, table);
        println!(
            "model to family, {name}: {:.1}% of {asked}",
            100.0 * right as f64 / asked as f64
        );
    }
}

fn family_hits(places: &Places, root: &Path, table: &str) -> (usize, usize) {
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let (mut asked, mut right) = (0, 0);
    for row in rows {
        let mut cells = row.split('\t');
        let (Some(model), Some(wanted)) = (cells.next(), cells.next()) else {
            continue;
        };
        let request = QueryRequest {
            model: Some(model.to_owned()),
            roots: vec![root.to_path_buf()],
            ..QueryRequest::default()
        };
        let record = query_in(places, &request).expect("an answer");
        let family = record.family.unwrap_or_else(|| "-".to_owned());
        asked += 1;
        right += usize::from(family == wanted);
        if family != wanted {
            println!("  {model}: {family}, not {wanted}");
        }
    }
    (asked, right)
}

/// A long git history, mined cold, again, and after one more commit.
fn commits(places: &Places, root: &Path) {
    repository::write(root, COMMITS);
    let (cold, _) = ask(places, root, "fuse norm rope kernel");
    let (again, _) = ask(places, root, "fuse norm rope kernel");
    repository::add_commit(root);
    let (added, answer) = ask(places, root, "newest");
    assert_eq!(answer.first().and_then(|(_, pr)| *pr), Some(99999));
    println!(
        "{COMMITS} commits: {cold:.2?} cold, {again:.2?} again, {added:.2?} with one new commit"
    );
}

/// Makes the words of a question about a known item, if it suits the item.
type Asker = fn(&mut Random, &Known) -> Option<String>;

fn known_items(places: &Places, root: &Path, known: &[Known]) {
    let kinds: [(&str, Asker); 5] = [
        ("title words, any order", |random, item| {
            Some(shuffled(random, &item.title))
        }),
        ("one typing error", |random, item| {
            Some(mistyped(random, &item.title, 1))
        }),
        ("two typing errors", |random, item| {
            Some(mistyped(random, &item.title, 2))
        }),
        ("three quarters of the words", |random, item| {
            Some(partial(random, &item.title))
        }),
        ("Chinese title", |random, item| {
            Some(shuffled(random, item.chinese.as_ref()?))
        }),
    ];
    let mut times = Vec::new();
    let before = processor_time();
    for (name, make) in kinds {
        let mut random = Random(99);
        let (mut asked, mut first, mut five) = (0, 0, 0);
        while asked < QUESTIONS {
            let item = &known[random.below(known.len())];
            let Some(words) = make(&mut random, item) else {
                continue;
            };
            asked += 1;
            let (took, answer) = ask(places, root, &words);
            times.push(took);
            let place = answer
                .iter()
                .position(|(framework, pr)| framework == item.framework && *pr == Some(item.pr));
            first += usize::from(place == Some(0));
            five += usize::from(place.is_some_and(|place| place < 5));
            if place.is_none_or(|place| place > 4) && std::env::var_os("SHOW_MISSES").is_some() {
                println!("  missed: {words:?} for {:?}", item.title);
            }
        }
        let percent = |n: usize| 100.0 * n as f64 / asked as f64;
        println!(
            "{name}: first {:.1}%, top five {:.1}% of {asked}",
            percent(first),
            percent(five)
        );
    }
    let busy = processor_time() - before;
    println!(
        "processor time of a warm query: {:.2?} on average",
        busy / u32::try_from(times.len()).unwrap_or(1)
    );
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "warm query: median {:.2?}, p95 {:.2?}, p99 {:.2?}, worst {:.2?}",
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0)
    );
}

fn ask(places: &Places, root: &Path, words: &str) -> (Duration, Vec<(String, Option<u64>)>) {
    let request = QueryRequest {
        query: Some(words.to_owned()),
        roots: vec![root.to_path_buf()],
        limit: Some(5),
        ..QueryRequest::default()
    };
    let start = Instant::now();
    let record = query_in(places, &request).expect("an answer");
    let took = start.elapsed();
    let cards = record
        .cards
        .into_iter()
        .map(|card| (card.framework, card.pr));
    (took, cards.collect())
}

fn shuffled(random: &mut Random, title: &str) -> String {
    let mut words: Vec<&str> = title.split_whitespace().collect();
    random.shuffle(&mut words);
    words.join(" ")
}

fn partial(random: &mut Random, title: &str) -> String {
    let mut words: Vec<&str> = title.split_whitespace().collect();
    random.shuffle(&mut words);
    words.truncate((words.len() * 3).div_ceil(4).max(2));
    words.join(" ")
}

fn mistyped(random: &mut Random, title: &str, errors: usize) -> String {
    let mut words: Vec<String> = title.split_whitespace().map(str::to_owned).collect();
    for _ in 0..errors {
        let long: Vec<usize> = (0..words.len())
            .filter(|&at| words[at].len() > 4 && words[at].bytes().all(|b| b.is_ascii_alphabetic()))
            .collect();
        if long.is_empty() {
            break;
        }
        let at = long[random.below(long.len())];
        let mut letters: Vec<char> = words[at].chars().collect();
        let place = random.below(letters.len() - 1);
        match random.below(4) {
            0 => letters.swap(place, place + 1),
            1 => {
                letters.remove(place);
            }
            2 => letters.insert(place, 'e'),
            _ => letters[place] = 'x',
        }
        words[at] = letters.into_iter().collect();
    }
    random.shuffle(&mut words);
    words.join(" ")
}

/// User and system time of this process: wall time on a busy machine says more
/// about the neighbours.
fn processor_time() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("this process's usage");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}

fn folder_size(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => folder_size(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
