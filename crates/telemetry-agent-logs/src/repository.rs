//! Size of the repository that an agent worked in.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

use telemetry_model::RepoSizeCategory;

/// Number of tracked files from which on a repository has a size; smaller ones are `tiny`. The protocol does not define
/// these.
const SIZES: [(u32, RepoSizeCategory); 4] = [
    (100_000, RepoSizeCategory::Huge),
    (10_000, RepoSizeCategory::Large),
    (1_000, RepoSizeCategory::Medium),
    (100, RepoSizeCategory::Small),
];

/// The size of the repository whose working copy is this folder, at this time.
///
/// `None` if the folder is not the root of a working copy with a `.git` folder. Reads 12 bytes of `.git/index`, and runs
/// no program: a repository can configure programs for git to run.
pub(crate) fn size_of(folder: &str) -> Option<RepoSizeCategory> {
    let folder = Path::new(folder);
    if !folder.is_absolute() {
        return None;
    }
    let (git, index) = (folder.join(".git"), folder.join(".git/index"));
    // Neither a link, which leads elsewhere, nor a pipe, which would block.
    let is_file = |path| fs::symlink_metadata(path).is_ok_and(|it| it.is_file());
    if !fs::symlink_metadata(git).is_ok_and(|it| it.is_dir()) || !is_file(&index) {
        return None;
    }
    let mut header = [0; 12];
    File::open(index).and_then(|mut file| file.read_exact(&mut header)).ok()?;
    // Signature, version and number of entries: see gitformat-index(5).
    let [b'D', b'I', b'R', b'C', 0, 0, 0, 2..=4, count @ ..] = header else { return None };
    let files = u32::from_be_bytes(count);
    let size = SIZES.into_iter().find(|(from, _)| files >= *from);
    Some(size.map_or(RepoSizeCategory::Tiny, |it| it.1))
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;

    #[test]
    fn size_is_the_number_of_entries_in_the_index() {
        let folder = env::temp_dir().join(format!("agent-logs-repository-{}", process::id()));
        let index = folder.join(".git/index");
        fs::create_dir_all(folder.join(".git")).unwrap();
        let path = folder.to_str().unwrap();
        let header = |signature: &str, version: u32, files: u32| {
            [signature.as_bytes(), &version.to_be_bytes(), &files.to_be_bytes(), b"more"].concat()
        };
        assert_eq!(size_of(path), None, "no index");
        for (bytes, expected) in [
            (header("DIRC", 2, 0), Some("tiny")),
            (header("DIRC", 2, 99), Some("tiny")),
            (header("DIRC", 3, 100), Some("small")),
            (header("DIRC", 4, 1_000), Some("medium")),
            (header("DIRC", 2, 10_000), Some("large")),
            (header("DIRC", 2, 100_000), Some("huge")),
            (header("DIRC", 5, 100), None),
            (header("CRID", 2, 100), None),
            (b"DIRC\0\0\0\x02\0\0\0".to_vec(), None),
        ] {
            fs::write(&index, &bytes).unwrap();
            let size = size_of(path);
            assert_eq!(size.as_ref().map(RepoSizeCategory::as_str), expected, "{bytes:?}");
        }
        #[cfg(unix)]
        {
            fs::write(&index, header("DIRC", 2, 100)).unwrap();
            fs::rename(folder.join(".git"), folder.join("elsewhere")).unwrap();
            std::os::unix::fs::symlink(folder.join("elsewhere"), folder.join(".git")).unwrap();
            assert_eq!(size_of(path), None, "a link");
        }
        assert_eq!(size_of("."), None);
        fs::remove_dir_all(folder).unwrap();
    }
}
