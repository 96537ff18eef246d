//! Commands, their exit status, and patches.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::{
    harness::lenient::{Number, Raw, Text, parsed},
    paths::last_component,
};

/// The longest part of an output in which its head is looked for, in bytes.
const HEAD: usize = 512;

/// Tools that run commands or apply patches, also of older versions.
const TOOLS: [&str; 8] = [
    "apply_patch",
    "container.exec",
    "exec_command",
    "local_shell",
    "shell",
    "shell_command",
    "unified_exec",
    "write_stdin",
];

/// The result of a command, as the head of its output states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It ended with this exit status.
    Exited(i64),
    /// It goes on as the process with this number.
    Running(String),
    /// A patch was applied.
    Patched,
    /// The output does not say.
    Unknown,
}

/// A call of a tool. The arguments are parsed once they are needed: current versions log the command again.
#[derive(Debug)]
pub(super) struct Call {
    /// The tool and the JSON of the arguments, if it runs commands or applies patches.
    tool: Option<(&'static str, Box<str>)>,
    /// The files that its patch changes are counted already.
    pub(super) is_counted: bool,
}

/// The arguments of a call of a tool.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    /// The command to run.
    pub(super) command: Option<String>,
    /// The running process to go on with.
    pub(super) process: Option<String>,
    /// The patch to apply.
    pub(super) patch: Option<String>,
}

impl Call {
    pub(super) fn new(tool: &str, arguments: Raw<'_>) -> Self {
        let tool = TOOLS.into_iter().find(|it| *it == tool);
        let tool = tool.zip(arguments.map(|json| json.get().into()));
        Self { tool, is_counted: false }
    }

    pub(super) fn arguments(&self) -> Arguments {
        let arguments = self.tool.as_ref().map(|(tool, json)| Arguments::parse(tool, json));
        arguments.unwrap_or_default()
    }
}

impl Arguments {
    /// Reads the arguments of a call, which are an object or its text.
    fn parse(tool: &str, json: &str) -> Self {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Fields<'a> {
            #[serde(borrow)]
            cmd: Raw<'a>,
            command: Raw<'a>,
            input: Text<'a>,
            session_id: Raw<'a>,
        }

        let text: Cow<'_, str> = serde_json::from_str(json).unwrap_or_else(|_| json.into());
        let Ok(fields) = serde_json::from_str::<Fields<'_>>(&text) else {
            let patch = (tool == "apply_patch").then(|| text.into_owned());
            return Self { patch, ..Self::default() };
        };
        match tool {
            "write_stdin" => Self { process: fields.session_id.map(number), ..Self::default() },
            "apply_patch" => {
                Self { patch: fields.input.filled().map(str::to_owned), ..Self::default() }
            }
            _ => {
                let command = command(fields.cmd.or(fields.command));
                let patch = command.clone().filter(|it| it.contains("*** Begin Patch"));
                Self { command, patch, process: None }
            }
        }
    }
}

/// The text of a number or string.
fn number(raw: &RawValue) -> String {
    raw.get().trim_matches('"').to_owned()
}

/// The command of a shell: a text, or arguments of which those that need it are quoted.
pub(super) fn command(raw: Raw<'_>) -> Option<String> {
    if !raw?.get().starts_with('[') {
        return parsed(raw);
    }
    let arguments: Vec<Cow<'_, str>> = parsed(raw)?;
    if let [shell, .., flag, script] = &*arguments
        && is_shell(shell)
        && is_command_flag(flag)
    {
        return Some(script.clone().into_owned());
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@,+%".contains(c);
    let quoted = arguments.iter().map(|argument| {
        if !argument.is_empty() && argument.chars().all(is_plain) {
            argument.clone().into_owned()
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    });
    Some(quoted.collect::<Vec<_>>().join(" "))
}

fn is_shell(program: &str) -> bool {
    let name = last_component(program).unwrap_or_default();
    let name = name.strip_suffix(".exe").unwrap_or(name);
    ["sh", "bash", "zsh", "dash", "fish", "ksh", "pwsh", "powershell", "cmd"].contains(&name)
}

fn is_command_flag(flag: &str) -> bool {
    ["-c", "-lc", "-ic", "-lic", "/c"].contains(&flag) || flag.eq_ignore_ascii_case("-command")
}

/// Reads the exit status from an output of a tool: the lines before `Output:`, or the metadata of older versions.
pub(super) fn outcome(output: Raw<'_>) -> Outcome {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Fields<'a> {
        #[serde(borrow)]
        metadata: Raw<'a>,
        content: Raw<'a>,
        text: Raw<'a>,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Metadata {
        exit_code: Number,
    }

    let status = |fields: &Fields<'_>| {
        parsed::<Metadata>(fields.metadata).and_then(|it| it.exit_code.whole()).map(Outcome::Exited)
    };
    let Some(raw) = output.map(RawValue::get) else { return Outcome::Unknown };
    match raw.as_bytes() {
        [b'"', b'{', ..] => {
            let text: Option<Cow<'_, str>> = parsed(output);
            let text = text.unwrap_or_default();
            let fields = serde_json::from_str::<Fields<'_>>(&text);
            fields.ok().as_ref().and_then(status).unwrap_or(Outcome::Unknown)
        }
        [b'"', text @ ..] => outcome_of_head(text),
        [b'{', ..] => parsed::<Fields<'_>>(output).map_or(Outcome::Unknown, |fields| {
            status(&fields).unwrap_or_else(|| text_outcome(fields.content.or(fields.text)))
        }),
        [b'[', ..] => {
            let parts: Vec<Fields<'_>> = parsed(output).unwrap_or_default();
            parts.first().map_or(Outcome::Unknown, |part| text_outcome(part.text))
        }
        _ => Outcome::Unknown,
    }
}

fn text_outcome(text: Raw<'_>) -> Outcome {
    text.and_then(|text| text.get().as_bytes().strip_prefix(b"\""))
        .map_or(Outcome::Unknown, outcome_of_head)
}

/// Reads the head of a string that is still escaped and may go on behind its end, since most outputs are long.
pub(super) fn outcome_of_head(escaped: &[u8]) -> Outcome {
    let head = String::from_utf8_lossy(escaped.get(..HEAD).unwrap_or(escaped));
    let end = head.match_indices('"').find(|(at, _)| !head[..*at].ends_with('\\'));
    let head = end.map_or(&*head, |(at, _)| &head[..at]);
    for line in head.split(r"\n").map(|line| line.trim_end_matches(r"\r")) {
        let starts = ["Process exited with code ", "Exit code: "];
        let status = starts.iter().find_map(|start| line.strip_prefix(start));
        if let Some(status) = status.and_then(|status| status.trim().parse().ok()) {
            return Outcome::Exited(status);
        }
        if let Some(process) = line.strip_prefix("Process running with session ID ") {
            return Outcome::Running(process.trim().to_owned());
        }
        if line.starts_with("Success. Updated the following files") {
            return Outcome::Patched;
        }
        if line == "Output:" {
            break;
        }
    }
    Outcome::Unknown
}

/// The paths of a map or list of changed files.
pub(super) fn paths(changes: Raw<'_>) -> Vec<String> {
    #[derive(Deserialize)]
    struct Change {
        path: String,
    }

    if let Some(changes) = parsed::<BTreeMap<String, IgnoredAny>>(changes) {
        return changes.into_keys().collect();
    }
    let changes: Vec<Change> = parsed(changes).unwrap_or_default();
    changes.into_iter().map(|change| change.path).collect()
}
