//! Metric messages: a name id, a scalar, and a list of (key, value) instances.

use super::budget::Budget;
use super::container::ReadOptions;
use super::error::Flaw;
use super::report::{Metric, Value};
use super::wire::Fields;

/// One metric with its name still an id of the file's string table; `None`
/// for a sampled one that the options leave out.
pub(super) fn metric(
    mut fields: Fields,
    options: &ReadOptions,
    budget: &mut Budget,
) -> Result<Option<Metric>, Flaw> {
    let mut metric = Metric::default();
    let mut named = false;
    let mut list = fields.clone();
    let mut listed = false;
    let mut end = 0;
    while let Some(field) = fields.next()? {
        end = field.offset;
        match field.number {
            1 => {
                metric.name = field.u32()?;
                named = true;
            }
            2 => metric.value = value(field.message()?)?,
            3 => listed = true,
            4 => metric.sampled = field.u32()? == 1,
            _ => {}
        }
    }
    if !named {
        return Err(Flaw::malformed(end, "a metric has no name id"));
    }
    budget.take(size_of::<Metric>(), end)?;
    if metric.sampled && !options.time_series {
        return Ok(None);
    }
    while listed && let Some(field) = list.next()? {
        if field.number == 3 {
            instance(field.message()?, &mut metric, budget, field.offset)?;
        }
    }
    Ok(Some(metric))
}

fn instance(
    mut element: Fields,
    metric: &mut Metric,
    budget: &mut Budget,
    offset: u64,
) -> Result<(), Flaw> {
    let (mut key, mut cell) = (None, None);
    while let Some(field) = element.next()? {
        match field.number {
            1 => key = value(field.message()?)?,
            2 => cell = value(field.message()?)?,
            _ => {}
        }
    }
    let size = |value: &Option<Value>| match value {
        Some(Value::Text(text)) => 16 + text.len(),
        _ => 8,
    };
    budget.take(size(&key) + size(&cell), offset)?;
    metric.instances.keys.push(key);
    metric.instances.values.push(cell);
    Ok(())
}

/// A scalar: one of five typed fields, or none.
pub(super) fn value(mut fields: Fields) -> Result<Option<Value>, Flaw> {
    let mut found = None;
    while let Some(field) = fields.next()? {
        found = match field.number {
            1 => Some(Value::Text(field.text()?.into())),
            2 => Some(Value::F64(f64::from(field.f32()?))),
            3 => Some(Value::F64(field.f64()?)),
            4 => Some(Value::U64(u64::from(field.u32()?))),
            5 => Some(Value::U64(field.u64()?)),
            _ => continue,
        };
    }
    Ok(found)
}
