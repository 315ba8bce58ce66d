//! What two compared rows must share, and whether they do.

use super::candidates::Candidate;
use super::record::Unfair;
use super::rows::Row;

/// Token totals may differ by this share.
const TOKENS_TOLERANCE: f64 = 0.01;

/// Field name of the program that measured.
pub const CLIENT: &str = "client";

/// Field name of a sealed leader that runs differently now.
pub const DRIFT: &str = "leader_drift";

type Field = (&'static str, fn(&Row) -> Option<String>);

/// Fields that must be equal where both sides record them.
const EQUAL: [Field; 11] = [
    (CLIENT, |row| {
        // Rows of our own name no client.
        Some(row.client.as_deref().unwrap_or("sota-loop").to_owned())
    }),
    ("model", |row| owned(row.model.as_deref())),
    ("workload_sha256", |row| {
        let in_workload = row.workload.workload_sha256.as_deref();
        owned(row.workload_sha256.as_deref().or(in_workload))
    }),
    ("workload.input_len", |row| text(row.workload.input_len)),
    ("workload.output_len", |row| text(row.workload.output_len)),
    ("workload.num_prompts", |row| text(row.workload.num_prompts)),
    ("workload.endpoint", |row| {
        owned(row.workload.endpoint.as_deref())
    }),
    ("hardware.gpu_model", |row| {
        owned(row.hardware.as_ref()?.gpu_model.as_deref())
    }),
    ("hardware.gpu_count", |row| {
        text(row.hardware.as_ref()?.gpu_count)
    }),
    ("cache.prefix_cache_enabled", |row| {
        Some(row.cache.as_ref()?.prefix_cache_enabled?.to_string())
    }),
    ("spec_decode.enabled", |row| {
        Some(row.spec_decode.as_ref()?.enabled?.to_string())
    }),
];

/// Empty is not recorded.
fn owned(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn text(number: Option<f64>) -> Option<String> {
    number.map(|number| number.to_string())
}

/// Mean tokens of a request. Throughputs of one run share its duration, so
/// their ratio is exact.
fn tokens_per_request(row: &Row) -> Option<[f64; 2]> {
    let requests = row.metrics.get("request_throughput")?;
    let output = row.metrics.get("output_token_throughput")?;
    let total = row.metrics.get("total_token_throughput")?;
    Some([(total - output) / requests, output / requests])
}

/// Differences between the paired rows of two candidates, but for declared ones.
///
/// Rows are compared pair by pair, so that each repeat may have prompts of its own.
pub fn differences(target: &Candidate, leader: &Candidate, declared: &[String]) -> Vec<Unfair> {
    let pairs = target.row_pairs_with(leader);
    let equal = EQUAL.iter().filter_map(|(field, value)| {
        pairs.iter().find_map(|(mine, theirs)| {
            let (mine, theirs) = (value(mine), value(theirs));
            let differ = match (&mine, &theirs) {
                (Some(mine), Some(theirs)) => mine != theirs,
                _ => false,
            };
            differ.then(|| unfair(field, mine, theirs))
        })
    });
    let noted = pairs.iter().find_map(|(mine, theirs)| {
        let (mine, theirs) = (not_normalized(mine), not_normalized(theirs));
        (mine.is_some() || theirs.is_some()).then(|| unfair("normalization", mine, theirs))
    });
    let tokens = ["input_tokens", "output_tokens"]
        .into_iter()
        .enumerate()
        .filter_map(|(index, field)| {
            let mine = mean_tokens(pairs.iter().map(|(mine, _)| *mine), index)?;
            let theirs = mean_tokens(pairs.iter().map(|(_, theirs)| *theirs), index)?;
            let show = |tokens: f64| Some(format!("{tokens:.1} a request"));
            ((mine / theirs - 1.0).abs() > TOKENS_TOLERANCE)
                .then(|| unfair(field, show(mine), show(theirs)))
        });
    equal
        .chain(noted)
        .chain(tokens)
        .filter(|difference| !declared.contains(&difference.field))
        .collect()
}

/// A row's own note that its run was not normalised.
fn not_normalized(row: &Row) -> Option<String> {
    let checks = row.normalization.as_ref()?;
    let broken: Vec<&str> = [
        ("same_gpu_count", checks.same_gpu_count),
        ("same_model_weights", checks.same_model_weights),
        ("same_tokenizer", checks.same_tokenizer),
        ("same_endpoint", checks.same_endpoint),
    ]
    .into_iter()
    .filter(|(_, same)| *same == Some(false))
    .map(|(name, _)| name)
    .collect();
    (!broken.is_empty()).then(|| format!("not {}", broken.join(", ")))
}

fn mean_tokens<'a>(rows: impl Iterator<Item = &'a Row>, index: usize) -> Option<f64> {
    let tokens: Vec<f64> = rows
        .filter_map(tokens_per_request)
        .filter_map(|tokens| tokens.get(index).copied())
        .collect();
    (!tokens.is_empty()).then(|| tokens.iter().sum::<f64>() / tokens.len() as f64)
}

fn unfair(field: &str, target: Option<String>, leader: Option<String>) -> Unfair {
    let or_nothing = |value: Option<String>| value.unwrap_or_else(|| "not recorded".to_owned());
    Unfair {
        field: field.to_owned(),
        target: or_nothing(target),
        leader: or_nothing(leader),
    }
}
