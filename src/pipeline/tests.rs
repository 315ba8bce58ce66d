//! Whole analyses of written traces.

use std::path::PathBuf;

use super::synthetic::{Family, Style, families, trace_json, with_noise};
use super::*;
use crate::detail::Detail;
use crate::fault::{Fault, FaultCode};

struct Written {
    dir: tempfile::TempDir,
    trace: PathBuf,
}

fn write(passes: &[Vec<String>], style: Style) -> Written {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("t.trace.json");
    std::fs::write(&trace, trace_json(passes, style)).unwrap();
    Written { dir, trace }
}

impl Written {
    fn request(&self) -> PipelineRequest {
        PipelineRequest {
            trace: self.trace.clone(),
            detail: Detail::Full,
            ..PipelineRequest::default()
        }
    }

    fn with_config(&self, config: &str) -> PipelineRequest {
        let path = self.dir.path().join("config.json");
        std::fs::write(&path, config).unwrap();
        PipelineRequest {
            config: Some(path),
            ..self.request()
        }
    }
}

fn named(name: &str) -> Family {
    let mut all = families().into_iter();
    all.find(|family| family.name == name).unwrap()
}

fn layers(record: &PipelineRecord) -> Vec<u32> {
    record.passes.iter().map(|pass| pass.layers).collect()
}

fn counts(record: &PipelineRecord) -> Vec<(&str, u32)> {
    let types = record.layer_types.iter();
    types
        .map(|kind| (kind.r#type.as_str(), kind.count))
        .collect()
}

#[test]
fn every_family_in_every_style_has_its_layers_in_every_pass() {
    for family in families() {
        for style in [
            Style::SglangEager,
            Style::SglangGraph,
            Style::VllmPiecewise,
            Style::Bare,
            Style::BareGraph,
        ] {
            let written = write(&vec![family.kernels.clone(); 3], style);
            let record = analyze(&written.request()).unwrap();
            // Without annotations, what runs before the first whole graph is a
            // pass of its own, and so are a draft model's steps.
            let mut found = layers(&record);
            if matches!(style, Style::Bare | Style::BareGraph) {
                found.retain(|&layers| layers > 4 || family.layers <= 4 && layers > 0);
            }
            assert_eq!(
                found, [family.layers as u32; 3],
                "{} {style:?}",
                family.name
            );
        }
    }
}

#[test]
fn noise_of_three_percent_changes_no_count() {
    for (seed, family) in families().into_iter().enumerate() {
        let passes: Vec<Vec<String>> = (0..4)
            .map(|pass| with_noise(&family, 0.03, 1000 * pass + seed as u64))
            .collect();
        let record = analyze(&write(&passes, Style::SglangEager).request()).unwrap();
        assert_eq!(
            record.layers_per_pass as usize, family.layers,
            "{}",
            family.name
        );
    }
}

#[test]
fn dense_layers_come_before_expert_layers() {
    let config = r#"{"model_type": "deepseek_v3", "num_hidden_layers": 8, "n_routed_experts": 64,
        "first_k_dense_replace": 2, "kv_lora_rank": 512}"#;
    for name in [
        "sglang mla decode",
        "sglang mla prefill",
        "vllm mla compiled",
    ] {
        let written = write(&vec![named(name).kernels; 5], Style::SglangGraph);
        let record = analyze(&written.with_config(config)).unwrap();
        assert_eq!(counts(&record), [("dense", 2), ("moe", 6)], "{name}");
        assert!(record.config_check.as_ref().unwrap().agrees, "{name}");
        assert!(record.passes.iter().all(|pass| pass.steady), "{name}");
        assert_eq!(record.layer_types[1].members, "2-7");
        let unaided = analyze(&written.request()).unwrap();
        assert_eq!(counts(&unaided), counts(&record), "{name}");
    }
}

#[test]
fn expert_layers_are_all_of_one_type() {
    let config = r#"{"model_type": "qwen3_moe", "num_hidden_layers": 16, "num_experts": 128,
        "decoder_sparse_step": 1, "mlp_only_layers": []}"#;
    for name in ["sglang moe graph", "sglang moe eager", "vllm moe compiled"] {
        let written = write(&[named(name).kernels], Style::VllmPiecewise);
        let record = analyze(&written.with_config(config)).unwrap();
        assert_eq!(counts(&record), [("moe", 16)], "{name}");
        assert!(record.config_check.unwrap().agrees, "{name}");
    }
}

#[test]
fn the_shared_experts_stream_is_part_of_its_layer() {
    let written = write(&[named("sglang mla decode").kernels], Style::SglangGraph);
    let record = analyze(&written.request()).unwrap();
    let flow = record
        .flows
        .iter()
        .find(|flow| flow.r#type == "moe")
        .unwrap();
    let aside = flow.kernels.iter().filter(|row| row.stream == 23).count();
    assert_eq!((flow.kernels.len(), aside), (27, 4));
}

#[test]
fn times_add_up() {
    let written = write(
        &vec![named("sglang moe graph").kernels; 4],
        Style::SglangEager,
    );
    let record = analyze(&written.request()).unwrap();
    for layer in &record.layers {
        let categories: f64 = layer.by_category.values().sum();
        assert!((categories - layer.sum_us).abs() < 0.01);
        assert!((layer.wall_us - layer.idle_us - layer.sum_us).abs() < 0.01);
    }
    for pair in record.layers.windows(2) {
        assert!(pair[0].start_us + pair[0].wall_us <= pair[1].start_us);
    }
    let share: f64 = record
        .hot_kernels
        .iter()
        .map(|kernel| kernel.share_pct)
        .sum();
    assert!((share - 100.0).abs() < 0.1);
    let pass = &record.passes[record.chosen_pass.index as usize];
    let range = &record.perfetto[0];
    assert!((range.start_s * 1e6 - pass.start_us).abs() < 1e-3);
    assert!(((range.end_s - range.start_s) * 1e6 - pass.wall_us).abs() < 1e-3);
}

#[test]
fn a_cut_pass_is_said_to_be_cut_and_never_chosen() {
    let family = named("sglang dense graph");
    let whole = family.kernels.clone();
    let passes = [
        whole[300..].to_vec(),
        whole.clone(),
        whole.clone(),
        whole[..250].to_vec(),
    ];
    let record = analyze(&write(&passes, Style::SglangEager).request()).unwrap();
    assert_eq!(record.layers_per_pass, 36);
    let states: Vec<PassState> = record.passes.iter().map(|pass| pass.state).collect();
    assert_eq!(
        states,
        [
            PassState::Cut,
            PassState::Alone,
            PassState::Alone,
            PassState::Cut
        ]
    );
    let note = |pass: usize| record.passes[pass].note.clone().unwrap();
    assert!(note(0).contains("the capture begins inside"), "{}", note(0));
    assert!(note(3).contains("the capture ends inside"), "{}", note(3));
    assert!([1, 2].contains(&record.chosen_pass.index));
    assert!(
        record
            .warnings
            .iter()
            .any(|warning| warning.contains("2 of 4 passes"))
    );
}

#[test]
fn another_models_configuration_is_reported_and_names_nothing() {
    let written = write(&[named("sglang mla decode").kernels], Style::SglangEager);
    let record = analyze(&written.with_config(r#"{"num_hidden_layers": 36}"#)).unwrap();
    assert_eq!(counts(&record), [("dense", 2), ("moe", 6)]);
    let check = record.config_check.unwrap();
    assert!(!check.agrees);
    assert!(check.disagreements[0].contains("8 layers a pass, the configuration 36"));
    assert!(
        record
            .warnings
            .iter()
            .any(|warning| warning.starts_with("configuration:"))
    );
}

#[test]
fn what_has_no_layers_is_refused_with_the_reason() {
    let one: Vec<String> = named("sglang dense graph").kernels[..21].to_vec();
    let unlike: Vec<String> = (0..200).map(|at| format!("kernel_{at}")).collect();
    for kernels in [one, unlike] {
        let written = write(&[kernels], Style::SglangEager);
        let error = analyze(&written.request()).unwrap_err();
        assert!(error.to_string().contains("no group of its"), "{error}");
        assert_eq!(Fault::from(error).error, FaultCode::LayersNotFound);
    }
    let written = write(&[Vec::new()], Style::SglangEager);
    let error = analyze(&written.request()).unwrap_err();
    assert!(error.to_string().contains("has no kernel"), "{error}");
}

#[test]
fn passes_and_layers_that_there_are_not_are_refused() {
    let written = write(&[named("sglang dense graph").kernels], Style::SglangEager);
    let refused = |request: PipelineRequest| analyze(&request).unwrap_err().to_string();
    let pass = PassChoice::Index(7);
    let message = refused(PipelineRequest {
        pass,
        ..written.request()
    });
    assert!(
        message.contains("no pass 7") && message.contains("it has 1"),
        "{message}"
    );
    let layers = vec![36];
    let message = refused(PipelineRequest {
        layers,
        ..written.request()
    });
    assert!(
        message.contains("no layer 36") && message.contains("it has 36"),
        "{message}"
    );
    let stage = Some(crate::trace::Stage::Prefill);
    let message = refused(PipelineRequest {
        stage,
        ..written.request()
    });
    assert!(message.contains("no pass of stage prefill"), "{message}");
}

#[test]
fn two_layers_and_two_engines_are_compared() {
    let sglang = write(
        &vec![named("sglang mla decode").kernels; 4],
        Style::SglangGraph,
    );
    let vllm = write(
        &vec![named("vllm mla compiled").kernels; 4],
        Style::VllmPiecewise,
    );
    let request = PipelineRequest {
        compare_layers: Some([1, 2]),
        compare_trace: Some(vllm.trace.clone()),
        ..sglang.request()
    };
    let record = analyze(&request).unwrap();
    let layers = record.layer_comparison.unwrap();
    assert_eq!(
        (layers.a.as_str(), layers.b.as_str()),
        ("layer 1 (dense)", "layer 2 (moe)")
    );
    assert!(layers.counts[&Change::Insert] >= 9);
    assert_eq!(layers.counts[&Change::Same], 16);
    let names: Vec<&str> = record
        .type_comparisons
        .iter()
        .map(|comparison| comparison.a.as_str())
        .collect();
    assert_eq!(names, ["dense in t.trace.json", "moe in t.trace.json"]);
    for comparison in &record.type_comparisons {
        let delta: f64 = comparison.steps.iter().map(|step| step.delta_us).sum();
        assert!((delta - (comparison.b_us - comparison.a_us)).abs() < 0.01);
    }
}

#[test]
fn reports_and_viewer_tracks_are_written() {
    let written = write(
        &vec![named("sglang dense graph").kernels; 2],
        Style::SglangGraph,
    );
    let (report, perfetto) = (
        written.dir.path().join("a/layer-pipeline.md"),
        written.dir.path().join("p.json.gz"),
    );
    let request = PipelineRequest {
        report: Some(report.clone()),
        perfetto: Some(perfetto.clone()),
        ..written.request()
    };
    analyze(&request).unwrap();
    let text = std::fs::read_to_string(report).unwrap();
    for heading in [
        "# Layer pipeline",
        "## Layer types",
        "## Hot kernels of dense",
        "## Passes",
    ] {
        assert!(text.contains(heading), "{heading}");
    }
    let packed = std::fs::read(perfetto).unwrap();
    let document: serde_json::Value =
        serde_json::from_reader(flate2::read::GzDecoder::new(&packed[..])).unwrap();
    let events = document["traceEvents"].as_array().unwrap();
    let slices = |track: u64| {
        events
            .iter()
            .filter(|event| event["ph"] == "X" && event["tid"] == track)
            .count()
    };
    assert_eq!((slices(1), slices(2)), (2, 72));
    assert_eq!(events[1]["ts"], 1000.0);
}

#[test]
fn a_summary_is_short_and_says_what_it_left_out() {
    let written = write(
        &vec![named("sglang dense graph").kernels; 40],
        Style::SglangGraph,
    );
    let request = PipelineRequest {
        detail: Detail::Summary,
        ..written.request()
    };
    let record = analyze(&request).unwrap();
    assert!(record.truncated);
    assert_eq!((record.total.passes, record.total.layers), (40, 36));
    assert!(
        record
            .passes
            .iter()
            .any(|pass| pass.index == record.chosen_pass.index)
    );
    let bytes = serde_json::to_string(&record).unwrap().len();
    assert!(bytes < 8_000, "{bytes} bytes");
}
