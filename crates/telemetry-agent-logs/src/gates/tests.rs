use proptest::prelude::*;
use telemetry_model::QualityGate::{Build, Lint, Test};

use self::table::{GATES, L, OTHERS, T};
use super::{Gates, Status};

mod table;

fn recorded(runs: &[(&str, i64)]) -> Gates {
    let mut gates = Gates::default();
    for (command, exit_status) in runs {
        gates.record(command, *exit_status);
    }
    gates
}

#[test]
fn commands_of_gates_are_recognized() {
    for (command, expected) in GATES {
        let gates = recorded(&[(command, 0)]);
        let mut expected = expected.to_vec();
        expected.sort();
        assert_eq!((gates.run(), gates.failed()), (expected, vec![]), "{command}");
        assert!(gates.passed(), "{command}");
        assert_eq!(gates.last(), Some(Status::Passed), "{command}");
    }
}

#[test]
fn one_gate_that_fails_has_failed() {
    for (command, expected) in GATES.iter().filter(|(_, gates)| gates.len() == 1) {
        let gates = recorded(&[(command, 1)]);
        assert_eq!((&*gates.run(), &*gates.failed()), (*expected, *expected), "{command}");
        assert!(!gates.passed(), "{command}");
        assert_eq!(gates.last(), Some(Status::Failed), "{command}");
    }
}

#[test]
fn other_commands_are_no_gates() {
    for command in OTHERS {
        for exit_status in [0, 1] {
            assert_eq!(recorded(&[(command, exit_status)]), Gates::default(), "{command:?}");
        }
    }
}

#[test]
fn command_that_did_not_end_is_no_run() {
    for exit_status in [-1, 124, 126, 127, 130, 137, 143, 9009, i64::MIN] {
        assert_eq!(recorded(&[("cargo test", exit_status)]), Gates::default(), "{exit_status}");
    }
    for exit_status in [4, 5] {
        assert_eq!(recorded(&[("uv run pytest", exit_status)]), Gates::default(), "{exit_status}");
    }
    for exit_status in [1, 2, 101, 134, 139, i64::MAX] {
        assert_eq!(recorded(&[("cargo test", exit_status)]).failed(), T, "{exit_status}");
    }
}

#[test]
fn last_run_of_each_gate_decides() {
    let gates = recorded(&[("cargo test", 1), ("cargo clippy", 0), ("cargo test", 0)]);
    assert_eq!((gates.run(), gates.failed()), (vec![Lint, Test], vec![]));
    assert!(gates.passed());
    let gates = recorded(&[("cargo test", 0), ("cargo test", 101), ("cargo clippy", 0)]);
    assert_eq!((&*gates.failed(), gates.passed(), gates.last()), (T, false, Some(Status::Passed)));
    assert!(!Gates::default().passed());
}

#[test]
fn list_of_gates_that_fails_is_no_failure_of_a_certain_gate() {
    let list = "cargo clippy && cargo test";
    let gates = recorded(&[("cargo build", 0), (list, 1)]);
    assert_eq!((gates.run(), gates.failed()), (vec![Build, Lint], vec![]));
    assert_eq!((gates.passed(), gates.last()), (false, Some(Status::Failed)));
    let gates = recorded(&[(list, 1), ("cargo clippy", 0)]);
    assert!(!gates.passed(), "the tests may have failed");
    let gates = recorded(&[(list, 1), ("cargo clippy", 0), ("cargo test", 0)]);
    assert_eq!((gates.run(), gates.passed()), (vec![Lint, Test], true));
    let same_gate = recorded(&[("cargo test -p a && cargo test -p b", 1)]);
    assert_eq!(same_gate.failed(), T);
}

#[test]
fn merge_takes_in_later_runs() {
    let mut gates = recorded(&[("cargo test", 1), ("cargo build", 0)]);
    gates.merge(&Gates::default());
    assert_eq!((&*gates.failed(), gates.last()), (T, Some(Status::Passed)));
    gates.merge(&recorded(&[("cargo test", 0), ("cargo clippy", 1)]));
    assert_eq!(gates.run(), [Build, Lint, Test]);
    assert_eq!((&*gates.failed(), gates.last()), (L, Some(Status::Failed)));
}

#[test]
fn long_commands_are_read_in_linear_time_and_bounded_depth() {
    for part in
        ["A=1 ", "coverage run -m ", "c8 ", "node ", "yarn workspace ", "bash -c ", "(", "'"]
    {
        let mut command = part.repeat(50_000);
        command.push_str("cargo test");
        recorded(&[(&command, 1)]);
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), exit_status: i64) {
        recorded(&[(&text, exit_status)]);
    }

    #[test]
    fn no_words_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "cargo", "test", "-m", "python", "uv", "run", "npm", "yarn", "workspace", "-c", "bash",
            "cmd", "/c", "pwsh", "timeout", "env", "&&", "\"", "'", "\\", "\n", ">", "2>&1", "--",
            "make", "c8", "tox", "-e", "@", "=", "coverage", "$", "^", "`", "nx", ":", "#", "py",
        ]), 0..12),
        exit_status: i64,
    ) {
        recorded(&[(&words.join(" "), exit_status)]);
        recorded(&[(&words.concat(), exit_status)]);
    }

    /// A pipe after a command makes it unknown whose status it is.
    #[test]
    fn command_before_a_pipe_is_no_gate(at in 0..GATES.len()) {
        let (command, _) = GATES[at];
        if !command.contains('#') {
            let piped = format!("{} | tail", command.trim_end().trim_end_matches(';'));
            prop_assert_eq!(recorded(&[(&piped, 0)]), Gates::default());
        }
    }
}
