//! The kernel table and the overlap table of a stage.

use std::collections::HashMap;

use super::attribute::Attribution;
use super::kernel::{KernelId, Kernels};
use super::loaded::Loaded;
use super::record::{Advice, Dependency, KernelRow, Location, OverlapRow};
use super::site::Sites;
use super::timeline::Timeline;
use super::units::{microseconds, percent, rounded};
use crate::trace::KernelCategory;

/// Places shown for a kernel.
const MOST_LOCATIONS: usize = 3;
/// A pause up to this part of a kernel's length still counts as back to back.
const TIGHT_PART: f64 = 0.15;
/// The same in absolute terms, nanoseconds: at least and at most.
const TIGHT_NS: (i64, i64) = (2_000, 20_000);
/// A neighbour of one kind for this part of the launches is taken as fixed.
const FIXED_PART: f64 = 0.8;
/// Work hidden to this part is left alone.
const HIDDEN_PART: f64 = 0.65;

/// The rows of a stage, grouped by kernel.
pub(super) struct StageRows<'l> {
    pub loaded: &'l Loaded,
    pub kernels: &'l Kernels,
    /// Kernels of the stage, in order of start.
    pub rows: Vec<usize>,
    /// Their summed duration, nanoseconds.
    pub total_ns: i64,
}

impl<'l> StageRows<'l> {
    pub fn new(loaded: &'l Loaded, kernels: &'l Kernels, rows: Vec<usize>) -> Self {
        let total_ns = rows.iter().map(|&row| loaded.trace.gpu.dur_ns[row]).sum();
        Self {
            loaded,
            kernels,
            rows,
            total_ns,
        }
    }

    fn grouped(&self) -> Vec<(KernelId, i64, Vec<usize>)> {
        let mut groups: HashMap<KernelId, (i64, Vec<usize>)> = HashMap::new();
        for &row in &self.rows {
            let group = groups.entry(self.loaded.kernel(row)).or_default();
            group.0 += self.loaded.trace.gpu.dur_ns[row];
            group.1.push(row);
        }
        let mut groups: Vec<_> = groups
            .into_iter()
            .map(|(kernel, (ns, rows))| (kernel, ns, rows))
            .collect();
        groups.sort_by_key(|&(kernel, ns, _)| (std::cmp::Reverse(ns), kernel));
        groups
    }

    fn share(&self, ns: i64) -> f64 {
        percent(ns as f64, self.total_ns as f64)
    }

    /// Every kernel of at least a share, and one row for the rest.
    pub fn kernel_table(
        &self,
        attributions: &[Option<Attribution>],
        sites: &Sites,
        min_share_pct: f64,
    ) -> Vec<KernelRow> {
        let mut table = Vec::new();
        let (mut rest_names, mut rest_ns, mut rest_launches) = (0, 0, 0);
        for (kernel, ns, rows) in self.grouped() {
            let launches = u32::try_from(rows.len()).unwrap_or(u32::MAX);
            if self.share(ns) < min_share_pct {
                rest_names += 1;
                rest_ns += ns;
                rest_launches += launches;
                continue;
            }
            let (locations, cpu_op) = self.places(&rows, ns, attributions, sites);
            table.push(KernelRow {
                name: self.name(kernel),
                category: self.kernels.category(kernel),
                gpu_time_us: microseconds(ns),
                share_pct: rounded(self.share(ns), 4),
                launches,
                locations,
                cpu_op,
                remainder: false,
            });
        }
        if rest_names > 0 {
            table.push(KernelRow {
                name: format!("({rest_names} kernels below {min_share_pct}%)"),
                category: KernelCategory::Other,
                gpu_time_us: microseconds(rest_ns),
                share_pct: rounded(self.share(rest_ns), 4),
                launches: rest_launches,
                locations: Vec::new(),
                cpu_op: None,
                remainder: true,
            });
        }
        table
    }

    fn name(&self, kernel: KernelId) -> String {
        self.kernels
            .get(kernel)
            .map_or_else(String::new, |kernel| kernel.name.clone())
    }

    fn short(&self, kernel: KernelId) -> String {
        self.kernels
            .get(kernel)
            .map_or_else(String::new, |kernel| kernel.short.clone())
    }

    fn places(
        &self,
        rows: &[usize],
        total: i64,
        attributions: &[Option<Attribution>],
        sites: &Sites,
    ) -> (Vec<Location>, Option<String>) {
        let mut by_site: HashMap<_, (i64, Attribution)> = HashMap::new();
        let mut by_op: HashMap<&str, i64> = HashMap::new();
        for &row in rows {
            let Some(found) = attributions[row] else {
                continue;
            };
            let ns = self.loaded.trace.gpu.dur_ns[row];
            let held = by_site
                .entry((found.site, found.method))
                .or_insert((0, found));
            held.0 += ns;
            held.1.confidence = held.1.confidence.max(found.confidence);
            if let Some(op) = sites.get(found.site).and_then(|site| site.op.as_deref()) {
                *by_op.entry(op).or_default() += ns;
            }
        }
        let mut held: Vec<_> = by_site.into_values().collect();
        held.sort_by_key(|&(ns, found)| (std::cmp::Reverse(ns), found.site, found.method));
        let mut locations: Vec<Location> = Vec::new();
        for (ns, found) in held {
            let Some(site) = sites.get(found.site) else {
                continue;
            };
            let share = percent(ns as f64, total as f64);
            let model = site.model.as_ref().map(ToString::to_string);
            let same = locations.iter_mut().find(|place| {
                place.path == site.line.path
                    && place.line == site.line.line
                    && place.method == found.method
                    && place.model == model
            });
            match same {
                Some(place) => place.share_pct += share,
                None => locations.push(Location {
                    path: site.line.path.clone(),
                    line: site.line.line,
                    function: site.line.function.clone(),
                    share_pct: share,
                    method: found.method,
                    confidence: found.confidence,
                    module: site.module.clone(),
                    model,
                }),
            }
        }
        locations.truncate(MOST_LOCATIONS);
        for place in &mut locations {
            place.share_pct = rounded(place.share_pct, 2);
        }
        let op = by_op.into_iter().max_by_key(|&(op, ns)| (ns, op));
        (locations, op.map(|(op, _)| op.to_owned()))
    }

    /// Every kernel of at least a share with its exposed and hidden time.
    pub fn overlap_table(
        &self,
        timeline: &Timeline,
        neighbours: &Neighbours,
        busy_ns: i64,
        min_share_pct: f64,
    ) -> Vec<OverlapRow> {
        let mut table: Vec<OverlapRow> = self
            .grouped()
            .into_iter()
            .filter(|&(_, ns, _)| self.share(ns) >= min_share_pct)
            .map(|(kernel, _, rows)| self.overlap_row(kernel, &rows, timeline, neighbours, busy_ns))
            .collect();
        table.sort_by(|a, b| b.exposed_us.total_cmp(&a.exposed_us));
        table
    }

    fn overlap_row(
        &self,
        kernel: KernelId,
        rows: &[usize],
        timeline: &Timeline,
        neighbours: &Neighbours,
        busy_ns: i64,
    ) -> OverlapRow {
        let mut sum = [0i64; 4];
        for &row in rows {
            let overlap = &timeline.overlap[row];
            sum[0] += overlap.effective_ns;
            sum[1] += overlap.exposed_ns;
            sum[2] += overlap.hidden_ns;
            sum[3] += overlap.hidden_by_compute_ns;
        }
        let around = neighbours.around(self.loaded, rows);
        let category = self.kernels.category(kernel);
        let hidden = sum[2] as f64 >= HIDDEN_PART * sum[0] as f64 && sum[2] > 0;
        let chained = around.tight >= FIXED_PART && around.fixed;
        let advice = match category {
            _ if category.is_compute() => Advice::FasterKernel,
            _ if hidden => Advice::LeaveHidden,
            KernelCategory::Communication => Advice::Overlap,
            _ if chained => Advice::Fuse,
            _ => Advice::Move,
        };
        OverlapRow {
            name: self.name(kernel),
            category,
            launches: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            total_us: microseconds(sum[0]),
            exposed_us: microseconds(sum[1]),
            hidden_us: microseconds(sum[2]),
            hidden_by_compute_us: microseconds(sum[3]),
            exposed_share_pct: rounded(percent(sum[1] as f64, busy_ns as f64), 2),
            tight_pct: rounded(around.tight * 100.0, 1),
            before: around.before.map(|kernel| self.short(kernel)),
            after: around.after.map(|kernel| self.short(kernel)),
            dependency: if chained {
                Dependency::Chained
            } else {
                Dependency::Loose
            },
            advice,
        }
    }
}

/// The kernels before and after each kernel on its own stream.
pub(super) struct Neighbours {
    before: Vec<Option<u32>>,
    after: Vec<Option<u32>>,
}

struct Around {
    /// Part of the launches that follow their predecessor without a pause.
    tight: f64,
    /// Whether a neighbour is of the same kind for most launches.
    fixed: bool,
    before: Option<KernelId>,
    after: Option<KernelId>,
}

impl Neighbours {
    pub fn new(loaded: &Loaded) -> Self {
        let gpu = &loaded.trace.gpu;
        let mut last: HashMap<(u32, u32), u32> = HashMap::new();
        let mut before = vec![None; gpu.len()];
        let mut after = vec![None; gpu.len()];
        for row in (0..gpu.len()).filter(|&row| loaded.is_kernel(row)) {
            let this = u32::try_from(row).unwrap_or(u32::MAX);
            if let Some(previous) = last.insert(gpu.track(row), this) {
                before[row] = Some(previous);
                after[previous as usize] = Some(this);
            }
        }
        Self { before, after }
    }

    fn around(&self, loaded: &Loaded, rows: &[usize]) -> Around {
        let gpu = &loaded.trace.gpu;
        let mut tight = 0usize;
        let mut counts: [HashMap<KernelId, usize>; 2] = [HashMap::new(), HashMap::new()];
        let mut kinds: [HashMap<KernelCategory, usize>; 2] = [HashMap::new(), HashMap::new()];
        for &row in rows {
            if let Some(previous) = self.before[row] {
                let pause = gpu.start_ns[row] - gpu.end_ns(previous as usize);
                let allowed = (gpu.dur_ns[row] as f64 * TIGHT_PART) as i64;
                tight += usize::from(pause <= allowed.clamp(TIGHT_NS.0, TIGHT_NS.1));
                let previous = previous as usize;
                *counts[0].entry(loaded.kernel(previous)).or_default() += 1;
                *kinds[0].entry(loaded.category(previous)).or_default() += 1;
            }
            if let Some(next) = self.after[row] {
                let next = next as usize;
                *counts[1].entry(loaded.kernel(next)).or_default() += 1;
                *kinds[1].entry(loaded.category(next)).or_default() += 1;
            }
        }
        let most = |counts: &HashMap<KernelId, usize>| {
            counts.iter().map(|(&kernel, &count)| (count, kernel)).max()
        };
        let (before, after) = (most(&counts[0]), most(&counts[1]));
        let all = rows.len().max(1) as f64;
        let fixed = kinds.iter().any(|kinds| {
            let most = kinds.values().max().copied().unwrap_or(0);
            most as f64 >= FIXED_PART * all
        });
        Around {
            tight: tight as f64 / all,
            fixed,
            before: before.map(|(_, kernel)| kernel),
            after: after.map(|(_, kernel)| kernel),
        }
    }
}
