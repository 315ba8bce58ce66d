//! How a framework is started on this host: by the plan's own command, by an
//! interpreter, or by a program on the path.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::EngineError;
use super::facts::Engine;
use crate::references::Catalogue;

/// The words before a server's arguments, and what runs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Program and first arguments; `{python}`, `{model}` and the like are open.
    pub template: Vec<String>,
    /// Whether the template is the plan's whole command.
    pub is_command: bool,
    /// The Python interpreter behind it, where there is one.
    pub interpreter: Option<String>,
}

/// What the plan says about starting a framework.
#[derive(Debug, Clone, Copy)]
pub struct EntryRequest<'a> {
    pub framework: &'a str,
    /// Replaces the engine's entry and standing arguments.
    pub command: Option<&'a [String]>,
    pub python: Option<&'a str>,
    /// It is started elsewhere: what this host has on its path says nothing.
    pub elsewhere: bool,
}

/// Finds the entry; nothing is started.
pub fn find_entry(engine: &Engine, request: &EntryRequest<'_>) -> Result<Entry, EngineError> {
    if let Some(command) = request.command {
        return Ok(Entry {
            template: command.to_vec(),
            is_command: true,
            interpreter: interpreter_of(command, request),
        });
    }
    let python = |interpreter: &str| Entry {
        template: engine.python_entry.clone(),
        is_command: false,
        interpreter: Some(interpreter.to_owned()),
    };
    if let Some(interpreter) = request.python
        && !engine.python_entry.is_empty()
    {
        return Ok(python(interpreter));
    }
    if request.elsewhere {
        return match engine.entry.first() {
            _ if !engine.python_entry.is_empty() => Ok(python("python3")),
            Some(template) => Ok(Entry {
                template: template.clone(),
                is_command: false,
                interpreter: None,
            }),
            None => Err(no_entry(engine, request)),
        };
    }
    let found = engine.entry.iter().find_map(|template| {
        let program = which::which(template.first()?).ok()?;
        Some(Entry {
            template: template.clone(),
            is_command: false,
            interpreter: shebang(&program),
        })
    });
    if let Some(entry) = found {
        return Ok(entry);
    }
    if engine.entry.is_empty() && engine.python_entry.is_empty() {
        return Err(no_entry(engine, request));
    }
    if !engine.python_entry.is_empty() && which::which("python3").is_ok() {
        return Ok(python("python3"));
    }
    Err(EngineError::NotInstalled {
        framework: request.framework.to_owned(),
        tried: tried(engine),
    })
}

fn no_entry(engine: &Engine, request: &EntryRequest<'_>) -> EngineError {
    EngineError::NoEntry {
        framework: request.framework.to_owned(),
        engine: engine.name.clone(),
    }
}

/// The programs of an engine, for messages.
pub(super) fn tried(engine: &Engine) -> String {
    engine
        .entry
        .iter()
        .filter_map(|template| template.first().map(String::as_str))
        .collect::<Vec<_>>()
        .join(", ")
}

fn interpreter_of(command: &[String], request: &EntryRequest<'_>) -> Option<String> {
    let program = command.first()?;
    if program == "{python}" {
        return Some(request.python.unwrap_or("python3").to_owned());
    }
    if is_python(program) {
        return Some(program.clone());
    }
    if request.elsewhere {
        return None;
    }
    shebang(&which::which(program).ok()?)
}

fn is_python(program: &str) -> bool {
    Path::new(program)
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("python"))
}

/// The interpreter that a script's first lines name. Where that path is too
/// long for the kernel, installers write a shell line that executes it.
fn shebang(program: &Path) -> Option<String> {
    use std::io::Read;
    let mut start = Vec::new();
    std::fs::File::open(program)
        .ok()?
        .take(1024)
        .read_to_end(&mut start)
        .ok()?;
    let text = String::from_utf8_lossy(&start);
    let mut lines = text.lines();
    let mut words = lines.next()?.strip_prefix("#!")?.split_whitespace();
    let first = words.next()?;
    if is_python(first) {
        return Some(first.to_owned());
    }
    if first.ends_with("/env") {
        return words.find(|word| is_python(word)).map(str::to_owned);
    }
    let quoted = lines.next()?.strip_prefix("'''exec' ")?;
    let path = match quoted.strip_prefix('"') {
        Some(rest) => rest.split('"').next()?,
        None => quoted.split_whitespace().next()?,
    };
    is_python(path).then(|| path.to_owned())
}

/// Commands whose output together lists every flag that the server takes; none
/// where that cannot be told without starting it.
pub fn help_commands(engine: &Engine, entry: &Entry) -> Option<Vec<Vec<String>>> {
    let template = match &entry.interpreter {
        // The module's own help is that of the server alone.
        Some(_) if !entry.is_command && !engine.python_entry.is_empty() => &engine.python_entry,
        _ => &entry.template,
    };
    let mut command = leading_words(template, entry)?;
    let further = !entry.is_command && entry.interpreter.is_some();
    command.push(if entry.is_command && !is_entry_of(engine, &command) {
        "--help".to_owned()
    } else {
        engine.help_argument.clone()
    });
    let mut commands = vec![command];
    if further {
        commands.extend(engine.further_help.iter().map(|template| {
            template
                .iter()
                .map(|word| with_python(word, entry))
                .collect()
        }));
    }
    Some(commands)
}

/// Whether a command starts like one of the engine's own entries.
fn is_entry_of(engine: &Engine, words: &[String]) -> bool {
    let name = |word: &String| {
        PathBuf::from(word)
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let Some(program) = words.first().map(name) else {
        return false;
    };
    engine
        .entry
        .iter()
        .any(|template| template.first() == Some(&program))
        || (is_python(&program)
            && words
                .get(2)
                .is_some_and(|module| engine.python_entry.contains(module)))
}

/// The words up to the first argument: `python -m module serve`.
fn leading_words(template: &[String], entry: &Entry) -> Option<Vec<String>> {
    let mut words = template.iter().map(|word| with_python(word, entry));
    let program = words.next()?;
    let name = Path::new(&program)
        .file_name()?
        .to_string_lossy()
        .into_owned();
    if WRAPPERS.table().programs.contains(&name) || program.contains('{') {
        return None;
    }
    let mut leading = vec![program.clone()];
    if is_python(&program) {
        // A script's help cannot be told from its start; a module's can.
        if words.next()? != "-m" {
            return None;
        }
        leading.extend(["-m".to_owned(), words.next()?]);
    }
    leading.extend(words.take_while(|word| !word.starts_with('-') && !word.contains('{')));
    Some(leading)
}

fn with_python(word: &str, entry: &Entry) -> String {
    word.replace(
        "{python}",
        entry.interpreter.as_deref().unwrap_or("python3"),
    )
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wrappers {
    programs: Vec<String>,
}

pub(super) static WRAPPERS: Catalogue<Wrappers> = Catalogue::new(
    "command-wrappers.toml",
    include_str!("../../references/command-wrappers.toml"),
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::engine;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    fn entry_of(name: &str, command: Option<&[String]>, python: Option<&str>) -> Entry {
        let request = EntryRequest {
            framework: "it",
            command,
            python,
            elsewhere: false,
        };
        find_entry(engine(name).unwrap(), &request).unwrap()
    }

    fn help(name: &str, entry: &Entry) -> Option<Vec<String>> {
        let commands = help_commands(engine(name).unwrap(), entry)?;
        Some(commands.iter().map(|command| command.join(" ")).collect())
    }

    #[test]
    fn an_interpreter_runs_the_module_and_its_help() {
        let entry = entry_of("vllm", None, Some("/venv/bin/python"));
        assert_eq!(
            help("vllm", &entry).unwrap(),
            ["/venv/bin/python -m vllm.entrypoints.cli.main serve --help=all"]
        );
        let entry = entry_of("sglang", None, Some("/venv/bin/python"));
        assert_eq!(
            help("sglang", &entry).unwrap(),
            ["/venv/bin/python -m sglang.launch_server --help"]
        );
    }

    #[test]
    fn an_engine_that_passes_flags_on_has_several_helps() {
        let helps = help("tokenspeed", &entry_of("tokenspeed", None, Some("py"))).unwrap();
        assert_eq!(helps.len(), 3);
        assert_eq!(helps[2], "py -m smg launch --help");
    }

    #[test]
    fn a_command_is_asked_for_help_only_where_that_starts_nothing() {
        let of = |list: &[&str]| help("vllm", &entry_of("vllm", Some(&words(list)), None));
        assert_eq!(
            of(&["llama-server", "-m", "{model}", "--port", "{port}"]).unwrap(),
            ["llama-server --help"]
        );
        assert_eq!(
            of(&["/x/vllm", "serve", "{model}", "--port", "{port}"]).unwrap(),
            ["/x/vllm serve --help=all"]
        );
        assert_eq!(
            of(&[
                "python3",
                "-m",
                "vllm.entrypoints.cli.main",
                "serve",
                "{model}"
            ])
            .unwrap(),
            ["python3 -m vllm.entrypoints.cli.main serve --help=all"]
        );
        assert_eq!(of(&["bash", "start.sh", "{port}"]), None);
        assert_eq!(of(&["numactl", "-N", "0", "vllm", "serve"]), None);
        assert_eq!(of(&["python3", "server.py", "--port", "{port}"]), None);
    }

    #[test]
    fn a_script_tells_its_interpreter() {
        let dir = tempfile::tempdir().unwrap();
        for (text, wanted) in [
            (
                "#!/opt/venv/bin/python3.12\nimport x\n",
                Some("/opt/venv/bin/python3.12"),
            ),
            ("#!/usr/bin/env python3\n", Some("python3")),
            (
                "#!/bin/sh\n'''exec' \"/a very/long/bin/python\" \"$0\" \"$@\"\n' '''\n",
                Some("/a very/long/bin/python"),
            ),
            ("#!/bin/sh\necho\n", None),
            ("\u{7f}ELF", None),
        ] {
            let path = dir.path().join("script");
            std::fs::write(&path, text).unwrap();
            assert_eq!(shebang(&path).as_deref(), wanted, "{text}");
        }
    }
}
