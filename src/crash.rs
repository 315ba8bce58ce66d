//! The points at which a test kills the process: before and between the effects
//! on disk of an append to the event log.

/// Where a process may die, in the order of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// The owner file exists, and is empty.
    OwnerEmpty,
    /// The lock is held.
    Locked,
    /// A half-written last line was cut off.
    TailCut,
    /// The user's key lies aside, and is not yet in its place.
    KeyAside,
    HalfLine,
    WholeLine,
    LineSynced,
    /// The temporary file of a replaced file is synced, and not yet renamed.
    Aside,
    /// Half of the new head's slot.
    HalfHead,
    /// The new head is in its place.
    HeadWritten,
}

#[cfg(not(test))]
pub(crate) fn point(_: Point) {}

#[cfg(test)]
pub(crate) use armed::{ALL, arm, point};

#[cfg(test)]
mod armed {
    use std::cell::Cell;

    use super::Point;

    pub(crate) const ALL: [Point; 10] = [
        Point::OwnerEmpty,
        Point::Locked,
        Point::TailCut,
        Point::KeyAside,
        Point::HalfLine,
        Point::WholeLine,
        Point::LineSynced,
        Point::Aside,
        Point::HalfHead,
        Point::HeadWritten,
    ];

    thread_local! {
        static ARMED: Cell<Option<Point>> = const { Cell::new(None) };
    }

    /// From now on this process dies by SIGKILL where this thread reaches `at`.
    pub(crate) fn arm(at: Point) {
        ARMED.set(Some(at));
    }

    pub(crate) fn point(here: Point) {
        if ARMED.get() == Some(here) {
            let _ = nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::SIGKILL);
            loop {
                std::thread::park();
            }
        }
    }
}
