//! What the checks need to know of a `Cargo.toml`.

use std::iter;

use toml::de::{DeTable, DeValue};

use crate::tree::line_of;

/// A package of the workspace.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) path: String,
    pub(crate) package: String,
    pub(crate) is_published: bool,
    /// None if the workspace says it, or nobody does.
    pub(crate) rust_version: Option<String>,
    /// Every feature but `default`, including those that optional dependencies imply.
    pub(crate) features: Vec<Feature>,
    /// In the order normal, dev, build; then the same for each target.
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Feature {
    pub(crate) name: String,
    /// What it enables: features of the same crate, and words that are none.
    pub(crate) implies: Vec<String>,
    pub(crate) line: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// The name of the package, also where the manifest renames it.
    pub(crate) package: String,
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Dev,
    Build,
}

impl Manifest {
    /// Fails if `text` is not TOML or not the manifest of a package.
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self, String> {
        let document = DeTable::parse(text).map_err(|error| format!("{path}: {error}"))?;
        let manifest = document.get_ref();
        let package =
            |key| value(manifest, "package").and_then(|it| it.get(key)).map(|it| it.get_ref());
        let name = package("name").and_then(DeValue::as_str);
        let is_unpublished = package("publish").is_some_and(|it| {
            it.as_bool() == Some(false)
                || it.as_array().is_some_and(|registries| registries.is_empty())
        });
        Ok(Self {
            path: path.to_owned(),
            package: name.ok_or_else(|| format!("{path}: no package name"))?.to_owned(),
            is_published: !is_unpublished,
            rust_version: package("rust-version").and_then(DeValue::as_str).map(str::to_owned),
            features: features(manifest, text),
            dependencies: dependencies(manifest, text),
        })
    }

    /// The folder of the package, from the root.
    pub(crate) fn folder(&self) -> &str {
        self.path.trim_end_matches("/Cargo.toml")
    }
}

/// `workspace.package.rust-version` of the root manifest.
pub(crate) fn workspace_rust_version(text: &str) -> Option<String> {
    let document = DeTable::parse(text).ok()?;
    let version =
        value(document.get_ref(), "workspace")?.get("package")?.get_ref().get("rust-version")?;
    version.get_ref().as_str().map(str::to_owned)
}

fn features(manifest: &DeTable<'_>, text: &str) -> Vec<Feature> {
    let declared: Vec<_> = entries(manifest, "features").collect();
    let is_hidden = |dependency: &str| {
        let enabled = declared.iter().filter_map(|(_, _, list)| list.as_array()).flatten();
        enabled
            .filter_map(|it| it.get_ref().as_str())
            .any(|it| it.strip_prefix("dep:") == Some(dependency))
    };
    let optional = scopes(manifest).flat_map(|scope| entries(scope, "dependencies")).filter(
        |(name, _, it)| {
            it.get("optional").and_then(|it| it.get_ref().as_bool()) == Some(true)
                && !is_hidden(name)
        },
    );
    let named = declared.iter().copied().chain(optional).filter(|(name, ..)| *name != "default");
    named
        .map(|(name, offset, it)| Feature {
            name: name.to_owned(),
            implies: implied(it),
            line: line_of(text, offset),
        })
        .collect()
}

/// The features that a list of the table of features enables; `a/b` enables `a` as well.
fn implied(list: &DeValue<'_>) -> Vec<String> {
    let entries = list.as_array().into_iter().flatten().filter_map(|it| it.get_ref().as_str());
    let enabled = entries.filter(|it| !it.starts_with("dep:") && !it.contains("?/"));
    enabled.filter_map(|it| it.split('/').next()).map(str::to_owned).collect()
}

fn dependencies(manifest: &DeTable<'_>, text: &str) -> Vec<Dependency> {
    let kinds = [
        ("dependencies", Kind::Normal),
        ("dev-dependencies", Kind::Dev),
        ("build-dependencies", Kind::Build),
    ];
    let tables = scopes(manifest).flat_map(|scope| kinds.map(|(table, kind)| (scope, table, kind)));
    let named =
        tables.flat_map(|(scope, table, kind)| entries(scope, table).map(move |it| (kind, it)));
    named
        .map(|(kind, (name, offset, it))| {
            let package = it.get("package").and_then(|it| it.get_ref().as_str()).unwrap_or(name);
            Dependency { package: package.to_owned(), kind, line: line_of(text, offset) }
        })
        .collect()
}

/// The tables that may hold dependencies: the manifest itself and those of its targets.
fn scopes<'a>(manifest: &'a DeTable<'a>) -> impl Iterator<Item = &'a DeTable<'a>> {
    iter::once(manifest).chain(entries(manifest, "target").filter_map(|(_, _, it)| it.as_table()))
}

/// The entries of a table of `parent`, each with the offset of its key; none if there is no such
/// table.
fn entries<'a>(
    parent: &'a DeTable<'a>,
    table: &str,
) -> impl Iterator<Item = (&'a str, usize, &'a DeValue<'a>)> + use<'a> {
    let table = value(parent, table).and_then(DeValue::as_table);
    table
        .into_iter()
        .flatten()
        .map(|(key, it)| (key.get_ref().as_ref(), key.span().start, it.get_ref()))
}

fn value<'a>(parent: &'a DeTable<'a>, key: &str) -> Option<&'a DeValue<'a>> {
    parent.get(key).map(|it| it.get_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_features_and_dependencies_wherever_cargo_allows_them() {
        let manifest = "\
[package]
name = \"a\"
[features]
default = [\"tls\"]
tls = [\"dep:rustls\", \"log\", \"rustls?/std\", \"json/std\"]
[dependencies]
rustls = { version = \"1\", optional = true }
log = { version = \"1\", optional = true }
[dependencies.json]
package = \"serde_json\"
[target.'cfg(loom)'.dev-dependencies]
loom.workspace = true
";
        let manifest = Manifest::parse("crates/a/Cargo.toml", manifest).unwrap();
        assert_eq!(manifest.folder(), "crates/a");
        assert!(manifest.is_published);
        let features: Vec<_> =
            manifest.features.iter().map(|it| (it.name.as_str(), it.line)).collect();
        assert_eq!(features, [("tls", 5), ("log", 8)]);
        assert_eq!(manifest.features[0].implies, ["log", "json"]);
        assert!(manifest.features[1].implies.is_empty());
        let dependencies: Vec<_> = manifest
            .dependencies
            .iter()
            .map(|it| (it.package.as_str(), it.kind, it.line))
            .collect();
        assert_eq!(
            dependencies,
            [
                ("serde_json", Kind::Normal, 9),
                ("log", Kind::Normal, 8),
                ("rustls", Kind::Normal, 7),
                ("loom", Kind::Dev, 12)
            ]
        );
    }

    #[test]
    fn a_package_without_registries_is_not_published() {
        for publish in ["publish = false", "publish = []"] {
            let text = format!("[package]\nname = \"a\"\n{publish}\n");
            assert!(!Manifest::parse("a/Cargo.toml", &text).unwrap().is_published);
        }
    }

    #[test]
    fn says_which_manifest_is_broken() {
        assert!(
            Manifest::parse("a/Cargo.toml", "[package").unwrap_err().starts_with("a/Cargo.toml: ")
        );
        assert_eq!(
            Manifest::parse("a/Cargo.toml", "").unwrap_err(),
            "a/Cargo.toml: no package name"
        );
    }
}
