//! The size of the repository, as each reader finds its folder.
#![cfg(unix)]

use std::{collections::BTreeSet, env, fs, process};

use telemetry_agent_logs::{
    Environment, HARNESSES,
    scan::{Options, State, scan},
};
use walkdir::WalkDir;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/home");

#[test]
fn readers_find_the_repository_of_a_task() {
    let home = env::temp_dir().join(format!("agent-logs-sizes-{}", process::id()));
    let repository = home.join("repository");
    fs::create_dir_all(repository.join(".git")).unwrap();
    fs::write(repository.join(".git/index"), b"DIRC\0\0\0\x02\0\0\x01\0").unwrap();
    for entry in WalkDir::new(FIXTURES).into_iter().map(Result::unwrap) {
        let to = home.join(entry.path().strip_prefix(FIXTURES).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(to).unwrap();
            continue;
        }
        let mut text = fs::read_to_string(entry.path()).unwrap();
        for folder in ["/home/me/demo", "/home/user/project", "/home/someone/Sample-App"] {
            text = text.replace(folder, repository.to_str().unwrap());
        }
        fs::write(to, text).unwrap();
    }
    let sizes = || {
        let options = Options {
            harnesses: HARNESSES,
            environment: &Environment { home: home.clone(), ..Environment::default() },
            price: &|_, _, _, _| None,
            now: i64::MAX,
            threads: 1,
        };
        let tasks = scan(&options, &mut State::default()).tasks;
        let sized = tasks
            .iter()
            .filter_map(|it| Some((it.labels.harness.to_string(), it.labels.repo_size.clone()?)));
        sized.map(|(harness, size)| format!("{harness} {size}")).collect::<BTreeSet<_>>()
    };
    let expected = ["claude_code small", "codex small", "gemini_cli small", "opencode small"];
    assert_eq!(sizes(), expected.map(String::from).into());
    fs::remove_dir_all(&repository).unwrap();
    assert_eq!(sizes(), BTreeSet::new(), "the repository is gone");
    fs::remove_dir_all(home).unwrap();
}
