//! Which crate may depend on which.

use super::Fault;
use crate::manifest::{Dependency, Kind, Manifest};
use crate::tree::Tree;

const LEAVES: [&str; 3] = ["telemetry-model", "telemetry-queue", "telemetry-transport"];
const FACADE: &str = "mosaicstack-telemetry";
const COLLECTOR: &str = "telemetry-collector";

/// Each package with those of ours it may always use, and those for its tests and examples alone.
const LAYERS: [(&str, &[&str], &[&str]); 8] = [
    ("telemetry-model", &[], &[]),
    ("telemetry-queue", &[], &[]),
    ("telemetry-transport", &[], &[]),
    (COLLECTOR, &["telemetry-model"], &[]),
    (FACADE, &LEAVES, &[COLLECTOR]),
    ("telemetry-tests", &[FACADE, COLLECTOR, LEAVES[0], LEAVES[1], LEAVES[2]], &[]),
    ("telemetry-steps", &[], &[FACADE]),
    ("xtask", &[], &[]),
];

/// The manifests draw no arrow that is not in [`LAYERS`].
pub(super) fn arrows(tree: &Tree) -> Vec<Fault> {
    tree.manifests.iter().flat_map(|manifest| upward(tree, manifest)).collect()
}

fn upward(tree: &Tree, manifest: &Manifest) -> Vec<Fault> {
    let Some((_, always, dev)) = LAYERS.iter().find(|(package, ..)| *package == manifest.package)
    else {
        let message = format!("`{}` has no place in the layers", manifest.package);
        return vec![Fault::new(
            &manifest.path,
            1,
            message,
            "give it one in xtask/src/tidy/crates.rs",
        )];
    };
    let is_ours = |it: &Dependency| tree.manifests.iter().any(|ours| ours.package == it.package);
    let is_allowed = |it: &Dependency| {
        let package = it.package.as_str();
        match it.kind {
            Kind::Normal => always.contains(&package),
            Kind::Dev => always.contains(&package) || dev.contains(&package),
            Kind::Build => false,
        }
    };
    let forbidden = manifest.dependencies.iter().filter(|it| is_ours(it) && !is_allowed(it));
    forbidden
        .map(|it| {
            let message =
                format!("{:?} dependency of `{}` on `{}`", it.kind, manifest.package, it.package);
            Fault::new(
                &manifest.path,
                it.line,
                message,
                "remove it, or move the code to where it may be used",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    const MODEL: (&str, &str) = ("crates/m/Cargo.toml", "[package]\nname = \"telemetry-model\"");
    const COLLECTOR: (&str, &str) = (
        "crates/c/Cargo.toml",
        "[package]\nname = \"telemetry-collector\"\n[dependencies]\ntelemetry-model.workspace = true",
    );

    fn package(name: &str, dependencies: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{dependencies}")
    }

    #[test]
    fn a_leaf_may_use_others_but_none_of_ours() {
        let leaf = package("telemetry-queue", "[dependencies]\nloom = \"0.7\"");
        assert!(found(arrows, &[MODEL, ("crates/q/Cargo.toml", &leaf)]).is_empty());
        for (section, kind) in [
            ("dependencies", "Normal"),
            ("dev-dependencies", "Dev"),
            ("build-dependencies", "Build"),
            ("target.'cfg(unix)'.dependencies", "Normal"),
        ] {
            let leaf = package(
                "telemetry-queue",
                &format!("[{section}]\nm = {{ package = \"telemetry-model\" }}"),
            );
            let fault = format!(
                "crates/q/Cargo.toml:4: {kind} dependency of `telemetry-queue` on `telemetry-model`"
            );
            assert_eq!(found(arrows, &[MODEL, ("crates/q/Cargo.toml", &leaf)]), [fault]);
        }
    }

    #[test]
    fn the_collector_is_for_the_tests_of_the_facade_only() {
        let facade = |section| {
            package(FACADE, &format!("[{section}]\ntelemetry-collector.workspace = true\n"))
        };
        let tree =
            |facade: &str| found(arrows, &[MODEL, COLLECTOR, ("crates/f/Cargo.toml", facade)]);
        assert!(tree(&facade("dev-dependencies")).is_empty());
        assert_eq!(tree(&facade("dependencies")).len(), 1);
    }

    #[test]
    fn a_new_package_needs_a_place() {
        let faults = found(arrows, &[("crates/n/Cargo.toml", &package("new", ""))]);
        assert_eq!(faults, ["crates/n/Cargo.toml:1: `new` has no place in the layers"]);
    }
}
