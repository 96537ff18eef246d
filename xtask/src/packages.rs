//! Dependencies between the crates of this workspace.

use cargo_metadata::MetadataCommand;

/// Crates, and the crates of this workspace that each may depend on. A queue that knew events could
/// not be tested with numbers; a transport that knew events would tie every custom one to the schema.
const ALLOWED: [(&str, &[&str]); 4] = [
    ("telemetry-collector", &["telemetry-model"]),
    ("telemetry-model", &[]),
    ("telemetry-queue", &[]),
    ("telemetry-transport", &[]),
];

/// # Errors
///
/// A crate has a dependency that is not in [`ALLOWED`], of whatever kind.
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
    Ok(())
}
