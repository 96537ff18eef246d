use std::path::{Path, PathBuf};

use super::{super::Opencode, read};
use crate::{End, Environment, Harness, Usage, harness::testing::HOME};

#[test]
fn given_session_has_an_interrupted_turn_and_an_open_one() {
    let root = Path::new(HOME).join(".local/share/opencode");
    let log = root.join("storage/session/proj_test/ses_s_stage0_large.json");
    let found = read(&log);
    assert_eq!(found.bad_lines, 0);
    let [first, second] = &found.turns[..] else { panic!("{found:?}") };

    assert_eq!((first.end, second.end), (End::Interrupted, End::Open));
    assert_eq!((first.started, first.ended), (1_730_000_101_000, 1_730_000_103_000));
    assert_eq!(first.session, "s_stage0_large");
    assert_eq!(first.key, "1730000101000/1730000102000/gpt-4o-mini/120/16/0/0/0");
    assert_eq!(first.project.as_deref(), Some("project"));
    let [request] = &first.requests[..] else { panic!("{first:?}") };
    assert_eq!(request.model, "gpt-4o-mini");
    assert_eq!(request.usage, Usage { input: 120, output: 16, ..Usage::default() });
    assert_eq!(request.cost_microdollars, None);
    assert_eq!(second.requests, []);
}

#[test]
fn data_folder_is_searched_for_sessions_and_databases_only() {
    let mut environment =
        Environment { home: PathBuf::from("/home/user"), ..Environment::default() };
    assert_eq!(Opencode.roots(&environment), [PathBuf::from("/home/user/.local/share/opencode")]);
    environment.variables.insert("XDG_DATA_HOME".into(), "/data".into());
    assert_eq!(Opencode.roots(&environment), [PathBuf::from("/data/opencode")]);

    for (path, is_log) in [
        ("storage/session/project_1/ses_1.json", true),
        ("storage/session/project_1/ses_1.tmp", false),
        ("storage/message/ses_1/msg_1.json", false),
        ("storage/session_diff/ses_1.json", false),
        ("opencode.db", cfg!(feature = "opencode-db")),
        ("opencode-dev.db", cfg!(feature = "opencode-db")),
        ("opencode.db-wal", false),
        ("log/opencode.db", false),
    ] {
        assert_eq!(Opencode.is_log(Path::new(path)), is_log, "{path}");
    }
    for (path, may_hold_logs) in [
        ("", true),
        ("storage", true),
        ("storage/session/project_1", true),
        ("storage/session/project_1/more", false),
        ("storage/part", false),
        ("snapshot", false),
    ] {
        assert_eq!(Opencode.may_hold_logs(Path::new(path)), may_hold_logs, "{path}");
    }
}
