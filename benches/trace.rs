//! Reads the traces named on the command line and prints what that took.

use std::path::Path;
use std::time::Instant;

use sota_loop::trace::{self, ReadOptions};

fn main() {
    let named = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"));
    for path in named {
        let begun = Instant::now();
        match trace::read(Path::new(&path), &ReadOptions::default()) {
            Ok(trace) => println!(
                "{path}: {} events in {:?}",
                trace.counts.events,
                begun.elapsed()
            ),
            Err(error) => println!("{error}"),
        }
    }
}
