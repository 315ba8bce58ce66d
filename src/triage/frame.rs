//! Python frames: what a frame's name says, and how much it tells.

use std::fmt;

use serde::Deserialize;

use crate::references::Catalogue;
use crate::trace::{KernelCategory, NameId, Trace};

/// A line of source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SourceLine {
    pub path: String,
    pub line: Option<u32>,
    pub function: String,
}

impl fmt::Display for SourceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line} {}", self.path, self.function),
            None => write!(f, "{} {}", self.path, self.function),
        }
    }
}

/// What a frame's name turned out to be.
#[derive(Debug, Clone)]
pub(super) enum Frame {
    /// Python source with its rank, higher being closer to a model's code.
    Source { line: SourceLine, rank: u8 },
    /// A `torch.nn.Module` call, by class.
    Module(String),
    /// A built-in or something that tells nothing.
    Opaque,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    rank: Vec<Rank>,
    low_signal: LowSignal,
    known: Vec<Known>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rank {
    rank: u8,
    path: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LowSignal {
    path: Vec<String>,
    function: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    engine: String,
    #[serde(default)]
    kernel: Vec<String>,
    #[serde(default)]
    category: Vec<KernelCategory>,
    path: String,
    function: String,
}

pub(super) static SITES: Catalogue<Table> = Catalogue::new(
    "source-sites.toml",
    include_str!("../../references/source-sites.toml"),
);

/// The least rank that a kernel's site may have.
pub(super) const LEAST_RANK: u8 = 2;
/// The rank of a model's own code.
pub(super) const MODEL_RANK: u8 = 5;

impl Frame {
    /// Reads a name such as `sglang/srt/models/qwen3.py(512): forward`.
    pub fn parse(name: &str) -> Self {
        if let Some(module) = name.strip_prefix("nn.Module: ") {
            let class = module.rsplit_once('_').map_or(module, |(class, _)| class);
            return Self::Module(class.to_owned());
        }
        let Some((line, function)) = split_source(name) else {
            return Self::Opaque;
        };
        let rank = rank(&line.0, &function);
        Self::Source {
            line: SourceLine {
                path: line.0,
                line: line.1,
                function,
            },
            rank,
        }
    }
}

/// The frames of a trace's string table, each read once.
#[derive(Debug)]
pub(super) struct Frames {
    by_name: Vec<Option<Frame>>,
}

impl Frames {
    pub fn new(trace: &Trace) -> Self {
        Self {
            by_name: vec![None; trace.strings.len()],
        }
    }

    pub fn get(&mut self, trace: &Trace, name: NameId) -> &Frame {
        match self.by_name.get_mut(name.row()) {
            Some(slot) => slot.get_or_insert_with(|| Frame::parse(trace.text(name))),
            None => &Frame::Opaque,
        }
    }
}

/// The source that is known to launch a kernel of this name in an engine.
pub(super) fn known_source(
    engine: &str,
    kernel: &str,
    category: KernelCategory,
) -> Option<SourceLine> {
    let kernel = kernel.to_lowercase();
    SITES
        .table()
        .known
        .iter()
        .filter(|known| known.engine == engine)
        .find(|known| {
            known.kernel.iter().any(|word| kernel.contains(word))
                || known.category.contains(&category)
        })
        .map(|known| SourceLine {
            path: known.path.clone(),
            line: None,
            function: known.function.clone(),
        })
}

fn split_source(name: &str) -> Option<((String, Option<u32>), String)> {
    let (place, function) = name.split_once("): ")?;
    let (path, line) = place.rsplit_once('(')?;
    let path = shorten(path);
    Some(((path.to_owned(), line.parse().ok()), function.to_owned()))
}

/// The path from its package on, for absolute paths.
fn shorten(path: &str) -> &str {
    for mark in ["site-packages/", "dist-packages/", "/python/"] {
        if let Some(at) = path.rfind(mark) {
            return &path[at + mark.len()..];
        }
    }
    path
}

fn rank(path: &str, function: &str) -> u8 {
    let low = &SITES.table().low_signal;
    if low.path.iter().any(|part| path.contains(part.as_str()))
        || low.function.iter().any(|word| word == function)
    {
        return 0;
    }
    SITES
        .table()
        .rank
        .iter()
        .find(|rank| rank.path.iter().any(|part| path.contains(part.as_str())))
        .map_or(1, |rank| rank.rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_and_ranked() {
        let ranked = |name: &str| match Frame::parse(name) {
            Frame::Source { line, rank } => (line.path, line.line, line.function, rank),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            ranked("/usr/lib/python3/dist-packages/sglang/srt/models/qwen3.py(512): forward"),
            (
                "sglang/srt/models/qwen3.py".into(),
                Some(512),
                "forward".into(),
                5
            )
        );
        assert_eq!(ranked("torch/cuda/graphs.py(137): replay").3, 0);
        assert_eq!(
            ranked("sgl_kernel/elementwise.py(125): fused_add_rmsnorm").3,
            3
        );
        assert_eq!(ranked("multiprocessing/process.py(108): run").3, 1);
        assert!(matches!(
            Frame::parse("nn.Module: RowParallelLinear_12"),
            Frame::Module(class) if class == "RowParallelLinear"
        ));
        assert!(matches!(
            Frame::parse("<built-in method linear of type object at 0x7f>"),
            Frame::Opaque
        ));
    }
}
