use std::{collections::BTreeMap, fs};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Folder, call, fixture, lines, prompt, read, read_all, record, reply, result, user};
use crate::{Checkpoint, Turn};

/// Checks that reading a part and then the rest finds what reading the whole finds.
fn check(content: &[u8], cuts: impl Iterator<Item = usize>) {
    let folder = Folder::new();
    let path = folder.write("s.jsonl", content);
    let (whole, end) = read(&path, &Checkpoint::default());
    let mut rests = BTreeMap::new();
    for cut in cuts {
        let part = folder.write("part/s.jsonl", &content[..cut]);
        let (part, checkpoint) = read(&part, &Checkpoint::default());
        let key = (checkpoint.offset, checkpoint.before.clone());
        let (rest, last) = rests.entry(key).or_insert_with(|| read(&path, &checkpoint));
        let mut turns: Vec<Turn> = part.turns;
        turns.pop();
        turns.extend(rest.turns.clone());
        assert_eq!(turns, whole.turns, "cut at {cut}");
        assert_eq!(*last, end, "cut at {cut}");
    }
}

/// Records of four turns.
fn records() -> [Value; 14] {
    let command = user(5, json!("<command-name>/make-list</command-name>"));
    let local = user(11, json!("<command-name>/model</command-name>"));
    let queued = json!({ "type": "queued_command", "commandMode": "prompt", "prompt": "Text." });
    [
        prompt(0),
        reply(1, "a", 1, Value::Null),
        reply(1, "a", 5, json!("tool_use")),
        call(2, "c", "Edit", json!({ "file_path": "/a.rs" })),
        result(3, "c", false, json!("ok")),
        reply(4, "b", 6, Value::Null),
        command,
        reply(6, "d", 7, json!("end_turn")),
        record("attachment", 7, json!({ "attachment": queued })),
        reply(8, "e", 7, json!("end_turn")),
        user(9, json!("[Request interrupted by user]")),
        prompt(10),
        local,
        user(12, json!("<local-command-stdout></local-command-stdout>")),
    ]
}

#[test]
fn scan_after_each_line_of_a_fixture_equals_one_scan() {
    for name in [
        "streamed/55604662-cf2a-4331-851a-ec234028f8ca.jsonl",
        "streamed/491e126e-1e71-469c-ade2-fcc8af567c74.jsonl",
        "kinds/ses_stage0_small.jsonl",
        "nested/session-alpha/chat.jsonl",
    ] {
        let content = fs::read(fixture(name)).unwrap();
        let ends = content.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        check(&content, ends.map(|(at, _)| at + 1));
    }
}

#[test]
fn scan_after_each_byte_equals_one_scan() {
    let records = records();
    let mut content = lines(&records);
    assert_eq!(read_all(&Folder::new().write("s.jsonl", &content)).turns.len(), 4);
    check(&content, 0..content.len());
    // Two objects on a line, of which the second starts a turn.
    let breaks: Vec<_> = (0..content.len()).filter(|at| content[*at] == b'\n').collect();
    for at in [breaks[5], breaks[7], breaks[10]] {
        content[at] = b' ';
    }
    check(&content, 0..content.len());
}

#[test]
fn file_rewritten_in_place_gives_the_same_turns() {
    let records =
        [prompt(0), reply(1, "a", 5, json!("end_turn")), prompt(2), reply(3, "b", 6, Value::Null)];
    let whole = read_all(&Folder::new().write("s.jsonl", lines(&records)));
    assert_eq!(read_all(&Folder::new().write("s.jsonl", lines(&records))), whole);
    // Records that vanish take no other turn with them, nor its key.
    let rest = read_all(&Folder::new().write("s.jsonl", lines(&records[2..])));
    assert_eq!(rest.turns, whole.turns[1..]);
}

#[test]
fn record_behind_a_command_does_not_depend_on_the_turn_before() {
    let [first, _, _, _, _, _, command, answer, queued, _, interrupt, ..] = records();
    let mut helper = reply(6, "h", 3, json!("end_turn"));
    helper["isSidechain"] = json!(true);
    let stopped = reply(1, "s", 2, json!("end_turn"));
    for before in [vec![], vec![first.clone()], vec![first.clone(), stopped]] {
        for between in [queued.clone(), helper.clone(), interrupt.clone()] {
            let after = [command.clone(), between, answer.clone(), first.clone()];
            let records: Vec<_> = before.iter().cloned().chain(after).collect();
            let content = lines(&records);
            check(&content, 0..=content.len());
            let turns = read_all(&Folder::new().write("s.jsonl", &content)).turns;
            let keys: Vec<_> = turns.iter().map(|turn| turn.key.as_str()).collect();
            let expected = ["user-0", "user-5", "user-0"];
            assert_eq!(keys, expected[usize::from(before.is_empty())..]);
        }
    }
}

proptest! {
    #[test]
    fn scan_of_a_part_of_any_log_changes_nothing(
        order in prop::collection::vec((0usize..16, 0usize..4), 0..12),
        noise in prop::collection::vec(any::<u8>(), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut records = records().to_vec();
        let mut helper = reply(6, "h", 3, json!("end_turn"));
        helper["isSidechain"] = json!(true);
        records.push(helper);
        records.push(record("system", 13, json!({ "subtype": "local_command", "content": "" })));
        let mut content = Vec::new();
        for (index, separator) in order {
            content.extend(records[index].to_string().into_bytes());
            content.extend([&b"\n"[..], b"", b"\r\n", &noise][separator]);
        }
        content.push(b'\n');
        let cut = cut.index(content.len() + 1);
        check(&content, std::iter::once(cut));
    }
}
