//! Languages by the extensions of files.

use std::collections::BTreeMap;

/// The language that was edited most often; `None` if no extension is listed. Data and documents are no languages.
pub(crate) fn of(edits: &BTreeMap<String, u64>) -> Option<&'static str> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (extension, count) in edits {
        if let Some(language) = language(extension) {
            *counts.entry(language).or_default() += count;
        }
    }
    // The first by name of those with the same number.
    let most = counts.iter().max_by_key(|(name, count)| (**count, std::cmp::Reverse(**name)));
    most.map(|(name, _)| *name)
}

fn language(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "c" | "h" => "c",
        "cc" | "cpp" | "cxx" | "hh" | "hpp" | "hxx" => "cpp",
        "cs" => "csharp",
        "clj" | "cljc" | "cljs" => "clojure",
        "css" | "less" | "sass" | "scss" => "css",
        "dart" => "dart",
        "erl" => "erlang",
        "ex" | "exs" => "elixir",
        "fs" | "fsx" => "fsharp",
        "go" => "go",
        "hs" => "haskell",
        "htm" | "html" => "html",
        "java" => "java",
        "cjs" | "js" | "jsx" | "mjs" => "javascript",
        "jl" => "julia",
        "kt" | "kts" => "kotlin",
        "lua" => "lua",
        "ml" | "mli" => "ocaml",
        "php" => "php",
        "pl" | "pm" => "perl",
        "ipynb" | "py" | "pyi" => "python",
        "r" => "r",
        "rb" => "ruby",
        "rs" => "rust",
        "scala" => "scala",
        "bash" | "sh" | "zsh" => "shell",
        "sql" => "sql",
        "svelte" => "svelte",
        "swift" => "swift",
        "tf" => "terraform",
        "cts" | "mts" | "ts" | "tsx" => "typescript",
        "vue" => "vue",
        "zig" => "zig",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_is_the_one_most_edited() {
        let edits = |list: &[(&str, u64)]| {
            of(&list.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect())
        };
        assert_eq!(edits(&[]), None);
        assert_eq!(edits(&[("md", 9), ("json", 9)]), None);
        assert_eq!(edits(&[("ts", 2), ("tsx", 2), ("py", 3), ("md", 9)]), Some("typescript"));
        assert_eq!(edits(&[("rs", 1), ("go", 1)]), Some("go"));
    }
}
