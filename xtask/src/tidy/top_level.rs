//! What lies at the top of the workspace.

use super::Fault;
use crate::tree::Tree;

const VISIBLE: [&str; 10] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "crates",
    "docs",
    "rust-toolchain.toml",
    "tests",
    "xtask",
];

/// Only [`VISIBLE`] files and dotfiles are tracked at the top level; without git, all is well.
pub(super) fn files(tree: &Tree) -> Vec<Fault> {
    let mut tops: Vec<&str> =
        tree.tracked.iter().flatten().filter_map(|path| path.split('/').next()).collect();
    tops.dedup();
    let others = tops.into_iter().filter(|top| !top.starts_with('.') && !VISIBLE.contains(top));
    others
        .map(|top| Fault::new(top, 1, "does not belong at the top level", "move or remove it"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_files_and_dotfiles_are_at_the_top() {
        let tops = |tracked: Option<&[&str]>| {
            let tracked = tracked.map(|paths| paths.iter().map(|&path| path.to_owned()).collect());
            files(&Tree { tracked, ..Tree::default() })
                .into_iter()
                .map(|it| it.file)
                .collect::<Vec<_>>()
        };
        assert!(
            tops(Some(&[".ci/run", ".gitignore", "Cargo.toml", "crates/a/notes.txt"])).is_empty()
        );
        assert!(tops(None).is_empty());
        assert_eq!(
            tops(Some(&["README.md", "notes.txt", "src/a.rs", "src/b.rs"])),
            ["notes.txt", "src"]
        );
    }
}
