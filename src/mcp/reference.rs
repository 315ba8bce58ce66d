//! The tools as documents: docs/tools.md, and the snapshot from which
//! bin/support/bootstrap.py answers while the binary is being built.

use std::fmt::Write;

use rmcp::ServerHandler;
use serde_json::{Map, Value, json};

use super::schema::{self, resolve};
use super::server::{Server, listing};
use super::tool::Entry;
use super::tools;
use crate::fault::Fault;

const HEAD: &str = "\
# Tools

Generated from the server's own schemas by `.ci/generate`; a test compares them.

Every tool is also `sota-loop call TOOL JSON`, which prints its record as one JSON object and exits 0, or prints the error and exits 1. Paths are absolute. A record is short by default; `detail: \"full\"` inlines everything, and the paths in it lead to all of the data. Every record has `next`, the exact next call that makes sense, and `warnings`.
";

/// docs/tools.md.
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    for entry in tools::all() {
        // Writing to a String cannot fail.
        let _ = tool_section(&mut text, &entry);
    }
    let _ = error_section(&mut text);
    text
}

/// What a client learns from `initialize` and `tools/list`.
pub fn snapshot() -> String {
    let info = Server::new(None).get_info();
    let listed: Vec<_> = tools::all().iter().map(listing).collect();
    let snapshot = json!({
        "capabilities": info.capabilities,
        "serverInfo": info.server_info,
        "instructions": info.instructions,
        "tools": listed,
    });
    serde_json::to_string_pretty(&snapshot).unwrap_or_default()
}

fn tool_section(text: &mut String, entry: &Entry) -> std::fmt::Result {
    let (about, example) = match entry.description.split_once("Example: ") {
        Some((about, example)) => (about.trim(), example.trim()),
        None => (entry.description, entry.description),
    };
    write!(text, "\n## {}\n\n{about}\n", entry.name)?;
    write!(text, "\nExample: `{example}`\n\n### Arguments\n\n")?;
    table(text, &entry.input_schema)?;
    write!(text, "\n### Record\n\n")?;
    table(text, &(entry.record_schema)())
}

fn error_section(text: &mut String) -> std::fmt::Result {
    let fault = schema::portable::<Fault>();
    write!(
        text,
        "\n## Errors\n\nEvery error of every tool is one object.\n\n"
    )?;
    table(text, &fault)?;
    write!(text, "\n| error | what it means |\n| --- | --- |\n")?;
    let codes = fault.get("$defs").and_then(|defs| defs.get("FaultCode"));
    let branches = codes.and_then(|codes| codes.get("oneOf"));
    for code in branches.and_then(Value::as_array).into_iter().flatten() {
        let name = code
            .get("const")
            .and_then(Value::as_str)
            .unwrap_or_default();
        writeln!(text, "| `{name}` | {} |", cell(code))?;
    }
    text.push_str(
        "| `server_building` | The plugin's binary is still being built; nothing was run. |\n\
         | `build_failed` | The plugin's binary could not be built; the message says why. |\n",
    );
    Ok(())
}

fn table(text: &mut String, schema: &Map<String, Value>) -> std::fmt::Result {
    text.push_str("| field | type | meaning |\n| --- | --- | --- |\n");
    rows(text, schema, schema, "", 0)
}

/// Deepest nesting that is written out; no record goes deeper.
const DEPTH: u32 = 6;

fn rows(
    text: &mut String,
    schema: &Map<String, Value>,
    root: &Map<String, Value>,
    prefix: &str,
    depth: u32,
) -> std::fmt::Result {
    let required = schema.get("required").and_then(Value::as_array);
    let fields = schema.get("properties").and_then(Value::as_object);
    for (name, field) in fields.into_iter().flatten() {
        let kind = Kind::of(field, root);
        let path = format!("{prefix}{name}{}", kind.suffix);
        let needed = required.is_some_and(|names| names.iter().any(|known| known == name));
        let optional = if needed { "" } else { ", optional" };
        let mut meaning = cell(field);
        meaning.push_str(&names(resolve(field, root)));
        if let Some(default) = field.get("default").filter(|value| is_scalar(value)) {
            let _ = write!(meaning, " Default: `{default}`.");
        }
        writeln!(
            text,
            "| `{path}` | {}{optional} | {} |",
            kind.name,
            meaning.trim()
        )?;
        if let Some(inner) = kind.fields.filter(|_| depth < DEPTH) {
            rows(text, inner, root, &format!("{path}."), depth + 1)?;
        }
    }
    Ok(())
}

/// What each name of an enumeration means, where its variants say so.
fn names(schema: &Value) -> String {
    let branches = alternatives(schema).unwrap_or_default();
    branches
        .iter()
        .filter_map(|branch| {
            let name = branch.get("const")?.as_str()?;
            let text = cell(branch);
            (!text.is_empty()).then(|| format!(" `{name}`: {text}"))
        })
        .collect()
}

fn is_scalar(value: &Value) -> bool {
    value.is_boolean() || value.is_number() || value.is_string()
}

/// A field's type in words, and the object inside it.
struct Kind<'a> {
    name: String,
    /// `[]` for a list, `{}` for a map by name.
    suffix: &'static str,
    fields: Option<&'a Map<String, Value>>,
}

impl<'a> Kind<'a> {
    fn of(field: &'a Value, root: &'a Map<String, Value>) -> Self {
        let schema = resolve(field, root);
        if let Some(branches) = alternatives(schema) {
            return Self::of_alternatives(branches, root);
        }
        let name = type_name(schema);
        if name == "array" {
            let inner = schema.get("items").map(|items| Self::of(items, root));
            return inner.map_or(Self::plain("list"), |inner| Self {
                name: format!("list of {}", inner.name),
                suffix: "[]",
                fields: inner.fields,
            });
        }
        if let Some(values) = schema
            .get("additionalProperties")
            .filter(|of| of.is_object())
        {
            let inner = Self::of(values, root);
            return Self {
                name: format!("map of {}", inner.name),
                suffix: "{}",
                fields: inner.fields,
            };
        }
        if let Some(names) = enumerated(schema) {
            return Self::plain(&names);
        }
        let fields = schema
            .as_object()
            .filter(|map| map.contains_key("properties"));
        Self {
            fields,
            ..Self::plain(&name)
        }
    }

    fn of_alternatives(branches: &'a [Value], root: &'a Map<String, Value>) -> Self {
        let kinds: Vec<Self> = branches
            .iter()
            .filter(|branch| type_name(branch) != "null")
            .map(|branch| Self::of(branch, root))
            .collect();
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name.as_str()).collect();
        let name = names.join(" or ");
        let suffix = kinds
            .iter()
            .map(|kind| kind.suffix)
            .find(|suffix| !suffix.is_empty());
        Self {
            name,
            suffix: suffix.unwrap_or_default(),
            fields: kinds.iter().find_map(|kind| kind.fields),
        }
    }

    fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            suffix: "",
            fields: None,
        }
    }
}

fn alternatives(schema: &Value) -> Option<&[Value]> {
    let branches = schema.get("anyOf").or_else(|| schema.get("oneOf"))?;
    branches.as_array().map(Vec::as_slice)
}

fn type_name(schema: &Value) -> String {
    match schema.get("type") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .filter(|name| *name != "null")
            .collect::<Vec<_>>()
            .join(" or "),
        _ => "any".to_owned(),
    }
}

fn enumerated(schema: &Value) -> Option<String> {
    if let Some(only) = schema.get("const").and_then(Value::as_str) {
        return Some(format!("`{only}`"));
    }
    let names = schema.get("enum")?.as_array()?;
    let quoted: Vec<String> = names
        .iter()
        .filter_map(Value::as_str)
        .map(|name| format!("`{name}`"))
        .collect();
    Some(quoted.join(" or "))
}

fn cell(schema: &Value) -> String {
    let text = schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_fields_have_their_path_and_type() {
        let root = json!({
            "properties": {
                "rows": {"type": "array", "items": {"$ref": "#/$defs/Row"}, "description": "All\n of them."},
                "state": {"oneOf": [{"const": "done", "description": "All went well."}, {"enum": ["failed", "lost"]}], "default": "done"},
            },
            "required": ["rows"],
            "$defs": {"Row": {"type": "object", "properties": {"n": {"type": ["integer", "null"]}}}},
        });
        let mut text = String::new();
        table(&mut text, root.as_object().unwrap()).unwrap();
        assert_eq!(
            text,
            "| field | type | meaning |\n| --- | --- | --- |\n\
             | `rows[]` | list of object | All of them. |\n\
             | `rows[].n` | integer, optional |  |\n\
             | `state` | `done` or `failed` or `lost`, optional | `done`: All went well. Default: `\"done\"`. |\n"
        );
    }
}
