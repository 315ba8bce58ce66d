//! Traces that the simulated engine writes, with the truth about their passes
//! and layers: the reader, the layer finder and the triage on every shape.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use sota_loop::detail::Detail;
use sota_loop::pipeline::{self, PassChoice, PipelineRecord, PipelineRequest};
use sota_loop::sim::Dialect;
use sota_loop::sim::trace::{
    Launch, Mixer, ModelShape, PassSpec, PassStage, TraceSpec, TruePass, write_trace,
};
use sota_loop::trace::{self, ReadOptions, Stage, Trace};
use sota_loop::triage::{self, TriageRequest};

/// Every way in which layers repeat, with how they are to be grouped: a letter
/// for each layer.
fn shapes() -> Vec<(&'static str, ModelShape, String)> {
    vec![
        ("dense", ModelShape::dense(24), "a".repeat(24)),
        ("two dense", ModelShape::dense(2), "aa".to_owned()),
        (
            "one dense before experts",
            ModelShape::moe_after_dense(20, 1),
            format!("a{}", "b".repeat(19)),
        ),
        (
            "three dense before experts",
            ModelShape::moe_after_dense(30, 3),
            format!("aaa{}", "b".repeat(27)),
        ),
        (
            "experts alone",
            ModelShape::moe_after_dense(16, 0),
            "a".repeat(16),
        ),
        (
            "sliding and full in turn",
            ModelShape::alternating(24, Mixer::Sliding, 1),
            "ab".repeat(12),
        ),
        (
            "five sliding, one full",
            ModelShape::alternating(24, Mixer::Sliding, 5),
            "aaaaab".repeat(4),
        ),
        (
            "three linear, one full",
            ModelShape::alternating(24, Mixer::Linear, 3),
            "aaab".repeat(6),
        ),
        ("half-blocks", ModelShape::half_blocks(18), "a".repeat(18)),
        (
            "dense on four ranks",
            ModelShape::dense(16).with_ranks(4),
            "a".repeat(16),
        ),
        (
            "experts on two ranks",
            ModelShape::moe_after_dense(16, 2).with_ranks(2),
            format!("aa{}", "b".repeat(14)),
        ),
    ]
}

const LAUNCHES: [Launch; 3] = [Launch::Eager, Launch::Graph, Launch::Piecewise];
const DIALECTS: [Dialect; 2] = [Dialect::Sglang, Dialect::Vllm];

/// Prefill, decode, mixed and verifying passes.
fn passes() -> Vec<PassSpec> {
    let mixed = PassSpec {
        prefills: 1,
        prefill_tokens: 600,
        ..PassSpec::decode(4)
    };
    vec![
        PassSpec::prefill(1, 4000),
        PassSpec::prefill(3, 900),
        PassSpec::decode(8),
        PassSpec::decode(8),
        PassSpec::decode(8),
        mixed,
        PassSpec::decode(4),
        PassSpec::verify(4, 3),
    ]
}

struct Written {
    /// Held for its files.
    _dir: tempfile::TempDir,
    path: PathBuf,
    truth: Vec<TruePass>,
}

fn write(dialect: Dialect, shape: &ModelShape, launch: Launch, stacks: bool) -> Written {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rank0.1.pt.trace.json");
    let spec = TraceSpec {
        dialect,
        shape: shape.clone(),
        launch,
        stacks,
        seed: 7,
        passes: passes(),
    };
    let out = BufWriter::new(File::create(&path).unwrap());
    let truth = write_trace(&spec, 0, out).unwrap();
    Written {
        _dir: dir,
        path,
        truth,
    }
}

fn analyze(written: &Written, trace: &Trace, pass: usize) -> PipelineRecord {
    let request = PipelineRequest {
        trace: written.path.clone(),
        pass: PassChoice::Index(pass as u32),
        detail: Detail::Full,
        ..PipelineRequest::default()
    };
    pipeline::analyze_trace(&written.path, trace, None, &request).unwrap()
}

fn stage(stage: PassStage) -> Stage {
    match stage {
        PassStage::Prefill => Stage::Prefill,
        PassStage::Decode => Stage::Decode,
        PassStage::Mixed => Stage::Mixed,
    }
}

/// Type names as letters in order of appearance.
fn letters<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = Vec::new();
    names
        .map(|name| {
            let at = known.iter().position(|known| *known == name);
            let at = at.unwrap_or_else(|| {
                known.push(name);
                known.len() - 1
            });
            (b'a' + at as u8) as char
        })
        .collect()
}

#[test]
fn every_pass_of_every_shape_has_its_layers_and_types() {
    for (name, shape, types) in shapes() {
        for dialect in DIALECTS {
            for launch in LAUNCHES {
                let case = format!("{name}, {dialect:?}, {launch:?}");
                let written = write(dialect, &shape, launch, false);
                let options = ReadOptions {
                    python_frames: false,
                    cpu_ops: false,
                };
                let trace = trace::read(&written.path, &options).unwrap();
                let record = analyze(&written, &trace, 2);
                let found: Vec<(Stage, usize)> = record
                    .passes
                    .iter()
                    .map(|pass| (pass.stage, pass.layers as usize))
                    .collect();
                let truth: Vec<(Stage, usize)> = written
                    .truth
                    .iter()
                    .map(|pass| (stage(pass.stage), pass.layers.len()))
                    .collect();
                assert_eq!(found, truth, "{case}");
                for pass in 0..record.passes.len() {
                    let record = analyze(&written, &trace, pass);
                    let named = record.layers.iter().map(|layer| layer.r#type.as_str());
                    assert_eq!(letters(named), types, "{case}, pass {pass}");
                }
                check_layers(&record, &written.truth[2], &case);
            }
        }
    }
}

/// Kernels of the layers, where the finder opens them: at their own first
/// kernel, or a fixed number of kernels later where the first norm belongs to
/// the layer before.
fn check_layers(record: &PipelineRecord, truth: &TruePass, case: &str) {
    let inner = 1..truth.layers.len() - 1;
    for (found, truth) in record.layers.iter().zip(&truth.layers).collect::<Vec<_>>()[inner]
        .iter()
        .copied()
    {
        assert_eq!(found.kernels as usize, truth.kernels, "{case}: {found:?}");
    }
    let sum: f64 = record.layers.iter().map(|layer| layer.sum_us).sum();
    let true_sum: i64 = truth.layers.iter().map(|layer| layer.sum_ns).sum();
    let off = (sum * 1e3 - true_sum as f64).abs() / true_sum as f64;
    assert!(off < 0.02, "{case}: sums are {:.1}% apart", 100.0 * off);
}

#[test]
fn every_kernel_is_read_and_every_step_accounted_for() {
    for (name, shape, _) in shapes() {
        for dialect in DIALECTS {
            for launch in LAUNCHES {
                let case = format!("{name}, {dialect:?}, {launch:?}");
                let written = write(dialect, &shape, launch, true);
                let read = trace::read(&written.path, &ReadOptions::default()).unwrap();
                assert!(read.warnings.is_empty(), "{case}: {:?}", read.warnings);
                let record = triage::analyze(&TriageRequest {
                    input: written.path.clone(),
                    detail: Detail::Full,
                    ..TriageRequest::default()
                })
                .unwrap();
                let mut steps: BTreeMap<&str, u32> = BTreeMap::new();
                for pass in &written.truth {
                    *steps.entry(stage(pass.stage).as_str()).or_default() += 1;
                }
                let found: BTreeMap<&str, u32> = record
                    .stages
                    .iter()
                    .map(|stage| (stage.stage.as_str(), stage.steps))
                    .collect();
                assert_eq!(found, steps, "{case}");
                let mut launches = 0;
                for stage in &record.stages {
                    let share: f64 = stage.kernels.iter().map(|kernel| kernel.share_pct).sum();
                    assert!((share - 100.0).abs() < 0.1, "{case}: {share}");
                    let off = stage.wall_us - stage.busy_us - stage.idle_us;
                    assert!(off.abs() < 0.01, "{case}: {off}");
                    launches += stage
                        .kernels
                        .iter()
                        .map(|row| u64::from(row.launches))
                        .sum::<u64>();
                }
                assert_eq!(launches, read.counts.kernels, "{case}");
            }
        }
    }
}
