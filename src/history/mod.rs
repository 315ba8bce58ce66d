//! What has already been changed on a model's path, and by which pull request.

mod card;
#[cfg(test)]
mod card_tests;
mod class;
mod error;
mod family;
mod fit;
mod git;
mod index;
mod lineage;
mod mine;
mod notes;
mod overview;
mod patch;
mod query;
mod question;
mod rank;
mod record;
mod roots;
mod search;
mod spelling;
mod store;
mod sync;
mod terms;
mod vocabulary;

pub use error::HistoryError;
pub use notes::{DecisionNote, FrameworkNotes, Notes, render as render_notes};
pub use query::{query, query_in};
pub use record::*;
pub use roots::Places;
