//! Home folders with logs, and calls of the program in them.

use std::{
    env, fs,
    path::PathBuf,
    process::{self, Command, Output, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub(crate) const INSTANCE: &str = "12345678-1234-4234-9234-123456789abc";

/// One session of Claude Code: a turn that passed its tests, and one that was interrupted.
pub(crate) const SESSION: &str = include_str!("session.jsonl");

/// A home folder, which is removed at the end.
pub(crate) struct Home {
    pub(crate) path: PathBuf,
    pub(crate) server: Option<String>,
}

impl Home {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name =
            format!("mosaic-cli-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        fs::create_dir_all(path.join(".claude/projects/p")).expect("a folder");
        fs::write(path.join(".claude/projects/p/session.jsonl"), SESSION).expect("a file");
        Self { path, server: None }
    }

    pub(crate) fn reporting_to(url: &str) -> Self {
        let mut home = Self::new();
        home.server = Some(url.into());
        home
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
