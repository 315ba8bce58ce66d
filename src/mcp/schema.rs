//! JSON Schemas that every MCP client accepts.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// The schema of `T`, inlined where it can be, without the `$schema` and
/// `format` keys (`uint32`, `double`) that strict validators do not know.
pub fn portable<T: JsonSchema>() -> Map<String, Value> {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut value = generator.into_root_schema_for::<T>().to_value();
    strip(&mut value);
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
