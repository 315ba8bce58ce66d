//! Launches of one kernel with one grid and block, taken together.

use super::report::{Launch, Report, Session};

/// Equal launches of one report.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub session: &'a Session,
    pub launches: Vec<&'a Launch>,
    /// ncu's `ID` of the first launch.
    pub first_id: usize,
}

impl<'a> Group<'a> {
    pub fn launch(&self) -> Option<&'a Launch> {
        self.launches.first().copied()
    }

    pub fn name(&self) -> &'a str {
        self.launch().map_or("", |launch| launch.name.as_str())
    }

    /// All values of a metric over the launches, without NaN.
    pub fn values(&self, metric: &str) -> Vec<f64> {
        self.launches
            .iter()
            .filter_map(|launch| launch.value(metric))
            .filter(|value| !value.is_nan())
            .collect()
    }

    /// The median over the launches.
    pub fn value(&self, metric: &str) -> Option<f64> {
        median(self.values(metric))
    }
}

/// The middle value, or the mean of the two middle ones.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *values.get(values.len() / 2 - 1)?;
    Some(f64::midpoint(lower, upper))
}

/// (max - min) / median in percent; 0 for one value.
pub(super) fn spread_pct(values: &[f64]) -> f64 {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match median(values.to_vec()) {
        Some(middle) if middle > 0.0 => (high - low) / middle * 100.0,
        _ => 0.0,
    }
}

/// Groups the launches whose name matches, in the order of their first launch.
pub(super) fn groups<'a>(report: &'a Report, matches: impl Fn(&Launch) -> bool) -> Vec<Group<'a>> {
    let mut groups: Vec<Group> = Vec::new();
    for (id, launch) in report.launches.iter().enumerate() {
        if !matches(launch) {
            continue;
        }
        let known = groups.iter_mut().find(|group| {
            group.launch().is_some_and(|first| {
                (&first.name, first.grid, first.block) == (&launch.name, launch.grid, launch.block)
            })
        });
        match known {
            Some(group) => group.launches.push(launch),
            None => groups.push(Group {
                session: &report.session,
                launches: vec![launch],
                first_id: id,
            }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_spreads() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![1.0, 4.0]), Some(2.5));
        assert_eq!(spread_pct(&[5.0]), 0.0);
        assert_eq!(spread_pct(&[9.0, 10.0, 11.0]), 20.0);
    }
}
