//! The loop as hosts and agents meet it: the program, real processes, real files.

mod gate;
mod humanize;
mod support;
mod walk;
