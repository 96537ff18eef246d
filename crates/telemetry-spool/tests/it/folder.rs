//! Permissions, and folders with other things in them.

use std::{
    fs::{self, File, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, symlink},
        net::UnixListener,
    },
    path::Path,
    process::Command,
};

use telemetry_spool::{Error, Spool, SpoolOptions};

use crate::{NOW, TemporaryFolder, files, open, open_with, recover};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn try_open(root: &Path) -> Result<Spool, Error> {
    Spool::open(root, "test", b"destination", SpoolOptions::default())
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn folders_and_files_are_for_their_user_only() {
    let root = TemporaryFolder::new();
    let spool = open(&root.join("a/b"));
    spool.put(b"record", NOW).unwrap();
    drop(spool.drain(NOW).unwrap());
    for folder in ["a", "a/b", "a/b/v1", "a/b/v1/test"] {
        assert_eq!(mode(&root.join(folder)), 0o700, "{folder}");
    }
    for name in ["drain.lock", &files(&spool)[0]] {
        assert_eq!(mode(&spool.path().join(name)), 0o600, "{name}");
    }
}

#[test]
fn folder_that_others_can_change_is_refused() {
    for (path, bits, expected) in [
        ("a/b/v1/test", 0o777, false),
        ("a/b/v1/test", 0o720, false),
        ("a/b/v1/test", 0o1777, false),
        ("a/b/v1", 0o702, false),
        ("a/b", 0o770, false),
        ("a", 0o777, false),
        ("a", 0o1777, true),
        ("a/b/v1/test", 0o755, true),
    ] {
        let root = TemporaryFolder::new();
        let spool = open(&root.join("a/b"));
        spool.put(b"record", NOW).unwrap();
        set_mode(&root.join(path), bits);
        match try_open(&root.join("a/b")) {
            Ok(_) => assert!(expected, "{path} {bits:o}"),
            Err(Error::Untrusted { path: at, reason }) => {
                assert!(!expected && at.ends_with(path), "{path} {bits:o}");
                assert_eq!(reason, "can be written by other users");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn folder_of_another_user_is_refused() {
    for (path, is_opened) in [("v1/test", false), ("v1", false), ("", false), ("all", true)] {
        let root = TemporaryFolder::new();
        open(&root);
        let paths = if path == "all" { vec!["", "v1", "v1/test"] } else { vec![path] };
        // Root alone can give files away.
        if paths.iter().any(|it| chown(root.join(it), Some(12_345), None).is_err()) {
            return;
        }
        match try_open(&root) {
            Err(Error::Untrusted { .. }) => assert!(!is_opened, "{path}"),
            Err(error) => panic!("{error}"),
            Ok(spool) => {
                assert!(is_opened, "{path}");
                assert!(matches!(spool.put(b"record", NOW), Err(Error::Untrusted { .. })));
                assert!(matches!(spool.drain(NOW), Err(Error::Untrusted { .. })));
                assert_eq!(fs::read_dir(spool.path()).unwrap().count(), 0);
            }
        }
    }
}

#[test]
fn folder_that_cannot_be_created_is_an_error() {
    let root = TemporaryFolder::new();
    File::create(root.join("file")).unwrap();
    symlink(root.join("nowhere"), root.join("link")).unwrap();
    let read_only = root.join("read-only");
    fs::create_dir(&read_only).unwrap();
    set_mode(&read_only, 0o500);
    for path in [
        &root.join("file"),
        &root.join("file/below"),
        &root.join("link"),
        Path::new("/proc/spool"),
        &read_only,
    ] {
        match try_open(path) {
            Err(Error::Io { .. }) => {}
            // Root may write.
            result => assert!(*path == *read_only, "{}: {result:?}", path.display()),
        }
    }
}

#[test]
fn link_in_place_of_the_folder_is_refused() {
    let root = TemporaryFolder::new();
    for folder in ["elsewhere", "v1"] {
        fs::create_dir(root.join(folder)).unwrap();
        set_mode(&root.join(folder), 0o700);
    }
    symlink(root.join("elsewhere"), root.join("v1/test")).unwrap();
    assert!(matches!(try_open(&root), Err(Error::Untrusted { .. })));
}

#[test]
fn other_things_in_the_folder_neither_block_nor_stop_the_spool() {
    let root = TemporaryFolder::alone();
    let spool = open_with(&root, SpoolOptions { max_bytes: 2_000_000, ..SpoolOptions::default() });
    let outside = root.join("outside");
    fs::write(&outside, "not a segment").unwrap();
    let name = |n: u64| spool.path().join(format!("{}-{n:016x}.seg", NOW - 1));
    let temporary = |n: u64| spool.path().join(format!(".new-{}-{n:016x}", NOW - 100_000));
    fs::create_dir(name(1)).unwrap();
    symlink(&outside, name(2)).unwrap();
    symlink(root.join("nowhere"), name(3)).unwrap();
    make_fifo(&name(4));
    symlink(name(4), name(5)).unwrap();
    let _listener = UnixListener::bind(name(6)).unwrap();
    symlink("/dev/zero", name(7)).unwrap();
    fs::create_dir(temporary(1)).unwrap();
    make_fifo(&temporary(2));
    symlink(&outside, temporary(3)).unwrap();
    fs::write(spool.path().join("note.txt"), "of the user").unwrap();
    fs::write(spool.path().join("1-2.seg"), "of the user").unwrap();
    let left = files(&spool);
    // These are removed.
    fs::write(name(8), "garbage").unwrap();
    fs::write(name(9), "").unwrap();
    File::create(name(10)).unwrap().set_len(10 << 30).unwrap();

    // At this length, a check of the bounds looks at each file.
    spool.put(&[b'x'; 300_000], NOW).unwrap();
    let usage = spool.usage().unwrap();
    assert_eq!(usage.records + spool.stats().expired, 1);
    assert_eq!(recover(&spool, NOW).len(), 1);
    assert_eq!(files(&spool), left);
    assert_eq!(spool.stats().damaged, 3);
    assert_eq!(fs::read_to_string(outside).unwrap(), "not a segment");
}

#[test]
fn other_thing_in_place_of_the_lock_is_an_error() {
    let root = TemporaryFolder::alone();
    let spool = open(&root);
    let path = spool.path().join("drain.lock");
    make_fifo(&path);
    assert!(matches!(spool.drain(NOW), Err(Error::Untrusted { .. })));
    fs::remove_file(&path).unwrap();
    symlink("/dev/null", &path).unwrap();
    assert!(matches!(spool.drain(NOW), Err(Error::Untrusted { .. })));
    spool.put(b"record", NOW).unwrap();
}
