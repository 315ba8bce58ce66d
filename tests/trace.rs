//! Reading traces: what real files hold, and what broken files do.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sota_loop::trace::{
    self, CategoryColumn, GpuKind, ReadOptions, Stage, StepSource, Steps, Trace, TraceError,
    TraceWarning,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/trace")
        .join(name)
}

fn read(path: &Path) -> Trace {
    trace::read(path, &ReadOptions::default()).unwrap()
}

/// Writes bytes to a file of its own and reads them.
fn read_bytes(bytes: &[u8]) -> Result<Trace, TraceError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.trace.json");
    fs::write(&path, bytes).unwrap();
    trace::read(&path, &ReadOptions::default())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn kernel(name: &str, ts: &str, dur: &str, correlation: u32) -> String {
    format!(
        r#"{{"ph": "X", "cat": "kernel", "name": "{name}", "pid": 0, "tid": 7, "ts": {ts}, "dur": {dur},
  "args": {{"device": 0, "stream": 7, "correlation": {correlation}, "grid": [1, 2, 3], "block": [4, 5, 6]}}}}"#
    )
}

fn document(events: &[String]) -> String {
    format!(
        "{{\"schemaVersion\": 1,\n\"traceEvents\": [\n{}\n], \"traceName\": \"x\"}}",
        events.join(",\n")
    )
}

#[test]
fn a_real_decode_trace_keeps_replays_whole() {
    let trace = read(&fixture("sglang-decode.json.gz"));
    assert!(trace.warnings.is_empty(), "{:?}", trace.warnings);
    assert_eq!(trace.meta.base_time_ns, Some(1_790_857_026_000_000_000));
    assert_eq!(trace.meta.devices[0].name, "NVIDIA H100 80GB HBM3");
    assert_eq!(trace.meta.devices[0].sm_count, 132);
    assert_eq!(trace.meta.distributed.as_ref().unwrap().world_size, 1);

    let graph_launch = trace.strings.find("cudaGraphLaunch").unwrap();
    let mut kernels_of = std::collections::BTreeMap::new();
    for row in 0..trace.gpu.len() {
        let launch = trace.gpu.launch[row].expect("every kernel has a launch");
        if trace.gpu.kind[row] == GpuKind::Kernel
            && trace.launches.name[launch.row()] == graph_launch
        {
            *kernels_of.entry(launch).or_insert(0) += 1;
        }
    }
    let full: Vec<_> = kernels_of.values().filter(|&&count| count == 544).collect();
    assert_eq!(full.len(), 3);
    assert!(trace.gpu.start_ns.is_sorted());
}

#[test]
fn a_frame_is_found_at_an_eager_launch() {
    let trace = read(&fixture("sglang-eager-decode.json.gz"));
    let row = (0..trace.gpu.len())
        .find(|&row| {
            trace
                .text(trace.gpu.name[row])
                .contains("act_and_mul_kernel")
        })
        .unwrap();
    let launch = trace.gpu.launch[row].unwrap().row();
    let frames: Vec<&str> = trace
        .frames
        .enclosing(
            trace.launches.thread[launch],
            trace.launches.start_ns[launch],
        )
        .map(|frame| trace.text(trace.frames.name[frame.row()]))
        .collect();
    let position = |part: &str| frames.iter().position(|frame| frame.contains(part));
    let activation = position("sglang/srt/layers/activation.py").unwrap();
    let model = position("sglang/srt/models/qwen3.py").unwrap();
    assert!(activation < model, "{frames:#?}");
}

#[test]
fn leaving_frames_out_leaves_the_rest_alone() {
    let path = fixture("sglang-decode.json.gz");
    let options = ReadOptions {
        python_frames: false,
        cpu_ops: false,
    };
    let (full, lean) = (read(&path), trace::read(&path, &options).unwrap());
    assert!(lean.frames.is_empty() && lean.ops.is_empty());
    assert!(!full.frames.is_empty() && !full.ops.is_empty());
    assert_eq!(lean.gpu.start_ns, full.gpu.start_ns);
    assert_eq!(lean.counts, full.counts);
}

#[test]
fn every_packing_gives_the_same_tables() {
    let packed = fs::read(fixture("vllm-decode.json.gz")).unwrap();
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut plain).unwrap();
    let expected = read_bytes(&packed).unwrap();

    let third = plain.len() / 3;
    let members: Vec<u8> = plain.chunks(third).flat_map(gzip).collect();
    let zst = zstd::encode_all(&plain[..], 3).unwrap();
    for bytes in [plain, members, zst] {
        let trace = read_bytes(&bytes).unwrap();
        assert_eq!(trace.counts, expected.counts);
        assert_eq!(trace.gpu.start_ns, expected.gpu.start_ns);
        assert_eq!(trace.gpu.dur_ns, expected.gpu.dur_ns);
        assert!(trace.warnings.is_empty());
    }
}

#[test]
fn a_truncated_file_gives_what_was_read_and_says_so() {
    let packed = fs::read(fixture("sglang-decode.json.gz")).unwrap();
    let whole = read_bytes(&packed).unwrap().counts.events;
    let trace = read_bytes(&packed[..packed.len() / 2]).unwrap();
    assert!(trace.counts.events > whole / 3 && trace.counts.events < whole);
    assert!(matches!(trace.warnings[..], [TraceWarning::Truncated { offset, .. }] if offset > 0));

    let text = document(&[kernel("a", "1", "1", 1), kernel("b", "2", "1", 2)]);
    let cut = text.find("\"b\"").unwrap();
    let trace = read_bytes(&text.as_bytes()[..cut]).unwrap();
    assert_eq!(trace.gpu.len(), 1);
    assert!(matches!(
        trace.warnings[..],
        [TraceWarning::Truncated { .. }]
    ));
}

#[test]
fn odd_events_are_left_out_and_counted() {
    let events = [
        kernel("late", "30", "5", 1),
        kernel("never ends", "10", "NaN", 1),
        r#"{"ph": "X", "cat": "kernel", "name": "no duration", "pid": 0, "tid": 7, "ts": 1}"#
            .into(),
        r#"{"ph": "Z", "name": "what", "ts": 1}"#.into(),
        kernel("control \u{1}\u{1f} characters", "20.5", "1.25", 1),
        r#"{"ph": "X", "cat": "something new", "name": "n", "ts": 1, "dur": 1}"#.into(),
    ];
    let trace = read_bytes(document(&events).as_bytes()).unwrap();
    let names: Vec<&str> = trace
        .gpu
        .name
        .iter()
        .map(|&name| trace.text(name))
        .collect();
    assert_eq!(names, ["control \u{1}\u{1f} characters", "late"]);
    assert_eq!(trace.gpu.start_ns, [20_500, 30_000]);
    assert_eq!(trace.gpu.dur_ns, [1250, 5000]);
    assert_eq!(trace.gpu.block[0], [4, 5, 6]);
    assert_eq!(
        trace.warnings,
        [
            TraceWarning::Untimed { count: 2 },
            TraceWarning::UnknownPhase {
                count: 1,
                example: 'Z'
            },
        ]
    );
}

#[test]
fn damaged_events_are_passed_over() {
    let events = [
        kernel("a", "1", "1", 1),
        r#"{"ph": "X", "cat": "kernel", "name": "a "quoted" name", "ts": 2, "dur": 1}"#.into(),
        kernel("b", "3", "1", 2),
    ];
    let text = document(&events);
    let trace = read_bytes(text.as_bytes()).unwrap();
    assert_eq!(trace.gpu.len(), 2);
    let offset = text.find("quoted").unwrap() as u64;
    assert_eq!(
        trace.warnings,
        [TraceWarning::Damaged {
            count: 1,
            first_offset: offset
        }]
    );
}

#[test]
fn a_bare_array_is_a_trace_and_an_empty_list_is_one_too() {
    let bare = format!("[{}]", kernel("a", "1", "1", 1));
    assert_eq!(read_bytes(bare.as_bytes()).unwrap().gpu.len(), 1);
    assert!(
        read_bytes(br#"{"traceEvents": []}"#)
            .unwrap()
            .gpu
            .is_empty()
    );
}

#[test]
fn what_is_no_trace_is_refused_with_the_reason() {
    let refused = |bytes: &[u8]| read_bytes(bytes).unwrap_err().to_string();
    for (bytes, reason) in [
        (&b""[..], "it is empty or not JSON"),
        (b"hello world", "it is not JSON text"),
        (
            br#"{"model": "x", "rows": [1, 2]}"#,
            "it has no traceEvents array",
        ),
        (br#"{"model" "x"}"#, "expected a colon after a key"),
        (b"[1, 2, 3]", "no element of its list is an event"),
        (
            br#"{"traceEvents": [ {"ph": "X", "#,
            "it ends before any event",
        ),
        (b"BZh91AY", "packed as bzip2"),
    ] {
        let message = refused(bytes);
        assert!(message.contains(reason), "{message}");
    }
    let mut broken = gzip(b"{\"traceEvents\": [");
    broken.truncate(12);
    assert!(refused(&broken).contains("is damaged"));

    let dir = tempfile::tempdir().unwrap();
    let options = ReadOptions::default();
    let folder = trace::read(dir.path(), &options).unwrap_err();
    assert!(matches!(folder, TraceError::NotAFile { .. }));
    let absent = trace::read(&dir.path().join("absent"), &options).unwrap_err();
    assert!(matches!(absent, TraceError::Open { .. }));
}

#[test]
fn a_repeated_correlation_resolves_to_the_launch_before_the_kernel() {
    let call = |name: &str, ts: u32| {
        format!(
            r#"{{"ph": "X", "cat": "cuda_runtime", "name": "{name}", "pid": 9, "tid": 9, "ts": {ts}, "dur": 1, "args": {{"correlation": 5}}}}"#
        )
    };
    let events = [
        call("second", 100),
        call("first", 10),
        kernel("early", "20", "1", 5),
        kernel("late", "200", "1", 5),
        kernel("orphan", "300", "1", 6),
    ];
    let trace = read_bytes(document(&events).as_bytes()).unwrap();
    let callers: Vec<Option<&str>> = trace
        .gpu
        .launch
        .iter()
        .map(|launch| launch.map(|index| trace.text(trace.launches.name[index.row()])))
        .collect();
    assert_eq!(callers, [Some("first"), Some("second"), None]);
}

fn steps(name: &str) -> (Trace, Steps) {
    let trace = read(&fixture(name));
    let steps = Steps::new(&trace, &CategoryColumn::new(&trace), None);
    (trace, steps)
}

#[test]
fn work_belongs_to_the_step_that_launched_it() {
    let (trace, found) = steps("sglang-decode.json.gz");
    let seen: Vec<_> = found
        .steps
        .iter()
        .map(|step| (step.stage, step.shape.batch, step.shape.tokens))
        .collect();
    assert_eq!(
        seen,
        [
            (Stage::Prefill, Some(4), Some(64)),
            (Stage::Decode, Some(8), None),
            (Stage::Decode, Some(4), None),
            (Stage::Decode, Some(4), None),
        ]
    );
    for step in &found.steps[1..] {
        let attention = found
            .kernels(&trace, step)
            .filter(|&row| trace.text(trace.gpu.name[row]).contains("FlashAttnFwdSm90"))
            .count();
        assert_eq!(attention, 36);
        assert!(found.kernels(&trace, step).count() > 544);
    }
    let assigned: usize = found.steps.iter().map(|step| step.gpu.len()).sum();
    assert_eq!(assigned, found.of_gpu.iter().flatten().count());
}

#[test]
fn vllm_steps_are_read_with_their_counts_and_empty_ones_left_out() {
    let (_, found) = steps("vllm-prefill.json.gz");
    let tokens: Vec<_> = found.steps.iter().map(|step| step.shape.tokens).collect();
    assert_eq!(tokens, [Some(4000), Some(4001)]);
    let (trace, found) = steps("vllm-decode.json.gz");
    let stages: Vec<_> = found.steps.iter().map(|step| step.stage).collect();
    assert_eq!(stages, [Stage::Decode, Stage::Mixed, Stage::Decode]);
    assert_eq!(found.empty, 1);
    let lm_heads = (0..trace.gpu.len())
        .filter(|&row| {
            trace
                .text(trace.gpu.name[row])
                .starts_with("nvjet_sm90_tst_256x8")
        })
        .filter(|&row| found.of_gpu[row].is_some())
        .count();
    assert_eq!(
        lm_heads, 3,
        "launched after the annotation, still of the step"
    );
}

#[test]
fn without_annotations_sampling_kernels_cut_the_passes() {
    let mut trace = read(&fixture("sglang-decode.json.gz"));
    trace.annotations = Default::default();
    trace.gpu_annotations = Default::default();
    let categories = CategoryColumn::new(&trace);
    let told = Steps::new(&trace, &categories, None);
    assert_eq!(told.source, StepSource::Kernels);
    assert_eq!(told.steps.len(), 4);
    assert_eq!(told.steps[3].stage, Stage::Decode);
    let hinted = Steps::new(&trace, &categories, Some(Stage::Prefill));
    assert_eq!(hinted.source, StepSource::Folder);
    assert!(hinted.steps.iter().all(|step| step.stage == Stage::Prefill));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever is done to a trace, reading it ends with tables or an error.
    #[test]
    fn no_damage_makes_the_reader_panic(
        cut in 0usize..4000,
        at in 0usize..4000,
        junk in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
    ) {
        let events: Vec<String> = (0..12)
            .map(|n| kernel("k", &n.to_string(), "1e300", n))
            .collect();
        let mut bytes = document(&events).into_bytes();
        let at = at.min(bytes.len());
        bytes.splice(at..(at + junk.len() / 2).min(bytes.len()), junk);
        bytes.truncate(bytes.len().saturating_sub(cut % 700));
        if let Ok(trace) = read_bytes(&bytes) {
            let categories = CategoryColumn::new(&trace);
            let _ = Steps::new(&trace, &categories, None);
        }
    }
}
