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
            "latent attention, three dense before experts",
            ModelShape::latent_after_dense(27, 3),
            format!("aaa{}", "b".repeat(24)),
        ),
        (
            "latent attention, one dense before experts, on eight ranks",
            ModelShape::latent_after_dense(12, 1).with_ranks(8),
            format!("a{}", "b".repeat(11)),
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
    write_passes(dialect, shape, launch, stacks, passes())
}

fn write_passes(
    dialect: Dialect,
    shape: &ModelShape,
    launch: Launch,
    stacks: bool,
    passes: Vec<PassSpec>,
) -> Written {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rank0.1.pt.trace.json");
    let spec = TraceSpec {
        dialect,
        shape: shape.clone(),
        launch,
        stacks,
        seed: 7,
        passes,
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

const WITHOUT_HOST: ReadOptions = ReadOptions {
    python_frames: false,
    cpu_ops: false,
};

#[test]
fn layers_are_found_at_any_batch() {
    let batches = [1, 2, 3, 7, 16, 33, 64, 128, 256];
    let decodes = batches.into_iter().map(PassSpec::decode);
    let verifies =
        [(1, 5), (17, 2), (64, 7)].map(|(batch, drafts)| PassSpec::verify(batch, drafts));
    let prefills = [(1, 1), (1, 17), (2, 255), (4, 8192)]
        .map(|(requests, tokens)| PassSpec::prefill(requests, tokens));
    let passes: Vec<PassSpec> = decodes.chain(verifies).chain(prefills).collect();
    for (at, (name, shape, types)) in shapes().into_iter().enumerate() {
        for dialect in DIALECTS {
            let launch = LAUNCHES[at % LAUNCHES.len()];
            let case = format!("{name}, {dialect:?}, {launch:?}");
            let written = write_passes(dialect, &shape, launch, false, passes.clone());
            let trace = trace::read(&written.path, &WITHOUT_HOST).unwrap();
            let record = analyze(&written, &trace, 0);
            let found: Vec<usize> = record
                .passes
                .iter()
                .map(|pass| pass.layers as usize)
                .collect();
            assert_eq!(found, vec![shape.layers.len(); passes.len()], "{case}");
            for pass in 0..record.passes.len() {
                let record = analyze(&written, &trace, pass);
                let named = record.layers.iter().map(|layer| layer.r#type.as_str());
                assert_eq!(letters(named), types, "{case}, pass {pass}");
            }
        }
    }
}

#[test]
fn a_wrong_configuration_is_reported_and_changes_nothing() {
    for (name, shape, types) in shapes() {
        for dialect in DIALECTS {
            let written = write(dialect, &shape, Launch::Graph, false);
            let trace = trace::read(&written.path, &WITHOUT_HOST).unwrap();
            let layers = shape.layers.len();
            let wrong = [
                serde_json::json!({"num_hidden_layers": layers + 3}),
                serde_json::json!({"num_hidden_layers": 2 * layers, "kv_lora_rank": 512}),
                serde_json::json!({"num_hidden_layers": layers, "n_routed_experts": 64,
                    "first_k_dense_replace": layers - 1}),
                serde_json::json!({"num_hidden_layers": layers,
                    "layer_types": vec!["linear_attention"; layers]}),
            ];
            for config in wrong {
                let case = format!("{name}, {dialect:?}, {config}");
                let path = written.path.with_file_name("config.json");
                std::fs::write(&path, config.to_string()).unwrap();
                let request = PipelineRequest {
                    trace: written.path.clone(),
                    config: Some(path),
                    pass: PassChoice::Index(2),
                    detail: Detail::Full,
                    ..PipelineRequest::default()
                };
                let record =
                    pipeline::analyze_trace(&written.path, &trace, None, &request).unwrap();
                assert_eq!(record.layers_per_pass as usize, layers, "{case}");
                let named = record.layers.iter().map(|layer| layer.r#type.as_str());
                assert_eq!(letters(named), types, "{case}");
                let check = record.config_check.unwrap();
                assert!(!check.agrees && !check.disagreements.is_empty(), "{case}");
                let said = |warning: &String| warning.starts_with("configuration: ");
                assert!(
                    record.warnings.iter().any(said),
                    "{case}: {:?}",
                    record.warnings
                );
            }
        }
    }
}

/// The trace as a profiler leaves it that starts inside a layer of the first
/// pass and ends inside one of the last: events that are not wholly in between
/// are not there.
fn cut_at_both_ends(written: &Written) -> PathBuf {
    let text = std::fs::read_to_string(&written.path).unwrap();
    let mut trace: serde_json::Value = serde_json::from_str(&text).unwrap();
    let events = trace["traceEvents"].as_array_mut().unwrap();
    let first_kernel = events
        .iter()
        .filter(|event| event["cat"] == "kernel")
        .map(|event| event["ts"].as_f64().unwrap())
        .fold(f64::MAX, f64::min);
    let (first, last) = (&written.truth[0], &written.truth[written.truth.len() - 1]);
    let zero = first_kernel - first.start_ns as f64 / 1e3;
    let inside = |pass: &TruePass, part: f64| {
        let layer = &pass.layers[(part * pass.layers.len() as f64) as usize];
        zero + (layer.start_ns + layer.end_ns) as f64 / 2e3
    };
    let (from, to) = (inside(first, 0.4), inside(last, 0.6));
    events.retain(|event| {
        let Some(at) = event["ts"].as_f64().filter(|_| event["ph"] != "M") else {
            return true;
        };
        let length = event["dur"].as_f64().unwrap_or(0.0);
        at >= from && at + length <= to
    });
    let path = written.path.with_file_name("cut.pt.trace.json");
    std::fs::write(&path, trace.to_string()).unwrap();
    path
}

#[test]
fn passes_that_the_capture_cuts_give_no_wrong_table() {
    let decode = PassSpec::decode;
    let sequences = [
        passes(),
        vec![decode(8), decode(8), decode(8), decode(8), decode(8)],
    ];
    // Of two layers, a half that is left is one layer.
    let shapes = shapes()
        .into_iter()
        .filter(|shape| shape.1.layers.len() > 2);
    for (at, (name, shape, types)) in shapes.enumerate() {
        for dialect in DIALECTS {
            for (nth, passes) in sequences.iter().enumerate() {
                let launch = LAUNCHES[(at + nth) % LAUNCHES.len()];
                let case = format!("{name}, {dialect:?}, {launch:?}, sequence {nth}");
                let written = write_passes(dialect, &shape, launch, false, passes.clone());
                let path = cut_at_both_ends(&written);
                let request = PipelineRequest {
                    trace: path.clone(),
                    detail: Detail::Full,
                    ..PipelineRequest::default()
                };
                let record = pipeline::analyze(&request).unwrap();
                let layers = shape.layers.len();
                let inner = &written.truth[1..written.truth.len() - 1];
                let whole: Vec<Stage> = record
                    .passes
                    .iter()
                    .filter(|pass| pass.layers as usize == layers)
                    .map(|pass| pass.stage)
                    .collect();
                let expected: Vec<Stage> = inner.iter().map(|pass| stage(pass.stage)).collect();
                assert_eq!(whole, expected, "{case}");
                assert!(
                    record
                        .passes
                        .iter()
                        .all(|pass| pass.layers as usize <= layers),
                    "{case}"
                );
                let named = record.layers.iter().map(|layer| layer.r#type.as_str());
                assert_eq!(letters(named), types, "{case}");
                let chosen = &record.passes[record.chosen_pass.index as usize];
                assert_eq!(chosen.layers as usize, layers, "{case}");
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
