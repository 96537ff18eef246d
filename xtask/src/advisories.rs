//! Checks the dependencies of the SDK with cargo-deny, as projects do that depend on it.

use std::{env, fs, process::Command};

use crate::{
    command::{cargo, command, exec, output},
    lockfile,
};

/// Features without `backoff`, for which nothing is found.
const ACCEPTED: [&str; 2] = ["ring,ureq", "aws-lc-rs,hyper"];

/// Advisories for the crates of the feature `backoff`.
const REFUSED: [&str; 2] = ["RUSTSEC-2024-0384", "RUSTSEC-2025-0012"];

/// # Errors
///
/// cargo-deny refuses a dependency, or accepts those of the feature `backoff`.
pub(crate) fn check() -> Result<(), String> {
    create_database()?;
    for features in ACCEPTED {
        exec(deny(features)?)?;
    }
    let error = output(deny("backoff,ring,ureq")?).err().unwrap_or_default();
    match REFUSED.iter().find(|id| !error.contains(**id)) {
        Some(id) => Err(format!("{id} was not found with the feature `backoff`: {error}")),
        None => Ok(()),
    }
}

/// cargo-deny takes advisories from git repositories only.
fn create_database() -> Result<(), String> {
    let _ = fs::remove_dir_all("target/advisories");
    exec(command("git", "init --quiet --initial-branch main target/advisories/db"))?;
    let git = "--git-dir target/advisories/db/.git --work-tree tests/advisories";
    exec(command("git", &format!("{git} add .")))?;
    let author = "-c user.name=xtask -c user.email=xtask@localhost";
    exec(command("git", &format!("{git} {author} commit --quiet --message advisories")))
}

fn deny(features: &str) -> Result<Command, String> {
    let manifest = format!("{}/Cargo.toml", lockfile::create(features)?);
    let config = "--config tests/advisories/deny.toml";
    let mut deny = cargo(format!("deny --manifest-path {manifest} {config} check advisories"));
    let root = env::current_dir().map_err(|error| error.to_string())?;
    // The URL of the configuration has no server: git reads the folder instead.
    deny.env("GIT_CONFIG_COUNT", "1")
        .env(
            "GIT_CONFIG_KEY_0",
            format!("url.file://{}/target/advisories/.insteadOf", root.display()),
        )
        .env("GIT_CONFIG_VALUE_0", "https://advisories.invalid/");
    Ok(deny)
}
