//! Home folders with logs, and calls of the program in them.

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write,
    ops::Range,
    path::PathBuf,
    process::{self, Command, Output, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::json;

pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub(crate) const INSTANCE: &str = "12345678-1234-4234-9234-123456789abc";

/// One session of Claude Code: a turn that passed its tests, and one that was interrupted.
pub(crate) const SESSION: &str = include_str!("session.jsonl");

/// The log of a session with a turn for each number, which is the second of the day. Each turn passed its tests.
pub(crate) fn turns(numbers: Range<u32>, model: &str) -> String {
    let mut log = String::new();
    for number in numbers {
        let (hour, minute, second) = (number / 3_600, number / 60 % 60, number % 60);
        let mut line = |record: u32, body: serde_json::Value| {
            let uuid = format!("00000000-0000-4000-8000-{number:08x}{record:04x}");
            let mut object = json!({
                "uuid": uuid, "sessionId": INSTANCE, "version": "2.1.120", "cwd": "/home/user/shop",
                "timestamp": format!("2026-11-26T{hour:02}:{minute:02}:{second:02}.{record:03}Z"),
            });
            let fields = body.as_object().expect("an object").clone();
            object.as_object_mut().expect("an object").extend(fields);
            log += &format!("{object}\n");
        };
        let reply = |part: &str, content: serde_json::Value, stop: &str| {
            let id = format!("{part}{number}");
            let usage = json!({"input_tokens": 10, "output_tokens": 30});
            let message = json!({"id": id, "role": "assistant", "model": model, "content": content,
                "stop_reason": stop, "usage": usage});
            json!({"type": "assistant", "requestId": id, "message": message})
        };
        let call = json!([{"type": "tool_use", "id": number.to_string(), "name": "Bash",
            "input": {"command": "cargo test"}}]);
        let result = json!([{"type": "tool_result", "tool_use_id": number.to_string(),
            "content": "ok", "is_error": false}]);
        line(0, json!({"type": "user", "message": {"role": "user", "content": "A prompt."}}));
        line(1, reply("a", call, "tool_use"));
        line(2, json!({"type": "user", "message": {"role": "user", "content": result}}));
        line(3, reply("b", json!([{"type": "text", "text": "Done."}]), "end_turn"));
    }
    log
}

/// A home folder, which is removed at the end.
pub(crate) struct Home {
    pub(crate) path: PathBuf,
    pub(crate) server: Option<String>,
}

impl Home {
    /// With the logs of [`SESSION`].
    pub(crate) fn new() -> Self {
        let home = Self::empty();
        home.log("session.jsonl", SESSION);
        home
    }

    pub(crate) fn empty() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name =
            format!("mosaic-cli-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder");
        Self { path, server: None }
    }

    pub(crate) fn reporting_to(url: &str) -> Self {
        let mut home = Self::new();
        home.server = Some(url.into());
        home
    }

    /// Appends to a log of Claude Code.
    pub(crate) fn log(&self, name: &str, text: &str) {
        let folder = self.path.join(".claude/projects/p");
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join(name);
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).expect("a file");
    }

    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mosaic-telemetry"));
        command.args(arguments.split_whitespace()).env_clear().env("HOME", &self.path);
        if let Some(url) = &self.server {
            command.env("MOSAIC_TELEMETRY_SERVER_URL", url);
            command.env("MOSAIC_TELEMETRY_API_KEY", KEY);
            command.env("MOSAIC_TELEMETRY_INSTANCE_ID", INSTANCE);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Standard output of a call that succeeds.
    pub(crate) fn run(&self, arguments: &str) -> String {
        let (code, out, err) = text(self.command(arguments).output().expect("the program starts"));
        assert_eq!(code, Some(0), "{arguments}: {out}{err}");
        out
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

pub(crate) fn text(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}
