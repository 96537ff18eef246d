//! The commands.

use std::{
    fs,
    io::{Read, Write},
    process::Stdio,
};

use mosaicstack_telemetry::uuid::Uuid;
use telemetry_collector::Collector;

use crate::home::{Home, INSTANCE, KEY, text, turns};

#[test]
fn scan_needs_no_server() {
    let home = Home::new();
    let table = home.run("scan");
    let rows: Vec<_> = table.lines().map(|it| it.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(rows.len(), 4, "{table}");
    assert_eq!(
        rows[1][2..],
        [
            "claude_code",
            "shop",
            "claude-sonnet-4-5",
            "1,130",
            "42",
            "$0.0014",
            "7.0",
            "s",
            "+test",
            "success"
        ],
        "{table}"
    );
    assert_eq!(rows[2].last(), Some(&"partial"), "{table}");
    assert_eq!(rows[3][..5], ["2", "tasks", "2,230", "49", "$0.0049"], "{table}");
    // Again, from what the first scan remembers.
    assert_eq!(home.run("scan"), table);
    assert_eq!(home.run(&format!("scan --root {}", home.path.display())), table);
}

#[test]
fn tasks_are_selected_by_time_and_harness() {
    let home = Home::new();
    for (arguments, expected) in [
        ("", 2),
        ("--since 2026-11-26T10:00:30Z", 1),
        ("--until 2026-11-26T10:00:30Z", 1),
        ("--since 2026-11-27", 0),
        ("--since 1m", 0),
        ("--harness claude-code", 2),
        ("--harness codex", 0),
        ("--harness codex --harness claude_code", 2),
    ] {
        let json: serde_json::Value =
            serde_json::from_str(&home.run(&format!("scan --json {arguments}"))).unwrap();
        assert_eq!(json.as_array().unwrap().len(), expected, "{arguments}");
    }
    let csv = home.run("scan --csv");
    assert!(csv.starts_with("started,harness,project,model,"), "{csv}");
    assert_eq!(csv.lines().count(), 3, "{csv}");
}

#[test]
fn events_are_valid_and_without_text_of_the_log() {
    let home = Home::reporting_to("http://127.0.0.1:9");
    let events = home.run("scan --events");
    for secret in ["secret", "shop", "cargo", "/home"] {
        assert!(!events.contains(secret), "{secret}: {events}");
    }
    let file = home.path.join("events.jsonl");
    fs::write(&file, &events).unwrap();
    assert_eq!(home.run(&format!("validate {}", file.display())), "2 events are valid\n");
    fs::write(&file, format!("{events}{{\"model\":7}}\n")).unwrap();
    let output = home.command(&format!("validate {}", file.display())).output().unwrap();
    let (code, out, err) = text(output);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("events.jsonl:3: /model: ") && err.contains(" faults"), "{out}{err}");
}

#[test]
fn what_is_left_out_is_counted_among_the_selected_tasks() {
    let home = Home::reporting_to("http://127.0.0.1:9");
    home.log("unpriced.jsonl", &turns(600..603, "in-house-1"));
    let notes = |arguments: &str| text(home.command(arguments).output().unwrap()).2;
    let unpriced = "3: tasks with a model without a price, which are not sent\n";
    assert_eq!(notes("scan --events"), unpriced);
    assert_eq!(notes("scan --events --until 2026-11-26T00:09:00Z"), "");
    // An old version logs too little.
    let old = turns(700..702, "claude-sonnet-4-5").replace("2.1.120", "2.1.90");
    home.log("old.jsonl", &old);
    let undercounted = "2: tasks of a version that logs less output than it used\n";
    assert_eq!(notes("scan"), undercounted);
    assert_eq!(notes("scan --harness codex"), "");
}

#[test]
fn tasks_are_sent_once() {
    let collector = Collector::start().unwrap();
    let home = Home::reporting_to(collector.url());
    assert_eq!(home.run("report --since 2026-01-01 --dry-run"), "would send: 2\n");
    assert_eq!(collector.totals().accepted, 0);
    assert!(home.run("status").contains("sent: nothing yet"));
    assert_eq!(home.run("report --since 2026-01-01"), "sent: 2\n");
    assert_eq!(home.run("report --since 2026-01-01"), "sent: 0\nsent before: 2\n");
    assert!(home.run("status").contains("sent: 2 tasks since "));

    // As after a kill between the spool and the ledger.
    fs::write(home.path.join(".local/state/mosaic-telemetry/sent"), "1700000000000\n3f1b").unwrap();
    assert_eq!(home.run("report"), "sent: 2\n");
    assert_eq!((collector.totals().accepted, collector.totals().duplicates), (2, 2));
    // Each task is one line again.
    assert_eq!(home.run("report"), "sent: 0\nsent before: 2\n");
    let ids: Vec<Uuid> = collector.events().iter().map(|it| it.event_id).collect();
    assert_eq!(ids.len(), 2);
}

#[test]
fn nothing_is_sent_or_remembered_in_a_dry_run_of_the_configuration_or_if_not_to_track() {
    let collector = Collector::start().unwrap();
    let home = Home::new();
    let config = home.path.join(".config/mosaic-telemetry/config.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    let url = collector.url();
    let text =
        format!("server_url = \"{url}\"\napi_key = \"{KEY}\"\ninstance_id = \"{INSTANCE}\"\n");
    fs::write(&config, format!("{text}dry_run = true\n")).unwrap();
    assert_eq!(home.run("report --since 2026-01-01"), "would send: 2\n");
    fs::write(&config, text).unwrap();
    let mut command = home.command("report --since 2026-01-01");
    let output = self::text(command.env("DO_NOT_TRACK", "1").output().unwrap());
    assert_eq!(output.1, "telemetry is off: nothing is sent\n");
    assert_eq!(home.run("report --since 2026-01-01"), "sent: 2\n");
}

#[test]
fn first_report_sends_nothing_that_has_ended() {
    let collector = Collector::start().unwrap();
    let home = Home::reporting_to(collector.url());
    let (code, out, err) = text(home.command("report").output().unwrap());
    assert_eq!((code, out.as_str()), (Some(0), "sent: 0\n"), "{err}");
    assert!(err.contains("--since 30d sends what is there"), "{err}");
}

#[test]
fn tasks_wait_in_the_spool_while_the_server_cannot_be_reached() {
    let mut home = Home::reporting_to("http://127.0.0.1:9");
    let out = home.run("report --since 2026-01-01 --timeout 1");
    assert_eq!(out, "sent: 0\nnot sent yet, since the server could not be reached: 2\n");
    assert!(home.run("status").contains("waiting to be sent: 2 tasks in 2 files"));
    // A spool belongs to a server: no event goes to another one.
    let collector = Collector::start().unwrap();
    home.server = Some(collector.url().into());
    assert_eq!(home.run("flush"), "sent: 0\n");
    assert_eq!(collector.totals().accepted, 0);
}

#[test]
fn closed_pipe_is_no_error() {
    let home = Home::new();
    let mut child = home.command("scan --json");
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert!(child.wait().unwrap().success(), "{err}");
    assert!(!err.contains("panicked"), "{err}");
}

#[test]
fn events_are_read_from_standard_input() {
    let home = Home::new();
    let mut child = home.command("validate");
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"{}").unwrap();
    let (code, out, _) = text(child.wait_with_output().unwrap());
    assert_eq!(code, Some(1));
    assert!(out.starts_with("-:1: /"), "{out}");
}

#[test]
fn prediction_is_beside_own_tasks_and_checked_against_a_limit() {
    let collector = Collector::start().unwrap();
    let home = Home::reporting_to(collector.url());
    let none = home.run("predict --model claude-sonnet-4-5 --max-cost 0");
    for expected in ["the server has no tasks of this kind", "yours: 2 tasks", "cost    yours", "┃"]
    {
        assert!(none.contains(expected), "{expected}: {none}");
    }
    home.run("report --since 2026-01-01");
    let text = home.run("predict --model claude-sonnet-4-5 --max-cost 0.01");
    for expected in [
        "claude-sonnet-4-5, unknown, medium",
        "all: 2 tasks, ",
        "cost    all",
        "cost    yours",
        "┃",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let json = home.run("predict --model claude-sonnet-4-5 --model gpt-5 --json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["metadata"]["sample_size"], 2);
    assert_eq!(json.as_array().unwrap().len(), 2);

    let mut command = home.command("predict --model claude-sonnet-4-5 --max-cost 0.0001");
    let (code, _, err) = self::text(command.output().unwrap());
    assert_eq!(code, Some(3));
    assert!(err.contains("claude-sonnet-4-5 is predicted to cost $0.00"), "{err}");

    // Own tasks are shown without a server, but nothing says that the limit is kept.
    let home = Home::reporting_to("http://127.0.0.1:9");
    let output = home.command("predict --model claude-sonnet-4-5 --max-cost 1").output().unwrap();
    let (code, out, err) = self::text(output);
    assert_eq!(code, Some(1));
    assert!(out.contains("the server did not answer") && out.contains("cost    yours"), "{out}");
    assert!(err.contains("network error"), "{err}");
}

#[test]
fn completions_and_manual_pages_are_written() {
    let home = Home::new();
    assert!(home.run("completions bash").contains("mosaic-telemetry"));
    assert_eq!(home.run(&format!("man {}", home.path.display())), "");
    for (page, text) in [("", "SYNOPSIS"), ("-report", "first call sends nothing")] {
        let page = home.path.join(format!("mosaic-telemetry{page}.1"));
        assert!(fs::read_to_string(&page).unwrap().contains(text), "{page:?}");
    }
    let output = home.command("man /does/not/exist").output().unwrap();
    assert_eq!(text(output).0, Some(1));
}

#[test]
fn pipes_get_no_color_and_no_progress() {
    let collector = Collector::start().unwrap();
    let home = Home::reporting_to(collector.url());
    for arguments in ["--help", "report --since 2026-01-01", "report --unknown"] {
        let (_, out, err) = text(home.command(arguments).output().unwrap());
        assert!(!format!("{out}{err}").contains(['\u{1b}', '\r']), "{arguments}: {out}{err}");
    }
}

#[cfg(unix)]
#[test]
fn collector_runs_the_program_beside() {
    use std::{os::unix::fs::PermissionsExt, process::Command};

    let home = Home::new();
    let program = home.path.join("mosaic-telemetry");
    fs::copy(env!("CARGO_BIN_EXE_mosaic-telemetry"), &program).unwrap();
    let run = || {
        let mut command = Command::new(&program);
        command.args(["collector", "--port", "0", "--help"]).env_clear().env("PATH", &home.path);
        text(command.output().unwrap())
    };
    let (code, _, err) = run();
    assert_eq!(code, Some(1));
    assert!(err.contains("cargo install"), "{err}");
    let beside = home.path.join("telemetry-collector");
    fs::write(&beside, "#!/bin/sh\necho \"$*\"\nexit 7\n").unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(run(), (Some(7), "--port 0 --help\n".into(), String::new()));
}
