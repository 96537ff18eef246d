//! The workspace as the checks see it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::manifest::{self, Manifest};

/// Where the programs are that use the workspace from outside.
pub(crate) const DOWNSTREAM: &str = "tests/downstream/";

/// The fuzzer, a workspace of its own as well: it takes a C++ compiler.
pub(crate) const FUZZ: &str = "tests/fuzz/";

/// The benchmarks, a workspace of its own: it builds the peers. Within it, another one has the programs
/// that it builds.
pub(crate) const BENCH: &str = "tests/bench/";

/// What is there for its own sake: neither members of the workspace nor users of it.
const APART: [&str; 2] = [FUZZ, BENCH];

const READ: [&str; 4] = ["md", "rs", "toml", "txt"];

/// Every file below the root but those in `.git` and `target`, by its path from the root with `/`
/// between the parts.
///
/// Only Rust, Markdown, TOML and text files are read; the text of every other file is empty.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) files: BTreeMap<String, String>,
    /// The packages of the workspace, in the order of their paths.
    pub(crate) manifests: Vec<Manifest>,
    /// The packages below [`DOWNSTREAM`], each a workspace of its own, in the order of their paths.
    pub(crate) downstream: Vec<Manifest>,
    /// What git tracks; `None` if git cannot say.
    pub(crate) tracked: Option<Vec<String>>,
}

impl Tree {
    /// Reads the workspace at `root`, fails with the first file or manifest that cannot be read.
    pub(crate) fn load(root: &Path) -> Result<Self, String> {
        let mut files = BTreeMap::new();
        collect(root, "", &mut files)?;
        Ok(Self { tracked: tracked(root), ..Self::new(files)? })
    }

    fn new(files: BTreeMap<String, String>) -> Result<Self, String> {
        let manifests = files
            .iter()
            .filter(|(path, _)| path.ends_with("/Cargo.toml"))
            .filter(|(path, _)| !APART.iter().any(|it| path.starts_with(it)))
            .map(|(path, text)| Manifest::parse(path, text))
            .collect::<Result<Vec<_>, _>>()?;
        let (downstream, manifests) =
            manifests.into_iter().partition(|it| it.path.starts_with(DOWNSTREAM));
        Ok(Self { files, manifests, downstream, tracked: None })
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether there is a file or a folder at `path`.
    pub(crate) fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty()
            || self.files.contains_key(path)
            || self
                .files
                .range(folder.clone()..)
                .next()
                .is_some_and(|(it, _)| it.starts_with(&folder))
    }

    /// The `rust-version` that all packages inherit.
    pub(crate) fn rust_version(&self) -> Option<String> {
        manifest::workspace_rust_version(self.text("Cargo.toml")?)
    }
}

#[cfg(test)]
impl Tree {
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self::new(files.iter().map(|&(path, text)| (path.into(), text.into())).collect()).unwrap()
    }
}

/// The root of the workspace that cargo was called in.
pub(crate) fn root() -> PathBuf {
    // Asked at run time, as checkouts that share a target directory share this binary too.
    let manifest = env::var_os("CARGO_MANIFEST_DIR");
    PathBuf::from(manifest.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into())).join("..")
}

/// The number, from 1, of the line that holds the byte at `offset`.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

fn collect(
    folder: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    let unreadable = |error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let (name, path) = (entry.file_name(), entry.path());
        let relative = format!("{prefix}{}", name.to_string_lossy());
        if entry.file_type().map_err(unreadable)?.is_dir() {
            if name != ".git" && name != "target" {
                collect(&path, &format!("{relative}/"), files)?;
            }
        } else {
            let is_read = path.extension().is_some_and(|it| READ.iter().any(|read| it == *read));
            let bytes = if is_read { fs::read(&path).map_err(unreadable)? } else { Vec::new() };
            files.insert(relative, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    Ok(())
}

fn tracked(root: &Path) -> Option<Vec<String>> {
    let git = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().ok()?;
    let paths = git.stdout.split(|&byte| byte == 0).filter(|path| !path.is_empty());
    git.status.success().then(|| paths.map(String::from_utf8_lossy).map(Cow::into_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_files_and_folders_but_no_mere_prefixes() {
        let tree = Tree::of(&[("docs/protocol.md", ""), ("docs-old", "")]);
        assert!(tree.has("docs/protocol.md") && tree.has("docs") && tree.has("docs-old"));
        assert!(!tree.has("doc") && !tree.has("docs/protocol"));
    }

    #[test]
    fn a_package_of_another_workspace_is_not_one_of_the_workspace() {
        let package = |name: &str| format!("[package]\nname = \"{name}\"");
        let (ours, theirs) = (package("tests"), package("facade"));
        let tree = Tree::of(&[
            ("tests/Cargo.toml", ours.as_str()),
            ("tests/downstream/facade/Cargo.toml", theirs.as_str()),
            ("tests/fuzz/Cargo.toml", ours.as_str()),
            ("tests/bench/Cargo.toml", ours.as_str()),
            ("tests/bench/embedding/Cargo.toml", ours.as_str()),
        ]);
        assert_eq!((tree.manifests.len(), tree.downstream.len()), (1, 1));
        assert_eq!(tree.downstream[0].folder(), "tests/downstream/facade");
    }

    #[test]
    fn loads_the_workspace_that_xtask_belongs_to() {
        let tree = Tree::load(&root()).unwrap();
        assert!(
            tree.text("xtask/src/tree.rs")
                .is_some_and(|text| text.contains("pub(crate) struct Tree"))
        );
        assert!(tree.manifests.iter().any(|it| it.package == "xtask" && !it.is_published));
        assert!(tree.rust_version().is_some());
        assert!(!tree.has("target"));
    }
}
