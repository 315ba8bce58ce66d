//! Writes the JSON of a torch-profiler trace, event by event.

use std::io::{self, Write};

use serde_json::{Value, json};

/// Nanoseconds between the profiler's base time and the first event.
const FIRST_TS_NS: i64 = 4_643_977_803_145_435;
/// `baseTimeNanoseconds` of every trace.
const BASE_NS: i64 = 1_790_857_026_000_000_000;

/// A span on a thread, with its arguments as JSON without braces.
pub struct Span<'a> {
    pub category: &'a str,
    pub name: &'a str,
    pub pid: u32,
    pub tid: u32,
    /// Nanoseconds after the trace's start.
    pub start: i64,
    pub duration: i64,
    pub args: String,
}

/// A trace being written.
pub struct Kineto<W> {
    out: W,
    separator: &'static str,
}

impl<W: Write> Kineto<W> {
    /// Writes everything before the first event.
    pub fn begin(mut out: W, rank: u32, ranks: u32, stacks: bool) -> io::Result<Self> {
        let members: Vec<u32> = (0..ranks).collect();
        let header = json!({
            "backend": "nccl", "rank": rank, "world_size": ranks, "pg_count": 1,
            "pg_config": [{"pg_name": "0", "pg_desc": "default_pg", "backend_config": "cuda:nccl",
                           "pg_size": ranks, "ranks": members}],
            "nccl_version": "2.28.9",
        });
        write!(
            out,
            "\n  {{\n    \"schemaVersion\": 1,\n    \"deviceProperties\": [\n    {{\n      \"id\": 0, \"name\": \
             \"NVIDIA H100 80GB HBM3\", \"totalGlobalMem\": 85017493504,\n      \"computeMajor\": 9, \
             \"computeMinor\": 0,\n      \"maxThreadsPerBlock\": 1024, \"warpSize\": 32, \"numSms\": 132\n    \
             }}\n    ],\n      \"with_stack\": {},\n      \"distributedInfo\": {header},\n      \
             \"cuda_driver_version\": 13000,\n      \"cuda_runtime_version\": 13000,\n      \
             \"displayTimeUnit\": \"ms\",\n      \"baseTimeNanoseconds\": {BASE_NS},\n  \"traceEvents\": [",
            u8::from(stacks)
        )?;
        Ok(Self { out, separator: "" })
    }

    fn separate(&mut self) -> io::Result<()> {
        self.out.write_all(self.separator.as_bytes())?;
        self.separator = ",";
        Ok(())
    }

    /// A metadata row.
    pub fn metadata(&mut self, name: &str, pid: &Value, args: &Value) -> io::Result<()> {
        self.separate()?;
        write!(
            self.out,
            "\n  {{\n    \"name\": \"{name}\", \"ph\": \"M\", \"ts\": {}, \"pid\": {pid}, \"tid\": 0,\n    \
             \"args\": {args}\n  }}",
            Micros(FIRST_TS_NS)
        )
    }

    /// A span.
    pub fn span(&mut self, span: &Span) -> io::Result<()> {
        self.separate()?;
        let name = Value::from(span.name);
        write!(
            self.out,
            "\n  {{\n    \"ph\": \"X\", \"cat\": \"{}\", \"name\": {name}, \"pid\": {}, \"tid\": {},\n    \
             \"ts\": {}, \"dur\": {},\n    \"args\": {{\n      {}\n    }}\n  }}",
            span.category,
            span.pid,
            span.tid,
            Micros(FIRST_TS_NS + span.start),
            Micros(span.duration),
            span.args
        )
    }

    /// One end of the arrow from a launch (`s`) to what it runs on the GPU (`f`).
    pub fn flow(&mut self, ph: char, id: u64, pid: u32, tid: u32, at: i64) -> io::Result<()> {
        self.separate()?;
        let bind = if ph == 'f' { ", \"bp\": \"e\"" } else { "" };
        write!(
            self.out,
            "\n  {{\n    \"ph\": \"{ph}\", \"id\": {id}, \"pid\": {pid}, \"tid\": {tid}, \"ts\": {},\n    \
             \"cat\": \"ac2g\", \"name\": \"ac2g\"{bind}\n  }}",
            Micros(FIRST_TS_NS + at)
        )
    }

    /// Writes the events that close every trace of length `length`, and the rest of the file.
    pub fn end(mut self, length: i64) -> io::Result<()> {
        self.separate()?;
        write!(
            self.out,
            "\n  {{\n    \"ph\": \"X\", \"cat\": \"Trace\", \"ts\": {}, \"dur\": {},\n    \"pid\": \"Spans\", \
             \"tid\": \"PyTorch Profiler\", \"name\": \"PyTorch Profiler (0)\",\n    \"args\": {{\n      \
             \"Op count\": 0\n    }}\n  }}",
            Micros(FIRST_TS_NS),
            Micros(length)
        )?;
        write!(
            self.out,
            ",\n  {{\n    \"name\": \"Record Window End\", \"ph\": \"i\", \"s\": \"g\",\n    \"pid\": \"\", \
             \"tid\": \"\", \"ts\": {}\n  }}\n  ],\n  \"traceName\": \"trace.json\"\n}}\n",
            Micros(FIRST_TS_NS + length)
        )?;
        self.out.flush()
    }
}

/// Nanoseconds shown as microseconds with three decimals.
struct Micros(i64);

impl std::fmt::Display for Micros {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(out, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}
