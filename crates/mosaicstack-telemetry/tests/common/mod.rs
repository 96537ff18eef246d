//! The examples as programs.

use std::{env, process::Command};

/// An example, which cargo builds together with the tests of its package; nothing is configured.
pub(crate) fn example(name: &str) -> Command {
    let test = env::current_exe().expect("a test knows where it is");
    let build = test.parent().and_then(|deps| deps.parent()).expect("target/<profile>/deps");
    let path = build.join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(path.exists(), "run all tests of the package: that builds its examples");
    let mut example = Command::new(path);
    for name in ["SERVER_URL", "API_KEY", "INSTANCE_ID", "ENABLED"] {
        example.env_remove(format!("MOSAIC_TELEMETRY_{name}"));
    }
    example
}

/// An example whose environment names the server at `url`.
pub(crate) fn example_to(name: &str, url: &str) -> Command {
    let mut example = example(name);
    example
        .env("MOSAIC_TELEMETRY_SERVER_URL", url)
        .env("MOSAIC_TELEMETRY_API_KEY", "a".repeat(64))
        .env("MOSAIC_TELEMETRY_INSTANCE_ID", "12345678-1234-1234-1234-123456789abc");
    example
}
