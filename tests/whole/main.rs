//! The program as its users run it: the binary, real processes, real files.

mod benchmark;
mod capture;
mod faults;
mod launch;
mod mcp;
mod plans;
mod real_engine;
mod running;
mod support;
