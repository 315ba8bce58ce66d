//! Measure serving engines fairly, keep the evidence, and refuse what the evidence does not allow.
//!
//! Data flows one way: the command line and the MCP tools call one domain
//! function each, and print or return the plain record that it gives back.

pub mod bench;
pub mod bounded_lines;
pub mod campaign;
pub mod capture;
mod catalogues;
pub mod chart;
pub mod checks;
pub mod cli;
mod crash;
pub mod demo;
pub mod detail;
pub mod disk;
pub mod engine;
pub mod fault;
pub mod gap;
pub mod git;
pub mod history;
pub mod http;
pub mod job;
pub mod launch;
mod load_point;
pub mod mcp;
pub mod ncu;
pub mod nearest;
pub mod own_binary;
pub mod pipeline;
pub mod redact;
pub mod references;
pub mod remote;
pub mod report;
pub mod rlcr;
pub mod sha256;
pub mod shell_words;
pub mod sim;
pub mod source_state;
pub mod state_dir;
pub mod trace;
pub mod triage;
