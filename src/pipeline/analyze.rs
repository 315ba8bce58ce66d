//! From a request to the record.

use std::path::{Path, PathBuf};

use super::choose::{self, Like};
use super::compare;
use super::config::ModelConfig;
use super::error::PipelineError;
use super::flow;
use super::layer::Layers;
use super::pass::{Pass, Passes};
use super::perfetto;
use super::record::{PassState, PerfettoRange, PipelineRecord, Totals};
use super::report;
use super::request::{PassChoice, PipelineRequest};
use super::search::Found;
use super::summary;
use crate::detail::Detail;
use crate::disk::{self, DiskError};
use crate::trace::{self, CategoryColumn, GpuKind, ReadOptions, Trace};

/// Reads a trace and finds its passes, layers and layer types.
///
/// # Errors
///
/// [`PipelineError`] when a file cannot be read or is not what it should be,
/// when no pass has layers, or when the request names a pass or a layer that
/// there is not.
pub fn analyze(request: &PipelineRequest) -> Result<PipelineRecord, PipelineError> {
    let path = trace_file(&request.trace)?;
    let trace = read(&path)?;
    let other = match &request.compare_trace {
        Some(other) => {
            let path = trace_file(other)?;
            let trace = read(&path)?;
            Some((path, trace))
        }
        None => None,
    };
    let other = other.as_ref().map(|(path, trace)| (path.as_path(), trace));
    analyze_trace(&path, &trace, other, request)
}

/// The same for traces that are already in memory.
///
/// # Errors
///
/// As [`analyze`], without those of reading traces.
pub fn analyze_trace(
    path: &Path,
    trace: &Trace,
    other: Option<(&Path, &Trace)>,
    request: &PipelineRequest,
) -> Result<PipelineRecord, PipelineError> {
    let config = match &request.config {
        Some(path) => Some(ModelConfig::read(path)?),
        None => None,
    };
    let side = Side::new(path, trace)?;
    let chosen = choose::choose(path, &side.passes, request.pass, request.stage, None)?;
    let (pass, found) = side.opened(chosen.index)?;
    let layers = Layers::new(trace, &side.categories, pass, found, config.as_ref());
    for &index in request
        .layers
        .iter()
        .chain(request.compare_layers.iter().flatten())
    {
        if index as usize >= layers.len() {
            return Err(PipelineError::NoSuchLayer {
                index,
                pass: chosen.index,
                layers: layers.len(),
            });
        }
    }
    let type_names = layers.type_names();
    let shown = shown(request, &layers);
    let mut record = PipelineRecord {
        trace: path.to_path_buf(),
        passes_by: side.passes.source,
        passes: rows(trace, &side.passes),
        layers_per_pass: side.passes.layers as u32,
        layers: (0..layers.len())
            .map(|layer| layers.layer_row(layer))
            .collect(),
        layer_types: type_names
            .iter()
            .map(|name| layers.layer_type(name))
            .collect(),
        hot_kernels: type_names
            .iter()
            .flat_map(|name| flow::hot_kernels(&layers, name))
            .collect(),
        flows: shown
            .iter()
            .map(|&layer| flow::flow(&layers, layer))
            .collect(),
        layer_comparison: request
            .compare_layers
            .map(|[a, b]| compare::layers(&layers, a as usize, b as usize)),
        type_comparisons: Vec::new(),
        config_check: layers.check.clone(),
        perfetto: ranges(trace, chosen.index, pass, &layers),
        perfetto_path: request.perfetto.clone(),
        report_path: request.report.clone(),
        warnings: warnings(trace, &side.passes, chosen.index, &layers),
        truncated: false,
        total: Totals::default(),
        next: next(path, chosen.index, &layers),
        chosen_pass: chosen,
    };
    if let Some((path, trace)) = other {
        add_comparison(
            &mut record,
            (pass, &layers),
            (path, trace),
            request,
            config.as_ref(),
        )?;
    }
    record.total = Totals::of(&record);
    if let Some(path) = &request.perfetto {
        let chosen = (record.chosen_pass.index as usize, &layers);
        perfetto::write(path, trace, &side.passes.passes, chosen)?;
    }
    if let Some(path) = &request.report {
        disk::write_atomic(path, report::render(&record).as_bytes())?;
        // Plain structs with string keys always serialise.
        let json = serde_json::to_vec(&record).unwrap_or_default();
        disk::write_atomic(&path.with_extension("json"), &json)?;
    }
    if request.detail == Detail::Summary {
        summary::shorten(&mut record, request);
    }
    Ok(record)
}

/// A trace with its passes.
struct Side<'a> {
    path: &'a Path,
    categories: CategoryColumn,
    passes: Passes,
}

impl<'a> Side<'a> {
    fn new(path: &'a Path, trace: &Trace) -> Result<Self, PipelineError> {
        if !trace.gpu.kind.contains(&GpuKind::Kernel) {
            return Err(PipelineError::NoKernels {
                path: path.to_path_buf(),
                cpu_events: trace.counts.events,
            });
        }
        let categories = CategoryColumn::new(trace);
        let passes = Passes::new(trace, &categories);
        Ok(Self {
            path,
            categories,
            passes,
        })
    }

    fn opened(&self, index: u32) -> Result<(&Pass, &Found), PipelineError> {
        let no_pass = || PipelineError::NoSuchPass {
            path: self.path.to_path_buf(),
            index,
            passes: self.passes.passes.len(),
        };
        let pass = self.passes.passes.get(index as usize).ok_or_else(no_pass)?;
        let found = pass
            .found
            .as_ref()
            .map_err(|reason| PipelineError::PassWithoutLayers {
                path: self.path.to_path_buf(),
                index,
                reason: reason.to_string(),
            })?;
        Ok((pass, found))
    }
}

fn read(path: &Path) -> Result<Trace, PipelineError> {
    let options = ReadOptions {
        python_frames: false,
        cpu_ops: false,
    };
    Ok(trace::read(path, &options)?)
}

/// The trace itself, or the only one in a folder; traces of the HTTP front
/// end, which hold no GPU work, do not count.
fn trace_file(path: &Path) -> Result<PathBuf, PipelineError> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let failed = |source| DiskError::Read {
        path: path.to_path_buf(),
        source,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)?.take(10_000) {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_trace = [".json", ".json.gz", ".json.zst"]
            .iter()
            .any(|end| name.ends_with(end));
        let is_other = name.contains(".async_llm.")
            || name.ends_with("config.json")
            || name.ends_with("server_args.json");
        if is_trace && !is_other {
            found.push(entry.path());
        }
    }
    found.sort();
    match &found[..] {
        [only] => Ok(only.clone()),
        _ => Err(PipelineError::WhichTrace {
            path: path.to_path_buf(),
            found,
        }),
    }
}

fn rows(trace: &Trace, passes: &Passes) -> Vec<super::record::PassRow> {
    let rows = passes.passes.iter().enumerate();
    rows.map(|(index, pass)| pass.row(trace, index)).collect()
}

/// Layers whose kernels are listed: those asked for, else one of each type.
fn shown(request: &PipelineRequest, layers: &Layers<'_>) -> Vec<usize> {
    if !request.layers.is_empty() {
        return request.layers.iter().map(|&layer| layer as usize).collect();
    }
    let names = layers.type_names();
    names
        .iter()
        .map(|name| layers.representative(name))
        .collect()
}

fn ranges(trace: &Trace, index: u32, pass: &Pass, layers: &Layers<'_>) -> Vec<PerfettoRange> {
    let mut ranges = vec![perfetto::range(
        trace,
        format!("pass {index} ({})", pass.stage.as_str()),
        &pass.wall,
    )];
    for (layer, wall) in layers.walls.iter().enumerate() {
        let label = format!("layer {layer} ({})", layers.names[layer]);
        ranges.push(perfetto::range(trace, label, wall));
    }
    ranges
}

fn warnings(trace: &Trace, passes: &Passes, chosen: u32, layers: &Layers<'_>) -> Vec<String> {
    let mut warnings: Vec<String> = trace.warnings.iter().map(ToString::to_string).collect();
    if let Some(check) = &layers.check {
        let said = check
            .disagreements
            .iter()
            .map(|what| format!("configuration: {what}"));
        warnings.extend(said);
    }
    let state = |state: PassState| {
        passes
            .passes
            .iter()
            .filter(|pass| pass.state == state)
            .count()
    };
    let (cut, bare) = (state(PassState::Cut), state(PassState::NoLayers));
    if cut > 0 {
        warnings.push(format!(
            "{cut} of {} passes have fewer layers than the usual {}",
            passes.passes.len(),
            passes.layers
        ));
    }
    if bare > 0 {
        warnings.push(format!(
            "{bare} of {} passes have no layers; their notes say why",
            passes.passes.len()
        ));
    }
    if layers.len() != passes.layers {
        warnings.push(format!(
            "pass {chosen} has {} layers, most passes have {}",
            layers.len(),
            passes.layers
        ));
    }
    warnings
}

fn next(path: &Path, pass: u32, layers: &Layers<'_>) -> String {
    let names = layers.type_names();
    let heaviest = names
        .iter()
        .map(|name| layers.layer_type(name))
        .max_by(|a, b| a.pass_share_pct.total_cmp(&b.pass_share_pct));
    let layer = heaviest.map_or(0, |kind| kind.representative);
    format!(
        r#"analyze_pipeline {{"trace": {:?}, "pass": {pass}, "layers": [{layer}]}} lists that layer kernel by kernel; for counters of its hottest kernel, ncu_digest"#,
        path.display().to_string()
    )
}

/// Compares each layer type with its like in another trace.
fn add_comparison(
    record: &mut PipelineRecord,
    (pass, layers): (&Pass, &Layers<'_>),
    (path, trace): (&Path, &Trace),
    request: &PipelineRequest,
    config: Option<&ModelConfig>,
) -> Result<(), PipelineError> {
    let side = Side::new(path, trace)?;
    let like = Like {
        stage: pass.stage,
        shape: pass.shape,
    };
    let choice: PassChoice = request.compare_pass;
    let chosen = choose::choose(path, &side.passes, choice, None, Some(like))?;
    let (other_pass, found) = side.opened(chosen.index)?;
    let other = Layers::new(trace, &side.categories, other_pass, found, config);
    if other_pass.stage != pass.stage
        || other_pass.shape.batch != pass.shape.batch
        || differ(pass.shape.tokens, other_pass.shape.tokens)
    {
        record.warnings.push(format!(
            "the passes compared are not of one kind: {} here, {} there",
            kind(pass),
            kind(other_pass)
        ));
    }
    if other.len() != layers.len() {
        record.warnings.push(format!(
            "the traces have {} and {} layers a pass: not the same model, or not all layers were found",
            layers.len(),
            other.len()
        ));
    }
    let labels = [name_of(&record.trace), name_of(path)];
    for name in layers.type_names() {
        if other.type_names().contains(&name) {
            record.type_comparisons.push(compare::types(
                layers,
                &other,
                name,
                [&labels[0], &labels[1]],
            ));
        } else {
            record
                .warnings
                .push(format!("{} has no layer of type {name}", path.display()));
        }
    }
    Ok(())
}

/// Whether two counts of tokens are further apart than engines' prompts of one
/// length are.
fn differ(a: Option<u32>, b: Option<u32>) -> bool {
    const ALIKE: f64 = 0.1;
    match (a, b) {
        (Some(a), Some(b)) => f64::from(a.abs_diff(b)) > ALIKE * f64::from(a.max(b)),
        _ => false,
    }
}

fn kind(pass: &Pass) -> String {
    let batch = pass.shape.batch.map(|batch| format!(" at batch {batch}"));
    let tokens = pass.shape.tokens.map(|tokens| format!(", {tokens} tokens"));
    let stage = pass.stage.as_str();
    format!(
        "{stage}{}{}",
        batch.unwrap_or_default(),
        tokens.unwrap_or_default()
    )
}

fn name_of(path: &Path) -> String {
    match path.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::differ;

    #[test]
    fn a_token_more_is_the_same_work_and_eight_times_as_many_are_not() {
        assert!(!differ(Some(4000), Some(4001)));
        assert!(differ(Some(1000), Some(8000)));
        assert!(!differ(None, Some(8000)));
    }
}
