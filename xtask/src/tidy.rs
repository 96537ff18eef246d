//! `cargo xtask tidy`: the rules of this workspace that neither the compiler nor clippy knows.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use crate::tree::Tree;

mod crates;
mod dependencies;
mod modules;
mod prose;
mod source;
mod top_level;

/// Finds every place that breaks one rule.
type Rule = fn(&Tree) -> Vec<Fault>;

const RULES: [Rule; 15] = [
    crates::arrows,
    dependencies::reasons,
    modules::arrows,
    prose::features_are_described,
    prose::readme_is_the_crate_doc,
    prose::rust_version,
    prose::links,
    source::backoff_in_one_file,
    source::size,
    source::markers,
    source::unwraps,
    source::no_unsafe,
    source::no_allow,
    source::expect_has_a_reason,
    top_level::files,
];

/// One place that breaks a rule.
#[derive(Debug)]
struct Fault {
    file: String,
    line: usize,
    message: String,
    advice: &'static str,
}

/// Prints all faults of the workspace at `root` and returns whether there are none.
pub(crate) fn run(root: &Path) -> Result<bool, String> {
    let tree = Tree::load(root)?;
    if tree.tracked.is_none() {
        println!("tidy: git is not available, so the files at the top level were not checked");
    }
    let faults = faults(&tree);
    faults.iter().for_each(|fault| println!("{fault}"));
    println!("tidy: {} faults in {} files", faults.len(), tree.files.len());
    Ok(faults.is_empty())
}

fn faults(tree: &Tree) -> Vec<Fault> {
    RULES.iter().flat_map(|rule| rule(tree)).collect()
}

impl Fault {
    fn new(file: &str, line: usize, message: impl Into<String>, advice: &'static str) -> Self {
        Self { file: file.to_owned(), line, message: message.into(), advice }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { file, line, message, advice } = self;
        write!(f, "{file}:{line}: {message} — {advice}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::root;

    /// The faults that `rule` finds in a tree of these files, displayed without their advice.
    pub(super) fn found(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
        let without_advice =
            |fault: &Fault| format!("{}:{}: {}", fault.file, fault.line, fault.message);
        rule(&Tree::of(files)).iter().map(without_advice).collect()
    }

    #[test]
    fn a_fault_says_where_what_and_what_to_do() {
        let fault = Fault::new("docs/a.md", 3, "no such file: b.md", "correct the link");
        assert_eq!(fault.to_string(), "docs/a.md:3: no such file: b.md — correct the link");
    }

    #[test]
    fn the_workspace_is_tidy() {
        let tree = Tree::load(&root()).unwrap();
        let faults: Vec<String> = faults(&tree).iter().map(ToString::to_string).collect();
        assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    }
}
