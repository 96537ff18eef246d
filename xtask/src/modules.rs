//! Cycles between the modules of the façade.
//!
//! Siblings must not depend on each other in a circle, at any level: if `a::b` uses `crate::c::d`, then
//! `a` depends on `c`. A module and its parent may use each other. Paths that begin with `crate`,
//! `self` or `super` and those of `use` are read, except in unit tests, and followed through re-exports.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::PathBuf,
};

const CRATE: &str = "crates/mosaicstack-telemetry/src";

/// The absolute paths that each module uses, and whether it imports them.
type Uses = BTreeMap<String, Vec<(String, bool)>>;

/// # Errors
///
/// There is a cycle, or a source file cannot be read.
pub(crate) fn check() -> Result<(), String> {
    match cyclic(&uses(&sources().map_err(|error| format!("{CRATE}: {error}"))?)).as_slice() {
        [] => Ok(()),
        edges => Err(format!("cycles between modules of {CRATE}:\n  {}", edges.join("\n  "))),
    }
}

/// The text of each module.
fn sources() -> io::Result<BTreeMap<String, String>> {
    let mut sources = BTreeMap::new();
    let mut folders = vec![(PathBuf::from(CRATE), "crate".to_owned())];
    while let Some((folder, module)) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let inner = match path.file_stem().unwrap_or_default().to_string_lossy() {
                name if name == "lib" || name == "mod" => module.clone(),
                name => format!("{module}::{name}"),
            };
            if inner.ends_with("::tests") {
                continue;
            }
            if path.is_dir() {
                folders.push((path, inner));
            } else {
                sources.insert(inner, fs::read_to_string(path)?);
            }
        }
    }
    Ok(sources)
}

fn uses(sources: &BTreeMap<String, String>) -> Uses {
    let mut uses = Uses::new();
    for (module, text) in sources {
        let code = text.split("\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = lines.collect::<Vec<_>>().join("\n");
        let starts = |root| code.match_indices(root).map(|(at, _)| at);
        let imports = starts("use ").map(|at| at + "use ".len());
        let starts = ["crate::", "self::", "super::"].into_iter().flat_map(starts).chain(imports);
        let paths = uses.entry(module.clone()).or_default();
        for at in starts.filter(|&at| !code[..at].ends_with([':', '_'])) {
            let is_import = code[..at].ends_with("use ");
            let absolute = |path: String| (absolute(module, &path), is_import);
            paths.extend(expand(&code[at..]).into_iter().map(absolute));
        }
    }
    uses
}

/// `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn expand(text: &str) -> Vec<String> {
    let is_part = |char: char| char.is_alphanumeric() || char == '_' || char == ':';
    let (prefix, rest) = text.split_at(text.find(|char| !is_part(char)).unwrap_or(text.len()));
    let Some(rest) = rest.strip_prefix('{') else { return vec![prefix.to_owned()] };
    let (mut depth, mut start, mut paths) = (1, 0, Vec::new());
    for (at, char) in rest.char_indices() {
        depth += i32::from(char == '{') - i32::from(char == '}');
        if depth == 0 || depth == 1 && char == ',' {
            let inner = expand(rest[start..at].trim()).into_iter();
            paths.extend(inner.map(|path| format!("{prefix}{path}")));
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    paths
}

/// The path from `crate` on, as a module means it.
fn absolute(module: &str, path: &str) -> String {
    let (mut base, mut rest) = (module, path.strip_prefix("self::").unwrap_or(path));
    while let Some(after) = rest.strip_prefix("super::") {
        (base, rest) = (base.rsplit_once("::").map_or(base, |(parent, _)| parent), after);
    }
    if rest.starts_with("crate::") { rest.to_owned() } else { format!("{base}::{rest}") }
}

/// The module that holds the item of a path, after at most `depth` re-exports.
fn resolve(path: &str, uses: &Uses, depth: usize) -> String {
    let mut module = "crate".to_owned();
    let mut names = path.split("::").skip(1);
    while let Some(name) = names.next() {
        let inner = format!("{module}::{name}");
        if !uses.contains_key(&inner) {
            let suffix = format!("::{name}");
            let mut imports = uses[&module].iter().filter(|(_, is_import)| *is_import && depth > 0);
            let import = imports.find(|(it, _)| it.ends_with(&suffix) && *it != inner);
            let Some((import, _)) = import else { break };
            let path = names.fold(import.clone(), |path, name| path + "::" + name);
            return resolve(&path, uses, depth - 1);
        }
        module = inner;
    }
    module
}

/// The dependencies between siblings that are part of a cycle, each with a path that causes it.
fn cyclic(uses: &Uses) -> Vec<String> {
    let mut edges = BTreeMap::new();
    for (module, paths) in uses {
        for (path, _) in paths {
            let target = resolve(path, uses, 8);
            let [from, to] = [module, &target].map(|it| it.split("::").collect::<Vec<_>>());
            let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            if common < from.len().min(to.len()) {
                let edge = (from[..=common].join("::"), to[..=common].join("::"));
                edges.entry(edge).or_insert_with(|| format!("{module} uses {path}"));
            }
        }
    }
    let is_cyclic = |(from, to): &(String, String)| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![to]);
        while let Some(module) = next.pop() {
            if reached.insert(module) {
                next.extend(edges.keys().filter(|(it, _)| it == module).map(|(_, to)| to));
            }
        }
        reached.contains(from)
    };
    let cyclic = edges.iter().filter(|(edge, _)| is_cyclic(edge));
    cyclic.map(|((from, to), example)| format!("{from} -> {to}: {example}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycle_between_siblings_is_found_at_each_level_and_through_re_exports() {
        let top = "crate::a -> crate::b, crate::b -> crate::a";
        let nested = "crate::a::c -> crate::a::d, crate::a::d -> crate::a::c";
        for (a, c, b, expected) in [
            ("use crate::b;", "", "use crate::{x, a::{self, c}};", top),
            ("", "fn f() { crate::b::g() }", "fn f(_: super::Item) {}", top),
            ("", "use super::d::X;", "", nested),
            ("use d::X;", "use super::X;", "", nested),
            ("use crate::b; use c::X;", "use crate::a::X;", "// crate::a", ""),
            ("use crate::b;", "", "\nmod tests {\n    use crate::a;", ""),
        ] {
            let root = "mod a; mod b; pub use a::{c::Other, Item};";
            let d = "fn f() { super::c::g() }";
            let modules = [("", root), ("::a", a), ("::a::c", c), ("::a::d", d), ("::b", b)];
            let sources = modules.map(|(module, text)| (format!("crate{module}"), text.to_owned()));
            let cyclic = cyclic(&uses(&BTreeMap::from(sources)));
            let edges: Vec<_> = cyclic.iter().filter_map(|it| it.split(": ").next()).collect();
            assert_eq!(edges.join(", "), expected, "{a} | {c} | {b}");
        }
    }
}
