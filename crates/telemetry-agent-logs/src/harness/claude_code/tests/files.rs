use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{ClaudeCode, Folder, fixture, lines, prompt, read, read_all, record, reply, usage};
use crate::{Checkpoint, End, Environment, Harness, Usage, harness::HARNESSES};

const STREAMED: &str = "streamed/491e126e-1e71-469c-ade2-fcc8af567c74.jsonl";
const INTERRUPTED: &str = "streamed/55604662-cf2a-4331-851a-ec234028f8ca.jsonl";
const PARENT: &str = "8463c716-a2ea-4c14-9efa-87158ebd9f20";

#[test]
fn fixtures_have_the_totals_of_their_messages() {
    for (name, expected) in [
        (INTERRUPTED.into(), (1, [3, 11_515, 0, 13_835, 13])),
        (STREAMED.into(), (12, [1576, 427_286, 0, 25_842, 1586])),
        (
            format!("streamed/{PARENT}/subagents/agent-a7be2f0.jsonl"),
            (13, [94, 299_487, 0, 13_554, 33]),
        ),
        (
            format!("streamed/{PARENT}/subagents/agent-acompact-f46190.jsonl"),
            (1, [3, 167_093, 0, 2814, 6]),
        ),
        ("kinds/ses_stage0_small.jsonl".into(), (1, [10, 0, 0, 0, 5])),
        ("nested/session-alpha/chat.jsonl".into(), (3, [600, 70, 75, 0, 250])),
        ("delegated/0a1b2c3d-4e5f-4061-8071-2a3b4c5d6e7f.jsonl".into(), (0, [0; 5])),
    ] {
        let found = read_all(&fixture(&name));
        let usage = usage(&found.turns);
        let Usage { input, cache_read, cache_write, cache_write_1h, output, reasoning: 0 } = usage
        else {
            panic!("{name}: {usage:?}")
        };
        let messages = found.turns.iter().map(|turn| turn.requests.len()).sum::<usize>();
        let totals = [input, cache_read, cache_write, cache_write_1h, output];
        assert_eq!((messages, totals), expected, "{name}");
        assert_eq!(found.bad_lines, 0, "{name}");
    }
}

#[test]
fn streamed_session_is_a_command_that_was_interrupted_and_a_prompt() {
    let found = read_all(&fixture(STREAMED));
    let turns: Vec<_> = found
        .turns
        .iter()
        .map(|turn| (turn.key.as_str(), turn.end, turn.requests.len(), turn.ended - turn.started))
        .collect();
    assert_eq!(
        turns,
        [
            ("cc2c7130-8a1e-4f3c-8f99-b54aa375b7a7", End::Interrupted, 8, 379_367),
            ("091e0ff4-fd44-4213-968d-b1fe201aae6f", End::Stopped, 4, 156_992),
        ]
    );
    for turn in &found.turns {
        assert_eq!(turn.session, "491e126e-1e71-469c-ade2-fcc8af567c74");
        assert_eq!(turn.project.as_deref(), Some("project"));
        assert!(turn.notes.is_undercounted && !turn.is_part);
        assert!(turn.requests.iter().all(|it| it.is_main_loop && it.model == "claude-opus-4-6"));
    }
    assert_eq!(found.turns[0].edits, [("md".to_owned(), 1)].into());
    let last = found.turns[1].requests.last().unwrap();
    assert_eq!(last.usage.total_input(), 43_861);
}

#[test]
fn local_commands_after_an_interrupt_do_not_lengthen_it() {
    let found = read_all(&fixture(INTERRUPTED));
    let [turn] = &found.turns[..] else { panic!("{found:?}") };
    assert_eq!((turn.end, turn.ended - turn.started), (End::Interrupted, 5634));
}

#[test]
fn sub_agents_and_compactions_are_parts_of_their_parents_turn() {
    for (name, started) in
        [("agent-a7be2f0", 1_770_849_484_716), ("agent-acompact-f46190", 1_770_849_025_507)]
    {
        let path = format!("streamed/{PARENT}/subagents/{name}.jsonl");
        let found = read_all(&fixture(&path));
        let [turn] = &found.turns[..] else { panic!("{found:?}") };
        assert!(turn.is_part && turn.key.is_empty(), "{name}");
        assert_eq!((turn.session.as_str(), turn.started), (PARENT, started), "{name}");
        assert!(turn.requests.iter().all(|request| !request.is_main_loop), "{name}");
    }
    // These records name the sub-agent as the session.
    let parent = "0a1b2c3d-4e5f-4061-8071-2a3b4c5d6e7f";
    let found =
        read_all(&fixture(&format!("delegated/{parent}/subagents/agent-a0ad4f44468bdf20d.jsonl")));
    assert_eq!((found.turns.len(), found.turns[0].session.as_str()), (1, parent));
    // Older versions have the logs of sub-agents beside the others.
    let old = Folder::new();
    let old =
        read_all(&old.write("agent-1.jsonl", lines(&[prompt(0), reply(1, "a", 5, Value::Null)])));
    assert!(old.turns[0].is_part);
    assert_eq!(old.turns[0].session, "s");
}

#[test]
fn compaction_has_unknown_usage_without_a_log_of_it() {
    let boundary = record("system", 1, json!({ "subtype": "compact_boundary" }));
    let folder = Folder::new();
    let path = folder.write("s.jsonl", lines(&[prompt(0), boundary]));
    assert!(read_all(&path).turns[0].notes.has_unknown_usage);
    folder.write("s/subagents/agent-acompact-1.jsonl", b"");
    assert!(!read_all(&path).turns[0].notes.has_unknown_usage);
}

#[test]
fn oldest_logs_have_costs_and_no_types() {
    let found = read_all(&fixture("nested/session-alpha/chat.jsonl"));
    let costs: Vec<_> = found.turns[0].requests.iter().map(|it| it.cost_microdollars).collect();
    assert_eq!(costs, [Some(120_000), Some(340_000), Some(560_000)]);
    assert_eq!((found.turns.len(), found.turns[0].key.as_str()), (1, "msg-alpha-1"));
}

#[test]
fn values_of_unexpected_types_do_not_lose_a_line() {
    let mut odd = reply(1, "msg", 5, json!(["end_turn"]));
    for field in
        ["timestamp", "cwd", "version", "isMeta", "isApiErrorMessage", "attachment", "uuid"]
    {
        odd[field] = json!({ "text": ["[trimmed for fixture]"] });
    }
    let mut prompt = prompt(0);
    prompt["timestamp"] = json!("[trimmed for fixture]");
    let found = read_all(
        &Folder::new().write("s.jsonl", lines(&[prompt, odd, reply(2, "b", 6, Value::Null)])),
    );
    assert_eq!((found.turns.len(), found.bad_lines), (1, 0));
    assert_eq!(usage(&found.turns).output, 11);
    assert_eq!(found.turns[0].started, found.turns[0].ended);
}

#[test]
fn torn_lines_and_nuls_cost_only_themselves() {
    let whole = [prompt(0), reply(1, "a", 5, Value::Null), reply(2, "b", 6, Value::Null)];
    let torn = &whole[2].to_string()[..40];
    let on_one_line = format!("{}{}\r\n", whole[1], whole[2]);
    for (content, bad, output) in [
        (format!("\u{feff}{}\r\n{torn}\n{}\n", whole[0], whole[1]), 1, 5),
        (format!("{}\n{}\n{torn}", whole[0], whole[1]), 0, 5),
        (format!("{}\n{on_one_line}", whole[0]), 0, 11),
        (format!("{}\n\0\0\0{}\0\n\0\n{}\n", whole[0], whole[1], whole[2]), 0, 11),
        (format!("{}\n{}{torn}\n{}\n", whole[0], whole[1], whole[2]), 1, 11),
        (format!("text\n{}\n[1]\n{{\"type\":\n{}\n", whole[0], whole[1]), 3, 5),
    ] {
        let found = read_all(&Folder::new().write("s.jsonl", content.as_bytes()));
        assert_eq!((found.bad_lines, usage(&found.turns).output), (bad, output), "{content:?}");
    }
}

#[test]
fn prompt_that_was_cut_within_a_character_starts_a_turn() {
    let cut = prompt(2).to_string().replace("Text.", r"Text\ud83d");
    let whole = [prompt(0), reply(1, "a", 5, Value::Null), reply(3, "b", 6, Value::Null)];
    let content = format!("{}\n{}\n{cut}\n{}\n", whole[0], whole[1], whole[2]);
    let found = read_all(&Folder::new().write("s.jsonl", content.as_bytes()));
    assert_eq!((found.turns.len(), found.bad_lines), (2, 0));
}

#[test]
fn long_line_is_passed_over_and_not_kept() {
    let mut content = lines(&[prompt(0)]);
    content.extend_from_slice(&vec![b'x'; (64 << 20) + 1]);
    content.push(b'\n');
    content.extend(lines(&[reply(1, "a", 5, Value::Null)]));
    let found = read_all(&Folder::new().write("s.jsonl", &content));
    assert_eq!((found.bad_lines, usage(&found.turns).output), (1, 5));
}

#[test]
fn file_that_is_not_there_is_an_error() {
    let mut found = crate::Found::default();
    assert!(
        ClaudeCode.read(Path::new("/not/there.jsonl"), &Checkpoint::default(), &mut found).is_err()
    );
    let (found, checkpoint) = read(&Folder::new().write("s.jsonl", b""), &Checkpoint::default());
    assert_eq!((found.turns.len(), checkpoint), (0, Checkpoint::default()));
}

#[test]
fn roots_come_from_the_variable_before_the_home_folder() {
    for (variable, expected) in [
        (None, vec!["/home/user/.claude/projects", "/home/user/.config/claude/projects"]),
        (Some(" , "), vec!["/home/user/.claude/projects", "/home/user/.config/claude/projects"]),
        (Some("/a"), vec!["/a/projects"]),
        (Some("~/a"), vec!["/home/user/a/projects"]),
        (Some("/a, /b/,"), vec!["/a/projects", "/b/projects"]),
    ] {
        let variables = variable.map(|it| ("CLAUDE_CONFIG_DIR".to_owned(), it.to_owned()));
        let environment =
            Environment { variables: variables.into_iter().collect(), home: "/home/user".into() };
        let expected: Vec<PathBuf> = expected.into_iter().map(PathBuf::from).collect();
        assert_eq!(ClaudeCode.roots(&environment), expected, "{variable:?}");
    }
}

#[test]
fn logs_of_sub_agents_are_logs() {
    for (path, expected) in [
        ("-home-user-project/s.jsonl", true),
        ("-home-user-project/s/subagents/agent-1.jsonl", true),
        ("-home-user-project/s/subagents/group/agent-1.jsonl", true),
        ("-home-user-project/s/subagents/agent-1.meta.json", false),
        ("-home-user-project/s/tool-results/1.txt", false),
    ] {
        assert_eq!(ClaudeCode.is_log(Path::new(path)), expected, "{path}");
    }
    assert!(HARNESSES.iter().any(|it| it.harness() == telemetry_model::Harness::ClaudeCode));
}
