//! The program as its users run it: the binary, real processes, real files.

mod mcp;
mod support;
