//! What the documentation must say, and what it says must be so.

use super::Fault;
use super::source::code;
use crate::tree::{Tree, line_of};

/// Each feature of a published crate is in its README.
pub(super) fn features_are_described(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for manifest in tree.manifests.iter().filter(|it| it.is_published) {
        let readme = tree.text(&format!("{}/README.md", manifest.folder())).unwrap_or_default();
        for feature in &manifest.features {
            if !readme.contains(&format!("`{}`", feature.name)) {
                let message = format!("feature `{}` is not in the README", feature.name);
                let advice = "describe it there, in backticks";
                faults.push(Fault::new(&manifest.path, feature.line, message, advice));
            }
        }
    }
    faults
}

/// Each crate has a README, and it is the doc of the crate, so that its examples are compiled.
pub(super) fn readme_is_the_crate_doc(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for manifest in tree.manifests.iter().filter(|it| it.folder().starts_with("crates/")) {
        let readme = format!("{}/README.md", manifest.folder());
        let lib = format!("{}/src/lib.rs", manifest.folder());
        if tree.text(&readme).is_none() {
            faults.push(Fault::new(&readme, 1, "the crate has no README", "write one"));
        }
        let lib_code = tree.text(&lib).map(code).unwrap_or_default();
        if !lib_code.contains("include_str!(\"../README.md\")") {
            let advice = "begin with `#![doc = include_str!(\"../README.md\")]`";
            faults.push(Fault::new(&lib, 1, "the README is not the doc of the crate", advice));
        }
    }
    faults
}

/// The root manifest says which Rust is needed, the root README and those who use the crates too, and
/// no prose says otherwise.
pub(super) fn rust_version(tree: &Tree) -> Vec<Fault> {
    let Some(wanted) = tree.rust_version() else {
        return vec![Fault::new("Cargo.toml", 1, "no `workspace.package.rust-version`", "set it")];
    };
    let readme = tree.text("README.md").unwrap_or_default();
    let mut faults = Vec::new();
    if versions(readme).is_empty() {
        let message = format!("does not say that Rust {wanted} is needed");
        faults.push(Fault::new("README.md", 1, message, "say so"));
    }
    for manifest in &tree.downstream {
        let found = manifest.rust_version.as_deref().unwrap_or("not set");
        if !is_same_version(found, &wanted) {
            let message = format!("`rust-version` is {found}, but {wanted} in the workspace");
            faults.push(Fault::new(&manifest.path, 1, message, "make them equal"));
        }
    }
    for (path, text) in prose(tree) {
        for (offset, version) in versions(text) {
            if !is_same_version(version, &wanted) {
                let message = format!("Rust {version}, but `rust-version` is {wanted}");
                faults.push(Fault::new(path, line_of(text, offset), message, "make them equal"));
            }
        }
    }
    faults
}

/// Each relative link outside of code blocks leads to a file or folder of the workspace.
pub(super) fn links(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in prose(tree) {
        let mut is_code = false;
        for (index, line) in text.lines().enumerate() {
            is_code ^= line.trim_start().starts_with("```");
            let targets = if is_code { Vec::new() } else { targets(line) };
            let broken = targets.into_iter().filter(|target| !tree.has(&resolve(path, target)));
            faults.extend(broken.map(|target| {
                Fault::new(path, index + 1, format!("no such file: {target}"), "correct the link")
            }));
        }
    }
    faults
}

/// The Markdown files for users, and their text.
fn prose(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    let is_prose = |path: &str| match path.split('/').collect::<Vec<_>>().as_slice() {
        ["README.md"] | ["crates", _, "README.md"] => true,
        ["docs", name] => name.ends_with(".md"),
        _ => false,
    };
    let files = tree.files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    files.filter(move |(path, _)| is_prose(path))
}

/// The versions that follow "Rust" or "MSRV" and begin with "1.", and their offsets.
fn versions(text: &str) -> Vec<(usize, &str)> {
    let names = ["Rust ", "MSRV "].into_iter().flat_map(|name| text.match_indices(name));
    let after =
        names.map(|(start, name)| start + name.len()).filter(|&it| text[it..].starts_with("1."));
    after
        .map(|start| {
            let version =
                text[start..].split(|char: char| char != '.' && !char.is_ascii_digit()).next();
            (start, version.unwrap_or_default().trim_end_matches('.'))
        })
        .collect()
}

/// 1.88 and 1.88.0 are the same.
fn is_same_version(a: &str, b: &str) -> bool {
    let normal =
        |it: &str| if it.matches('.').count() == 1 { format!("{it}.0") } else { it.to_owned() };
    normal(a) == normal(b)
}

/// The targets, in a line of Markdown, that are local files: no URLs, anchors or items of rustdoc.
fn targets(line: &str) -> Vec<&str> {
    let inline = line.split("](").skip(1).filter_map(|it| it.split([')', ' ']).next());
    let is_definition = line.starts_with('[') && !line.starts_with("[^");
    let defined =
        line.split_once("]: ").filter(|_| is_definition).and_then(|(_, it)| it.split(' ').next());
    let targets = inline.chain(defined).map(|it| it.trim_matches(['<', '>']));
    let without_anchor = targets.filter_map(|it| it.split('#').next());
    without_anchor.filter(|it| it.contains(['/', '.']) && !it.contains(':')).collect()
}

/// The path from the root that `target` means in the file `path`; beginning with `..` if it leaves
/// the workspace.
fn resolve(path: &str, target: &str) -> String {
    let folder =
        if target.starts_with('/') { "" } else { path.rsplit_once('/').map_or("", |(it, _)| it) };
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|it| *it != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    const MANIFEST: (&str, &str) =
        ("crates/a/Cargo.toml", "[package]\nname = \"a\"\n[features]\ndefault = []\ntls = []");
    const ROOT: (&str, &str) = ("Cargo.toml", "[workspace.package]\nrust-version = \"1.88\"");

    #[test]
    fn a_feature_is_described_in_backticks() {
        assert!(
            found(features_are_described, &[MANIFEST, ("crates/a/README.md", "| `tls` |")])
                .is_empty()
        );
        let faults = found(features_are_described, &[MANIFEST, ("crates/a/README.md", "tls")]);
        assert_eq!(faults, ["crates/a/Cargo.toml:5: feature `tls` is not in the README"]);
    }

    #[test]
    fn a_crate_has_a_readme_and_includes_it() {
        let readme = ("crates/a/README.md", "");
        let lib = |text| ("crates/a/src/lib.rs", text);
        let included = lib("#![doc = include_str!(\"../README.md\")]");
        assert!(found(readme_is_the_crate_doc, &[MANIFEST, readme, included]).is_empty());
        assert_eq!(
            found(readme_is_the_crate_doc, &[MANIFEST, lib("//! include_str!(\"../README.md\")")]),
            [
                "crates/a/README.md:1: the crate has no README",
                "crates/a/src/lib.rs:1: the README is not the doc of the crate"
            ]
        );
    }

    #[test]
    fn all_prose_names_the_rust_version_of_the_manifest() {
        let readme = ("README.md", "Needs Rust 1.88.");
        assert!(
            found(rust_version, &[ROOT, readme, ("docs/a.md", "MSRV 1.88.0, not Rust alone")])
                .is_empty()
        );
        let faults = found(
            rust_version,
            &[ROOT, ("README.md", ""), ("docs/a.md", "\nMSRV 1.8, Rust 1.88.1")],
        );
        assert_eq!(
            faults,
            [
                "README.md:1: does not say that Rust 1.88 is needed",
                "docs/a.md:2: Rust 1.88.1, but `rust-version` is 1.88",
                "docs/a.md:2: Rust 1.8, but `rust-version` is 1.88"
            ]
        );
    }

    #[test]
    fn who_uses_the_crates_needs_the_same_rust_version() {
        let found = |package: &str| {
            let manifest = format!("[package]\nname = \"a\"\n{package}");
            let readme = ("README.md", "Rust 1.88");
            found(rust_version, &[ROOT, readme, ("tests/downstream/a/Cargo.toml", &manifest)])
        };
        assert!(found("rust-version = \"1.88\"").is_empty());
        for (package, said) in [("rust-version = \"1.90\"", "1.90"), ("", "not set")] {
            let fault = format!("`rust-version` is {said}, but 1.88 in the workspace");
            assert_eq!(found(package), [format!("tests/downstream/a/Cargo.toml:1: {fault}")]);
        }
    }

    #[test]
    fn local_links_lead_somewhere() {
        let fine = "\
[a](../crates/b/src/lib.rs#L1) [b](https://c.d/e) [c](#d) [d](crate::X) [e](TelemetryHandle)
[f](b.md \"Title\")
[g]: <../crates/b/>
```rust
a[0](b.c)
```";
        let files = [("crates/b/src/lib.rs", ""), ("docs/b.md", ""), ("docs/a.md", fine)];
        assert!(found(links, &files).is_empty(), "{:?}", found(links, &files));
        let broken = "```\n```\n[a](b.md), [c](../../docs/d.md)\n[e]: ../docs";
        assert_eq!(
            found(links, &[("docs/d.md", broken)]),
            ["docs/d.md:3: no such file: b.md", "docs/d.md:3: no such file: ../../docs/d.md"]
        );
    }
}
