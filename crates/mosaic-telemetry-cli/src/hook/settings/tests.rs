use super::*;

fn words(agent: &str) -> Vec<String> {
    ["/usr/bin/mosaic-telemetry", "hook", agent].map(Into::into).into()
}

/// Settings of each agent, with comments, other hooks and an unusual order.
const SETTINGS: [(Agent, &str, &str); 12] = [
    (Agent::ClaudeCode, "claude-code", ""),
    (Agent::ClaudeCode, "claude-code", "{}"),
    (
        Agent::ClaudeCode,
        "claude-code",
        "{\n  \"model\": \"opus\",\n  \"hooks\": {\n    \"Stop\": [\n      {\n        \"hooks\": [\n          \
         { \"type\": \"command\", \"command\": \"say done\" }\n        ]\n      }\n    ],\n    \
         \"PreToolUse\": []\n  },\n  \"z\": 1\n}\n",
    ),
    (
        Agent::GeminiCli,
        "gemini-cli",
        "{\n\t// A comment.\n\t\"theme\": \"x\", /* another */\n\t\"a\": [1,2]\n}\n",
    ),
    (Agent::Codex, "codex", ""),
    (
        Agent::Codex,
        "codex",
        "# A comment.\nmodel   = \"m\" # another\n\n[tui]\nnotifications = true\n",
    ),
    (Agent::Codex, "codex", "model = \"m\""),
    (Agent::Codex, "codex", "# A comment.\n"),
    (Agent::Codex, "codex", "\u{feff}model = \"m\"\r\n\r\n[tui]\r\na = 1\r\n# The last.\r\n"),
    (Agent::Codex, "codex", "model = 'm'\n# The last."),
    (Agent::Aider, "aider", ""),
    (Agent::Aider, "aider", "# A comment.\nmodel: m\n"),
];

#[test]
fn hook_is_added_once_and_removed_without_a_trace() {
    for (agent, name, text) in SETTINGS {
        let with = with_hook(agent, text, &words(name), Path::new("/home/me")).unwrap();
        assert!(with.contains("/usr/bin/mosaic-telemetry"), "{with}");
        assert_eq!(
            with_hook(agent, &with, &words(name), Path::new("/home/me")).unwrap(),
            with,
            "{text}"
        );
        for line in text.trim_start_matches('\u{feff}').lines().filter(|it| it.len() > 3) {
            assert!(with.contains(line.trim_end_matches(',')), "{line}\n{with}");
        }
        let without = without_hook(agent, &with).unwrap();
        let trimmed = |text: &str| text.split_whitespace().collect::<String>().replace("{}", "");
        assert_eq!(trimmed(&without), trimmed(text), "{with}");
        let is_exact = matches!(agent, Agent::Codex | Agent::Aider);
        assert!(!is_exact || without == text, "{without:?} {text:?}");
        assert_eq!(without_hook(agent, text).unwrap(), text);
    }
}

#[test]
fn hook_is_where_the_agent_reads_it() {
    let json = |agent, name| -> serde_json::Value {
        serde_json::from_str(&with_hook(agent, "", &words(name), Path::new("/home/me")).unwrap())
            .unwrap()
    };
    let hook = |name: &str| {
        let command = format!("/usr/bin/mosaic-telemetry hook {name}");
        serde_json::json!([{ "hooks": [{ "type": "command", "command": command }] }])
    };
    let claude = hook("claude-code");
    let expected = serde_json::json!({ "hooks": { "Stop": claude, "SessionEnd": claude } });
    assert_eq!(json(Agent::ClaudeCode, "claude-code"), expected);
    let gemini = hook("gemini-cli");
    let expected = serde_json::json!({ "hooks": { "AfterAgent": gemini, "SessionEnd": gemini } });
    assert_eq!(json(Agent::GeminiCli, "gemini-cli"), expected);

    // In front of the tables: behind a heading, it would be a key of the table.
    let text = "model = \"m\"\n[tui]\na = 1\n";
    let with: toml::Table = with_hook(Agent::Codex, text, &words("codex"), Path::new("/home/me"))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(with["notify"].as_array().unwrap().len(), 3);
}

#[test]
fn settings_that_leave_no_place_for_a_hook_are_refused() {
    for (agent, text) in [
        (Agent::ClaudeCode, "{"),
        (Agent::ClaudeCode, "[]"),
        (Agent::ClaudeCode, "{\"hooks\": 7}"),
        (Agent::Codex, "notify = ["),
        (Agent::Codex, "notify = [\"notify-send\"]"),
        (Agent::Aider, "notifications-command: say done\n"),
    ] {
        with_hook(agent, text, &words("x"), Path::new("/home/me")).unwrap_err();
    }
}

#[cfg(unix)]
#[test]
fn path_that_a_shell_would_split_is_quoted() {
    let words: Vec<String> = ["/a b/$x's/mosaic-telemetry", "hook", "aider"].map(Into::into).into();
    let line = r"'/a b/$x'\''s/mosaic-telemetry' hook aider";
    assert_eq!(shell_line(&words), line);
    let with = with_hook(Agent::Aider, "", &words, Path::new("/home/me")).unwrap();
    assert!(with.contains(&line.replace('\'', "''")), "{with}");
}
