//! Typed row numbers: an index into one table cannot be used on another.

use std::num::NonZeroU32;

/// Declares a row number that takes four bytes, also inside an `Option`.
macro_rules! row_index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// The index of a row; `None` past the 4,294,967,294th.
            pub fn new(row: usize) -> Option<Self> {
                let stored = u32::try_from(row).ok()?.checked_add(1)?;
                NonZeroU32::new(stored).map(Self)
            }

            /// The row as a position in the table's columns.
            pub fn row(self) -> usize {
                self.0.get() as usize - 1
            }
        }
    };
}

row_index!(
    /// A row of [`SpanTable`](super::SpanTable).
    SpanIndex
);
row_index!(
    /// A row of [`LaunchTable`](super::LaunchTable).
    LaunchIndex
);
row_index!(
    /// A CPU thread in [`ThreadTable`](super::ThreadTable).
    ThreadId
);
row_index!(
    /// A string in [`StringTable`](super::StringTable).
    NameId
);
row_index!(
    /// A step in [`Steps`](super::Steps).
    StepIndex
);
