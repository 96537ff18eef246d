//! The size of the files.

use std::fs;

use super::{Folder, Retention};
use crate::storage::{
    Database,
    tests::removal::{assert_holds, event, maintain},
};

/// The bytes of the store and its log.
fn size(folder: &Folder) -> u64 {
    let len = |name: &str| fs::metadata(folder.join(name)).map_or(0, |it| it.len());
    len("events.db") + len("events.db-wal")
}

#[test]
fn size_is_bounded_with_the_log_and_the_oldest_events_are_removed() {
    let folder = Folder::new();
    let max_size = Some(Retention::MIN_SIZE);
    let database = folder.open_with(Retention { keep: None, max_size });
    let mut next = 0;
    while database.counts().removed < 20_000 {
        let batch: Vec<_> = (next..next + 1_000).map(event).collect();
        assert_eq!(database.insert(&batch, &[], 0).unwrap(), [true; 1_000]);
        next += 1_000;
        assert!(size(&folder) <= Retention::MIN_SIZE, "{}", size(&folder));
        while database.maintain(0).unwrap() {
            assert!(size(&folder) <= Retention::MIN_SIZE, "{}", size(&folder));
        }
    }
    let held = database.counts().held;
    assert_eq!(held + database.counts().removed, next);
    assert!(held > 5_000, "{held}");
    assert_holds(&database, next - held..next);
}

#[test]
fn lowered_bound_shrinks_the_file() {
    let folder = Folder::new();
    let database = folder.open();
    for first in (0..30_000).step_by(1_000) {
        let batch: Vec<_> = (first..first + 1_000).map(event).collect();
        database.insert(&batch, &[], 0).unwrap();
    }
    drop(database);
    let before = size(&folder);
    assert!(before > Retention::MIN_SIZE * 3 / 2, "{before}");
    let max_size = Some(Retention::MIN_SIZE);
    let database = folder.open_with(Retention { keep: None, max_size });
    maintain(&database, 0);
    let held = database.counts().held;
    assert_holds(&database, 30_000 - held..30_000);
    drop(database);
    assert!(size(&folder) <= Retention::MIN_SIZE, "{} of {before}", size(&folder));
}
