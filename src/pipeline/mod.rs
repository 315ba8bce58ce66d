//! Passes, layers and layer types, found from the trace itself.

mod layering;
#[cfg(test)]
mod synthetic;
