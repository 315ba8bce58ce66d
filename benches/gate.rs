//! Time of one `sota-loop gate` call, as a host makes it when a conversation ends.
//!
//! `cargo bench --bench gate` opens a campaign with a log of 10,000 events,
//! starts a built-in loop in it, and prints the median of 30 calls that block and
//! of 30 calls of a conversation that touched nothing. Goal: under 100 ms.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use sota_loop::campaign::events::{LoopRuntime, LoopStarted, Resumed};
use sota_loop::campaign::{self, Campaign, HardwareRequest, NewEvent, OpenRequest};

const CALLS: usize = 30;
const EVENTS: usize = 10_000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    // Ten thousand synced appends belong in memory.
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() {
        memory.to_path_buf()
    } else {
        std::env::temp_dir()
    };
    let home = base.join(format!("sota-loop-gate-{}", std::process::id()));
    let result = measure(&home);
    std::fs::remove_dir_all(&home)?;
    result
}

fn measure(home: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(home)?;
    // SAFETY: no other thread runs yet.
    unsafe { std::env::set_var("SOTA_LOOP_STATE_DIR", home.join("state")) };
    let campaign = long_campaign(home)?;
    let touch = json!({
        "hook_event_name": "PostToolUse", "session_id": "mine", "cwd": home,
        "tool_name": "mcp__sota-loop__campaign", "tool_input": {},
        "tool_response": {"root": campaign.root},
    });
    call(home, &touch.to_string())?;
    let stop =
        |session: &str| json!({"hook_event_name": "Stop", "session_id": session}).to_string();
    let (blocked, answer) = median(home, &stop("mine"))?;
    let (free, _) = median(home, &stop("another"))?;
    let size = std::fs::metadata(campaign.log().path())?.len();
    println!(
        "gate: {:.1} ms with a log of {EVENTS} events ({:.1} MB), {:.1} ms for a conversation that touched nothing (medians of {CALLS} starts); goal 100 ms",
        blocked.as_secs_f64() * 1e3,
        size as f64 / 1e6,
        free.as_secs_f64() * 1e3,
    );
    println!("answer: {answer}");
    Ok(())
}

fn median(home: &Path, input: &str) -> Result<(Duration, String), Failure> {
    let mut times = Vec::new();
    let mut answer = String::new();
    for _ in 0..CALLS {
        let started = Instant::now();
        answer = call(home, input)?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok((times[CALLS / 2], answer))
}

fn call(home: &Path, input: &str) -> Result<String, Failure> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sota-loop"))
        .arg("gate")
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .ok_or("no stdin")?
        .write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn long_campaign(home: &Path) -> Result<Campaign, Failure> {
    let request = OpenRequest {
        model: Some("sim-8b".to_owned()),
        precision: Some("bf16".to_owned()),
        hardware: Some(HardwareRequest {
            gpu_model: Some("none".to_owned()),
            gpu_ids: Vec::new(),
        }),
        checkout: Some(checkout(home)?),
        ..OpenRequest::default()
    };
    let campaign = campaign::open(home, request)?.campaign;
    let state = home.join("sglang/.humanize/rlcr/2026-11-24_10-00-00/state.md");
    std::fs::create_dir_all(state.parent().ok_or("no folder")?)?;
    std::fs::write(&state, "---\ncurrent_round: 0\n---\n")?;
    let begun = LoopStarted {
        runtime: LoopRuntime::Builtin,
        plan_path: home.join("plan.md"),
        prompt_path: state.with_file_name("round-0-prompt.md"),
        state_path: state,
        setup: None,
        base_branch: "main".to_owned(),
        start_branch: "main".to_owned(),
        base_commit: String::new(),
        strict_success: true,
    };
    campaign::note(&campaign, NewEvent::of(&begun))?;
    for number in 0..EVENTS {
        let reason = Some(format!(
            "event {number} of a long campaign, as long as most are: a sentence or two of what was tried, and what the numbers said about it"
        ));
        campaign::note(&campaign, NewEvent::of(&Resumed { reason }))?;
    }
    Ok(campaign)
}

fn checkout(home: &Path) -> Result<std::path::PathBuf, Failure> {
    let path = home.join("sglang");
    std::fs::create_dir_all(&path)?;
    std::fs::write(path.join("engine.py"), "pass\n")?;
    for arguments in [
        &["init", "-q", "-b", "main"][..],
        &["add", "."],
        &[
            "-c",
            "user.name=n",
            "-c",
            "user.email=e@x",
            "commit",
            "-qm",
            "first",
        ],
    ] {
        Command::new("git")
            .arg("-C")
            .arg(&path)
            .args(arguments)
            .status()?;
    }
    Ok(path)
}
