//! Logs as Claude Code 2.1 and Codex 0.171 write them, with filler as their text.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use serde_json::value::{RawValue, to_raw_value};

use super::Program;
use crate::Result;

/// The requests of a turn. Each but the last calls a command.
const REQUESTS: u64 = 8;

/// The first turn of the first file, in unix seconds: 2026-06-01.
const START: u64 = 1_780_272_000;

#[derive(Clone, Copy, Debug)]
pub(super) enum Agent {
    ClaudeCode,
    Codex,
}

impl Agent {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Claude Code",
            Self::Codex => "Codex",
        }
    }

    /// The call of ccusage for the logs of this agent below `home`.
    pub(super) fn ccusage(self, ccusage: &Path, home: &Path) -> Program {
        let (name, variable, folder) = match self {
            Self::ClaudeCode => ("claude", "CLAUDE_CONFIG_DIR", ".claude"),
            Self::Codex => ("codex", "CODEX_HOME", ".codex"),
        };
        let arguments = [name, "session", "--json", "--offline"].map(str::to_owned).to_vec();
        let folder = home.join(folder).display().to_string();
        let variables = vec![(variable.to_owned(), folder), ("HOME".to_owned(), "/".to_owned())];
        (ccusage.to_owned(), arguments, variables)
    }

    /// Writes the files of these numbers below `home`, each with at least so many bytes.
    pub(super) fn generate(self, home: &Path, files: Range<u64>, bytes: u64) -> Result<()> {
        for number in files {
            let path = self.path(home, number);
            fs::create_dir_all(path.parent().unwrap_or(home))?;
            let mut log = Log { file: BufWriter::new(File::create(path)?), written: 0 };
            let mut turn = 0;
            while log.written < bytes {
                match self {
                    Self::ClaudeCode => log.claude_code_turn(number, turn)?,
                    Self::Codex => log.codex_turn(number, turn)?,
                }
                turn += 1;
            }
            log.file.flush()?;
        }
        Ok(())
    }

    fn path(self, home: &Path, number: u64) -> PathBuf {
        match self {
            Self::ClaudeCode => {
                let project = format!(".claude/projects/-home-me-project-{}", number % 20);
                home.join(project).join(format!("{}.jsonl", id(0, number, 0)))
            }
            Self::Codex => {
                let (day, time) = (number % 28 + 1, "2026-06");
                let name = format!("rollout-{time}-{day:02}T00-00-00-{}.jsonl", id(0, number, 0));
                home.join(format!(".codex/sessions/2026/06/{day:02}")).join(name)
            }
        }
    }
}

/// An object with its keys in this order, which readers can depend on for their speed. `json!` sorts them.
macro_rules! object {
    ($($key:literal: $value:expr),* $(,)?) => {
        RawValue::from_string(format!(
            "{{{}}}",
            [$(format!("\"{}\":{}", $key, serde_json::to_string(&$value)?)),*].join(",")
        ))?
    };
}

struct Log {
    file: BufWriter<File>,
    written: u64,
}

impl Log {
    fn line(&mut self, value: &RawValue) -> Result<()> {
        self.file.write_all(value.get().as_bytes())?;
        self.file.write_all(b"\n")?;
        self.written += value.get().len() as u64 + 1;
        Ok(())
    }

    fn claude_code_turn(&mut self, file: u64, turn: u64) -> Result<()> {
        let at = |request| time(file, turn, request);
        let session = id(0, file, 0);
        let user = |record: u64, request: u64, content: &RawValue, result: &str| -> Result<_> {
            Ok(object! {
                "parentUuid": id(file, turn, record - 1), "isSidechain": false, "userType": "external",
                "cwd": "/home/me/project", "sessionId": session, "version": "2.1.120", "gitBranch": "main",
                "type": "user", "message": object! {"role": "user", "content": content},
                "uuid": id(file, turn, record), "timestamp": at(request),
                "toolUseResult": object! {"stdout": result, "stderr": "", "interrupted": false},
            })
        };
        self.line(&user(1, 0, &to_raw_value(&text(300))?, "")?)?;
        for request in 1..=REQUESTS {
            let name = format!("{file}_{turn}_{request}");
            let (tool, is_last) = (format!("toolu_{name}"), request == REQUESTS);
            let command = if request == 1 { "cargo test" } else { "sed -n 1,200p src/lib.rs" };
            let input = object! {"command": command, "description": text(60)};
            let output = 100 + (file + turn) % 900 + request;
            // The parts of a message repeat its usage, as it is until then.
            for (part, content, tokens) in [
                (1, object! {"type": "text", "text": text(400)}, output / 2),
                (
                    2,
                    object! {"type": "tool_use", "id": tool, "name": "Bash", "input": input},
                    output,
                ),
            ] {
                if is_last && part == 2 {
                    continue;
                }
                let usage = object! {
                    "input_tokens": 4 + request, "cache_creation_input_tokens": 700 + turn,
                    "cache_read_input_tokens": 20_000 + 900 * request,
                    "cache_creation": object! {"ephemeral_5m_input_tokens": 700 + turn, "ephemeral_1h_input_tokens": 0},
                    "output_tokens": tokens, "service_tier": "standard",
                };
                let message = object! {
                    "model": "claude-sonnet-4-5-20250929", "id": format!("msg_{name}"), "type": "message", "role": "assistant",
                    "content": [content], "stop_reason": if is_last { "end_turn" } else { "tool_use" },
                    "stop_sequence": (), "usage": usage,
                };
                let record = 3 * request + part;
                self.line(&object! {
                    "parentUuid": id(file, turn, record - 1), "isSidechain": false, "userType": "external",
                    "cwd": "/home/me/project", "sessionId": session, "version": "2.1.120", "gitBranch": "main",
                    "message": message, "requestId": format!("req_{name}"), "type": "assistant",
                    "uuid": id(file, turn, record), "timestamp": at(request),
                })?;
            }
            if !is_last {
                let result = text(4_000);
                let content = object! {"tool_use_id": tool, "type": "tool_result", "content": result, "is_error": false};
                // The log has the result twice.
                self.line(&user(3 * request + 3, request, &to_raw_value(&[content])?, &result)?)?;
            }
        }
        Ok(())
    }

    fn codex_turn(&mut self, file: u64, turn: u64) -> Result<()> {
        let (thread, id) = (id(0, file, 0), id(file, turn, 0));
        let line = |request: u64, kind: &str, payload: Box<RawValue>| -> Result<_> {
            Ok(object! {"timestamp": time(file, turn, request), "type": kind, "payload": payload})
        };
        if turn == 0 {
            let meta = object! {
                "id": thread, "timestamp": time(file, turn, 0), "cwd": "/home/me/project", "originator": "codex_cli_rs",
                "cli_version": "0.171.0", "source": "cli", "model_provider": "openai", "instructions": text(4_000),
            };
            self.line(&line(0, "session_meta", meta)?)?;
        }
        let started =
            object! {"type": "task_started", "turn_id": id, "model_context_window": 258_400};
        self.line(&line(0, "event_msg", started)?)?;
        let context = object! {"turn_id": id, "cwd": "/home/me/project", "approval_policy": "never", "model": "gpt-5-codex"};
        self.line(&line(0, "turn_context", context)?)?;
        let message = object! {"type": "user_message", "message": text(300)};
        self.line(&line(0, "event_msg", message)?)?;
        for request in 1..=REQUESTS {
            let item = object! {"type": "reasoning", "summary": [(); 0], "encrypted_content": "gAAAAABo".repeat(150)};
            self.line(&line(request, "response_item", item)?)?;
            if request < REQUESTS {
                let call = format!("call_{file}_{turn}_{request}");
                let command = if request == 1 { "cargo test" } else { "sed -n 1,200p src/lib.rs" };
                let arguments = object! {"cmd": command};
                let item = object! {
                    "type": "function_call", "name": "exec_command", "arguments": arguments.get(), "call_id": call,
                };
                self.line(&line(request, "response_item", item)?)?;
                // The log has the output twice.
                let item = object! {
                    "type": "CommandExecution", "id": call, "command": ["/bin/bash", "-lc", command],
                    "cwd": "file:///home/me/project", "source": "unified_exec_startup", "status": "completed",
                    "aggregated_output": text(4_000), "exit_code": 0,
                };
                let completed = object! {"type": "item_completed", "thread_id": thread, "turn_id": id, "item": item};
                self.line(&line(request, "event_msg", completed)?)?;
                let head = "Chunk ID: d82944\nWall time: 0.0720 seconds\nProcess exited with code 0\nOutput:\n";
                let output = format!("{head}{}", text(4_000));
                let item =
                    object! {"type": "function_call_output", "call_id": call, "output": output};
                self.line(&line(request, "response_item", item)?)?;
            }
            let usage = |requests: u64| -> Result<_> {
                let (input, output) = (12_000 * requests, 300 * requests);
                Ok(object! {
                    "input_tokens": input, "cached_input_tokens": input / 2, "cache_write_input_tokens": 0,
                    "output_tokens": output, "reasoning_output_tokens": output / 3, "total_tokens": input + output,
                })
            };
            let response = format!("resp_{file}_{turn}_{request}");
            let record = object! {
                "thread_id": thread, "turn_id": id, "session_id": thread, "response_id": response, "usage": usage(1)?,
            };
            self.line(&line(request, "token_usage_record", record)?)?;
            let info = object! {
                "total_token_usage": usage(turn * REQUESTS + request)?, "last_token_usage": usage(1)?,
                "model_context_window": 258_400,
            };
            self.line(&line(request, "event_msg", object! {"type": "token_count", "info": info})?)?;
        }
        let content = [object! {"type": "output_text", "text": text(400)}];
        let message = object! {"type": "message", "role": "assistant", "content": content};
        self.line(&line(REQUESTS, "response_item", message)?)?;
        let complete =
            object! {"type": "task_complete", "turn_id": id, "last_agent_message": text(400)};
        self.line(&line(REQUESTS, "event_msg", complete)?)
    }
}

/// An id that no other turn has.
fn id(file: u64, turn: u64, record: u64) -> String {
    format!("{file:08x}-{:04x}-4000-8000-{record:012x}", turn & 0xFFFF)
}

/// A request a minute, and an hour between two turns: none continues the one before it.
fn time(file: u64, turn: u64, request: u64) -> String {
    let minutes = request + 60 * turn;
    let seconds = START + file % 28 * 86_400;
    let (day, minute) = (seconds / 86_400 + minutes / 1_440 - START / 86_400, minutes % 1_440);
    let (month, day) = (6 + day / 30, day % 30 + 1);
    format!(
        "2026-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        minute / 60,
        minute % 60,
        file % 60,
        file / 60
    )
}

/// Text of that length, about, as source code has it: with lines and quotes, which JSON escapes.
fn text(length: usize) -> String {
    const LINE: &str = "    let value = map.get(\"key\").unwrap_or(&0);\n";
    LINE.repeat(length.div_ceil(LINE.len()))
}
