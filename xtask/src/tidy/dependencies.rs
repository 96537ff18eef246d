//! What the façade makes its users build, with the reason for each.

use std::collections::BTreeMap;

use super::Fault;
use crate::tree::Tree;

/// What there is: `cargo xtask downstream` holds it against cargo.
const LIST: &str = "tests/downstream/facade/dependencies.txt";

/// Where the reasons are, a row of a table each.
const PAGE: &str = "docs/benchmarks.md";
const BEGIN: &str = "<!-- dependencies:begin -->";
const END: &str = "<!-- dependencies:end -->";

/// Each crate of [`LIST`] that others wrote has one row in [`PAGE`], with a reason, and no other crate
/// has one.
pub(super) fn reasons(tree: &Tree) -> Vec<Fault> {
    let listed = tree.text(LIST).unwrap_or_default().lines();
    let is_ours = |name: &str| tree.manifests.iter().any(|it| it.package == name);
    let mut missing: BTreeMap<&str, usize> =
        (1..).zip(listed).filter(|(_, name)| !is_ours(name)).map(|(line, it)| (it, line)).collect();
    let page = tree.text(PAGE).unwrap_or_default();
    let mut faults = Vec::new();
    for (line, row) in rows(page) {
        let mut cells = row.split('|').skip(1).map(str::trim);
        let name = cells.next().unwrap_or_default().trim_matches('`');
        let mut fault = |message: String, advice| {
            faults.push(Fault::new(PAGE, line, message, advice));
        };
        if missing.remove(name).is_none() {
            fault(format!("`{name}` is not in {LIST}, or twice here"), "remove the row");
        } else if cells.next().is_none_or(str::is_empty) {
            fault(format!("no reason for `{name}`"), "say what it is needed for");
        }
    }
    faults.extend(missing.into_iter().map(|(name, line)| {
        let message = format!("`{name}` is not in the table of {PAGE}");
        Fault::new(LIST, line, message, "say there what it is needed for, or do without it")
    }));
    faults
}

/// The rows of the table that name a crate, and their lines.
fn rows(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let table = (1..).zip(page.lines()).skip_while(|(_, line)| *line != BEGIN);
    table.take_while(|(_, line)| *line != END).filter(|(_, line)| line.starts_with("| `"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    const OURS: (&str, &str) = ("crates/o/Cargo.toml", "[package]\nname = \"ours\"");
    const LISTED: (&str, &str) = (LIST, "ours\nring\nureq\n");

    fn page(rows: &str) -> String {
        format!("| `elsewhere` | |\n{BEGIN}\n| crate | for |\n|---|---|\n{rows}{END}\n")
    }

    #[test]
    fn each_crate_of_others_has_a_reason() {
        let all = page("| `ring` | cryptography |\n| `ureq` | HTTP |\n");
        assert!(found(reasons, &[OURS, LISTED, (PAGE, &all)]).is_empty());
        let faulty = page("| `ring` | |\n| `ring` | again |\n| `tokio` | why? |\n");
        assert_eq!(
            found(reasons, &[OURS, LISTED, (PAGE, &faulty)]),
            [
                "docs/benchmarks.md:5: no reason for `ring`".to_owned(),
                format!("docs/benchmarks.md:6: `ring` is not in {LIST}, or twice here"),
                format!("docs/benchmarks.md:7: `tokio` is not in {LIST}, or twice here"),
                format!("{LIST}:3: `ureq` is not in the table of docs/benchmarks.md"),
            ]
        );
    }
}
