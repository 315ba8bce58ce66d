//! The program as its users run it: the binary, real processes, real files.

mod benchmark;
mod faults;
mod mcp;
mod plans;
mod support;
