//! Filling `{{name}}` placeholders of our own Markdown.

use super::error::RlcrError;

/// The template with every placeholder replaced by what `value` knows of it.
pub(super) fn fill(
    template: &str,
    value: impl Fn(&str) -> Option<String>,
) -> Result<String, RlcrError> {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        text.push_str(before);
        let value = value(name).ok_or_else(|| RlcrError::Template {
            placeholder: name.to_owned(),
        })?;
        text.push_str(&value);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

/// The items as a Markdown list, or a word where there are none.
pub(super) fn bullets(items: &[String], none: &str) -> String {
    if items.is_empty() {
        return format!("- {none}");
    }
    let lines: Vec<String> = items.iter().map(|item| format!("- {item}")).collect();
    lines.join("\n")
}
