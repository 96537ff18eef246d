//! The hook as coding agents call it.

use std::{fs, time::Duration};

use serde_json::json;
use telemetry_collector::Collector;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::home::{Home, text};

#[test]
fn call_reports_in_the_background_and_in_ci_before_it_returns() {
    for is_ci in [false, true] {
        let collector = Collector::start().unwrap();
        let home = Home::reporting_to(collector.url());
        let state = home.path.join(".local/state/mosaic-telemetry");
        home.run("hook install claude-code");
        // As if the tasks had ended after that; and the last attempt was a moment ago.
        fs::write(state.join("sent"), "1700000000000\n").unwrap();
        if is_ci {
            fs::write(state.join("flushed"), "").unwrap();
        }
        let mut command = home.command("hook claude-code");
        if is_ci {
            command.env("CI", "true");
        }
        assert_eq!(text(command.output().unwrap()), (Some(0), String::new(), String::new()));
        if is_ci {
            assert_eq!(collector.totals().accepted, 2);
        } else {
            assert!(collector.wait_for(Duration::from_secs(30), |totals| totals.accepted == 2));
            // It writes to the folder until it ends, and ends after it has freed the lock.
            let lock = fs::File::open(state.join("lock")).unwrap();
            lock.lock().unwrap();
        }
    }
}

/// The log of Gemini CLI does not show that a turn has ended.
#[test]
fn turn_of_gemini_cli_is_reported_after_a_call_for_its_session() {
    for (session, expected) in [("s", 1), ("another", 0)] {
        let collector = Collector::start().unwrap();
        let mut home = Home::empty();
        home.server = Some(collector.url().into());
        home.run("hook install gemini-cli");
        fs::write(home.path.join(".local/state/mosaic-telemetry/sent"), "1700000000000\n").unwrap();
        let chats = home.path.join(".gemini/tmp/shop/chats");
        fs::create_dir_all(&chats).unwrap();
        let now = fs::metadata(&chats).unwrap().modified().unwrap();
        let now = OffsetDateTime::from(now).format(&Rfc3339).unwrap();
        let call = json!({"id": "c", "name": "run_shell_command", "status": "success",
            "args": {"command": "npm test"}, "result": [{"functionResponse":
                {"response": {"output": "Output: x\nExit Code: 1\nProcess Group PGID: 1"}}}]});
        let lines = [
            json!({"sessionId": "s", "kind": "main"}),
            json!({"id": "u", "timestamp": now, "type": "user", "content": [{"text": "x"}]}),
            json!({"id": "r", "timestamp": now, "type": "gemini", "content": "x",
                "model": "gemini-2.5-pro", "tokens": {"input": 5, "output": 7, "total": 12},
                "toolCalls": [call]}),
        ];
        let lines = lines.map(|it| format!("{it}\n")).concat();
        fs::write(chats.join("session-a.jsonl"), lines).unwrap();

        let mut command = home.command("hook gemini-cli");
        let input = home.path.join("input");
        fs::write(&input, json!({"session_id": session}).to_string()).unwrap();
        command.env("CI", "true").stdin(fs::File::open(input).unwrap());
        assert_eq!(text(command.output().unwrap()), (Some(0), "{}\n".into(), String::new()));
        assert_eq!(collector.totals().accepted, expected, "{session}");
    }
}

#[test]
fn call_that_cannot_report_says_nothing() {
    for (arguments, expected) in [
        ("hook codex {\"type\":\"agent-turn-complete\"}", ""),
        ("hook gemini-cli", "{}\n"),
        ("hook aider --unknown x", ""),
    ] {
        let home = Home::new();
        let mut command = home.command(arguments);
        // Not configured. The attempt ends before this call, so that the folder can be removed.
        command.env("CI", "true");
        let output = text(command.output().unwrap());
        assert_eq!(output, (Some(0), expected.to_owned(), String::new()), "{arguments}");
        assert!(home.run("status").contains("the last report by a hook failed: "));
    }
}

#[test]
fn tasks_that_end_after_the_installation_are_reported() {
    let collector = Collector::start().unwrap();
    let home = Home::reporting_to(collector.url());
    home.run("hook install codex");
    let sent = home.path.join(".local/state/mosaic-telemetry/sent");
    assert!(fs::read_to_string(&sent).unwrap().trim_end().parse::<u64>().is_ok());
    assert!(home.run("hook install codex --print").starts_with("notify = ["));
}

#[cfg(unix)]
#[test]
fn settings_keep_their_permissions_their_link_and_a_copy() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let home = Home::new();
    let (link, file) = (home.path.join(".claude/settings.json"), home.path.join("dotfile.json"));
    let text = "{\n  \"model\": \"opus\"\n}\n";
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&file, &link).unwrap();
    let printed = home.run("hook install claude-code --print");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    home.run("hook install claude-code");
    assert_eq!(fs::read_to_string(&file).unwrap(), printed);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    let copy = home.path.join("dotfile.json.before-mosaic-telemetry");
    assert_eq!(fs::read_to_string(&copy).unwrap(), text);
    assert!(home.run("hook install claude-code").starts_with("nothing to change"));
    home.run("hook remove claude-code");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}
