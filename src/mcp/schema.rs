//! JSON Schemas that every MCP client accepts.
//!
//! A tool's arguments are listed in full, since a model writes them. Of its
//! record, clients get an outline: the fields with their types and texts, in a
//! fraction of the bytes; docs/tools.md has the whole of it.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The schema of `T` without the `$schema` and `format` keys (`uint32`,
/// `double`) that strict validators do not know.
pub fn portable<T: JsonSchema>() -> Map<String, Value> {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut value = generator.into_root_schema_for::<T>().to_value();
    strip(&mut value);
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// [`portable`] for what a caller writes: an argument that may be left out is
/// not offered `null` too, which some clients' schemas cannot say.
pub fn arguments<T: JsonSchema>() -> Map<String, Value> {
    let mut value = Value::Object(portable::<T>());
    forbid_null(&mut value);
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.shift_remove("$schema");
            if map.get("format").is_some_and(Value::is_string) {
                map.shift_remove("format");
            }
            map.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

fn forbid_null(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(forbid_null);
            if map.get("default").is_some_and(Value::is_null) {
                map.shift_remove("default");
            }
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    map["type"] = only.clone();
                }
            }
            for key in ["anyOf", "oneOf"] {
                drop_null_branch(map, key);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_null),
        _ => {}
    }
}

/// Removes `{"type": "null"}` from alternatives; a single one left takes their place.
fn drop_null_branch(map: &mut Map<String, Value>, key: &str) {
    let Some(Value::Array(branches)) = map.get_mut(key) else {
        return;
    };
    branches.retain(|branch| !is_null(branch));
    let [Value::Object(only)] = branches.as_slice() else {
        return;
    };
    let only = only.clone();
    map.shift_remove(key);
    for (name, value) in only {
        map.entry(name).or_insert(value);
    }
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|name| name == "null")
}

/// A schema of arguments in fewer words: the names of an enumeration in one
/// list, with what they mean in its description; no titles, no empty defaults.
pub fn brief(full: &Map<String, Value>) -> Map<String, Value> {
    let mut brief = full.clone();
    shorten(&mut brief);
    brief
}

fn shorten(map: &mut Map<String, Value>) {
    // A property may be named like a keyword, as `title`.
    for (key, value) in map.iter_mut() {
        let entries = match (key.as_str(), value) {
            ("properties" | "$defs", Value::Object(fields)) => fields.values_mut().collect(),
            ("anyOf" | "oneOf", Value::Array(branches)) => branches.iter_mut().collect(),
            ("items", items) => vec![items],
            _ => Vec::new(),
        };
        for entry in entries.into_iter().filter_map(Value::as_object_mut) {
            shorten(entry);
        }
    }
    map.shift_remove("title");
    if map.get("default") == Some(&json!([])) {
        map.shift_remove("default");
    }
    if let Some(names) = names_of(map) {
        let meanings = meanings(map);
        map.shift_remove("oneOf");
        map.insert("type".to_owned(), json!("string"));
        map.insert("enum".to_owned(), Value::Array(names));
        let own = map.get("description").and_then(Value::as_str);
        let text = [own.unwrap_or_default(), &meanings].join(" ");
        map.insert("description".to_owned(), json!(text));
    }
    if let Some(text) = map.get("description").and_then(Value::as_str) {
        let words: Vec<&str> = text.split_whitespace().collect();
        map["description"] = json!(words.join(" "));
    }
}

/// The names of an enumeration of strings.
fn names_of(map: &Map<String, Value>) -> Option<Vec<Value>> {
    let mut names = Vec::new();
    for branch in map.get("oneOf")?.as_array()? {
        match (branch.get("const"), branch.get("enum")) {
            (Some(name), _) => names.push(name.clone()),
            (None, Some(Value::Array(list))) => names.extend(list.iter().cloned()),
            _ => return None,
        }
    }
    names.iter().all(Value::is_string).then_some(names)
}

fn meanings(map: &Map<String, Value>) -> String {
    let branches = map.get("oneOf").and_then(Value::as_array);
    let meaning = |branch: &Value| {
        let name = branch.get("const")?.as_str()?;
        let text = branch.get("description")?.as_str()?;
        Some(format!("{name}: {text}"))
    };
    let meanings: Vec<String> = branches.into_iter().flatten().filter_map(meaning).collect();
    meanings.join(" ")
}

/// The fields of a record's schema with their types and texts; what is inside
/// an object stays unsaid. No field is required: clients hold an error's object
/// against the same schema.
pub fn outline(full: &Map<String, Value>) -> Map<String, Value> {
    let fields = full.get("properties").and_then(Value::as_object);
    let properties: Map<String, Value> = fields
        .into_iter()
        .flatten()
        .map(|(name, field)| {
            let mut shape = shape(field, full);
            if let (Some(text), Some(shape)) = (field.get("description"), shape.as_object_mut()) {
                shape.insert("description".to_owned(), text.clone());
            }
            (name.clone(), shape)
        })
        .collect();
    let mut outline = Map::new();
    outline.insert("type".to_owned(), json!("object"));
    outline.insert("properties".to_owned(), Value::Object(properties));
    outline
}

fn shape(schema: &Value, root: &Map<String, Value>) -> Value {
    let schema = resolve(schema, root);
    if let Some(branches) = ["anyOf", "oneOf"].iter().find_map(|key| schema.get(*key)) {
        return one_of(branches.as_array().map_or(&[][..], Vec::as_slice), root);
    }
    if let Some(value) = schema.get("const") {
        return json!({"type": "string", "enum": [value]});
    }
    match schema.get("type") {
        Some(Value::Array(names)) => {
            let branches: Vec<Value> = names
                .iter()
                .map(|name| {
                    let mut one = schema.clone();
                    one["type"] = name.clone();
                    one
                })
                .collect();
            one_of(&branches, root)
        }
        Some(name) if name == "array" => {
            let items = schema.get("items").map(|items| shape(items, root));
            match items.filter(|items| items.as_object().is_some_and(|map| !map.is_empty())) {
                Some(items) => json!({"type": "array", "items": items}),
                None => json!({"type": "array"}),
            }
        }
        Some(name) => match schema.get("enum") {
            Some(values) => json!({"type": name, "enum": values}),
            None => json!({"type": name}),
        },
        None => json!({}),
    }
}

/// Alternatives, with those that are names of one enumeration put together.
fn one_of(branches: &[Value], root: &Map<String, Value>) -> Value {
    let (named, mut rest): (Vec<Value>, Vec<Value>) = branches
        .iter()
        .map(|branch| shape(branch, root))
        .partition(|shape| shape.get("enum").is_some());
    let names: Vec<&Value> = named
        .iter()
        .filter_map(|shape| shape["enum"].as_array())
        .flatten()
        .collect();
    if !names.is_empty() {
        rest.insert(0, json!({"type": "string", "enum": names}));
    }
    match rest.as_slice() {
        [only] => only.clone(),
        _ => json!({"anyOf": rest}),
    }
}

/// Follows `$ref` into the root's definitions.
pub(super) fn resolve<'a>(schema: &'a Value, root: &'a Map<String, Value>) -> &'a Value {
    let mut found = schema;
    // A chain of references longer than this is a cycle.
    for _ in 0..8 {
        let Some(name) = found.get("$ref").and_then(Value::as_str) else {
            break;
        };
        let name = name.rsplit('/').next().unwrap_or_default();
        match root.get("$defs").and_then(|defs| defs.get(name)) {
            Some(definition) => found = definition,
            None => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    #[derive(Serialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    #[allow(dead_code)]
    enum State {
        /// Waits.
        Queued,
        Done,
    }

    #[derive(Serialize, JsonSchema)]
    #[allow(dead_code)]
    struct Row {
        name: String,
    }

    #[derive(Serialize, JsonSchema)]
    #[allow(dead_code)]
    struct Record {
        /// Rows so far.
        rows: Vec<Row>,
        state: Option<State>,
        /// Seconds left.
        eta_s: Option<f64>,
        pair: [u32; 2],
    }

    #[test]
    fn an_outline_names_fields_and_types_and_nothing_inside() {
        let full = portable::<Record>();
        let expected = json!({
            "type": "object",
            "properties": {
                "rows": {"type": "array", "items": {"type": "object"}, "description": "Rows so far."},
                "state": {"anyOf": [{"type": "string", "enum": ["done", "queued"]}, {"type": "null"}]},
                "eta_s": {"anyOf": [{"type": "number"}, {"type": "null"}], "description": "Seconds left."},
                "pair": {"type": "array", "items": {"type": "integer"}},
            },
        });
        assert_eq!(sorted(Value::Object(outline(&full))), sorted(expected));
    }

    #[test]
    fn arguments_are_left_out_rather_than_null() {
        let listed = Value::Object(arguments::<Record>());
        let properties = &listed["properties"];
        assert_eq!(
            properties["eta_s"],
            json!({"description": "Seconds left.", "type": "number"})
        );
        assert_eq!(properties["state"], json!({"$ref": "#/$defs/State"}));
        assert!(!listed.to_string().contains("null"), "{listed}");
    }

    #[test]
    fn a_brief_enumeration_is_one_list_with_its_meanings() {
        let full = arguments::<Record>();
        let brief = brief(&full);
        let mut state = brief["$defs"]["State"].clone();
        let names = state["enum"].as_array_mut().unwrap();
        names.sort_by_key(Value::to_string);
        assert_eq!(
            state,
            json!({"type": "string", "enum": ["done", "queued"], "description": "queued: Waits."})
        );
        assert!(!brief.contains_key("title"), "{brief:?}");
    }

    /// Enumerations come in the order of schemars, which is not ours to fix.
    fn sorted(mut value: Value) -> Value {
        if let Some(Value::Array(names)) = value.pointer_mut("/properties/state/anyOf/0/enum") {
            names.sort_by_key(Value::to_string);
        }
        value
    }
}
