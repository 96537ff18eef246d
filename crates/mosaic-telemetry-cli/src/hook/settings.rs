//! Settings of coding agents with a hook, and without. Everything else in them stays as it is.

use std::{ops::Range, path::Path};

use jsonc_parser::{
    ParseOptions,
    cst::{CstArray, CstInputValue, CstNode, CstObject, CstObjectProp, CstRootNode},
};
use toml_edit::{Array, Document};

use crate::cli::Agent;

/// Text of a command by which it is found again.
const MARK: &str = "mosaic-telemetry";

/// The settings with a hook that calls these words. The same if it is there already.
pub(super) fn with_hook(
    agent: Agent,
    text: &str,
    words: &[String],
    home: &Path,
) -> Result<String, String> {
    match agent {
        Agent::ClaudeCode | Agent::GeminiCli => {
            let without = without_hook(agent, text)?;
            with_command(&without, events(agent), &shell_line(words))
        }
        Agent::Codex => with_notify(text, words),
        Agent::Aider => with_lines(text, &shell_line(words), &home.join(".aider/analytics.jsonl")),
    }
}

/// The settings without the hook.
pub(super) fn without_hook(agent: Agent, text: &str) -> Result<String, String> {
    match agent {
        Agent::ClaudeCode | Agent::GeminiCli => without_command(text, events(agent)),
        Agent::Codex => without_notify(text),
        Agent::Aider => Ok(without_lines(text)),
    }
}

/// The events after which something is to be reported.
const fn events(agent: Agent) -> &'static [&'static str] {
    match agent {
        Agent::GeminiCli => &["AfterAgent", "SessionEnd"],
        _ => &["Stop", "SessionEnd"],
    }
}

/// Words as a line for a shell.
fn shell_line(words: &[String]) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "/._-:".contains(it);
    let quoted = |word: &String| {
        if word.chars().all(is_plain) {
            word.clone()
        } else if cfg!(windows) {
            format!("\"{word}\"")
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    // On Windows, some agents call a shell of Unix, to which a backslash is no separator.
    let words =
        words.iter().map(|it| if cfg!(windows) { it.replace('\\', "/") } else { it.clone() });
    words.map(|it| quoted(&it)).collect::<Vec<_>>().join(" ")
}

fn parse(text: &str) -> Result<CstRootNode, String> {
    let text = if text.trim().is_empty() { "{}\n" } else { text };
    if text.starts_with(BYTE_ORDER_MARK) {
        return Err("it begins with a byte order mark: store it without".into());
    }
    CstRootNode::parse(text, &ParseOptions::default()).map_err(|error| format!("no JSON: {error}"))
}

fn with_command(text: &str, events: &[&str], command: &str) -> Result<String, String> {
    let root = parse(text)?;
    let unexpected = || "expected an object of hooks, with lists by event".to_owned();
    let hooks = root.object_value_or_create().and_then(|it| it.object_value_or_create("hooks"));
    let hooks = hooks.ok_or_else(unexpected)?;
    for event in events {
        let list = hooks.array_value_or_create(event).ok_or_else(unexpected)?;
        let hook = vec![
            ("type".to_owned(), CstInputValue::String("command".into())),
            ("command".to_owned(), CstInputValue::String(command.into())),
        ];
        let hooks = CstInputValue::Array(vec![CstInputValue::Object(hook)]);
        list.append(CstInputValue::Object(vec![("hooks".to_owned(), hooks)]));
    }
    Ok(root.to_string())
}

fn without_command(text: &str, events: &[&str]) -> Result<String, String> {
    if !text.contains(MARK) {
        return Ok(text.to_owned());
    }
    let root = parse(text)?;
    let Some(settings) = root.object_value() else { return Ok(text.to_owned()) };
    let Some(hooks) = settings.object_value("hooks") else { return Ok(text.to_owned()) };
    let mut is_changed = false;
    for event in events {
        // What was empty before stays.
        if let Some(list) = hooks.array_value(event)
            && remove_ours(&list)
        {
            is_changed = true;
            if list.elements().is_empty() {
                hooks.get(event).into_iter().for_each(CstObjectProp::remove);
            }
        }
    }
    if is_changed && hooks.properties().is_empty() {
        settings.get("hooks").into_iter().for_each(CstObjectProp::remove);
    }
    Ok(if is_changed { root.to_string() } else { text.to_owned() })
}

/// Removes our commands from the groups of an event, and the groups that have no other. True if there was one.
fn remove_ours(list: &CstArray) -> bool {
    let mut is_changed = false;
    for group in list.elements() {
        let commands = group.as_object().and_then(|it| it.array_value("hooks"));
        let Some(commands) = commands else { continue };
        let is_ours = |it: &CstNode| it.as_object().is_some_and(|it| is_ours(&it));
        let ours: Vec<_> = commands.elements().into_iter().filter(is_ours).collect();
        if ours.is_empty() {
            continue;
        }
        is_changed = true;
        ours.into_iter().for_each(CstNode::remove);
        if commands.elements().is_empty() {
            group.remove();
        }
    }
    is_changed
}

fn is_ours(hook: &CstObject) -> bool {
    let command = hook.get("command").and_then(|it| it.value()).and_then(|it| it.as_string_lit());
    let command = command.and_then(|it| it.decoded_value().ok());
    command.is_some_and(|it| it.contains(MARK) && it.contains(" hook "))
}

/// Text that some editors put in front of a file.
const BYTE_ORDER_MARK: &str = "\u{feff}";

fn with_notify(text: &str, words: &[String]) -> Result<String, String> {
    let without = without_notify(text)?;
    if notify(&without)?.is_some() {
        return Err(
            "`notify` calls another program, and there can be only one: make that program call \
                    `mosaic-telemetry hook codex` too"
                .into(),
        );
    }
    // First: what follows the heading of a table belongs to it.
    let (mark, rest) = match without.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => (BYTE_ORDER_MARK, rest),
        None => ("", without.as_str()),
    };
    let end = if without.contains("\r\n") { "\r\n" } else { "\n" };
    Ok(format!("{mark}notify = {}{end}{rest}", words.iter().collect::<Array>()))
}

fn without_notify(text: &str) -> Result<String, String> {
    let Some((line, words)) = notify(text)? else { return Ok(text.to_owned()) };
    let is_ours = words.first().is_some_and(|it| it.contains(MARK));
    if !is_ours || words.get(1).is_none_or(|it| it != "hook") {
        return Ok(text.to_owned());
    }
    let (before, after) = (text.get(..line.start), text.get(line.end..));
    Ok(before.into_iter().chain(after).collect())
}

/// The lines of `notify` with their line break, and the words of its value.
type Notify = (Range<usize>, Vec<String>);

fn notify(text: &str) -> Result<Option<Notify>, String> {
    let document = Document::parse(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text));
    let document = document.map_err(|error| format!("no TOML: {}", error.message()))?;
    let Some(item) = document.get("notify") else { return Ok(None) };
    let skipped = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let value = item.span().unwrap_or_default();
    let (first, last) = (value.start + skipped, value.end + skipped);
    let start = text.get(..first).and_then(|it| it.rfind('\n')).map_or(skipped, |at| at + 1);
    let end = text.get(last..).and_then(|it| it.find('\n')).map_or(text.len(), |at| last + at + 1);
    let words = item.as_array().into_iter().flatten().filter_map(|it| it.as_str());
    Ok(Some((start..end, words.map(Into::into).collect())))
}

/// The keys of aider that make it log and call.
const KEYS: [&str; 3] = ["analytics-log", "notifications", "notifications-command"];

fn with_lines(text: &str, command: &str, log: &Path) -> Result<String, String> {
    let without = without_lines(text);
    for key in KEYS {
        if without.lines().any(|line| line.starts_with(&format!("{key}:"))) {
            return Err(format!(
                "`{key}` is set already: remove it, or set the variables of aider"
            ));
        }
    }
    let end = if without.is_empty() || without.ends_with('\n') { "" } else { "\n" };
    // aider does not expand `~`.
    let [command, log] = [command.into(), log.to_string_lossy()].map(|it| it.replace('\'', "''"));
    Ok(format!(
        "{without}{end}analytics-log: '{log}' # {MARK}\n\
         notifications: true # {MARK}\n\
         notifications-command: '{command}' # {MARK}\n"
    ))
}

fn without_lines(text: &str) -> String {
    let is_ours = |line: &&str| {
        line.trim_end().ends_with(&format!("# {MARK}"))
            && KEYS.iter().any(|key| line.starts_with(&format!("{key}:")))
    };
    text.split_inclusive('\n').filter(|line| !is_ours(line)).collect()
}

#[cfg(test)]
mod tests;
