//! Long lists and texts cut for a result that is read in one go. The log and
//! the rendered files have all of them.

use serde_json::Value;

use super::gates::GateState;

/// Most items of a list, and characters of a text, in a result.
const ITEMS: usize = 6;
const CHARACTERS: usize = 240;

/// A text, cut where it is long.
pub fn text(text: &str) -> String {
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// What gates wait for, the first items of each.
pub fn gates(gates: &[GateState]) -> Vec<GateState> {
    gates
        .iter()
        .map(|gate| GateState {
            missing: list(&gate.missing),
            ..gate.clone()
        })
        .collect()
}

/// The first items of a list, and how many there are more.
pub fn list(items: &[String]) -> Vec<String> {
    let mut brief: Vec<String> = items.iter().take(ITEMS).map(|item| text(item)).collect();
    if items.len() > ITEMS {
        brief.push(format!("and {} more", items.len() - ITEMS));
    }
    brief
}

/// A record with its lists and texts cut, and whether something was.
pub fn value(whole: Value) -> (Value, bool) {
    match whole {
        Value::String(long) => {
            let brief = text(&long);
            let is_cut = brief.len() < long.len();
            (Value::String(brief), is_cut)
        }
        Value::Array(items) => {
            let mut is_cut = items.len() > ITEMS;
            let brief = items.into_iter().take(ITEMS).map(|item| {
                let (item, cut) = value(item);
                is_cut |= cut;
                item
            });
            (brief.collect(), is_cut)
        }
        Value::Object(fields) => {
            let mut is_cut = false;
            let brief = fields.into_iter().map(|(key, field)| {
                let (field, cut) = value(field);
                is_cut |= cut;
                (key, field)
            });
            (brief.collect(), is_cut)
        }
        plain => (plain, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_long_is_cut() {
        let short = json!({"id": "a1", "files": ["a", "b"], "pct": 1.5});
        assert_eq!(value(short.clone()), (short, false));
        let files: Vec<u32> = (0..20).collect();
        let (brief, is_cut) = value(json!({"files": files, "summary": "é".repeat(500)}));
        assert!(is_cut);
        assert_eq!(brief["files"].as_array().unwrap().len(), ITEMS);
        let summary = brief["summary"].as_str().unwrap();
        assert_eq!(summary.chars().count(), CHARACTERS + 1);
    }

    #[test]
    fn a_list_says_how_many_are_left_out() {
        let items: Vec<String> = (0..11).map(|i| i.to_string()).collect();
        let brief = list(&items);
        assert_eq!(brief.len(), ITEMS + 1);
        assert_eq!(brief.last().unwrap(), "and 5 more");
        assert_eq!(list(&items[..ITEMS]).len(), ITEMS);
    }
}
