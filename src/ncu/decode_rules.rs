//! Section definitions and rule results.

use super::budget::Budget;
use super::error::Flaw;
use super::report::{
    FocusMetric, HeaderMetric, MessageKind, RuleItem, RuleMessage, RuleResult, Section,
    SourceMarker, Speedup, SpeedupScope,
};
use super::wire::{Field, Fields};

pub(super) fn section(mut fields: Fields, budget: &mut Budget) -> Result<Section, Flaw> {
    let mut section = Section::default();
    while let Some(field) = fields.next()? {
        match field.number {
            1 => section.identifier = text(&field, budget)?,
            2 => section.title = text(&field, budget)?,
            3 => section.order = field.u32()?,
            4 => {
                let mut header = field.message()?;
                while let Some(field) = header.next()? {
                    if field.number == 2 {
                        section
                            .header
                            .push(header_metric(field.message()?, budget)?);
                    }
                }
            }
            7 => section.description = text(&field, budget)?,
            _ => {}
        }
    }
    Ok(section)
}

fn header_metric(mut fields: Fields, budget: &mut Budget) -> Result<HeaderMetric, Flaw> {
    let mut metric = HeaderMetric::default();
    while let Some(field) = fields.next()? {
        match field.number {
            1 => metric.name = text(&field, budget)?,
            2 => metric.label = text(&field, budget)?,
            5 => metric.unit = text(&field, budget)?,
            _ => {}
        }
    }
    Ok(metric)
}

pub(super) fn rule(mut fields: Fields, budget: &mut Budget) -> Result<RuleResult, Flaw> {
    let mut rule = RuleResult::default();
    while let Some(field) = fields.next()? {
        budget.take(8, field.offset)?;
        match field.number {
            1 => rule.identifier = text(&field, budget)?,
            2 => rule.title = text(&field, budget)?,
            3 => {
                let mut body = field.message()?;
                while let Some(field) = body.next()? {
                    if field.number == 1 {
                        let item = rule_item(field.message()?, budget)?;
                        if item != RuleItem::default() {
                            rule.items.push(item);
                        }
                    }
                }
            }
            4 => rule.section = text(&field, budget)?,
            5 => rule.markers.push(marker(field.message()?, budget)?),
            _ => {}
        }
    }
    Ok(rule)
}

fn rule_item(mut fields: Fields, budget: &mut Budget) -> Result<RuleItem, Flaw> {
    let mut item = RuleItem::default();
    while let Some(field) = fields.next()? {
        match field.number {
            1 => item.message = Some(message(field.message()?, budget)?),
            8 => item.focus.push(focus(field.message()?, budget)?),
            10 => item.speedup = Some(speedup(field.message()?)?),
            _ => {}
        }
    }
    Ok(item)
}

fn message(mut fields: Fields, budget: &mut Budget) -> Result<RuleMessage, Flaw> {
    let mut message = RuleMessage::default();
    while let Some(field) = fields.next()? {
        match field.number {
            1 => message.text = plain(&text(&field, budget)?),
            2 => {
                message.kind = match field.u32()? {
                    1 => MessageKind::Ok,
                    2 => MessageKind::Warning,
                    3 => MessageKind::Error,
                    4 => MessageKind::Optimization,
                    _ => MessageKind::None,
                }
            }
            4 => message.title = text(&field, budget)?,
            _ => {}
        }
    }
    Ok(message)
}

fn speedup(mut fields: Fields) -> Result<Speedup, Flaw> {
    let mut speedup = Speedup {
        scope: SpeedupScope::Unknown,
        percent: 0.0,
    };
    while let Some(field) = fields.next()? {
        match field.number {
            1 => {
                speedup.scope = match field.u32()? {
                    1 => SpeedupScope::Local,
                    2 => SpeedupScope::Global,
                    _ => SpeedupScope::Unknown,
                }
            }
            2 => speedup.percent = field.f64()?,
            _ => {}
        }
    }
    Ok(speedup)
}

fn focus(mut fields: Fields, budget: &mut Budget) -> Result<FocusMetric, Flaw> {
    let mut focus = FocusMetric::default();
    while let Some(field) = fields.next()? {
        match field.number {
            2 => focus.name = text(&field, budget)?,
            3 => focus.value = field.f64()?,
            4 => focus.severity = field.u32()?,
            5 => focus.info = text(&field, budget)?,
            _ => {}
        }
    }
    Ok(focus)
}

fn marker(mut fields: Fields, budget: &mut Budget) -> Result<SourceMarker, Flaw> {
    let mut marker = SourceMarker::default();
    while let Some(field) = fields.next()? {
        match field.number {
            2 => marker.line = Some(field.u32()?),
            3 => marker.address = Some(field.u64()?),
            4 => marker.text = text(&field, budget)?,
            6 => marker.file = text(&field, budget)?,
            _ => {}
        }
    }
    Ok(marker)
}

fn text(field: &Field, budget: &mut Budget) -> Result<String, Flaw> {
    let text = field.text()?;
    budget.take(text.len() + 48, field.offset)?;
    Ok(text.to_string())
}

/// Turns `@section:Id:Label@` into `Label` and `@url:Label:url@` into
/// `Label (url)`, the way ncu's own CSV prints them.
fn plain(marked: &str) -> String {
    let mut plain = String::with_capacity(marked.len());
    let mut rest = marked;
    while let Some(at) = rest.find('@') {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        match link(from) {
            Some((shown, after)) => {
                plain.push_str(&shown);
                rest = after;
            }
            None => {
                plain.push('@');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn link(from: &str) -> Option<(String, &str)> {
    let (url, inner) = match from.strip_prefix("@url:") {
        Some(inner) => (true, inner),
        None => (false, from.strip_prefix("@section:")?),
    };
    let (inside, after) = inner.split_once('@')?;
    let (first, second) = inside.split_once(':')?;
    let shown = if url {
        format!("{first} ({second})")
    } else {
        second.to_string()
    };
    Some((shown, after))
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn links_read_as_in_the_csv() {
        assert_eq!(
            plain("See @section:WarpStateStats:Warp State@ and the @url:Guide:https://x.y/z#w@."),
            "See Warp State and the Guide (https://x.y/z#w)."
        );
        assert_eq!(plain("a@b and @section:broken"), "a@b and @section:broken");
    }
}
