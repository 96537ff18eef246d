//! What the source files must not contain.

use super::Fault;
use crate::tree::{DOWNSTREAM, Tree, line_of};

/// How long a file may be; [`code`] says which lines count.
const MAX_LINES: usize = 300;

const BACKOFF_FILE: &str = "crates/mosaicstack-telemetry/src/retry.rs";

// In two parts each, or this file would break the rule.
const MARKERS: [&str; 7] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
    concat!("#[", "ignore"),
];
const ALLOW: [&str; 2] = [concat!("#[", "allow("), concat!("#![", "allow(")];
const EXPECT: [&str; 2] = [concat!("#[", "expect("), concat!("#![", "expect(")];

/// `backoff` is used in [`BACKOFF_FILE`] alone, so that replacing it touches one file.
pub(super) fn backoff_in_one_file(tree: &Tree) -> Vec<Fault> {
    let others = |path: &str| path.starts_with("crates/") && is_rust(path) && path != BACKOFF_FILE;
    search(tree, others, str::to_owned, &["backoff::"], "wrap what you need of it in retry.rs")
}

/// No file of a `src` folder has more than [`MAX_LINES`] lines of [`code`].
pub(super) fn size(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in tree.files.iter().filter(|(path, _)| is_source(path)) {
        let lines = code(text).lines().filter(|line| !line.trim().is_empty()).count();
        if lines > MAX_LINES {
            let message = format!("{lines} lines of code, at most {MAX_LINES}");
            faults.push(Fault::new(path, 1, message, "split the module"));
        }
    }
    faults
}

/// Nothing is left for later.
pub(super) fn markers(tree: &Tree) -> Vec<Fault> {
    let ours = |path: &str| ["crates/", "tests/", "xtask/"].iter().any(|it| path.starts_with(it));
    search(tree, ours, str::to_owned, &MARKERS, "finish it or take it out")
}

/// The crates and the programs that use them do not unwrap outside their tests.
pub(super) fn unwraps(tree: &Tree) -> Vec<Fault> {
    let advice = "return the error, or `expect` with the reason it cannot be";
    search(tree, is_crate_source, code, &[".unwrap()"], advice)
}

/// The crates and the programs that use them do without `unsafe`, the word included, so that a search for it finds nothing.
pub(super) fn no_unsafe(tree: &Tree) -> Vec<Fault> {
    search(tree, is_crate_source, str::to_owned, &["unsafe"], "do it in safe Rust")
}

/// Lints are suppressed by `expect` only, which complains once it is no longer needed.
pub(super) fn no_allow(tree: &Tree) -> Vec<Fault> {
    search(tree, is_rust, without_comments, &ALLOW, "use `expect` with a reason")
}

/// Whoever suppresses a lint says why.
pub(super) fn expect_has_a_reason(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in tree.files.iter().filter(|(path, _)| is_rust(path)) {
        let text = without_comments(text);
        for (start, _) in EXPECT.iter().flat_map(|it| text.match_indices(it)) {
            let attribute = text[start..].split(")]").next().unwrap_or_default();
            if !attribute.contains("reason =") {
                let (line, advice) = (line_of(&text, start), "add `reason = \"..\"`");
                faults.push(Fault::new(path, line, "a lint without a reason", advice));
            }
        }
    }
    faults
}

/// The lines of `text` that are code. All others are blank, so that lines keep their numbers.
///
/// No code are: lines that begin with `//`, and all lines from the attributes of `mod tests {` on if
/// one of them is a `cfg` of `test`. A comment between `/*` and `*/` does count.
pub(super) fn code(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let is_attribute = |line: &&&str| line.starts_with("#[");
    let is_test = |line: &&str| line.starts_with("#[cfg(") && mentions(line, "test");
    let tests = lines.iter().position(|line| line.starts_with("mod tests {")).and_then(|module| {
        let start = module - lines[..module].iter().rev().take_while(is_attribute).count();
        lines[start..module].iter().any(is_test).then_some(start)
    });
    without_comments(&lines[..tests.unwrap_or(lines.len())].join("\n"))
}

/// Whether `text` contains `needle`, and not only as a part of longer identifiers.
fn mentions(text: &str, needle: &str) -> bool {
    let extends = |outer: Option<char>, inner: Option<char>| {
        outer.is_some_and(is_identifier) && inner.is_some_and(is_identifier)
    };
    text.match_indices(needle).any(|(start, _)| {
        let (before, after) = (&text[..start], &text[start + needle.len()..]);
        !extends(before.chars().next_back(), needle.chars().next())
            && !extends(after.chars().next(), needle.chars().next_back())
    })
}

pub(super) fn is_identifier(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn without_comments(text: &str) -> String {
    let code = text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    code.collect::<Vec<_>>().join("\n")
}

/// A fault for each line of the chosen files that, after `view`, mentions one of the `needles`.
fn search(
    tree: &Tree,
    is_searched: impl Fn(&str) -> bool,
    view: fn(&str) -> String,
    needles: &[&str],
    advice: &'static str,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in tree.files.iter().filter(|(path, _)| is_searched(path)) {
        for (index, line) in view(text).lines().enumerate() {
            let found = needles.iter().filter(|needle| mentions(line, needle));
            faults.extend(found.map(|it| Fault::new(path, index + 1, format!("`{it}`"), advice)));
        }
    }
    faults
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

fn is_crate_source(path: &str) -> bool {
    (path.starts_with("crates/") || path.starts_with(DOWNSTREAM)) && is_source(path)
}

/// Rust in the `src` of a package; unit tests in a file of their own, `tests.rs`, are not source.
fn is_source(path: &str) -> bool {
    let in_src = match path.split('/').collect::<Vec<_>>().as_slice() {
        ["crates", _, folder, ..] | ["tests", "downstream", _, folder, ..] => *folder == "src",
        ["tests", "bench", "embedding", folder, ..] => *folder == "src",
        ["tests", "bench" | "fuzz", folder, ..] => *folder == "src",
        ["tests" | "xtask", folder, ..] => *folder == "src",
        _ => false,
    };
    in_src && is_rust(path) && !path.ends_with("/tests.rs")
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    #[test]
    fn code_is_neither_comment_nor_test_and_keeps_its_line_numbers() {
        let tests = "#[cfg(all(test, not(loom)))]\n#[rustfmt::skip]\nmod tests {\n}";
        let text = format!("//! Doc.\nfn a() {{}} // b\n    /// Doc.\n{tests}");
        assert_eq!(code(&text), "\nfn a() {} // b\n");
        for all_code in [
            "fn a() {}",
            "mod tests {\n}",
            "#[cfg(unix)]\nmod tests {\n}",
            "#[cfg(test)]\nmod tests;",
        ] {
            assert_eq!(code(all_code), all_code);
        }
    }

    #[test]
    fn mentions_whole_words() {
        assert!(mentions("unsafe_code, unsafe fn", "unsafe") && !mentions("unsafe_code", "unsafe"));
        assert!(mentions("a::backoff::b", "backoff::") && !mentions("my_backoff::b", "backoff::"));
        assert!(mentions("a.unwrap()?", ".unwrap()"));
    }

    #[test]
    fn backoff_belongs_to_retry() {
        let text = "use std::fmt;\nuse backoff::Clock;\n";
        assert!(found(backoff_in_one_file, &[(BACKOFF_FILE, text)]).is_empty());
        let faults =
            found(backoff_in_one_file, &[("crates/mosaicstack-telemetry/src/submitter.rs", text)]);
        assert_eq!(faults, ["crates/mosaicstack-telemetry/src/submitter.rs:2: `backoff::`"]);
    }

    #[test]
    fn size_counts_code_only() {
        let comments = "// why\n\n/// what\n".repeat(MAX_LINES);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "fn b() {}\n".repeat(MAX_LINES));
        let fits = "fn a() {}\n".repeat(MAX_LINES) + &comments + &tests;
        assert!(found(size, &[("xtask/src/ci.rs", &fits)]).is_empty());
        for path in [
            "xtask/src/ci.rs",
            "tests/downstream/a/src/main.rs",
            "tests/bench/src/a.rs",
            "tests/bench/embedding/src/a.rs",
        ] {
            let faults = found(size, &[(path, &format!("use a;\n{fits}"))]);
            assert_eq!(faults, [format!("{path}:1: 301 lines of code, at most 300")]);
        }
    }

    #[test]
    fn every_marker_is_found_in_comments_too() {
        for marker in MARKERS {
            let faults = found(markers, &[("tests/it/main.rs", &format!("\n// {marker}\n"))]);
            assert_eq!(faults, [format!("tests/it/main.rs:2: `{marker}`")]);
        }
        let innocent = "fn all_todos() { todo(); }";
        assert!(found(markers, &[("tests/it/main.rs", innocent)]).is_empty());
    }

    #[test]
    fn only_tests_and_examples_unwrap() {
        let unwrap = "fn a() { b().unwrap() }\n";
        let fine = format!("/// a.unwrap()\n#[cfg(test)]\nmod tests {{\n{unwrap}}}");
        let example = ("crates/a/examples/b.rs", unwrap);
        assert!(found(unwraps, &[("crates/a/src/lib.rs", &fine), example]).is_empty());
        for path in ["crates/a/src/b/c.rs", "tests/downstream/a/src/main.rs"] {
            assert_eq!(found(unwraps, &[(path, unwrap)]), [format!("{path}:1: `.unwrap()`")]);
        }
    }

    #[test]
    fn the_word_unsafe_is_found() {
        assert!(found(no_unsafe, &[("crates/a/src/lib.rs", "#![forbid(unsafe_code)]")]).is_empty());
        let faults = found(no_unsafe, &[("crates/a/src/lib.rs", "\nunsafe fn b() {}")]);
        assert_eq!(faults, ["crates/a/src/lib.rs:2: `unsafe`"]);
    }

    #[test]
    fn lints_are_expected_with_a_reason_not_allowed() {
        for allow in ALLOW {
            let text = format!("// {allow}dead_code)]\n{allow}dead_code)]");
            assert_eq!(
                found(no_allow, &[("tests/it/a.rs", &text)]),
                [format!("tests/it/a.rs:2: `{allow}`")]
            );
        }
        for expect in EXPECT {
            let explained = format!("{expect}\n    dead_code,\n    reason = \"(it is)\"\n)]");
            assert!(found(expect_has_a_reason, &[("a.rs", &explained)]).is_empty());
            let bare = format!("\n{expect}dead_code)]\nconst REASON: &str = \"reason = \";");
            let fault = "a.rs:2: a lint without a reason";
            assert_eq!(found(expect_has_a_reason, &[("a.rs", &bare)]), [fault]);
        }
    }
}
