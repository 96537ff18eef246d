//! The feature table: whatever combination a user of a published crate chooses, it holds.

use std::collections::BTreeSet;

use crate::cargo::{Cargo, cargo};
use crate::manifest::Feature;
use crate::tree::Tree;

/// What each combination of the features of each published crate has to pass.
pub(crate) fn table(tree: &Tree) -> Vec<Cargo> {
    let mut commands = Vec::new();
    for manifest in tree.manifests.iter().filter(|it| it.is_published) {
        for names in combinations(&manifest.features) {
            let features = match names.as_slice() {
                [] => String::new(),
                names => format!(" --features {}", names.join(",")),
            };
            let examples = format!("-p {} --doc --no-default-features{features}", manifest.package);
            let choice = format!("-p {} --lib --no-default-features{features}", manifest.package);
            commands.extend([
                cargo(format!("clippy {choice} -- -D warnings")),
                // As the tests see it: they bring dependencies and code of their own.
                cargo(format!("clippy {choice} --profile test -- -D warnings")),
                cargo(format!("test {choice}")),
                cargo(format!("test {examples}")),
                cargo(format!("doc {choice} --no-deps")).with("RUSTDOCFLAGS", "-D warnings"),
            ]);
        }
    }
    commands
}

/// Every combination that enables something else than the others, each as the features to name,
/// which are no more than it takes. The first names none.
fn combinations(features: &[Feature]) -> Vec<Vec<&str>> {
    let mut found = vec![(BTreeSet::new(), Vec::new())];
    for feature in features {
        let mut more = BTreeSet::new();
        enable(features, &feature.name, &mut more);
        for (enabled, names) in found.clone() {
            let enabled = &enabled | &more;
            if found.iter().all(|(known, _)| *known != enabled) {
                found.push((enabled, [names, vec![feature.name.as_str()]].concat()));
            }
        }
    }
    found.into_iter().map(|(_, names)| names).collect()
}

/// Adds the feature `name` and all that it implies.
fn enable<'a>(features: &'a [Feature], name: &str, enabled: &mut BTreeSet<&'a str>) {
    let feature = features.iter().find(|it| it.name == name);
    if let Some(feature) = feature.filter(|it| enabled.insert(&it.name)) {
        feature.implies.iter().for_each(|name| enable(features, name, enabled));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(features: &[(&str, &[&str])]) -> Vec<String> {
        let feature = |&(name, implies): &(&str, &[&str])| Feature {
            name: name.to_owned(),
            implies: implies.iter().map(|&it| it.to_owned()).collect(),
            line: 1,
        };
        let features: Vec<_> = features.iter().map(feature).collect();
        combinations(&features).iter().map(|names| names.join(",")).collect()
    }

    #[test]
    fn independent_features_are_combined_in_all_ways() {
        assert_eq!(of(&[]), [""]);
        assert_eq!(
            of(&[("a", &[]), ("b", &[]), ("c", &[])]),
            ["", "a", "b", "a,b", "c", "a,c", "b,c", "a,b,c"]
        );
    }

    #[test]
    fn what_is_implied_is_not_repeated() {
        for tokio_first in [true, false] {
            let mut features: [(&str, &[&str]); 2] = [("tokio", &[]), ("hyper", &["tokio"])];
            if !tokio_first {
                features.reverse();
            }
            let mut found = of(&features);
            found.sort();
            assert_eq!(found, ["", "hyper", "tokio"]);
        }
        let chain = of(&[("a", &["b"]), ("b", &["c"]), ("c", &[]), ("full", &["a", "unknown"])]);
        assert_eq!(chain, ["", "a", "b", "c", "full"]);
        assert_eq!(of(&[("a", &["b"]), ("b", &["a"])]), ["", "a"]);
    }

    #[test]
    fn the_table_follows_the_manifests() {
        let tree = Tree::of(&[
            (
                "crates/a/Cargo.toml",
                "[package]\nname = \"a\"\n[features]\ndefault = [\"x\"]\nx = [\"y\"]\ny = []",
            ),
            ("tests/Cargo.toml", "[package]\nname = \"b\"\npublish = false"),
            ("tests/downstream/c/Cargo.toml", "[package]\nname = \"c\""),
        ]);
        let table: Vec<String> = table(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(table.len(), 3 * 5);
        assert_eq!(
            table[..6],
            [
                "cargo clippy -p a --lib --no-default-features -- -D warnings",
                "cargo clippy -p a --lib --no-default-features --profile test -- -D warnings",
                "cargo test -p a --lib --no-default-features",
                "cargo test -p a --doc --no-default-features",
                "RUSTDOCFLAGS=\"-D warnings\" cargo doc -p a --lib --no-default-features --no-deps",
                "cargo clippy -p a --lib --no-default-features --features x -- -D warnings",
            ]
        );
        assert_eq!(table[12], "cargo test -p a --lib --no-default-features --features y");
    }
}
