use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::*;

fn spec(shape: ModelShape, launch: Launch, passes: &[PassSpec]) -> TraceSpec {
    TraceSpec {
        dialect: Dialect::Sglang,
        shape,
        launch,
        stacks: true,
        seed: 1,
        passes: passes.to_vec(),
    }
}

struct Written {
    truth: Vec<TruePass>,
    document: Value,
}

impl Written {
    fn of(spec: &TraceSpec) -> Self {
        let mut bytes = Vec::new();
        let truth = write_trace(spec, 0, &mut bytes).unwrap();
        let document = serde_json::from_slice(&bytes).unwrap();
        Self { truth, document }
    }

    fn events(&self, category: &str) -> Vec<&Value> {
        let all = self.document["traceEvents"].as_array().unwrap();
        all.iter()
            .filter(|event| event["cat"] == category)
            .collect()
    }
}

fn nanos(event: &Value, key: &str) -> i64 {
    (event[key].as_f64().unwrap() * 1e3).round() as i64
}

#[test]
fn a_decode_graph_has_the_kernels_of_the_recorded_engines() {
    for (dialect, kernels, layer, first) in
        [(Dialect::Sglang, 544, 15, 2), (Dialect::Vllm, 506, 14, 1)]
    {
        let mut spec = spec(ModelShape::dense(36), Launch::Graph, &[PassSpec::decode(4)]);
        spec.dialect = dialect;
        let pass = &Written::of(&spec).truth[0];
        assert_eq!(pass.kernels, kernels);
        assert_eq!(pass.layers.len(), 36);
        for (index, found) in pass.layers.iter().enumerate() {
            assert_eq!(
                (found.kernels, found.first_kernel),
                (layer, first + index * layer)
            );
            assert_eq!(found.kind, "full_dense");
        }
        // The recorded replays took 6,428 and 6,390 µs.
        let wall_us = (pass.end_ns - pass.start_ns) / 1_000;
        assert!((6_200..6_700).contains(&wall_us), "{wall_us}");
    }
}

#[test]
fn a_graph_shares_one_correlation_and_every_kernel_has_its_launch() {
    let passes = [
        PassSpec::prefill(1, 4_000),
        PassSpec::decode(4),
        PassSpec::decode(4),
    ];
    for launch in [Launch::Graph, Launch::Eager, Launch::Piecewise] {
        let written = Written::of(&spec(ModelShape::dense(4), launch, &passes));
        let mut launches = HashMap::new();
        for category in ["cuda_runtime", "cuda_driver"] {
            for event in written.events(category) {
                launches.insert(event["args"]["correlation"].as_u64().unwrap(), event);
            }
        }
        let mut per_launch: HashMap<u64, usize> = HashMap::new();
        for kernel in written.events("kernel") {
            let correlation = kernel["args"]["correlation"].as_u64().unwrap();
            assert!(nanos(launches[&correlation], "ts") <= nanos(kernel, "ts"));
            *per_launch.entry(correlation).or_default() += 1;
        }
        let graphs: Vec<usize> = per_launch
            .iter()
            .filter(|(id, _)| launches[id]["name"] == "cudaGraphLaunch")
            .map(|(_, kernels)| *kernels)
            .collect();
        let whole = graphs
            .iter()
            .filter(|kernels| **kernels == 2 + 4 * 15 + 2)
            .count();
        match launch {
            Launch::Graph => assert_eq!(whole, 2),
            Launch::Eager => assert!(graphs.is_empty()),
            // Five pieces a pass: before, between and after four attentions.
            Launch::Piecewise => assert_eq!((whole, graphs.len()), (0, 3 * 5)),
        }
    }
}

#[test]
fn kernels_of_a_stream_follow_one_another_and_times_add_up() {
    let passes = [
        PassSpec::decode(8),
        PassSpec::prefill(2, 8_000),
        PassSpec::decode(8),
    ];
    let written = Written::of(&spec(ModelShape::dense(3), Launch::Graph, &passes));
    let mut end = i64::MIN;
    for kernel in written.events("kernel") {
        assert!(nanos(kernel, "ts") >= end);
        end = nanos(kernel, "ts") + nanos(kernel, "dur");
    }
    for pass in &written.truth {
        for layer in &pass.layers {
            assert!(layer.sum_ns <= layer.end_ns - layer.start_ns);
        }
    }
}

#[test]
fn a_pass_takes_the_gpu_time_that_it_is_given() {
    let pass = PassSpec {
        gpu_ns: Some(7_000_000),
        ..PassSpec::decode(4)
    };
    let truth = &Written::of(&spec(ModelShape::dense(36), Launch::Graph, &[pass])).truth[0];
    let wall = truth.end_ns - truth.start_ns;
    // Sampling takes 12 + 1.4 µs and two gaps of it.
    assert!((wall - 6_985_740).abs() < 2_000, "{wall}");
}

#[test]
fn annotations_are_those_of_the_engines() {
    let passes = [
        PassSpec::decode(4),
        PassSpec::prefill(1, 4_000),
        PassSpec::verify(4, 3),
        PassSpec {
            decodes: 4,
            tokens_per_decode: 1,
            ..PassSpec::prefill(2, 64)
        },
    ];
    let names = |dialect| {
        let mut spec = spec(ModelShape::dense(1), Launch::Graph, &passes);
        spec.dialect = dialect;
        let written = Written::of(&spec);
        let on_gpu = written.events("gpu_user_annotation");
        assert_eq!(on_gpu.len(), 4);
        let stages: Vec<PassStage> = written.truth.iter().map(|pass| pass.stage).collect();
        use PassStage::{Decode, Mixed, Prefill};
        assert_eq!(stages, [Decode, Prefill, Decode, Mixed]);
        let events = written.events("user_annotation");
        events
            .iter()
            .map(|event| event["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(Dialect::Sglang),
        [
            "step[DECODE bs=4]",
            "step[EXTEND bs=1 toks=4000]",
            "step[TARGET_VERIFY bs=4]",
            "step[MIXED bs=6 toks=68]",
        ]
    );
    assert_eq!(
        names(Dialect::Vllm),
        [
            "execute_context_0(0)_generation_4(4)",
            "execute_context_1(4000)_generation_0(0)",
            "execute_context_0(0)_generation_4(16)",
            "execute_context_2(64)_generation_4(4)",
        ]
    );
}

#[test]
fn each_family_has_its_layers() {
    let kinds = |architecture, layers| {
        let shape = ModelShape::of(architecture, layers);
        let written = Written::of(&spec(shape, Launch::Graph, &[PassSpec::decode(1)]));
        let layers = written.truth[0].layers.clone();
        layers
            .into_iter()
            .map(|layer| (layer.kind, layer.kernels))
            .collect::<Vec<_>>()
    };
    let named = |kind: &str, kernels| (kind.to_owned(), kernels);
    assert_eq!(
        kinds(Architecture::Moe, 3),
        [
            named("full_dense", 15),
            named("full_dense", 15),
            named("full_moe", 18),
        ]
    );
    assert_eq!(
        kinds(Architecture::Mla, 4)[2..],
        [named("latent_dense", 18), named("latent_moe", 21)]
    );
    let sliding = kinds(Architecture::Sliding, 12);
    assert_eq!(sliding[4], named("sliding_dense", 13));
    assert_eq!(
        (&sliding[5], &sliding[11]),
        (&named("full_dense", 15), &named("full_dense", 15))
    );
    let hybrid = kinds(Architecture::Hybrid, 8);
    assert_eq!(
        (&hybrid[2], &hybrid[3]),
        (&named("linear_dense", 12), &named("full_dense", 15))
    );
    assert_eq!(
        kinds(Architecture::HalfBlocks, 2),
        // Attention and experts, each between two kernels more.
        [named("full_moe", 22), named("full_moe", 22)]
    );
}

#[test]
fn ranks_add_all_reduces_and_differ_in_times() {
    let shape = ModelShape::dense(2).with_ranks(2);
    let spec = spec(shape, Launch::Graph, &[PassSpec::decode(1)]);
    let written = Written::of(&spec);
    assert_eq!(written.truth[0].layers[0].kernels, 17);
    let reduces = written
        .events("kernel")
        .iter()
        .filter(|kernel| {
            kernel["name"]
                .as_str()
                .unwrap()
                .contains("cross_device_reduce")
        })
        .count();
    assert_eq!(reduces, 4);
    assert_eq!(written.document["distributedInfo"]["world_size"], 2);
    let other = write_trace(&spec, 1, std::io::sink()).unwrap();
    assert_ne!(other[0].end_ns, written.truth[0].end_ns);
    assert_eq!(
        write_trace(&spec, 0, std::io::sink()).unwrap(),
        written.truth
    );
}

#[test]
fn eager_kernels_are_found_by_external_id_and_by_frames() {
    let written = Written::of(&spec(
        ModelShape::dense(3),
        Launch::Eager,
        &[PassSpec::decode(4)],
    ));
    let ops: HashSet<u64> = written
        .events("cpu_op")
        .iter()
        .map(|op| op["args"]["External id"].as_u64().unwrap())
        .collect();
    for kernel in written.events("kernel") {
        assert!(ops.contains(&kernel["args"]["External id"].as_u64().unwrap()));
    }
    let frames = written.events("python_function");
    let by_id: HashMap<u64, &Value> = frames
        .iter()
        .map(|frame| (frame["args"]["Python id"].as_u64().unwrap(), *frame))
        .collect();
    let layer = |frame: &Value| {
        frame["name"]
            .as_str()
            .unwrap()
            .starts_with("nn.Module: Qwen3Dec")
    };
    assert_eq!(frames.iter().filter(|frame| layer(frame)).count(), 3);
    for frame in &frames {
        let Some(parent) = frame["args"]["Python parent id"].as_u64() else {
            continue;
        };
        let parent = by_id[&parent];
        assert!(nanos(parent, "ts") <= nanos(frame, "ts"));
        let ends = |event: &Value| nanos(event, "ts") + nanos(event, "dur");
        assert!(ends(parent) >= ends(frame));
    }
}

#[test]
fn without_stacks_there_are_no_frames() {
    let mut spec = spec(ModelShape::dense(2), Launch::Eager, &[PassSpec::decode(4)]);
    spec.stacks = false;
    let written = Written::of(&spec);
    assert!(written.events("python_function").is_empty());
    assert_eq!(written.document["with_stack"], 0);
}
