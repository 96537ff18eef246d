//! Which module of the façade may use which.

use std::collections::BTreeMap;

use super::Fault;
use super::source::{code, is_identifier};
use crate::tree::{Tree, line_of};

const SOURCES: &str = "crates/mosaicstack-telemetry/src/";

/// Modules, and those above them that they must not use.
const FORBIDDEN: [(&[&str], &[&str]); 4] = [
    (
        &["credentials", "retry", "stats", "error", "redact"],
        &["blocking", "nonblocking", "submitter", "protocol", "handle"],
    ),
    (&["protocol"], &["blocking", "nonblocking", "submitter", "handle"]),
    (&["submitter"], &["blocking", "nonblocking", "handle"]),
    (&["predictions"], &["blocking", "nonblocking", "submitter", "handle"]),
];

/// The code of the façade draws no arrow that is in [`FORBIDDEN`], not through a re-export of
/// `lib.rs` either.
pub(super) fn arrows(tree: &Tree) -> Vec<Fault> {
    let exports = tree.text(&format!("{SOURCES}lib.rs")).map(exports).unwrap_or_default();
    let mut faults = Vec::new();
    for (path, text) in &tree.files {
        let Some((module, rest)) =
            path.strip_prefix(SOURCES).and_then(|it| it.split_once(['/', '.']))
        else {
            continue;
        };
        let forbidden = FORBIDDEN.iter().filter(|(modules, _)| modules.contains(&module));
        let forbidden: Vec<&str> = forbidden.flat_map(|(_, above)| above.iter().copied()).collect();
        // In x.rs and x/mod.rs, `super` is the crate.
        let roots = if rest == "rs" || rest == "mod.rs" {
            &["crate::", "super::"][..]
        } else {
            &["crate::"]
        };
        let code = code(text);
        for (offset, name) in roots.iter().flat_map(|root| used(&code, root)) {
            let names = [Some(name), exports.get(name).map(String::as_str)];
            if let Some(above) = names.into_iter().flatten().find(|it| forbidden.contains(it)) {
                let message = format!("`{module}` uses `{name}`: `{above}` is above it");
                let advice = "move what both need down, or pass it as an argument";
                faults.push(Fault::new(path, line_of(&code, offset), message, advice));
            }
        }
    }
    faults
}

/// The names that follow `root` in `code`, each branch of a `{..}` included, and their offsets.
fn used<'a>(code: &'a str, root: &str) -> Vec<(usize, &'a str)> {
    let mut names = Vec::new();
    for (start, _) in code.match_indices(root) {
        let start = start + root.len();
        for branch in branches(&code[start..]) {
            let offset = start + branch + leading_space(&code[start + branch..]);
            names.push((offset, identifier(&code[offset..])));
        }
    }
    names
}

/// The offsets at which the branches of the use tree at the start of `text` begin.
fn branches(text: &str) -> Vec<usize> {
    if !text.starts_with('{') {
        return vec![0];
    }
    let mut starts = vec![1];
    let mut depth = 0;
    for (offset, char) in text.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' if depth == 1 => starts.push(offset + 1),
            _ => {}
        }
    }
    starts
}

/// What `lib.rs` re-exports, by the name of the item and that of its module.
fn exports(lib: &str) -> BTreeMap<String, String> {
    let mut exports = BTreeMap::new();
    for statement in code(lib).split(';') {
        let path = statement.split_once("use ").map_or("", |(_, path)| path.trim());
        let path = ["crate::", "self::"].iter().fold(path, |it, root| it.trim_start_matches(root));
        let starts = branches(path);
        let ends = starts.iter().skip(1).copied().chain([path.len()]);
        for (start, end) in starts.iter().copied().zip(ends) {
            let mut names =
                path[start..end].split(|char| !is_identifier(char)).filter(|it| !it.is_empty());
            if let Some(module) = names.next() {
                exports.extend(names.map(|name| (name.to_owned(), module.to_owned())));
            }
        }
    }
    exports
}

fn identifier(text: &str) -> &str {
    &text[..text.find(|char| !is_identifier(char)).unwrap_or(text.len())]
}

fn leading_space(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    const RETRY: &str = "crates/mosaicstack-telemetry/src/retry.rs";

    #[test]
    fn finds_the_first_segment_of_each_branch() {
        let code =
            "use crate::a::b;\nuse crate::{\n    c::{d, e},\n    f,\n};\nfn g(_: crate::H) {}";
        let names: Vec<_> =
            used(code, "crate::").iter().map(|&(at, name)| (line_of(code, at), name)).collect();
        assert_eq!(names, [(1, "a"), (3, "c"), (4, "f"), (5, ""), (6, "H")]);
    }

    #[test]
    fn an_arrow_up_is_a_fault_in_a_file_and_in_a_folder() {
        let file =
            found(arrows, &[(RETRY, "use std::fmt;\nuse super::{stats, submitter::Delivery};")]);
        assert_eq!(
            file,
            [
                "crates/mosaicstack-telemetry/src/retry.rs:2: `retry` uses `submitter`: `submitter` is above it"
            ]
        );
        let folder = "crates/mosaicstack-telemetry/src/predictions/cache.rs";
        assert_eq!(
            found(arrows, &[(folder, "fn a() { crate::handle::b() }\nuse super::handle;")]).len(),
            1
        );
    }

    #[test]
    fn an_arrow_up_through_a_re_export_is_a_fault() {
        let lib = (
            "crates/mosaicstack-telemetry/src/lib.rs",
            "pub mod a;\npub use crate::protocol::{Verdict, b};",
        );
        let faults = found(arrows, &[lib, (RETRY, "use crate::Verdict;")]);
        assert_eq!(
            faults,
            [
                "crates/mosaicstack-telemetry/src/retry.rs:1: `retry` uses `Verdict`: `protocol` is above it"
            ]
        );
    }

    #[test]
    fn a_re_export_belongs_to_its_branch() {
        let lib =
            "pub use a::B;\npub use crate::{\n    c::{D, E},\n    f::G,\n};\npub use self::h::I;";
        let exports = exports(lib);
        let found: Vec<_> =
            exports.iter().map(|(name, module)| format!("{module}::{name}")).collect();
        assert_eq!(found, ["a::B", "c::D", "c::E", "f::G", "h::I"]);
    }

    #[test]
    fn arrows_down_and_in_tests_and_docs_are_fine() {
        let submitter = "crates/mosaicstack-telemetry/src/submitter.rs";
        let text = "/// [`crate::handle`]\nuse crate::{protocol, retry};\n";
        let text = format!("{text}#[cfg(test)]\nmod tests {{\nuse crate::handle;\n}}");
        assert!(found(arrows, &[(submitter, &text)]).is_empty());
    }
}
