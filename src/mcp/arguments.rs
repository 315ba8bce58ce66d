//! Arguments of a call, decoded with errors that name the right key.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::schema;
use crate::fault::{Fault, FaultCode};
use crate::nearest::nearest;

/// Decodes the arguments of tool `tool`; `example` is shown when they are wrong.
pub fn decode<A: DeserializeOwned + JsonSchema>(
    tool: &str,
    arguments: Value,
    example: &str,
) -> Result<A, Fault> {
    let hint = |lead: String| format!("{lead}example: {example}");
    let Value::Object(map) = &arguments else {
        return Err(Fault::new(
            FaultCode::InvalidArgument,
            format!("{tool}: the arguments must be one JSON object"),
            hint(String::new()),
        ));
    };
    let known = schema::portable::<A>();
    let properties = known.get("properties").and_then(Value::as_object);
    if let Some(properties) = properties
        && let Some(stray) = map.keys().find(|key| !properties.contains_key(*key))
    {
        return Err(Fault::new(
            FaultCode::InvalidArgument,
            format!("{tool}: unknown argument `{stray}`"),
            hint(suggestion(stray, properties)),
        ));
    }
    serde_path_to_error::deserialize(&arguments).map_err(|error| {
        let place = match error.path().to_string() {
            path if path == "." => String::new(),
            path => format!(" at `{path}`"),
        };
        Fault::new(
            FaultCode::InvalidArgument,
            format!("{tool}: {}{place}", error.inner()),
            hint(String::new()),
        )
    })
}

fn suggestion(stray: &str, properties: &Map<String, Value>) -> String {
    match nearest(stray, properties.keys().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`? "),
        None => {
            let names: Vec<&str> = properties.keys().map(String::as_str).collect();
            format!("known arguments: {}. ", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[allow(dead_code)]
        wait_s: u32,
        #[serde(default)]
        #[allow(dead_code)]
        nested: Vec<Inner>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[allow(dead_code)]
        pr: u32,
    }

    fn fault(arguments: Value) -> Fault {
        decode::<Sample>("sample", arguments, "{}").unwrap_err()
    }

    #[test]
    fn a_stray_key_is_named_with_the_nearest_right_one() {
        let fault = fault(json!({"wait_sec": 3}));
        assert_eq!(fault.error, FaultCode::InvalidArgument);
        assert!(fault.message.contains("`wait_sec`"), "{}", fault.message);
        assert!(fault.hint.contains("`wait_s`"), "{}", fault.hint);
    }

    #[test]
    fn a_wrong_type_names_its_place() {
        let fault = fault(json!({"wait_s": 1, "nested": [{"pr": "x"}]}));
        assert!(fault.message.contains("nested[0].pr"), "{}", fault.message);
    }

    #[test]
    fn a_missing_key_is_named() {
        assert!(fault(json!({})).message.contains("wait_s"));
        assert!(fault(json!([1])).message.contains("one JSON object"));
    }
}
