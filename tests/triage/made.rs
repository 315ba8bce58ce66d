//! Small traces made for one question each, with answers worked out by hand.

use std::fs;
use std::path::Path;

use sota_loop::trace::Stage;
use sota_loop::triage::{self, Advice, BubbleCause, OverlapRow, TriageRecord};

use super::{check_accounts, request, stage};

const GEMM: &str = "nvjet_sm90_tst_64x8";
const NCCL: &str = "ncclDevKernel_AllReduce_Sum_bf16_RING_LL";
const COPY: &str = "void at::native::direct_copy_kernel_cuda<int>(int)";

/// Events of a trace of one process (9) and one GPU (0); times in microseconds.
#[derive(Default)]
struct Made {
    events: Vec<String>,
    correlation: u32,
}

impl Made {
    fn cpu(&mut self, cat: &str, name: &str, start: f64, end: f64) -> &mut Self {
        let dur = end - start;
        self.events.push(format!(
            r#"{{"ph": "X", "cat": "{cat}", "name": "{name}", "pid": 9, "tid": 9, "ts": {start}, "dur": {dur}, "args": {{"External id": 0}}}}"#
        ));
        self
    }

    /// A kernel and the call that launched it, which takes a microsecond.
    fn kernel(
        &mut self,
        name: &str,
        stream: u32,
        launched: f64,
        start: f64,
        end: f64,
    ) -> &mut Self {
        self.correlation += 1;
        let (correlation, dur) = (self.correlation, end - start);
        self.events.push(format!(
            r#"{{"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 9, "tid": 9, "ts": {launched}, "dur": 1, "args": {{"correlation": {correlation}}}}}"#
        ));
        self.events.push(format!(
            r#"{{"ph": "X", "cat": "kernel", "name": "{name}", "pid": 0, "tid": {stream}, "ts": {start}, "dur": {dur}, "args": {{"device": 0, "stream": {stream}, "correlation": {correlation}}}}}"#
        ));
        self
    }

    fn write(&self, path: &Path) {
        let text = format!(
            r#"{{"baseTimeNanoseconds": 0, "traceEvents": [{}]}}"#,
            self.events.join(",")
        );
        fs::write(path, text).unwrap();
    }

    fn analyze(&self) -> TriageRecord {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made.trace.json");
        self.write(&path);
        let mut asked = request(path);
        asked.min_share_pct = Some(0.0);
        let record = triage::analyze(&asked).unwrap();
        check_accounts(&record);
        record
    }
}

fn overlap<'r>(record: &'r TriageRecord, name: &str) -> &'r OverlapRow {
    let rows = &record.stages[0].overlap;
    rows.iter().find(|row| row.name.contains(name)).unwrap()
}

#[test]
fn exposed_and_hidden_time_add_up_over_streams() {
    let mut made = Made::default();
    made.cpu("user_annotation", "step[DECODE bs=1]", 0.0, 90.0)
        .kernel(GEMM, 7, 1.0, 100.0, 200.0)
        .kernel(NCCL, 8, 3.0, 150.0, 230.0);
    let record = made.analyze();
    let nccl = overlap(&record, "nccl");
    assert_eq!(
        (nccl.exposed_us, nccl.hidden_us, nccl.hidden_by_compute_us),
        (30.0, 50.0, 50.0)
    );
    assert_eq!(nccl.advice, Advice::Overlap);
    let gemm = overlap(&record, "nvjet");
    assert_eq!(
        (gemm.exposed_us, gemm.hidden_us, gemm.hidden_by_compute_us),
        (50.0, 50.0, 0.0)
    );
    let decode = stage(&record, Stage::Decode);
    assert_eq!((decode.wall_us, decode.busy_us), (130.0, 130.0));
    assert_eq!(decode.exposed_communication_us, 30.0);
}

#[test]
fn a_dependent_launch_counts_from_the_end_of_its_predecessor() {
    let mut made = Made::default();
    made.cpu("user_annotation", "step[DECODE bs=1]", 0.0, 90.0)
        .kernel(GEMM, 7, 1.0, 100.0, 200.0)
        .kernel(COPY, 7, 3.0, 195.0, 210.0);
    let record = made.analyze();
    let copy = overlap(&record, "direct_copy");
    assert_eq!(
        (copy.total_us, copy.exposed_us, copy.hidden_us),
        (10.0, 10.0, 0.0)
    );
    assert_eq!(stage(&record, Stage::Decode).busy_us, 110.0);
}

#[test]
fn every_gap_has_the_cause_that_its_launch_tells() {
    let mut made = Made::default();
    made.cpu("user_annotation", "step[DECODE bs=1]", 0.0, 1000.0)
        .cpu("user_annotation", "step[DECODE bs=1]", 1500.0, 2000.0)
        .cpu(
            "python_function",
            "sglang/srt/managers/scheduler.py(10): run",
            0.0,
            3000.0,
        )
        .cpu("cpu_op", "aten::item", 405.0, 480.0)
        .cpu("cuda_runtime", "cudaStreamSynchronize", 405.0, 480.0)
        // queued behind the first: 5 us on the stream, then 40 us for an event
        .kernel(GEMM, 7, 1.0, 100.0, 200.0)
        .kernel(GEMM, 7, 3.0, 205.0, 300.0)
        .kernel(GEMM, 8, 5.0, 340.0, 400.0)
        // after a blocking call, and after slow CPU work
        .kernel(GEMM, 7, 490.0, 500.0, 600.0)
        .kernel(GEMM, 7, 700.0, 710.0, 800.0)
        // the next step
        .kernel(GEMM, 7, 1550.0, 1560.0, 1600.0);
    let record = made.analyze();
    let decode = stage(&record, Stage::Decode);
    let found: Vec<_> = decode
        .bubbles
        .iter()
        .map(|bubble| (bubble.cause, bubble.us, bubble.count))
        .collect();
    assert_eq!(
        found,
        [
            (BubbleCause::SchedulerGap, 760.0, 1),
            (BubbleCause::LaunchBound, 110.0, 1),
            (BubbleCause::HostSync, 100.0, 1),
            (BubbleCause::StreamWait, 40.0, 1),
            (BubbleCause::Pipelined, 5.0, 1),
        ]
    );
    let sync = &decode.bubbles[2].held_by[0];
    assert_eq!(sync.operator.as_deref(), Some("aten::item"));
    assert_eq!(
        sync.location.as_deref(),
        Some("sglang/srt/managers/scheduler.py:10 run")
    );
    assert_eq!((decode.wall_us, decode.idle_us), (1500.0, 1015.0));
}

#[test]
fn a_prefill_is_not_charged_with_the_wait_for_its_request() {
    let mut made = Made::default();
    made.cpu("user_annotation", "step[DECODE bs=1]", 0.0, 50.0)
        .kernel(GEMM, 7, 1.0, 100.0, 200.0)
        .cpu(
            "user_annotation",
            "step[EXTEND bs=1 toks=9]",
            9000.0,
            9050.0,
        )
        .kernel(GEMM, 7, 9001.0, 9100.0, 9300.0);
    let record = made.analyze();
    assert_eq!(stage(&record, Stage::Prefill).wall_us, 200.0);
}

#[test]
fn collectives_are_matched_over_the_ranks_of_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    for (rank, starts) in [(0, [100.0, 300.0]), (1, [120.0, 310.0])] {
        let mut made = Made::default();
        made.cpu("user_annotation", "step[DECODE bs=1]", 0.0, 90.0);
        for (start, end) in starts.into_iter().zip([130.0, 330.0]) {
            made.kernel(NCCL, 7, start - 50.0, start, end);
        }
        made.write(&dir.path().join(format!("1-TP-{rank}.trace.json")));
    }
    let record = triage::analyze(&request(dir.path().to_path_buf())).unwrap();
    assert_eq!(record.files.len(), 1);
    let ranks = record.ranks.unwrap();
    assert_eq!(ranks.ranks, [0, 1]);
    let row = &ranks.collectives[0];
    assert_eq!((row.count, row.skew_us, row.waiting_us), (2, 15.0, 7.5));
    assert_eq!((row.transfer_us, row.last_rank), (15.0, 1));
}
