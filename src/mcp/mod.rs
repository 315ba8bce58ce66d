//! The MCP server: one file a tool under `tools/`, each a thin shell over one
//! domain function.
//!
//! To add a tool: write `tools/<name>.rs` with a unit struct that implements
//! [`Tool`], and add it to [`tools::all`]. Its argument and result structs are
//! the domain's own; their doc comments become the schemas. The same tool is
//! then listed by the server and callable as `sota-loop call NAME JSON`.

mod arguments;
pub mod reference;
mod schema;
mod server;
mod tool;
pub mod tools;

pub use server::{Server, serve_stdio};
pub use tool::{Entry, Hints, Tool, ToolContext};
