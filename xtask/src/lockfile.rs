//! The lock file of a new program that uses the SDK.

use std::fs;

use crate::command::{cargo, exec};

/// Features of the SDK, and crates that a program with these must not have in its lock file.
const ABSENT: [(&str, &[&str]); 2] = [("ureq", &["hyper", "loom"]), ("hyper", &["loom", "ureq"])];

/// Takes the newest versions, not those of the workspace.
///
/// # Errors
///
/// The lock file has one of these crates, or a second version of parking_lot beside tokio's.
pub(crate) fn check() -> Result<(), String> {
    for (features, absent) in ABSENT {
        let folder = create(features)?;
        let packages = fs::read_to_string(format!("{folder}/Cargo.lock")).map_err(failed)?;
        let count = |name: &str| packages.matches(&format!("name = \"{name}\"\n")).count();
        if let Some(name) = absent.iter().find(|name| count(name) > 0) {
            return Err(format!("{name} is in the lock file of a program with {features}"));
        }
        if count("parking_lot") != 1 {
            return Err("parking_lot has not the version that tokio uses".into());
        }
    }
    Ok(())
}

/// Creates a program with these features of the SDK, separated by commas. Returns its folder.
///
/// # Errors
///
/// A file cannot be written, or cargo fails.
pub(crate) fn create(features: &str) -> Result<String, String> {
    let folder = format!("target/lockfile/{features}");
    fs::create_dir_all(format!("{folder}/src")).map_err(failed)?;
    fs::write(format!("{folder}/src/lib.rs"), "").map_err(failed)?;
    let manifest = format!("{folder}/Cargo.toml");
    let features = features.replace(',', "\", \"");
    let text = format!(
        "[package]\n\
         name = \"new\"\n\
         edition = \"2024\"\n\
         license = \"MIT\"\n\
         [workspace]\n\
         [dependencies.mosaicstack-telemetry]\n\
         path = \"../../../crates/mosaicstack-telemetry\"\n\
         default-features = false\n\
         features = [\"{features}\"]\n\
         [dependencies.tokio]\n\
         version = \"1\"\n\
         features = [\"parking_lot\"]\n"
    );
    fs::write(&manifest, text).map_err(failed)?;
    exec(cargo(format!("generate-lockfile --manifest-path {manifest}")))?;
    Ok(folder)
}

fn failed(error: std::io::Error) -> String {
    format!("target/lockfile: {error}")
}
