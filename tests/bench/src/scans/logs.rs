//! Logs as Claude Code 2.1 and Codex 0.171 write them, with filler as their text.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

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

struct Log {
    file: BufWriter<File>,
    written: u64,
}

impl Log {
    fn line(&mut self, value: &Value) -> Result<()> {
        let line = serde_json::to_vec(value)?;
        self.file.write_all(&line)?;
        self.file.write_all(b"\n")?;
        self.written += line.len() as u64 + 1;
        Ok(())
    }

    fn claude_code_turn(&mut self, file: u64, turn: u64) -> Result<()> {
        let mut count = 0;
        let mut record = |request: u64, rest: Value| {
            count += 1;
            let mut record = json!({
                "parentUuid": id(file, turn, count - 1), "isSidechain": false, "userType": "external",
                "cwd": "/home/me/project", "sessionId": id(0, file, 0), "version": "2.1.120",
                "gitBranch": "main", "uuid": id(file, turn, count), "timestamp": time(file, turn, request),
            });
            merge(&mut record, rest);
            record
        };
        let user = |content: Value| json!({"type": "user", "message": {"role": "user", "content": content}});
        self.line(&record(0, user(json!(text(300)))))?;
        for request in 1..=REQUESTS {
            let (tool, name) =
                (format!("toolu_{file}_{turn}_{request}"), format!("{file}_{turn}_{request}"));
            let call = json!({
                "type": "tool_use", "id": tool, "name": "Bash", "input": {"command": "cargo test", "description": text(60)},
            });
            let is_last = request == REQUESTS;
            let output = 100 + (file + turn) % 900 + request;
            // The parts of a message repeat its usage, as it is until then.
            for (part, tokens) in
                [(json!({"type": "text", "text": text(400)}), output / 2), (call, output)]
            {
                if is_last && part["type"] == "tool_use" {
                    continue;
                }
                let stop = if is_last { json!("end_turn") } else { json!("tool_use") };
                let message = json!({
                    "id": format!("msg_{name}"), "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
                    "content": [part], "stop_reason": stop, "stop_sequence": null,
                    "usage": {
                        "input_tokens": 4 + request, "cache_creation_input_tokens": 700 + turn,
                        "cache_read_input_tokens": 20_000 + 900 * request, "output_tokens": tokens,
                        "cache_creation": {"ephemeral_5m_input_tokens": 700 + turn, "ephemeral_1h_input_tokens": 0},
                        "service_tier": "standard",
                    },
                });
                let rest = json!({"type": "assistant", "requestId": format!("req_{name}"), "message": message});
                self.line(&record(request, rest))?;
            }
            if !is_last {
                let content = json!([{"tool_use_id": tool, "type": "tool_result", "content": text(4_000), "is_error": false}]);
                let mut rest = user(content);
                // The result is in the log twice.
                merge(
                    &mut rest,
                    json!({"toolUseResult": {"stdout": text(4_000), "stderr": "", "interrupted": false}}),
                );
                self.line(&record(request, rest))?;
            }
        }
        Ok(())
    }

    fn codex_turn(&mut self, file: u64, turn: u64) -> Result<()> {
        let (thread, id) = (id(0, file, 0), id(file, turn, 0));
        let line = |request: u64, kind: &str, payload: Value| json!({"timestamp": time(file, turn, request), "type": kind, "payload": payload});
        if turn == 0 {
            let meta = json!({
                "id": thread, "timestamp": time(file, turn, 0), "cwd": "/home/me/project", "originator": "codex_cli_rs",
                "cli_version": "0.171.0", "source": "cli", "model_provider": "openai", "instructions": text(4_000),
            });
            self.line(&line(0, "session_meta", meta))?;
        }
        let started =
            json!({"type": "task_started", "turn_id": id, "model_context_window": 258_400});
        self.line(&line(0, "event_msg", started))?;
        let context = json!({"turn_id": id, "cwd": "/home/me/project", "approval_policy": "never", "model": "gpt-5-codex"});
        self.line(&line(0, "turn_context", context))?;
        self.line(&line(0, "event_msg", json!({"type": "user_message", "message": text(300)})))?;
        for request in 1..=REQUESTS {
            let reasoning = json!({"type": "reasoning", "summary": [], "encrypted_content": "gAAAAABo".repeat(150)});
            self.line(&line(request, "response_item", reasoning))?;
            let usage = |requests: u64| {
                let (input, output) = (12_000 * requests, 300 * requests);
                json!({
                    "input_tokens": input, "cached_input_tokens": input / 2, "cache_write_input_tokens": 0, "output_tokens": output,
                    "reasoning_output_tokens": output / 3, "total_tokens": input + output,
                })
            };
            if request < REQUESTS {
                let call = format!("call_{file}_{turn}_{request}");
                let command = if request == 1 { "cargo test" } else { "sed -n 1,200p src/lib.rs" };
                let arguments = json!({"cmd": command}).to_string();
                let item = json!({"type": "function_call", "name": "exec_command", "arguments": arguments, "call_id": call});
                self.line(&line(request, "response_item", item))?;
                let item = json!({
                    "type": "CommandExecution", "id": call, "command": ["/bin/bash", "-lc", command], "cwd": "file:///home/me/project",
                    "source": "unified_exec_startup", "status": "completed", "aggregated_output": text(4_000), "exit_code": 0,
                });
                let completed = json!({"type": "item_completed", "thread_id": thread, "turn_id": id, "item": item});
                self.line(&line(request, "event_msg", completed))?;
                let head = "Chunk ID: d82944\nWall time: 0.0720 seconds\nProcess exited with code 0\nOutput:\n";
                let output = format!("{head}{}", text(4_000));
                let item =
                    json!({"type": "function_call_output", "call_id": call, "output": output});
                self.line(&line(request, "response_item", item))?;
            }
            let record = json!({
                "thread_id": thread, "turn_id": id, "session_id": thread, "response_id": format!("resp_{file}_{turn}_{request}"),
                "usage": usage(1),
            });
            self.line(&line(request, "token_usage_record", record))?;
            let info = json!({
                "total_token_usage": usage(turn * REQUESTS + request), "last_token_usage": usage(1), "model_context_window": 258_400,
            });
            self.line(&line(request, "event_msg", json!({"type": "token_count", "info": info})))?;
        }
        let message = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text(400)}]});
        self.line(&line(REQUESTS, "response_item", message))?;
        let complete =
            json!({"type": "task_complete", "turn_id": id, "last_agent_message": text(400)});
        self.line(&line(REQUESTS, "event_msg", complete))
    }
}

fn merge(record: &mut Value, rest: Value) {
    if let (Value::Object(record), Value::Object(rest)) = (record, rest) {
        record.extend(rest);
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
