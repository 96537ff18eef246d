//! The coding agents, and what they are to do.

use super::server::Step::{self, Refuse, Run, Say};

/// A coding agent, and how it is called and configured. `{server}` stands for the URL of the model server.
pub(super) struct Harness {
    pub(super) name: &'static str,
    pub(super) program: &'static str,
    pub(super) install: &'static str,
    /// Its name for `hook install`.
    pub(super) hook: Option<&'static str>,
    /// A file in the home folder.
    pub(super) settings: (&'static str, &'static str),
    pub(super) variables: &'static [(&'static str, &'static str)],
    pub(super) arguments: &'static [&'static str],
    pub(super) project: Option<&'static str>,
    pub(super) model: &'static str,
    /// `None` if no task is found.
    pub(super) runs: &'static [(&'static [Step], Option<Expected>)],
}

/// The facts that `scan` finds about a task.
pub(super) struct Expected {
    /// Those that ran, and those that failed.
    pub(super) gates: [&'static str; 2],
    pub(super) outcome: Option<&'static str>,
    /// True if the hook reports it.
    pub(super) is_hooked: bool,
}

impl Expected {
    const fn new(run: &'static str, failed: &'static str, outcome: &'static str) -> Self {
        Self { gates: [run, failed], outcome: Some(outcome), is_hooked: true }
    }

    const fn hooked(self) -> Option<Self> {
        Some(self)
    }

    const fn without_hook(mut self) -> Option<Self> {
        self.is_hooked = false;
        Some(self)
    }
}

const PASSES: &[Step] = &[Run("npm test"), Say];
const FAILS: &[Step] = &[Run("npm test"), Run("npm run lint"), Say];
const REFUSED: &[Step] = &[Run("npm test"), Refuse(400)];

const PASSED: Expected = Expected::new("test", "", "success");
const FAILED: Expected = Expected::new("lint test", "lint", "partial");
const WITH_ERROR: Expected = Expected::new("test", "", "failure");

pub(super) const CODEX: Harness = Harness {
    name: "codex",
    program: "codex",
    install: "npm install --global @openai/codex",
    hook: Some("codex"),
    settings: (
        ".codex/config.toml",
        r#"model = "gpt-5-codex"
model_provider = "scripted"
[model_providers.scripted]
name = "scripted"
base_url = "{server}/v1"
env_key = "SCRIPTED_KEY"
wire_api = "responses"
[analytics]
enabled = false
"#,
    ),
    variables: &[("SCRIPTED_KEY", "x")],
    arguments: &["exec", "--skip-git-repo-check", "--sandbox", "danger-full-access", "Go."],
    project: Some("shop"),
    model: "gpt-5-codex",
    // It does not call `notify` after an error.
    runs: &[
        (PASSES, PASSED.hooked()),
        (FAILS, FAILED.hooked()),
        (REFUSED, WITH_ERROR.without_hook()),
    ],
};

pub(super) const OPENCODE: Harness = Harness {
    name: "opencode",
    program: "opencode",
    install: "npm install --global opencode-ai",
    hook: None,
    settings: (
        ".config/opencode/opencode.json",
        r#"{
  "model": "scripted/gpt-5-codex",
  "autoupdate": false,
  "provider": {"scripted": {
    "npm": "@ai-sdk/openai-compatible",
    "options": {"baseURL": "{server}/v1", "apiKey": "x"},
    "models": {"gpt-5-codex": {}}
  }}
}"#,
    ),
    variables: &[],
    arguments: &["run", "Go."],
    project: Some("shop"),
    model: "gpt-5-codex",
    runs: &[
        (PASSES, PASSED.without_hook()),
        (FAILS, FAILED.without_hook()),
        (REFUSED, WITH_ERROR.without_hook()),
    ],
};

pub(super) const GEMINI_CLI: Harness = Harness {
    name: "gemini_cli",
    program: "gemini",
    install: "npm install --global @google/gemini-cli",
    hook: Some("gemini-cli"),
    settings: (
        ".gemini/settings.json",
        r#"{
  "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": false}},
  "privacy": {"usageStatisticsEnabled": false},
  "general": {"enableAutoUpdate": false}
}"#,
    ),
    variables: &[("GEMINI_API_KEY", "x"), ("GOOGLE_GEMINI_BASE_URL", "{server}")],
    arguments: &["--model", "gemini-2.5-pro", "--yolo", "--prompt", "Go."],
    project: Some("shop"),
    model: "gemini-2.5-pro",
    // Errors are not in its log, without a terminal.
    runs: &[
        (PASSES, PASSED.hooked()),
        (FAILS, FAILED.hooked()),
        (REFUSED, Expected::new("test", "", "partial").hooked()),
    ],
};

pub(super) const AIDER: Harness = Harness {
    name: "aider",
    program: "aider",
    install: "pip install aider-chat",
    hook: Some("aider"),
    // It does not log the names of models that it has no price of. It downloads them if it has no such file.
    settings: (
        ".aider/caches/model_prices_and_context_window.json",
        r#"{"gpt-4o": {"mode": "chat", "litellm_provider": "openai"}}"#,
    ),
    variables: &[("OPENAI_API_BASE", "{server}/v1"), ("OPENAI_API_KEY", "x")],
    // Of a stream, it counts the tokens itself.
    arguments: &[
        "--model",
        "gpt-4o",
        "--no-stream",
        "--no-git",
        "--no-check-update",
        "--yes-always",
        "--message",
        "Go.",
    ],
    project: None,
    model: "gpt-4o",
    // Its log has neither commands nor errors, and it calls no hook if it is given a message.
    runs: &[
        (&[Say], Some(Expected { gates: ["", ""], outcome: None, is_hooked: false })),
        (&[Refuse(400)], None),
    ],
};

pub(super) const CLAUDE_CODE: Harness = Harness {
    name: "claude_code",
    program: "claude",
    install: "npm install --global @anthropic-ai/claude-code",
    hook: Some("claude-code"),
    settings: (".claude/settings.json", "{}\n"),
    variables: &[
        ("ANTHROPIC_API_KEY", "x"),
        ("ANTHROPIC_BASE_URL", "{server}"),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ],
    arguments: &["--print", "--model", "claude-sonnet-4-5", "--allowedTools", "Bash", "--", "Go."],
    project: Some("shop"),
    model: "claude-sonnet-4-5",
    runs: &[(PASSES, PASSED.hooked()), (FAILS, FAILED.hooked()), (REFUSED, WITH_ERROR.hooked())],
};
