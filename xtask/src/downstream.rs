//! The crates below `tests/downstream`: programs as users of ours write them, each a workspace of
//! its own, with the list of what it makes a user build.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::cargo::{Cargo, cargo};
use crate::manifest::Manifest;
use crate::tree::Tree;

/// Sorted, a name a line; without the crate itself.
const LIST: &str = "dependencies.txt";

/// Makes a list of a tree.
const FLAT: &str = "--prefix none";

/// What a crate's list must not contain, however it is written.
/// A crate that is named here has to be there.
const NEVER: [(&str, &[&str]); 3] = [
    ("facade", &["aws-lc-rs", "hyper", "native-tls", "openssl", "tokio"]),
    ("own-transport", &["hyper", "ring", "rustls", "tokio", "ureq"]),
    ("validator", &["http", "hyper", "tokio", "tracing", "ureq"]),
];

/// What the formatting of each crate has to pass.
pub(crate) fn formatting(tree: &Tree) -> impl Iterator<Item = Cargo> {
    tree.downstream.iter().map(|it| cargo(format!("fmt --check --manifest-path {}", it.path)))
}

/// What each crate has to pass, then [`run`] for them all.
pub(crate) fn checks(tree: &Tree) -> Vec<Cargo> {
    let mut commands = Vec::new();
    for Manifest { path, .. } in &tree.downstream {
        let locked = format!("--locked --manifest-path {path} --target-dir target/downstream");
        commands.extend([
            cargo(format!("build {locked}")),
            cargo(format!("clippy {locked} --all-targets -- -D warnings")),
            cargo(format!("test {locked}")),
            // There is no server here: a program that needs one starts it in its tests.
            cargo(format!("run --quiet {locked}")).with("MOSAIC_TELEMETRY_ENABLED", "false"),
        ]);
    }
    commands.push(cargo("xtask downstream"));
    commands
}

/// Compares each crate's dependencies with its list, and returns whether all are as listed.
///
/// With `--bless`, first writes lock file and list anew. Fails if the arguments are others, or a
/// file cannot be written or cargo fails.
pub(crate) fn run(root: &Path, args: &[&str]) -> Result<bool, String> {
    let is_blessed = match args {
        [] => false,
        ["--bless"] => true,
        _ => return Err(format!("expected --bless or nothing, found {}", args.join(" "))),
    };
    let mut passed = true;
    for manifest in &Tree::load(root)?.downstream {
        let list = format!("{}/{LIST}", manifest.folder());
        if is_blessed {
            lock(root, manifest)?;
        }
        let found =
            dependencies(manifest, &tree_of(manifest, FLAT).output(root).map_err(outdated)?);
        if is_blessed {
            write(root, &list, &found.iter().map(|name| format!("{name}\n")).collect::<String>())?;
        }
        // A list that is missing is as one that is empty.
        let listed = fs::read_to_string(root.join(&list)).unwrap_or_default();
        let faults = faults(manifest, &listed, &found);
        passed &= faults.is_empty();
        match faults.as_slice() {
            [] => println!("{list}: {} dependencies, as listed", found.len()),
            faults => println!("{list}:\n{}", faults.join("\n")),
        }
    }
    Ok(passed)
}

/// Gives the crate the versions of the workspace's lock file, so that the same ones are tested.
fn lock(root: &Path, manifest: &Manifest) -> Result<(), String> {
    let versions = fs::read_to_string(root.join("Cargo.lock"));
    let versions = versions.map_err(|error| format!("cannot read Cargo.lock: {error}"))?;
    write(root, &format!("{}/Cargo.lock", manifest.folder()), &versions)?;
    // Cargo takes out what the crate does not need.
    cargo(format!("update --quiet --workspace --manifest-path {}", manifest.path))
        .output(root)
        .map(drop)
}

fn tree_of(manifest: &Manifest, options: &str) -> Cargo {
    // For one platform, or the lists would depend on where they are compared.
    let edges = "-e normal,build --target x86_64-unknown-linux-gnu";
    cargo(format!("tree --locked --manifest-path {} {edges} {options}", manifest.path))
}

/// The names in the output of [`tree_of`] with [`FLAT`], each once, in order.
fn dependencies(manifest: &Manifest, tree: &str) -> Vec<String> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let names: BTreeSet<&str> = names.filter(|name| *name != manifest.package).collect();
    names.into_iter().map(str::to_owned).collect()
}

fn faults(manifest: &Manifest, listed: &str, found: &[String]) -> Vec<String> {
    let listed: Vec<&str> = listed.lines().collect();
    let mut faults = Vec::new();
    if listed != found {
        let gone = listed.iter().filter(|name| !found.iter().any(|it| it == *name));
        faults.extend(gone.map(|name| format!("  - {name}")));
        let new = found.iter().filter(|name| !listed.contains(&name.as_str()));
        faults.extend(new.map(|name| format!("  + {name}")));
        if faults.is_empty() {
            faults.push("  expected each name once, sorted, a line each".to_owned());
        }
        faults.push(format!("  to see the dependencies: {}", tree_of(manifest, FLAT)));
        faults.push("  if they are meant to be so: cargo xtask downstream --bless".to_owned());
    }
    let never = NEVER.iter().filter(|(package, _)| *package == manifest.package);
    for name in never.flat_map(|(_, names)| *names) {
        if found.iter().any(|it| it == name) {
            let inverse = tree_of(manifest, &format!("-i {name}"));
            faults.push(format!("  {name} must not be there; to see why it is: {inverse}"));
        }
    }
    faults
}

fn outdated(error: String) -> String {
    format!("{error}\nif its lock file is out of date: cargo xtask downstream --bless")
}

fn write(root: &Path, path: &str, text: &str) -> Result<(), String> {
    fs::write(root.join(path), text).map_err(|error| format!("cannot write {path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(package: &str) -> Manifest {
        let path = format!("tests/downstream/{package}/Cargo.toml");
        Manifest::parse(&path, &format!("[package]\nname = \"{package}\"")).unwrap()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&it| it.to_owned()).collect()
    }

    #[test]
    fn a_new_crate_is_checked_like_the_others() {
        let text = "[workspace]\n[package]\nname = \"new\"";
        let tree = Tree::of(&[("tests/downstream/new/Cargo.toml", text)]);
        let shown = |commands: Vec<Cargo>| -> Vec<String> {
            commands.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            shown(formatting(&tree).collect()),
            ["cargo fmt --check --manifest-path tests/downstream/new/Cargo.toml"]
        );
        let options = "--locked --manifest-path tests/downstream/new/Cargo.toml --target-dir target/downstream";
        assert_eq!(
            shown(checks(&tree)),
            [
                format!("cargo build {options}"),
                format!("cargo clippy {options} --all-targets -- -D warnings"),
                format!("cargo test {options}"),
                format!("MOSAIC_TELEMETRY_ENABLED=\"false\" cargo run --quiet {options}"),
                "cargo xtask downstream".to_owned(),
            ]
        );
    }

    #[test]
    fn each_dependency_is_named_once_and_the_crate_is_not() {
        let tree =
            "new v0.1.0 (/a b/new)\nb v1.0.0\na v1.0.0 (proc-macro)\nb v2.0.0\na v1.0.0 (*)\n";
        assert_eq!(dependencies(&manifest("new"), tree), ["a", "b"]);
    }

    #[test]
    fn a_list_that_differs_is_shown_with_what_to_do() {
        let faults = |listed: &str| faults(&manifest("new"), listed, &names(&["a", "b"]));
        assert!(faults("a\nb\n").is_empty() && faults("a\r\nb\r\n").is_empty());
        let see = format!("  to see the dependencies: {}", tree_of(&manifest("new"), FLAT));
        let bless = "  if they are meant to be so: cargo xtask downstream --bless";
        assert_eq!(faults("a\nc\n"), ["  - c", "  + b", see.as_str(), bless]);
        assert_eq!(faults(""), ["  + a", "  + b", see.as_str(), bless]);
        assert_eq!(faults("b\na\n")[0], "  expected each name once, sorted, a line each");
    }

    #[test]
    fn no_blessing_lets_a_transport_of_ones_own_pay_for_ours() {
        let found = names(&["http", "tokio"]);
        let faults = faults(&manifest("own-transport"), "http\ntokio", &found);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("  tokio must not be there; to see why it is: cargo tree "));
        assert!(faults[0].ends_with(" -i tokio"));
    }

    #[test]
    fn what_must_never_be_there_belongs_to_a_crate_that_exists() {
        let tree = Tree::load(&crate::tree::root()).unwrap();
        for (package, _) in NEVER {
            assert!(tree.downstream.iter().any(|it| it.package == package), "{package}");
        }
    }

    #[test]
    fn only_known_options_are_taken() {
        let error = run(Path::new("."), &["--bles"]).unwrap_err();
        assert_eq!(error, "expected --bless or nothing, found --bles");
    }
}
