//! Real entry points, with stand-ins for the frameworks: an interpreter that
//! has a package, a checkout that is imported or is not, a program on the path.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::plans::{plan, rows, run, sim};
use crate::support::{BINARY, Home, read};

/// A package `sglang` whose server is the simulated engine; its help is the
/// real one of SGLang 0.5.15.
fn package(folder: &Path, mark: &str) {
    let help =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/engine/sglang-0.5.15-help.txt");
    let module = folder.join("sglang");
    std::fs::create_dir_all(&module).unwrap();
    std::fs::write(module.join("__init__.py"), "").unwrap();
    let server = format!(
        "import os, sys\n\
         given = sys.argv[1:]\n\
         if '--help' in given:\n    print(open({help:?}).read())\n    sys.exit(0)\n\
         sim = [{BINARY:?}, 'sim', '--dialect', 'sglang', '--load-s', '0', '--revision', {mark:?},\n    \
         '--decode-base-ms', '1', '--prefill-tokens-per-s', '1000000']\n\
         os.execv(sim[0], sim + given)\n"
    );
    std::fs::write(module.join("launch_server.py"), server).unwrap();
    let installed = folder.join("sglang-0.5.15.dist-info");
    std::fs::create_dir_all(&installed).unwrap();
    let metadata = "Metadata-Version: 2.1\nName: sglang\nVersion: 0.5.15\n";
    std::fs::write(installed.join("METADATA"), metadata).unwrap();
}

fn git(checkout: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(checkout)
        .args(["-c", "user.name=t", "-c", "user.email=t@t"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A checkout whose `python/` folder is the package.
fn checkout(home: &Home) -> PathBuf {
    let checkout = home.workspace().join("src");
    package(&checkout.join("python"), &home.mark());
    git(&checkout, &["init", "-q"]);
    git(&checkout, &["add", "-A"]);
    git(&checkout, &["commit", "-qm", "one"]);
    checkout
}

fn with_source(home: &Home, checkout: &Path, import_from: &Path, build: Value) -> Value {
    let _ = home;
    plan(json!({"sglang": {
        "source": {"checkout": checkout, "python": "python3", "build": build},
        "env": {"PYTHONPATH": import_from, "PYTHONDONTWRITEBYTECODE": "1"},
        "base_server_flags": {"mem_fraction_static": 0.82, "disable_radix_cache": true},
    }}))
}

#[test]
fn an_interpreter_runs_the_package_and_the_row_says_what_it_is() {
    let home = Home::new();
    let folder = home.workspace().join("site");
    package(&folder, &home.mark());
    let record = run(
        &home,
        &plan(json!({"sglang": {
            "python": "python3",
            "env": {"PYTHONPATH": folder},
            "base_server_flags": {"mem_fraction_static": 0.82, "disable_radix_cache": true, "load_format": "dummy"},
        }})),
    );
    assert_eq!(record["state"], "done", "{record:#}");
    let row = &rows(&home)[0];
    assert_eq!(row["status"], "ok", "{row:#}");
    assert_eq!(row["framework_version"], "0.5.15");
    assert_eq!(row["cache"]["prefix_cache_enabled"], false);
    assert_eq!(
        row["validated_cli_flags"]["server"],
        json!([
            "--model-path",
            "--served-model-name",
            "--host",
            "--port",
            "--enable-metrics",
            "--mem-fraction-static",
            "--disable-radix-cache",
            "--load-format"
        ])
    );
    let help = read(row["artifacts"]["server_help"].as_str().unwrap());
    assert!(
        help.starts_with("$ python3 -m sglang.launch_server --help\n"),
        "{help:.200}"
    );
    home.wait_until_no_engine();
}

#[test]
fn a_wrong_flag_of_a_package_is_refused_by_its_own_help() {
    let home = Home::new();
    let folder = home.workspace().join("site");
    package(&folder, &home.mark());
    let record = run(
        &home,
        &plan(json!({"sglang": {
            "python": "python3",
            "env": {"PYTHONPATH": folder},
            "search_space": {"schedule_policy": ["fcsf"], "chunked_prefil_size": [8192]},
        }})),
    );
    assert_eq!(record["state"], "failed");
    assert_eq!(
        record["failure"]["message"],
        "sglang: `--schedule-policy` does not take `fcsf`; did you mean `fcfs`?; \
         sglang: there is no flag `--chunked-prefil-size`; did you mean `--chunked-prefill-size`?"
    );
    assert_eq!(record["total"], 0);
}

#[test]
fn a_framework_that_is_not_installed_is_a_row_and_the_others_go_on() {
    let home = Home::new();
    let record = run(
        &home,
        &plan(json!({
            "sglang": {"python": "python3", "env": {"PYTHONPATH": home.workspace()}},
            "vllm": {"command": sim(&home, "vllm", &[])},
        })),
    );
    assert_eq!(record["state"], "done", "{record:#}");
    let rows = rows(&home);
    let reason = rows[0]["failure_reason"].as_str().unwrap();
    assert_eq!(
        reason,
        "not_installed: framework sglang: python3 has no package `sglang`"
    );
    assert_eq!(rows[1]["status"], "ok");
    let fairness = read(home.workspace().join("out/fairness/diagnostics.md"));
    assert!(
        fairness.contains("- sglang: not_installed: framework sglang"),
        "{fairness}"
    );
}

#[test]
fn a_server_of_the_checkout_says_its_tree_and_builds_once_a_tree() {
    let home = Home::new();
    let checkout = checkout(&home);
    let python = checkout.join("python");
    let stamp = home.workspace().join("built");
    let count = format!(
        "open({:?}, 'a').write('x'); print('building')",
        stamp.display().to_string()
    );
    let plan = with_source(
        &home,
        &checkout,
        &python,
        json!([["{python}", "-c", count]]),
    );
    let record = run(&home, &plan);
    assert_eq!(record["state"], "done", "{record:#}");
    let row = &rows(&home)[0];
    assert_eq!(row["status"], "ok", "{row:#}");
    let source = &row["source"];
    assert_eq!(source["commit"], git(&checkout, &["rev-parse", "HEAD"]));
    assert_eq!(
        source["tree"],
        git(&checkout, &["rev-parse", "HEAD^{tree}"])
    );
    assert_eq!(source["dirty"], false);
    assert_eq!(
        source["module_path"],
        json!(python.join("sglang/__init__.py"))
    );
    assert_eq!(row["framework_commit"], source["commit"]);
    let log = read(source["build_log"].as_str().unwrap());
    assert!(
        log.starts_with("$ python3 -c ") && log.contains("building"),
        "{log}"
    );
    assert_eq!(read(&stamp), "x");

    // The same tree is the same job; another one is built and measured anew.
    assert_eq!(run(&home, &plan)["job_id"], record["job_id"]);
    std::fs::write(python.join("sglang/new.py"), "").unwrap();
    git(&checkout, &["add", "-A"]);
    git(&checkout, &["commit", "-qm", "two"]);
    let next = run(&home, &plan);
    assert_ne!(next["job_id"], record["job_id"]);
    assert_eq!(read(&stamp), "xx");
    let rows = rows(&home);
    assert_ne!(rows[1]["source"]["tree"], rows[0]["source"]["tree"]);
    home.wait_until_no_engine();
}

#[test]
fn captures_of_two_trees_are_two_jobs_in_two_folders() {
    let home = Home::new();
    let checkout = checkout(&home);
    let plan = with_source(&home, &checkout, &checkout.join("python"), json!([]));
    assert_eq!(run(&home, &plan)["state"], "done");
    let capture = || {
        let request = json!({"framework": "sglang", "stage": "decode", "steps": 2});
        let record = home
            .call("profile", &json!({"capture": request, "wait_s": 120}))
            .unwrap();
        assert_eq!(record["state"], "done", "{record:#}");
        let tree = git(&checkout, &["rev-parse", "--short=12", "HEAD^{tree}"]);
        let folder = home.workspace().join("out/profiles/sglang").join(tree);
        assert_eq!(record["report_path"], json!(folder.join("report.md")));
        (record["job_id"].clone(), folder)
    };
    let (first, base) = capture();
    let report = read(base.join("report.md"));
    assert_eq!(capture().0, first);
    std::fs::write(checkout.join("python/sglang/new.py"), "").unwrap();
    git(&checkout, &["add", "-A"]);
    git(&checkout, &["commit", "-qm", "two"]);
    let (second, patched) = capture();
    assert_ne!(second, first);
    assert_ne!(patched, base);
    assert_eq!(read(base.join("report.md")), report);
    assert!(base.join("graphs-on/decode").read_dir().unwrap().count() > 0);
    home.wait_until_no_engine();
}

#[test]
fn another_installation_than_the_checkout_is_no_evidence() {
    let home = Home::new();
    let checkout = checkout(&home);
    let elsewhere = home.workspace().join("site");
    package(&elsewhere, &home.mark());
    run(&home, &with_source(&home, &checkout, &elsewhere, json!([])));
    let row = &rows(&home)[0];
    assert_eq!(row["status"], "failed");
    let reason = row["failure_reason"].as_str().unwrap();
    assert!(
        reason.starts_with("not_running_checkout: ")
            && reason.contains("imports `sglang` from ")
            && reason.contains("site/sglang/__init__.py"),
        "{reason}"
    );
    assert!(home.engines().is_empty());
}

#[test]
fn a_build_that_fails_is_the_reason_of_the_row() {
    let home = Home::new();
    let checkout = checkout(&home);
    let python = checkout.join("python");
    let build = json!([["{python}", "-c", "raise SystemExit('error: no compiler')"]]);
    run(&home, &with_source(&home, &checkout, &python, build));
    let reason = rows(&home)[0]["failure_reason"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        reason.starts_with("build: ") && reason.contains("error: no compiler"),
        "{reason}"
    );
}

#[test]
fn a_checkout_that_changes_during_a_run_fails_the_run() {
    let home = Home::new();
    let checkout = checkout(&home);
    let python = checkout.join("python");
    let mut plan = with_source(&home, &checkout, &python, json!([]));
    plan["dataset"]["output_len"] = json!([1500]);
    let started = home
        .call("run_benchmark", &json!({"plan": plan, "wait_s": 0}))
        .unwrap();
    crate::support::wait_for("the run", || {
        let status = home
            .call(
                "run_benchmark",
                &json!({"job_id": started["job_id"], "wait_s": 0}),
            )
            .unwrap();
        status["message"].as_str().unwrap().contains("decoding")
    });
    std::fs::write(python.join("sglang/edit.py"), "x = 1").unwrap();
    let done = home
        .call(
            "run_benchmark",
            &json!({"job_id": started["job_id"], "wait_s": 60}),
        )
        .unwrap();
    assert_eq!(done["state"], "done", "{done:#}");
    let row = &rows(&home)[0];
    assert_eq!(row["status"], "failed", "{row:#}");
    let reason = row["failure_reason"].as_str().unwrap();
    assert!(
        reason.starts_with("checkout_changed: uncommitted files changed"),
        "{reason}"
    );
    assert_eq!(row["source"]["dirty"], false);
    home.wait_until_no_engine();
}

#[test]
fn fairness_diagnostics_list_what_differs() {
    let home = Home::new();
    let record = run(
        &home,
        &plan(json!({
            "sglang": {
                "command": sim(&home, "sglang", &[]),
                "base_server_flags": {"mem_fraction_static": 0.8},
            },
            "vllm": {
                "command": sim(&home, "vllm", &[]),
                "base_server_flags": {"gpu_memory_utilization": 0.85, "enable_prefix_caching": false},
            },
            "late": {"engine": "vllm", "enabled": false},
        })),
    );
    assert_eq!(record["state"], "done", "{record:#}");
    let text = read(home.workspace().join("out/fairness/diagnostics.md"));
    for line in [
        "| | sglang `base` | vllm `base` |",
        "- prefix cache: sglang `base`: on; vllm `base`: off",
        "- late: not enabled in the plan",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn the_highest_load_within_the_sla_is_found_by_bisection() {
    let home = Home::new();
    // 2 ms a step, one sequence at a time: 20 requests a second of 25 tokens.
    let command = sim(
        &home,
        "vllm",
        &["--extra-step-ms", "1", "--max-running", "1"],
    );
    let mut plan = plan(json!({"vllm": {"command": command}}));
    plan["dataset"]["output_len"] = json!([25]);
    plan["dataset"]["num_prompts"] = json!(2);
    plan["benchmark"] = json!({"burstiness": "inf"});
    plan["sla"] = json!({"max_p99_ttft_ms": 300});
    plan["search"]["max_load"] =
        json!({"low": 4, "high": 320, "steps": 3, "attainment": 0.5, "num_prompts": 30});
    let record = run(&home, &plan);
    assert_eq!(record["state"], "done", "{record:#}");
    let rates: Vec<f64> = rows(&home)
        .iter()
        .filter(|row| row["phase"] == "max_load")
        .map(|row| row["workload"]["request_rate"].as_f64().unwrap())
        .collect();
    assert_eq!(rates, [4.0, 320.0, 35.8]);
    let summary = read(home.workspace().join("out/summary.md"));
    assert!(
        summary.contains("## Highest load within the SLA"),
        "{summary}"
    );
    assert!(summary.contains("4: pass (100.0%"), "{summary}");
    assert!(summary.contains("320: fail"), "{summary}");
    // What was tried to find a limit is no comparison.
    assert_eq!(record["winners"].as_array().unwrap().len(), 1);
    home.wait_until_no_engine();
}

#[test]
fn a_framework_that_is_clearly_out_gets_no_further_candidates() {
    let home = Home::new();
    let knobs = json!({"extra_ttft_ms": [1, 2]});
    let mut plan = plan(json!({
        "fast": {"engine": "vllm", "command": sim(&home, "vllm", &[]), "search_space": knobs},
        "slow": {"engine": "vllm", "command": sim(&home, "vllm", &["--extra-step-ms", "20"]), "search_space": knobs},
    }));
    plan["search"]["stop_behind_pct"] = json!(60);
    let record = run(&home, &plan);
    assert_eq!(record["state"], "done", "{record:#}");
    let slow: Vec<Value> = rows(&home)
        .into_iter()
        .filter(|row| row["framework"] == "slow")
        .collect();
    let status: Vec<&str> = slow
        .iter()
        .map(|row| row["status"].as_str().unwrap())
        .collect();
    assert_eq!(status, ["ok", "skipped", "skipped", "ok"]);
    let reason = slow[1]["failure_reason"].as_str().unwrap();
    assert!(
        reason.starts_with("slow is at least ") && reason.contains("stop_behind_pct is 60"),
        "{reason}"
    );
}
