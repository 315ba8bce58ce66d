//! What the server sees with its own eyes when a gate is asked: the checkout,
//! the loops' state files, the open attempt's diff, and which files of the log
//! are no longer what they were.

mod change;
mod files;
mod loops;

pub(super) use change::{change_between, is_kernel_source};
pub(super) use loops::active_loops;

use std::path::Path;

use super::State;
use super::checkout::Checkout;
use super::gates::World;

/// Looks at everything that gates rest on; `root` is the campaign's folder.
pub(super) fn look(root: &Path, state: &State) -> World {
    let checkout = Checkout::read(state.checkout().map(|path| path.as_path()), root);
    let head = checkout.head();
    let base = state
        .open_attempt()
        .and_then(|attempt| attempt.opened.tree.clone());
    World {
        active_loops: head.map_or_else(Vec::new, |head| active_loops(&head.path)),
        change: head
            .zip(base)
            .and_then(|(head, base)| change_between(&head.path, &base, &head.tree).ok()),
        changed: files::changed(root, state),
        checkout,
    }
}
