//! From a candidate's flags to the argument vector of its server.

use serde_json::{Map, Value};

use super::EngineError;
use super::entry::Entry;
use super::facts::{Engine, FalseFlag};

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

/// Everything that decides a server's command line.
#[derive(Debug, Clone)]
pub struct LaunchRequest<'a> {
    pub framework: &'a str,
    pub entry: &'a Entry,
    pub model: &'a str,
    pub served_name: &'a str,
    pub tokenizer: Option<&'a str>,
    pub revision: Option<&'a str>,
    pub trust_remote_code: bool,
    pub max_context: Option<u32>,
    pub gpu_count: u32,
    pub flags: &'a Map<String, Value>,
}

/// The argument vector; `{port}` and the like are filled in from `endpoint`.
pub fn argv(
    engine: &Engine,
    request: &LaunchRequest<'_>,
    endpoint: &Endpoint,
) -> Result<Vec<String>, EngineError> {
    let own = !request.entry.is_command;
    let mut argv = request.entry.template.clone();
    if own {
        argv.extend(engine.arguments.iter().cloned());
    }
    let port_flag = request.flags.contains_key("port");
    if !port_flag && !argv.iter().any(|argument| argument.contains("{port}")) {
        return Err(EngineError::NoPort {
            framework: request.framework.to_owned(),
        });
    }
    for argument in &mut argv {
        *argument = fill(argument, request, endpoint)?;
    }
    if own {
        argv.extend(standing_flags(engine, request));
    }
    for (name, value) in request.flags {
        argv.extend(flag(engine, name, value));
    }
    Ok(argv)
}

fn fill(
    argument: &str,
    request: &LaunchRequest<'_>,
    endpoint: &Endpoint,
) -> Result<String, EngineError> {
    let filled = argument
        .replace("{host}", &endpoint.host)
        .replace("{port}", &endpoint.port.to_string())
        .replace("{model}", request.model)
        .replace("{served_name}", request.served_name)
        .replace(
            "{python}",
            request.entry.interpreter.as_deref().unwrap_or("python3"),
        );
    // `{x}` alone is a slip; braces with more inside (JSON values) are not.
    let word = filled
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    if word.is_some_and(|word| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    }) {
        return Err(EngineError::Placeholder {
            framework: request.framework.to_owned(),
            word: filled,
        });
    }
    Ok(filled)
}

/// Flags from the plan's other parts, unless the candidate sets them itself.
fn standing_flags(engine: &Engine, request: &LaunchRequest<'_>) -> Vec<String> {
    let mut argv = Vec::new();
    let mut add = |name: &Option<String>, value: Option<Value>| {
        if let (Some(name), Some(value)) = (name, value)
            && !has(engine, request.flags, name)
        {
            argv.extend(flag(engine, name, &value));
        }
    };
    add(&engine.tokenizer_flag, request.tokenizer.map(Value::from));
    add(&engine.revision_flag, request.revision.map(Value::from));
    add(&engine.context_flag, request.max_context.map(Value::from));
    add(
        &engine.trust_flag,
        request.trust_remote_code.then_some(Value::Bool(true)),
    );
    add(&engine.metrics_flag, Some(Value::Bool(true)));
    let parallel_is_set = engine
        .parallel_flags
        .iter()
        .any(|name| has(engine, request.flags, name));
    if request.gpu_count > 1 && !parallel_is_set {
        add(
            &engine.parallel_flags.first().cloned(),
            Some(request.gpu_count.into()),
        );
    }
    argv
}

/// One flag of the plan as arguments: `true` is the bare flag, `false` the
/// negative form or nothing, a list several values, an object JSON.
fn flag(engine: &Engine, name: &str, value: &Value) -> Vec<String> {
    let word = spelled(engine, name);
    match value {
        Value::Null => Vec::new(),
        Value::Bool(true) => vec![format!("--{word}")],
        Value::Bool(false) => match engine.false_flag {
            FalseFlag::Omit => Vec::new(),
            FalseFlag::Negative => vec![format!("--no-{word}")],
        },
        Value::String(text) => vec![format!("--{word}"), text.clone()],
        Value::Array(items) => std::iter::once(format!("--{word}"))
            .chain(items.iter().map(plain))
            .collect(),
        Value::Number(_) | Value::Object(_) => vec![format!("--{word}"), plain(value)],
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A flag's name as the engine spells it, without the dashes.
fn spelled(engine: &Engine, name: &str) -> String {
    name.trim_start_matches('-').replace('_', &engine.flag_word)
}

fn has(engine: &Engine, flags: &Map<String, Value>, name: &str) -> bool {
    let wanted = spelled(engine, name);
    flags.keys().any(|key| spelled(engine, key) == wanted)
}

fn is_on(engine: &Engine, flags: &Map<String, Value>, name: &str) -> bool {
    flags
        .iter()
        .any(|(key, value)| spelled(engine, key) == name && value != &Value::Bool(false))
}

/// Refuses a candidate that sets what must not be set, or whose context holds
/// fewer than `longest` tokens.
pub fn check_flags(
    engine: &Engine,
    framework: &str,
    flags: &Map<String, Value>,
    longest: u64,
) -> Result<(), EngineError> {
    for (name, value) in flags {
        let word = spelled(engine, name);
        if let Some(only) = engine.fixed_flags.get(&word)
            && value.as_str() != Some(only)
        {
            return Err(EngineError::FixedFlag {
                framework: framework.to_owned(),
                flag: name.clone(),
                value: only.clone(),
            });
        }
        if engine.context_flag.as_ref() == Some(&word)
            && let Some(limit) = value.as_u64()
            && limit < longest
        {
            return Err(EngineError::ContextTooShort {
                framework: framework.to_owned(),
                flag: name.clone(),
                limit,
                needed: longest,
            });
        }
    }
    Ok(())
}

/// Refuses a candidate whose ranks outnumber the GPUs.
pub fn check_parallelism(
    engine: &Engine,
    framework: &str,
    flags: &Map<String, Value>,
    gpu_count: u32,
) -> Result<(), EngineError> {
    let set: Vec<(&String, u64)> = flags
        .iter()
        .filter(|(key, _)| {
            let word = spelled(engine, key);
            let shares = |flag: &String| is_on(engine, flags, flag);
            engine.parallel_flags.contains(&word)
                && !engine.shared_ranks.get(&word).is_some_and(shares)
        })
        .filter_map(|(key, value)| Some((key, value.as_u64()?)))
        .collect();
    let ranks = set.iter().map(|(_, size)| size.max(&1)).product::<u64>();
    if ranks <= u64::from(gpu_count) {
        return Ok(());
    }
    Err(EngineError::TooManyRanks {
        framework: framework.to_owned(),
        ranks,
        gpus: gpu_count,
        flags: set
            .iter()
            .map(|(key, size)| format!("{key}: {size}"))
            .collect::<Vec<_>>()
            .join(", "),
    })
}

#[cfg(test)]
#[path = "argv_tests.rs"]
mod tests;
