//! The program as its users run it: the binary, real processes, real files.

mod benchmark;
mod budget;
mod campaign;
mod capture;
mod capture_faults;
mod command_line;
mod engines;
mod faults;
mod gpu;
mod import;
mod launch;
mod mcp;
mod plans;
mod plugin;
mod real_engine;
mod report;
mod running;
mod support;
