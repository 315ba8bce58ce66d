//! Where warps wait: stall samples by source line, or by instruction where the
//! report has no line table.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::cubin::LineTable;
use super::facts::is_progress;
use super::group::Group;
use super::record::Hotspot;
use super::report::{Launch, Report, Source};

const PREFIX: &str = "smsp__pcsamp_warps_issue_stalled_";
/// The largest cubin that is read for its line table.
const MAX_CUBIN: u64 = 256 << 20;
/// The largest source file that lines are quoted from.
const MAX_SOURCE: u64 = 16 << 20;

/// What lines can be found with.
pub(super) struct Finder<'a> {
    pub report: &'a Report,
    pub path: &'a Path,
    /// A source file, or a folder of them.
    pub source: Option<&'a Path>,
}

/// Samples of one instruction.
#[derive(Default)]
struct Samples {
    total: f64,
    by_reason: BTreeMap<String, f64>,
}

impl Samples {
    fn add(&mut self, other: &Self) {
        self.total += other.total;
        for (reason, count) in &other.by_reason {
            *self.by_reason.entry(reason.clone()).or_default() += count;
        }
    }

    fn top(&self) -> String {
        self.by_reason
            .iter()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map_or_else(String::new, |(reason, _)| reason.clone())
    }
}

impl Finder<'_> {
    /// The places with the most stall samples, largest first.
    pub fn hotspots(&self, group: &Group, most: usize) -> Vec<Hotspot> {
        let Some(launch) = group.launch() else {
            return Vec::new();
        };
        let by_offset = samples(group);
        let all: f64 = by_offset.values().map(|samples| samples.total).sum();
        if all <= 0.0 {
            return Vec::new();
        }
        let lines = self.line_table(launch);
        let mut places: BTreeMap<(String, u32, u64), (Samples, u64, f64)> = BTreeMap::new();
        for (&offset, samples) in &by_offset {
            let key = match lines.as_ref().and_then(|table| table.line(offset)) {
                Some((file, line)) => (file.to_string(), line, 0),
                None => (String::new(), 0, offset),
            };
            let (sum, hottest, peak) = places
                .entry(key)
                .or_insert_with(|| (Samples::default(), offset, 0.0));
            sum.add(samples);
            if samples.total > *peak {
                (*hottest, *peak) = (offset, samples.total);
            }
        }
        let mut hotspots: Vec<_> = places
            .into_iter()
            .map(|((file, line, _), (samples, offset, _))| Hotspot {
                pct: samples.total / all * 100.0,
                samples: samples.total as u64,
                offset,
                text: (line > 0).then(|| self.text(launch, &file, line)).flatten(),
                line: (line > 0).then_some(line),
                file: (!file.is_empty()).then_some(file),
                stall: samples.top(),
            })
            .collect();
        hotspots.sort_by(|a, b| b.pct.total_cmp(&a.pct));
        hotspots.truncate(most);
        hotspots
    }

    fn line_table(&self, launch: &Launch) -> Option<LineTable> {
        let source = self.module(launch)?;
        let span = source.binary.filter(|span| span.length <= MAX_CUBIN)?;
        let mut file = File::open(self.path).ok()?;
        file.seek(SeekFrom::Start(span.offset)).ok()?;
        let mut cubin = Vec::new();
        file.take(span.length).read_to_end(&mut cubin).ok()?;
        LineTable::of(&cubin, &launch.mangled)
    }

    fn module(&self, launch: &Launch) -> Option<&Source> {
        self.report
            .sources
            .iter()
            .find(|source| launch.sources.contains(&source.reference))
    }

    /// A line's text, from the report or from the files at hand.
    pub fn text(&self, launch: &Launch, file: &str, line: u32) -> Option<String> {
        let inside = self
            .module(launch)
            .and_then(|source| source.files.iter().find(|known| known.name == file))
            .map(|known| known.content.clone());
        let content = inside.or_else(|| self.on_disk(file))?;
        let text = content.lines().nth(line.checked_sub(1)? as usize)?.trim();
        Some(text.chars().take(200).collect())
    }

    fn on_disk(&self, file: &str) -> Option<String> {
        let name = Path::new(file).file_name()?;
        let found = match self.source {
            Some(given) if given.is_dir() => given.join(name),
            Some(given) if given.file_name() == Some(name) => given.to_path_buf(),
            _ => PathBuf::from(file),
        };
        let size = std::fs::metadata(&found).ok()?.len();
        (size <= MAX_SOURCE)
            .then(|| std::fs::read(&found).ok())?
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Stall samples by offset in the function, over all launches of the group.
fn samples(group: &Group) -> BTreeMap<u64, Samples> {
    let mut by_offset: BTreeMap<u64, Samples> = BTreeMap::new();
    for launch in &group.launches {
        let base = base(launch);
        for (name, metric) in launch.metrics.iter() {
            let Some(reason) = name
                .strip_prefix(PREFIX)
                .filter(|reason| !reason.ends_with("_not_issued"))
            else {
                continue;
            };
            if is_progress(reason) {
                continue;
            }
            for (pc, count) in metric.instances.numbers().filter(|(_, count)| *count > 0.0) {
                let samples = by_offset.entry(pc.saturating_sub(base)).or_default();
                samples.total += count;
                *samples.by_reason.entry(reason.to_string()).or_default() += count;
            }
        }
    }
    by_offset
}

/// The address that the function was loaded at.
pub(super) fn base(launch: &Launch) -> u64 {
    launch
        .metrics
        .get("launch__function_pcs")
        .and_then(|metric| metric.instances.values.get(0)?.number())
        .map_or(0, |address| address as u64)
}
