//! Dependencies between the crates of this workspace.

use cargo_metadata::MetadataCommand;

use crate::command::{cargo, output};

const FACADE: &str = "mosaicstack-telemetry";

/// Crates, and the crates of this workspace that each may depend on. A queue that knew events could
/// not be tested with numbers; a transport that knew events would tie every custom one to the schema.
const ALLOWED: [(&str, &[&str]); 7] = [
    (
        "mosaic-telemetry-cli",
        &["mosaicstack-telemetry", "telemetry-agent-logs", "telemetry-collector"],
    ),
    ("telemetry-agent-logs", &["telemetry-model"]),
    ("telemetry-collector", &["telemetry-model"]),
    ("telemetry-model", &[]),
    ("telemetry-queue", &[]),
    ("telemetry-spool", &[]),
    ("telemetry-transport", &[]),
];

/// Crypto providers of rustls. Each is a feature of the façade that no other feature may enable.
const PROVIDERS: [&str; 2] = ["aws-lc-rs", "ring"];

/// # Errors
///
/// A crate has a dependency that is not in [`ALLOWED`], of whatever kind, or the façade depends on a crypto
/// provider without the feature of its name.
pub(crate) fn check() -> Result<(), String> {
    let metadata = MetadataCommand::new().no_deps().exec().map_err(|error| error.to_string())?;
    let packages = metadata.workspace_packages();
    for (name, allowed) in ALLOWED {
        let package = packages.iter().find(|it| it.name.as_str() == name);
        let package = package.ok_or_else(|| format!("{name} is not in the workspace"))?;
        let mut local = package.dependencies.iter().filter(|it| it.path.is_some());
        if let Some(dependency) = local.find(|it| !allowed.contains(&it.name.as_str())) {
            return Err(format!("{name} must not depend on {}", dependency.name));
        }
    }
    let facade = packages.iter().find(|it| it.name.as_str() == FACADE);
    let features = facade.iter().flat_map(|it| it.features.keys().map(String::as_str));
    let features: Vec<_> = features.filter(|it| !PROVIDERS.contains(it)).collect();
    let options = "-e normal,build --prefix none --no-default-features";
    let tree = format!("tree -p {FACADE} {options} --features {}", features.join(","));
    let tree = output(cargo(tree))?;
    let mut names = tree.lines().filter_map(|line| line.split_whitespace().next());
    match names.find(|it| PROVIDERS.contains(it)) {
        Some(name) => Err(format!("{FACADE} depends on {name} without the feature {name}")),
        None => Ok(()),
    }
}
