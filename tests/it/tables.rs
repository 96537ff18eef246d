//! The tables of the documentation can be trusted.

use std::{
    collections::BTreeSet,
    fs, mem,
    path::{Path, PathBuf},
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const PROMISES: &str = "docs/promises.md";
const CLAIMS: &str = "docs/reliability.md";
const SECURITY: &str = "docs/security.md";

/// The crates whose names the tables may use.
const SOURCES: [&str; 3] = [
    "crates/mosaicstack-telemetry/src",
    "crates/telemetry-model/src",
    "crates/telemetry-transport/src",
];

/// The text of a file, by its path from the root.
fn text(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    let text = fs::read_to_string(Path::new(ROOT).join(path));
    text.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The page of the claims, without what is written by `cargo xtask outage`.
fn claims() -> String {
    let page = text(CLAIMS);
    page.split("<!-- outage:begin -->").next().unwrap_or_default().to_owned()
}

/// The files in a folder and below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|it| it.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The rows: the promise, its names in Rust, and the tests that show it.
fn rows(tables: &str) -> Vec<[&str; 3]> {
    let rows = tables.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    let rows = rows.map(|row| match row.split('|').map(str::trim).collect::<Vec<_>>()[..] {
        ["", promise, names, tests, ""] => [promise, names, tests],
        _ => panic!("not three cells: {row}"),
    });
    rows.filter(|[.., tests]| *tests != "shown by").collect()
}

/// What of a file is neither comment nor test.
fn code(source: &str) -> String {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// What stands in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The path and the name of each test in a cell.
fn shown(cell: &str) -> impl Iterator<Item = (&str, &str)> {
    quoted(cell).filter_map(|test| test.split_once("::"))
}

/// The exhibits in a cell.
fn exhibits(cell: &str) -> impl Iterator<Item = &str> {
    quoted(cell).filter_map(|command| command.strip_prefix("cargo xtask evidence "))
}

/// The names of the tests in a file of Rust.
fn tests(source: &str) -> BTreeSet<&str> {
    let is_mark = |line: &str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    let mut names = BTreeSet::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        is_test |= is_mark(line);
        let rest = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "));
        if let Some((name, _)) = rest.and_then(|rest| rest.split_once('('))
            && mem::take(&mut is_test)
        {
            names.insert(name);
        }
    }
    names
}

#[test]
fn each_row_has_tests_that_exist() {
    let known = text("xtask/src/evidence.rs");
    for page in [text(PROMISES), claims(), text(SECURITY)] {
        for [promise, _, cell] in rows(&page) {
            assert!(shown(cell).next().is_some(), "no test: {promise}");
            for (path, test) in shown(cell) {
                assert!(tests(&text(path)).contains(test), "no such test: {path}::{test}");
            }
            for name in exhibits(cell) {
                assert!(known.contains(&format!("\"{name}\"")), "no such exhibit: {name}");
            }
        }
    }
}

#[test]
fn each_claim_has_its_row() {
    let page = claims();
    let claims: Vec<_> = rows(&page).into_iter().map(|[claim, ..]| claim.to_owned()).collect();
    // R13 is a spool on disk, which there is none of.
    let expected = (1..=18).filter(|number| *number != 13).map(|number| format!("R{number}"));
    assert_eq!(claims, expected.collect::<Vec<_>>());
}

#[test]
fn each_promise_has_names_that_exist() {
    let files = SOURCES.into_iter().flat_map(|folder| files(&Path::new(ROOT).join(folder)));
    let code: String = files.map(|file| code(&text(file))).collect();
    let words: BTreeSet<_> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let pages = [PROMISES, SECURITY].map(text);
    for [promise, names, _] in pages.iter().flat_map(|page| rows(page)) {
        for word in quoted(names).flat_map(|name| name.split("::")) {
            assert!(words.contains(word), "no such name: {word}, for: {promise}");
        }
    }
}

#[test]
fn each_path_in_the_table_of_the_architecture_exists() {
    let page = text("docs/architecture.md");
    let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next());
    let paths: Vec<_> = cells.flat_map(quoted).filter(|path| path.contains('/')).collect();
    assert!(paths.len() > 20);
    for path in paths {
        assert!(Path::new(ROOT).join(path).exists(), "no such path: {path}");
    }
}

#[test]
fn each_test_of_the_guide_shows_a_promise() {
    let tables = text(PROMISES);
    let shown: BTreeSet<_> = rows(&tables).into_iter().flat_map(|[.., cell]| shown(cell)).collect();
    for file in files(&Path::new(ROOT).join("tests/it/guide")) {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name in Unicode");
        let path = format!("tests/it/guide/{name}");
        for test in tests(&text(&file)) {
            assert!(shown.contains(&(&*path, test)), "{path}::{test} is in no table");
        }
    }
}
