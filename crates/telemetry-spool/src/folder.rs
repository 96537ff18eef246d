//! The folder of a destination, which only its user can change.

use std::path::{Path, PathBuf};

use crate::{Error, disk::Disk};

/// The length of a name in bytes, less than file systems allow.
const MAX_NAME: usize = 200;

/// Creates `<root>/v1/<name>` if it does not exist, and returns its path and its owner.
///
/// With `is_durable`, the names of new folders are on the disk on return.
pub(crate) fn prepare(
    disk: &Disk,
    root: &Path,
    name: &str,
    is_durable: bool,
) -> Result<(PathBuf, Option<u32>), Error> {
    if !is_valid(name) {
        return Err(Error::InvalidName);
    }
    let folder = root.join("v1").join(name);
    let is_new = disk.stat(&folder).is_err();
    if is_new {
        disk.create_folder(&folder)?;
    }
    let root = disk.resolve(root)?;
    let folder = root.join("v1").join(name);
    let owner = check(disk, &folder)?;
    if is_durable && is_new {
        // Which parents are new is not known. Others may be unreadable, or on file systems that refuse.
        for parent in folder.ancestors().skip(1) {
            if let (Err(error), true) = (disk.sync_folder(parent), parent.starts_with(&root)) {
                return Err(error);
            }
        }
    }
    Ok((folder, owner))
}

fn is_valid(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    (1..=MAX_NAME).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_allowed)
}

/// A user who can write to a parent can replace the folder, except in one like `/tmp`, where users can only rename and
/// remove what they own. An owner can change permissions, so parents belong to the owner of the folder or to root.
#[cfg(unix)]
fn check(disk: &Disk, folder: &Path) -> Result<Option<u32>, Error> {
    use std::os::unix::fs::MetadataExt;

    const WRITABLE_BY_OTHERS: u32 = 0o022;
    const STICKY: u32 = 0o1000;

    let untrusted = |path: &Path, reason| Err(Error::Untrusted { path: path.into(), reason });
    let owner = disk.stat(folder)?.uid();
    // In a container, root may be another number.
    let root = disk.stat(Path::new("/"))?.uid();
    for (path, depth) in folder.ancestors().zip(0..) {
        let stat = disk.stat(path)?;
        let is_shared = depth >= 2 && stat.mode() & STICKY != 0;
        if !stat.is_dir() {
            return untrusted(path, "is not a folder");
        }
        if stat.mode() & WRITABLE_BY_OTHERS != 0 && !is_shared {
            return untrusted(path, "can be written by other users");
        }
        if stat.uid() != owner && (depth < 2 || stat.uid() != root) {
            return untrusted(path, "belongs to another user");
        }
    }
    Ok(Some(owner))
}

/// Other systems inherit the permissions of the parent, which is the user's profile as a rule.
#[cfg(not(unix))]
fn check(disk: &Disk, folder: &Path) -> Result<Option<u32>, Error> {
    if disk.stat(folder)?.is_dir() {
        return Ok(None);
    }
    Err(Error::Untrusted { path: folder.into(), reason: "is not a folder" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_or_depend_on_the_system_are_invalid() {
        let long = "x".repeat(MAX_NAME + 1);
        for name in ["", ".", "..", ".x", "a/b", "a\\b", "a:b", "ä", "a\0", &long] {
            assert!(!is_valid(name), "{name:?}");
        }
        for name in ["a", "550e8400@example.com-00ab", &"x".repeat(MAX_NAME)] {
            assert!(is_valid(name), "{name:?}");
        }
    }
}
