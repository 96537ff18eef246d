//! Calls of tools that run commands or edit files, and their results.

use std::collections::HashMap;

use super::record::{Block, CommandResult, Record, ToolInput, object};
use crate::harness::lenient::{Raw, escaped};

/// Calls without a result, by id.
#[derive(Debug, Default)]
pub(super) struct Calls(HashMap<String, Call>);

#[derive(Debug)]
enum Call {
    Command(String),
    /// The path of the file.
    Edit(String),
    PlanEnd,
}

/// Effect of a finished call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    Command { command: String, status: i64 },
    Edit(String),
    PlanEnd,
}

impl Calls {
    pub(super) fn start(&mut self, block: &Block<'_>) {
        let call = match block.name.as_str() {
            "Bash" => {
                let input: ToolInput<'_> = object(block.input);
                if input.run_in_background.0 {
                    return;
                }
                Call::Command(input.command.as_str().to_owned())
            }
            "Edit" | "Write" | "MultiEdit" | "NotebookEdit" => {
                let input: ToolInput<'_> = object(block.input);
                let path = [&input.file_path, &input.notebook_path];
                let Some(path) = path.into_iter().find_map(|path| path.filled()) else { return };
                Call::Edit(path.to_owned())
            }
            "ExitPlanMode" => Call::PlanEnd,
            _ => return,
        };
        self.0.insert(block.id.as_str().to_owned(), call);
    }

    /// The effect of a call, once its result is known.
    pub(super) fn end(&mut self, block: &Block<'_>, record: &Record<'_>) -> Option<Done> {
        match self.0.remove(block.tool_use_id.as_str())? {
            Call::Command(command) => {
                let status = exit_status(block, record)?;
                Some(Done::Command { command, status })
            }
            Call::Edit(path) if !block.is_error.0 => Some(Done::Edit(path)),
            Call::PlanEnd if !block.is_error.0 => Some(Done::PlanEnd),
            Call::Edit(_) | Call::PlanEnd => None,
        }
    }
}

/// The exit status of a command; `None` if it did not run to its end, or goes on in the background.
fn exit_status(block: &Block<'_>, record: &Record<'_>) -> Option<i64> {
    let details: CommandResult<'_> = object(record.tool_use_result);
    if details.interrupted.0 || !details.background_task_id.is_empty() {
        return None;
    }
    let blocks: Vec<Block<'_>>;
    let text = match block.content {
        Some(content) if content.get().starts_with('[') => {
            blocks = serde_json::from_str(content.get()).unwrap_or_default();
            blocks.first().map_or("", |block| escaped(block.text))
        }
        content => escaped(content),
    };
    if block.is_error.0 {
        let text = text.strip_prefix("Exit code ")?;
        let (status, output) =
            text.split_at(text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len()));
        let is_timeout = output.starts_with("\\nCommand timed out");
        return status.parse().ok().filter(|status| *status != 0 && !is_timeout);
    }
    let is_background = ["Command running in background", "Command was manually backgrounded"]
        .iter()
        .any(|start| text.starts_with(start));
    (!is_background).then_some(0)
}

/// The name of the local command in a record of the system.
pub(super) fn local_command(content: Raw<'_>) -> Option<&str> {
    super::prompt::command_name(escaped(content))
}
