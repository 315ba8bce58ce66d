//! The load generator against a scripted engine and a real one.

mod mock;
mod real_engine;
mod recorded;
