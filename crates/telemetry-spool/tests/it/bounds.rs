//! Bounds in bytes, files and age, and clocks that are wrong.

use std::{env, thread, time::Duration};

use telemetry_spool::{Error, Spool, SpoolOptions};

use crate::{DAY, NOW, TemporaryFolder, drain, files, open, open_with, recover};

const YEARS: u64 = 10 * crate::YEAR;

#[test]
fn puts_without_a_drain_are_bounded_and_each_is_counted_once() {
    let is_long = env::var_os("TELEMETRY_LONG_TESTS").is_some();
    let (count, max_files) = if is_long { (100_000, 4_096) } else { (20_000, 256) };
    let root = TemporaryFolder::new();
    let spool = open_with(&root, SpoolOptions { max_files, ..SpoolOptions::default() });
    let threads = 4;
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for n in 0..count / threads {
                    spool.put(&[b'x'; 800], NOW + n).unwrap();
                }
            });
        }
    });
    let usage = spool.usage().unwrap();
    // The bound is kept by chance, which ends here once in e^12 times.
    assert!(usage.files <= max_files + 12 * max_files / 8, "{usage:?}");
    let stats = spool.stats();
    assert_eq!((stats.written, stats.damaged), (count, 0));
    assert_eq!(stats.written, stats.expired + usage.records);
    assert_eq!(recover(&spool, NOW).len() as u64, usage.records);
    assert_eq!(spool.stats().recovered, usage.records);
}

#[test]
fn oldest_files_are_removed_first_when_there_are_too_many_bytes() {
    let root = TemporaryFolder::new();
    let spool = open_with(&root, SpoolOptions { max_bytes: 3_000_000, ..SpoolOptions::default() });
    for n in 0..20 {
        // At this length, each is checked.
        let record = format!("{n:02}{}", "x".repeat(500_000));
        spool.put(record.as_bytes(), NOW + n).unwrap();
    }
    assert_eq!(spool.stats().expired, 14);
    let records = recover(&spool, NOW);
    let first: Vec<_> = records.iter().map(|it| &it[..2]).collect();
    assert_eq!(first, ["14", "15", "16", "17", "18", "19"]);
}

#[test]
fn files_of_a_writer_that_lives_are_not_removed_and_the_spool_is_full() {
    let root = TemporaryFolder::new();
    let spool = open_with(&root, SpoolOptions { max_bytes: 1_000_000, ..SpoolOptions::default() });
    spool.put(b"old", NOW - DAY).unwrap();
    let mut writer = spool.writer();
    let record = ["x".repeat(250_000)];
    let mut written = 0;
    let error = loop {
        match writer.append(&record, NOW) {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error.error, Error::Full), "{error}");
    assert!((4..=6).contains(&written), "{written}");
    assert_eq!(spool.stats().expired, 1, "the file without a writer");
    assert!(matches!(spool.put(&[0; 500_000], NOW), Err(Error::Full)));
    writer.acknowledge(2).unwrap();
    writer.append(&record, NOW).unwrap();
}

#[test]
fn partly_acknowledged_files_expire_with_the_rest_of_their_records() {
    let root = TemporaryFolder::new();
    let spool = open_with(&root, SpoolOptions { max_files: 0, ..SpoolOptions::default() });
    let mut writer = spool.writer();
    // Short records are checked by chance only.
    writer.append(&["a", "b", "c"], NOW).unwrap();
    writer.acknowledge(1).unwrap();
    drop(writer);
    let _ = spool.put(&[0; 300_000], NOW);
    assert_eq!(spool.stats().expired, 2);
}

/// Lets days pass, with a drain on each that delivers nothing.
fn wait(spool: &Spool, from: u64, days: u64) {
    for day in 0..=days {
        drain(spool, from + day * DAY).read(1).unwrap();
    }
}

#[test]
fn records_expire_after_30_days() {
    let root = TemporaryFolder::new();
    let spool = open(&root);
    spool.put(b"old", NOW).unwrap();
    spool.put(b"young", NOW + 2 * DAY).unwrap();
    wait(&spool, NOW, 30);
    assert_eq!(files(&spool).len(), 2);
    wait(&spool, NOW + 31 * DAY, 0);
    assert_eq!((files(&spool).len(), spool.stats().expired), (1, 1));
    assert_eq!(recover(&spool, NOW + 31 * DAY), ["young"]);
}

#[test]
fn maximum_age_is_configurable() {
    let root = TemporaryFolder::new();
    let max_age = Duration::from_secs(60);
    let spool = open_with(&root, SpoolOptions { max_age, ..SpoolOptions::default() });
    spool.put(b"old", NOW).unwrap();
    drop(drain(&spool, NOW));
    assert_eq!(recover(&spool, NOW + 60_001), [""; 0]);
    assert_eq!(spool.stats().expired, 1);
}

#[test]
fn first_drain_after_a_long_time_delivers() {
    let root = TemporaryFolder::new();
    let spool = open(&root);
    spool.put(b"old", NOW).unwrap();
    assert_eq!(recover(&spool, NOW + 100 * DAY), ["old"]);
}

#[test]
fn clock_that_is_wrong_by_ten_years_costs_no_record() {
    for wrong in [NOW - YEARS, NOW + YEARS, 0] {
        let root = TemporaryFolder::new();
        let spool = open(&root);
        spool.put(b"before", NOW).unwrap();
        wait(&spool, NOW, 0);
        // Also with a drain on each of ten days, and if records are written.
        spool.put(b"meanwhile", wrong).unwrap();
        wait(&spool, wrong, 10);
        spool.put(b"after", NOW + DAY).unwrap();
        wait(&spool, NOW + DAY, 1);
        let mut records = recover(&spool, NOW + 2 * DAY);
        records.sort();
        assert_eq!(records, ["after", "before", "meanwhile"], "{wrong}");
    }
}

#[test]
fn files_from_the_future_make_room_first() {
    let root = TemporaryFolder::new();
    let options = SpoolOptions { max_bytes: 2_000_000, ..SpoolOptions::default() };
    let spool = open_with(&root, options);
    for (name, time) in [("wrong", NOW + YEARS), ("right", NOW)] {
        for _ in 0..3 {
            let record = format!("{name}{}", "x".repeat(500_000));
            spool.put(record.as_bytes(), time).unwrap();
        }
    }
    let records = recover(&spool, NOW);
    let count = |name| records.iter().filter(|it| it.starts_with(name)).count();
    assert_eq!((count("right"), count("wrong")), (3, 1));
}
