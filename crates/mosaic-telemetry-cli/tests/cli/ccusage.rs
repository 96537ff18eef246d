//! Totals beside those of ccusage 20.0.24, which counts usage by session.

use std::{path::PathBuf, process::Command};

use serde_json::Value;

use crate::home::text;

/// Input and output tokens.
type Tokens = (u64, u64);

/// Harness, arguments of ccusage, the variable with the folder that it reads, and the tokens of both.
const TOTALS: [(&str, &str, &str, &str, Tokens); 2] = [
    ("claude_code", "claude", "CLAUDE_CONFIG_DIR", ".claude", (963_857, 1_893)),
    ("codex", "codex", "CODEX_HOME", ".codex", (37_602, 573)),
];

fn fixtures() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "telemetry-agent-logs", "tests", "fixtures", "home"]
        .iter()
        .collect()
}

fn json(command: &mut Command) -> Value {
    let (code, out, err) = text(command.output().expect("the program starts"));
    assert_eq!(code, Some(0), "{err}");
    serde_json::from_str(&out).expect("JSON")
}

#[test]
fn totals_are_those_of_ccusage() {
    let home = env!("CARGO_TARGET_TMPDIR");
    let mut scan = Command::new(env!("CARGO_BIN_EXE_mosaic-telemetry"));
    scan.env_clear().env("HOME", home).args(["scan", "--json", "--root"]).arg(fixtures());
    let tasks = json(&mut scan);
    let is_installed = Command::new("ccusage").arg("--version").output().is_ok();
    if !is_installed {
        println!("not beside ccusage: `npm install --global ccusage@20.0.24`");
    }
    for (harness, name, variable, folder, expected) in TOTALS {
        let tasks = tasks.as_array().unwrap().iter().filter(|it| it["harness"] == harness);
        let sum = |key: &str| tasks.clone().filter_map(|it| it[key].as_u64()).sum::<u64>();
        assert_eq!((sum("input_tokens"), sum("output_tokens")), expected, "{harness}");
        if is_installed {
            let mut ccusage = Command::new("ccusage");
            ccusage.args([name, "session", "--json", "--offline"]).env("HOME", home);
            let totals = &json(ccusage.env(variable, fixtures().join(folder)))["totals"];
            let sum = |keys: &[&str]| keys.iter().filter_map(|it| totals[it].as_u64()).sum::<u64>();
            let input = sum(&["inputTokens", "cacheReadTokens", "cacheCreationTokens"]);
            assert_eq!((input, sum(&["outputTokens"])), expected, "ccusage {name}");
        }
    }
}
