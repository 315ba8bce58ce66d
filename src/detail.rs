//! How much of a result is inlined.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// The few facts that decide; long lists are shortened and say so.
    #[default]
    Summary,
    /// Everything.
    Full,
}
