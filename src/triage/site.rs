//! Where in the source an eagerly launched kernel was asked for.

use std::collections::HashMap;

use super::frame::{Frame, Frames, LEAST_RANK, MODEL_RANK, SourceLine};
use crate::trace::{LaunchIndex, SpanIndex, ThreadId, Trace};

/// A place in the source with what surrounds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Site {
    pub line: SourceLine,
    /// Class of the innermost `torch.nn.Module`.
    pub module: Option<String>,
    /// The innermost line in a model's own file.
    pub model: Option<SourceLine>,
    /// The innermost framework operator.
    pub op: Option<String>,
}

/// Number of a site in [`Sites`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SiteId(u32);

/// Every distinct site of an analysis, over all its traces.
#[derive(Debug, Default)]
pub(super) struct Sites {
    sites: Vec<Site>,
    known: HashMap<Site, SiteId>,
}

impl Sites {
    pub fn get(&self, id: SiteId) -> Option<&Site> {
        self.sites.get(id.0 as usize)
    }

    pub fn add(&mut self, site: Site) -> SiteId {
        if let Some(&id) = self.known.get(&site) {
            return id;
        }
        let id = SiteId(u32::try_from(self.sites.len()).unwrap_or(u32::MAX));
        self.sites.push(site.clone());
        self.known.insert(site, id);
        id
    }
}

/// Finds the sites of one trace's launches.
pub(super) struct Resolver<'t> {
    trace: &'t Trace,
    frames: Frames,
    by_launch: HashMap<LaunchIndex, Option<SiteId>>,
    by_frame: HashMap<(SpanIndex, Option<SpanIndex>), Option<SiteId>>,
}

impl<'t> Resolver<'t> {
    pub fn new(trace: &'t Trace) -> Self {
        Self {
            trace,
            frames: Frames::new(trace),
            by_launch: HashMap::new(),
            by_frame: HashMap::new(),
        }
    }

    /// The site of a launch, `None` where no frame tells.
    pub fn site(&mut self, launch: LaunchIndex, sites: &mut Sites) -> Option<SiteId> {
        if let Some(&known) = self.by_launch.get(&launch) {
            return known;
        }
        let row = launch.row();
        let launches = &self.trace.launches;
        let (thread, at) = (launches.thread[row], launches.start_ns[row]);
        let found = self.at(thread, at, sites);
        self.by_launch.insert(launch, found);
        found
    }

    /// The site that a thread was in at an instant.
    pub fn at(&mut self, thread: ThreadId, at: i64, sites: &mut Sites) -> Option<SiteId> {
        let op = self.trace.ops.innermost_at(thread, at);
        let frame = self.trace.frames.innermost_at(thread, at)?;
        self.at_frame(frame, op, at, sites)
    }

    fn at_frame(
        &mut self,
        frame: SpanIndex,
        op: Option<SpanIndex>,
        at: i64,
        sites: &mut Sites,
    ) -> Option<SiteId> {
        if let Some(&known) = self.by_frame.get(&(frame, op)) {
            return known;
        }
        let found = self.describe(frame, op, at).map(|site| sites.add(site));
        self.by_frame.insert((frame, op), found);
        found
    }

    fn describe(&mut self, innermost: SpanIndex, op: Option<SpanIndex>, at: i64) -> Option<Site> {
        let table = &self.trace.frames;
        let mut best: Option<(u8, SourceLine)> = None;
        let mut module = None;
        let mut model = None;
        let mut next = Some(innermost);
        while let Some(span) = next {
            let row = span.row();
            next = table.parent[row];
            if table.end_ns(row) < at {
                continue;
            }
            match self.frames.get(self.trace, table.name[row]) {
                Frame::Source { line, rank } => {
                    if best.as_ref().is_none_or(|(most, _)| rank > most) {
                        best = Some((*rank, line.clone()));
                    }
                    if model.is_none() && *rank == MODEL_RANK && line.path.contains("/models/") {
                        model = Some(line.clone());
                    }
                }
                Frame::Module(class) => {
                    module.get_or_insert_with(|| class.clone());
                }
                Frame::Opaque => {}
            }
            if model.is_some() && module.is_some() {
                break;
            }
        }
        let (rank, line) = best?;
        (rank >= LEAST_RANK).then(|| Site {
            line,
            module,
            model,
            op: op.map(|op| self.trace.text(self.trace.ops.name[op.row()]).to_owned()),
        })
    }
}
