//! How a scenario at a load is called: `chat at 8 req/s, 16 in flight`.

use std::fmt::Display;

/// A scenario's name with the load that it is measured at, for people.
/// `request_rate` is in requests a second; none of both: the name alone.
pub fn load_point(
    scenario: &str,
    request_rate: Option<f64>,
    max_concurrency: Option<impl Display>,
) -> String {
    let mut text = scenario.to_owned();
    if let Some(rate) = request_rate {
        text.push_str(&format!(" at {rate} req/s"));
    }
    if let Some(cap) = max_concurrency {
        text.push_str(&format!(", {cap} in flight"));
    }
    text
}
