//! Paths of any system in logs: only names of folders and extensions of files are kept.

use std::collections::BTreeMap;

/// The longest extension of a file, in bytes. A longer one is part of a name.
const MAX_EXTENSION: usize = 12;

/// The last component of a path or of a URL; `None` for a root.
pub(crate) fn last_component(path: &str) -> Option<&str> {
    let name = path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next()?;
    (!name.is_empty() && !name.ends_with(':')).then_some(name)
}

/// The extension of a file in lower case.
fn extension(path: &str) -> Option<String> {
    let (stem, extension) = last_component(path)?.rsplit_once('.')?;
    let is_extension = !stem.is_empty()
        && (1..=MAX_EXTENSION).contains(&extension.len())
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-_#".contains(&byte));
    is_extension.then(|| extension.to_ascii_lowercase())
}

/// Counts an edit by the extension of the file, if it has one.
pub(crate) fn count_edit(edits: &mut BTreeMap<String, u64>, path: &str) {
    if let Some(extension) = extension(path) {
        *edits.entry(extension).or_default() += 1;
    }
}

/// Counts the files of a patch in the format `*** Begin Patch`.
pub(crate) fn count_patch(edits: &mut BTreeMap<String, u64>, patch: &str) {
    for line in patch.lines() {
        let path = ["*** Add File: ", "*** Update File: ", "*** Delete File: "]
            .iter()
            .find_map(|action| line.strip_prefix(action));
        path.into_iter().for_each(|path| count_edit(edits, path.trim()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_component_is_found_on_all_systems() {
        for (path, expected) in [
            ("/home/me/demo", Some("demo")),
            ("/home/me/demo/", Some("demo")),
            ("demo", Some("demo")),
            (r"C:\work\demo", Some("demo")),
            (r"\\wsl$\work\demo\", Some("demo")),
            ("file:///home/me/demo", Some("demo")),
            ("C:\\", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(last_component(path), expected, "{path}");
        }
    }

    #[test]
    fn extension_is_no_other_part_of_a_name() {
        for (path, expected) in [
            ("/a/b.RS", Some("rs")),
            (r"C:\a.b\c.py", Some("py")),
            ("b.test.tsx", Some("tsx")),
            ("a.c++", Some("c++")),
            ("/a.b/Makefile", None),
            ("/a/.gitignore", None),
            ("a.", None),
            ("a.some words", None),
            ("a.abcdefghijklm", None),
            ("", None),
        ] {
            assert_eq!(extension(path).as_deref(), expected, "{path}");
            let mut edits = BTreeMap::new();
            count_edit(&mut edits, path);
            assert_eq!(edits.into_keys().next().as_deref(), expected, "{path}");
        }
    }
}
