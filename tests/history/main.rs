//! The history of a model's path, on real folders and repositories.

mod git;
mod knowledge;
mod notes;
mod support;
