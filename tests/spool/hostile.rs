//! Folders and disks that cannot be used, or contain something else.

use std::{
    env, fs,
    fs::{File, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use mosaicstack_telemetry::{Notification, TelemetryClient};
use telemetry_collector::ResponseTemplate;
use telemetry_tests::track;

use crate::{AMPLE, Folder, collector, run, spooled, wait_for, wait_until_written};

/// Names the folder of the child process with a full disk.
const FULL_DISK: &str = "TELEMETRY_SPOOL_TEST_FULL_DISK";

const fn is_failure(notification: &Notification) -> bool {
    matches!(notification, Notification::SpoolFailed { .. })
}

fn create(path: &Path, mode: u32) {
    fs::create_dir_all(path).expect("it can be created");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

#[test]
fn events_go_out_without_a_usable_folder() {
    type Prepare = fn(&Path) -> PathBuf;
    let cases: [(&str, bool, Prepare); 5] = [
        ("missing", false, |folder| folder.join("several/levels")),
        ("writable by others", true, |folder| {
            create(folder, 0o777);
            folder.into()
        }),
        ("read-only", !is_root(), |folder| {
            create(folder, 0o500);
            folder.into()
        }),
        ("a file", true, |folder| {
            fs::write(folder, "").expect("it can be written");
            folder.into()
        }),
        ("a link to nowhere", true, |folder| {
            symlink("nowhere", folder).expect("it can be created");
            folder.into()
        }),
    ];
    for (name, is_refused, prepare) in cases {
        let (folder, collector) = (Folder::new(), collector());
        let failures = Arc::<AtomicU64>::default();
        let seen = Arc::clone(&failures);
        let config = spooled(collector.url(), &prepare(&folder)).on_notification(move |it| {
            seen.fetch_add(u64::from(is_failure(it)), Ordering::Relaxed);
        });
        let stats = run(config, &|handle| {
            for _ in 0..3 {
                track(handle, 100);
                assert_eq!(handle.flush(AMPLE), Ok(()), "{name}");
            }
        });
        assert_eq!((stats.delivered, stats.panics), (300, 0), "{name}");
        assert_eq!(failures.load(Ordering::Relaxed), u64::from(is_refused), "{name}");
        let _ = fs::remove_file(&*folder);
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("a program of each Unix");
    id.stdout == b"0\n"
}

#[test]
fn other_things_in_the_folder_are_left_alone_or_counted() {
    let (folder, collector) = (Folder::alone(), collector());
    collector.fault(ResponseTemplate::status(503));
    assert_eq!(run(spooled(collector.url(), &folder), &|it| drop(track(it, 2))).spooled, 2);
    collector.clear_faults();
    let destinations = fs::read_dir(folder.join("v1")).unwrap();
    let destination = destinations.map(|it| it.unwrap().path()).next().unwrap();
    let path = |number: u32| destination.join(format!("1800000000000-{number:016x}.seg"));
    fs::write(path(1), "").unwrap();
    fs::write(path(2), "no segment").unwrap();
    fs::write(path(3), "MSTSPL02, of a newer version").unwrap();
    fs::write(path(4), [&b"MSTSPL01"[..], &[0xff; 99]].concat()).unwrap();
    File::create(path(5)).unwrap().set_len(10 << 30).unwrap();
    fs::create_dir(path(6)).unwrap();
    symlink("/dev/zero", path(7)).unwrap();
    assert!(Command::new("mkfifo").arg(path(8)).status().unwrap().success());
    fs::write(destination.join("notes.txt"), "of somebody else").unwrap();

    let stats = run(spooled(collector.url(), &folder), &|handle| {
        track(handle, 3);
        wait_for(handle, |stats| stats.delivered == 5);
        // The rest of the folder is examined when these are delivered.
        wait_for(handle, |stats| stats.damaged > 0);
    });
    assert_eq!((stats.recovered, stats.delivered, stats.panics), (2, 5, 0));
    for number in [3, 6, 7, 8] {
        assert!(path(number).symlink_metadata().is_ok(), "{number}");
    }
    assert!(destination.join("notes.txt").exists() && !path(4).exists());
}

/// Runs on a file system of 64 KiB.
#[test]
fn child_with_a_full_disk() {
    let Some(folder) = env::var_os(FULL_DISK).map(PathBuf::from) else { return };
    let collector = collector();
    collector.fault(ResponseTemplate::status(503));
    let failures = Arc::<AtomicU64>::default();
    let seen = Arc::clone(&failures);
    let config = spooled(collector.url(), &folder).on_notification(move |it| {
        seen.fetch_add(u64::from(is_failure(it)), Ordering::Relaxed);
    });
    let client = TelemetryClient::start(config.build().unwrap());
    track(&client.handle(), 25);
    wait_until_written(&client.handle());
    for _ in 0..19 {
        track(&client.handle(), 25);
        client.flush(AMPLE).unwrap_err();
    }
    wait_for(&client.handle(), |_| failures.load(Ordering::Relaxed) > 0);
    let stats = client.stats();
    assert!(stats.is_balanced() && stats.spooled > 0 && stats.pending > 0, "{stats:?}");
    assert_eq!((stats.evicted, stats.pending + stats.spooled), (0, 500));
    collector.clear_faults();
    assert_eq!(client.flush(AMPLE), Ok(()));
    assert_eq!((client.stop().delivered, collector.totals().held), (500, 500));
    assert_eq!(failures.load(Ordering::Relaxed), 1, "said once");
}

#[test]
fn events_go_on_in_memory_when_the_disk_is_full() {
    let folder = Folder::alone();
    fs::create_dir(&*folder).unwrap();
    let mount = r#"mount -t tmpfs -o size=64k,mode=700 none "$0" && exec "$@""#;
    let isolated = |program: &Path| {
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", mount]).arg(&*folder).arg(program);
        command
    };
    if !isolated(Path::new("true")).status().is_ok_and(|status| status.success()) {
        println!("skipped: file systems cannot be mounted in a namespace (unshare -rm)");
        return;
    }
    let program = env::current_exe().unwrap();
    let mut child = isolated(&program);
    let child = child.args(["--exact", "hostile::child_with_a_full_disk"]).env(FULL_DISK, &*folder);
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}
