//! Totals beside those of ccusage 20.0.24, which counts usage by session.

use std::{path::PathBuf, process::Command};

use serde_json::Value;

use crate::home::text;

/// Input and output tokens.
type Tokens = (u64, u64);

/// Harness, arguments of ccusage, the variable with the folder that it reads, the tokens of both, and what ccusage adds to
/// the cost: it has a price for requests without a model.
const TOTALS: [(&str, &str, &str, &str, Tokens, f64); 2] = [
    ("claude_code", "claude", "CLAUDE_CONFIG_DIR", ".claude", (963_857, 1_893), 0.0),
    ("codex", "codex", "CODEX_HOME", ".codex", (37_602, 573), 0.004_693_75),
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
    for (harness, name, variable, folder, expected, without_model) in TOTALS {
        let tasks = tasks.as_array().unwrap().iter().filter(|it| it["harness"] == harness);
        let sum = |key: &str| tasks.clone().filter_map(|it| it[key].as_u64()).sum::<u64>();
        assert_eq!((sum("input_tokens"), sum("output_tokens")), expected, "{harness}");
        let requests = sum("requests");
        let dollars: f64 = tasks.clone().filter_map(|it| it["cost_usd"].as_f64()).sum();
        if is_installed {
            let mut ccusage = Command::new("ccusage");
            ccusage.args([name, "session", "--json", "--offline"]).env("HOME", home);
            let totals = &json(ccusage.env(variable, fixtures().join(folder)))["totals"];
            let sum = |keys: &[&str]| keys.iter().filter_map(|it| totals[it].as_u64()).sum::<u64>();
            let input = sum(&["inputTokens", "cacheReadTokens", "cacheCreationTokens"]);
            assert_eq!((input, sum(&["outputTokens"])), expected, "ccusage {name}");
            let theirs =
                totals["totalCost"].as_f64().or_else(|| totals["costUSD"].as_f64()).unwrap();
            let difference = (theirs - without_model - dollars).abs();
            assert!(difference < requests as f64 * 1e-6, "{name}: {dollars}, ccusage {theirs}");
        }
    }
}
