//! The same collective on every rank: who waited, and how long the transfer took.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::record::{CollectiveRow, RankSkew};
use super::units::{microseconds, rounded};
use crate::trace::{
    self, GpuKind, KernelCategory, ReadOptions, Trace, TraceError, categorize, short,
};

/// A collective on one rank, on the hosts' common clock.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    start_ns: i64,
    end_ns: i64,
}

/// Collectives by group and name, each in the order in which a rank did them.
type Sequence = BTreeMap<(String, String), Vec<Arrival>>;

/// Reads the traces of several ranks and matches their collectives by ordinal.
pub(super) fn skew(ranks: &[(u32, PathBuf)]) -> Result<RankSkew, TraceError> {
    let options = ReadOptions {
        python_frames: false,
        cpu_ops: false,
    };
    let mut sequences = Vec::new();
    for (rank, path) in ranks {
        sequences.push((*rank, sequence(&trace::read(path, &options)?)));
    }
    Ok(match_ranks(&sequences))
}

fn sequence(trace: &Trace) -> Sequence {
    let base = trace.meta.base_time_ns.unwrap_or(0);
    let groups: HashMap<u32, String> = trace
        .gpu
        .collectives
        .iter()
        .map(|collective| {
            let group = collective.group.map_or("", |name| trace.text(name));
            (collective.row, group.to_owned())
        })
        .collect();
    let mut names: HashMap<_, Option<String>> = HashMap::new();
    let mut found = Sequence::new();
    for row in 0..trace.gpu.len() {
        if trace.gpu.kind[row] != GpuKind::Kernel {
            continue;
        }
        let name = names
            .entry(trace.gpu.name[row])
            .or_insert_with_key(|&name| {
                let text = trace.text(name);
                (categorize(text) == KernelCategory::Communication).then(|| short(text))
            });
        let Some(name) = name else { continue };
        let group = u32::try_from(row).ok().and_then(|row| groups.get(&row));
        found
            .entry((group.cloned().unwrap_or_default(), name.clone()))
            .or_default()
            .push(Arrival {
                start_ns: base.saturating_add(trace.gpu.start_ns[row]),
                end_ns: base.saturating_add(trace.gpu.end_ns(row)),
            });
    }
    found
}

fn match_ranks(sequences: &[(u32, Sequence)]) -> RankSkew {
    let mut collectives = Vec::new();
    let keys = sequences.first().map(|(_, first)| first.keys());
    for key in keys.into_iter().flatten() {
        let lists: Option<Vec<(u32, &Vec<Arrival>)>> = sequences
            .iter()
            .map(|(rank, sequence)| Some((*rank, sequence.get(key)?)))
            .collect();
        if let Some(row) = lists.and_then(|lists| collective(&key.1, &lists)) {
            collectives.push(row);
        }
    }
    collectives.sort_by(|a, b| {
        let total = |row: &CollectiveRow| row.waiting_us * f64::from(row.count);
        total(b).total_cmp(&total(a))
    });
    RankSkew {
        ranks: sequences.iter().map(|&(rank, _)| rank).collect(),
        collectives,
    }
}

fn collective(name: &str, ranks: &[(u32, &Vec<Arrival>)]) -> Option<CollectiveRow> {
    let count = ranks.iter().map(|(_, list)| list.len()).min()?;
    if count == 0 || ranks.len() < 2 {
        return None;
    }
    let (mut skew, mut waiting, mut transfer) = (0, 0, 0);
    let mut last: BTreeMap<u32, usize> = BTreeMap::new();
    for ordinal in 0..count {
        let arrivals = ranks.iter().map(|(rank, list)| (*rank, list[ordinal]));
        let (last_rank, latest) = arrivals
            .clone()
            .map(|(rank, arrival)| (rank, arrival.start_ns))
            .max_by_key(|&(rank, start)| (start, std::cmp::Reverse(rank)))?;
        let first = arrivals
            .clone()
            .map(|(_, arrival)| arrival.start_ns)
            .min()?;
        skew += latest - first;
        *last.entry(last_rank).or_default() += 1;
        for (_, arrival) in arrivals {
            waiting += latest.min(arrival.end_ns) - arrival.start_ns;
            transfer += (arrival.end_ns - latest).max(0);
        }
    }
    let each = |sum: i64| rounded(microseconds(sum) / (count * ranks.len()) as f64, 3);
    let (&last_rank, &times) = last.iter().max_by_key(|&(_, &times)| times)?;
    Some(CollectiveRow {
        name: name.to_owned(),
        count: u32::try_from(count).unwrap_or(u32::MAX),
        skew_us: rounded(microseconds(skew) / count as f64, 3),
        waiting_us: each(waiting),
        transfer_us: each(transfer),
        last_rank,
        last_rank_pct: rounded(times as f64 / count as f64 * 100.0, 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_when_the_last_rank_arrives() {
        let rank = |starts: &[i64], end: &[i64]| -> Sequence {
            let list = starts
                .iter()
                .zip(end)
                .map(|(&start_ns, &end_ns)| Arrival { start_ns, end_ns })
                .collect();
            [((String::new(), "allreduce".to_owned()), list)].into()
        };
        let found = match_ranks(&[
            (0, rank(&[0, 100_000], &[12_000, 110_000])),
            (
                1,
                rank(&[8_000, 104_000, 200_000], &[12_000, 110_000, 210_000]),
            ),
        ]);
        let row = &found.collectives[0];
        assert_eq!(row.count, 2);
        assert_eq!(row.skew_us, 6.0);
        assert_eq!(row.waiting_us, 3.0);
        assert_eq!(row.transfer_us, 5.0);
        assert_eq!((row.last_rank, row.last_rank_pct), (1, 100.0));
    }
}
