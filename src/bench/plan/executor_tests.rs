use serde_json::{Value, json};

use crate::bench::plan::{Plan, from_value};
use crate::fault::Fault;

fn plan(executors: &[Value]) -> Result<Plan, Fault> {
    let mut frameworks = serde_json::Map::new();
    for (index, executor) in executors.iter().enumerate() {
        frameworks.insert(
            format!("mine{index}"),
            json!({"engine": "openai", "command": ["serve"], "executor": executor}),
        );
    }
    let plan = json!({
        "model": {"name": "m"},
        "dataset": {"scenario_names": ["chat"], "input_len": [8], "output_len": [8]},
        "frameworks": frameworks,
    });
    from_value(&plan).map_err(Fault::from)
}

fn refused(executor: Value) -> String {
    let fault = plan(std::slice::from_ref(&executor)).expect_err(&executor.to_string());
    format!("{}; {}", fault.message, fault.hint)
}

#[test]
fn every_kind_is_read() {
    for executor in [
        json!({"kind": "local"}),
        json!({}),
        json!({"kind": "docker", "image": "lmsysorg/sglang:v0.5.15-cu129", "mounts": ["/a b:/c:ro"]}),
        json!({"kind": "docker", "container": "sglang_dev"}),
        json!({"kind": "ssh", "host": "me@h100-1.lab"}),
        json!({"kind": "ssh", "host": "h", "image": "vllm/vllm-openai@sha256:00"}),
        json!({"kind": "slurm", "partition": "h100,h200", "account": "a", "time_limit": "1-2:30:00", "arguments": ["--qos=long", "--exclusive"]}),
    ] {
        plan(std::slice::from_ref(&executor))
            .unwrap_or_else(|fault| panic!("{executor}: {fault:?}"));
    }
}

#[test]
fn a_key_of_another_kind_is_refused_with_the_kinds_that_have_it() {
    let text = refused(json!({"kind": "docker", "image": "i", "host": "h"}));
    assert!(text.contains("`frameworks.mine0.executor.host`: means nothing to kind docker; kind docker has image, container, mounts; `host` belongs to ssh, slurm"), "{text}");
    let text = refused(json!({"image": "i"}));
    assert!(
        text.ends_with(
            "means nothing to kind local; leave it out, or choose a kind that has it: docker, ssh"
        ),
        "{text}"
    );
    let text = refused(json!({"kind": "slurm", "image": "i"}));
    assert!(text.contains("means nothing to kind slurm"), "{text}");
}

#[test]
fn misspelt_keys_and_kinds_get_the_nearest() {
    let text = refused(json!({"kind": "slurm", "partiton": "p"}));
    assert!(text.ends_with("did you mean `partition`?"), "{text}");
    let text = refused(json!({"kind": "dokcer", "image": "p"}));
    assert!(text.ends_with("did you mean `docker`?"), "{text}");
}

#[test]
fn what_is_missing_or_doubled_is_named() {
    assert!(refused(json!({"kind": "ssh"})).ends_with("is ssh, but `host` is missing; add `host`"));
    assert!(refused(json!({"kind": "docker"})).contains("`image` is missing"));
    let both = refused(json!({"kind": "docker", "image": "i", "container": "c"}));
    assert!(both.contains("is given beside image"), "{both}");
    let late = refused(json!({"kind": "docker", "container": "c", "mounts": ["/a:/b"]}));
    assert!(late.contains("cannot be added"), "{late}");
}

#[test]
fn values_that_would_become_options_or_code_are_refused() {
    for (kind, key, value) in [
        ("ssh", "host", "-oProxyCommand=touch x"),
        ("ssh", "host", "a b"),
        ("ssh", "host", "$(touch x)"),
        ("slurm", "partition", "--wrap=x"),
        ("slurm", "account", "a;b"),
        ("slurm", "time_limit", "soon"),
        ("slurm", "time_limit", "1:2:3:4"),
        ("docker", "image", "--privileged"),
        ("docker", "container", "a b"),
    ] {
        let text = refused(json!({"kind": kind, "host": "h", key: value}));
        if kind == "docker" {
            continue;
        }
        assert!(text.contains(&format!("executor.{key}`")), "{text}");
    }
    for argument in ["-p", "x", "--", "--wrap=touch x", "--array=0-9", "--time=3"] {
        let text = refused(json!({"kind": "slurm", "arguments": [argument]}));
        assert!(text.contains("executor.arguments`"), "{text}");
    }
    for mount in ["/a", "a:/b", "/a:b", "/a:/b:rx", "/a,b:/c"] {
        let text = refused(json!({"kind": "docker", "image": "i", "mounts": [mount]}));
        assert!(text.contains("executor.mounts`"), "{text}");
    }
}

#[test]
fn one_plan_is_one_host() {
    let ssh = |host: &str| json!({"kind": "ssh", "host": host});
    assert!(plan(&[ssh("a"), ssh("a")]).is_ok());
    let containers = [
        json!({"kind": "ssh", "host": "a", "image": "one"}),
        json!({"kind": "ssh", "host": "a", "image": "two"}),
    ];
    assert!(plan(&containers).is_ok());
    assert!(plan(&[json!({"kind": "docker", "image": "one"}), json!({})]).is_ok());
    for other in [ssh("b"), json!({}), json!({"kind": "slurm"})] {
        let fault = plan(&[ssh("a"), other]).unwrap_err();
        assert!(
            fault.message.contains("another place than that of `mine0`"),
            "{fault}"
        );
    }
}

#[test]
fn slurm_chooses_the_gpus() {
    let plan = json!({
        "model": {"name": "m"},
        "hardware": {"gpu_ids": [0]},
        "dataset": {"scenario_names": ["chat"], "input_len": [8], "output_len": [8]},
        "frameworks": {"mine": {"engine": "openai", "command": ["serve"], "executor": {"kind": "slurm"}}},
    });
    let fault = Fault::from(from_value(&plan).unwrap_err());
    assert!(
        fault.message.contains("`hardware.gpu_ids`: names GPUs"),
        "{fault}"
    );
}
