//! The load generator and its metrics against a scripted engine, real
//! engines' recorded streams, and a real engine.

mod faults;
mod mock;
mod real_engine;
mod recorded;
mod schedule;
mod streams;
mod support;
