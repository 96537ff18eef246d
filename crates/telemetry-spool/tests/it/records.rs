//! Writers, drains and destinations.

use std::fs;

use telemetry_spool::{
    Error, MAX_HEADER_BYTES, MAX_RECORD_BYTES, SEGMENT_BYTES, Spool, SpoolOptions, SyncPolicy,
};

use crate::{DAY, NOW, SEGMENT, TemporaryFolder, drain, files, open, open_with, recover};

#[test]
fn writer_removes_files_when_all_of_their_records_are_acknowledged() {
    let root = TemporaryFolder::new();
    let spool = open(&root);
    let mut writer = spool.writer();
    assert_eq!(files(&spool), [""; 0]);
    assert_eq!(writer.append(&["a", "b"], NOW).unwrap(), 1..3);
    assert_eq!(writer.append(&["c"], NOW).unwrap(), 3..4);
    assert_eq!(files(&spool).len(), 1);
    writer.acknowledge(2).unwrap();
    assert_eq!((writer.pending(), files(&spool).len()), (1, 1));
    writer.acknowledge(100).unwrap();
    assert_eq!((writer.pending(), files(&spool).len()), (0, 0));
    assert_eq!(writer.append(&["d"], NOW).unwrap(), 4..5);
    writer.acknowledge(4).unwrap();
    writer.close().unwrap();
    assert_eq!(files(&spool), [""; 0]);
    let stats = spool.stats();
    assert_eq!((stats.written, stats.acknowledged), (4, 4));
}

#[test]
fn drain_gets_what_a_writer_has_not_acknowledged_when_it_is_gone() {
    for sync in [SyncPolicy::Never, SyncPolicy::OnClose, SyncPolicy::Always] {
        let root = TemporaryFolder::new();
        let spool = open_with(&root, SpoolOptions { sync, ..SpoolOptions::default() });
        let mut writer = spool.writer();
        writer.append(&["a", "b"], NOW).unwrap();
        writer.acknowledge(1).unwrap();
        writer.append(&["c", ""], NOW).unwrap();
        assert_eq!(spool.usage().unwrap().records, 3);
        assert_eq!(recover(&spool, NOW), [""; 0], "the writer lives");
        writer.close().unwrap();
        assert_eq!(recover(&spool, NOW), ["b", "c", ""], "{sync:?}");
        assert_eq!(files(&spool), [""; 0]);
    }
}

#[test]
#[cfg(unix)]
fn writer_whose_file_was_removed_takes_a_new_one() {
    let root = TemporaryFolder::new();
    let spool = open(&root);
    let mut writer = spool.writer();
    writer.append(&["removed"], NOW).unwrap();
    fs::remove_file(spool.path().join(&files(&spool)[0])).unwrap();
    assert_eq!(writer.append(&["kept"], NOW).unwrap(), 2..3);
    writer.acknowledge(1).unwrap();
    drop(writer);
    assert_eq!(recover(&spool, NOW), ["kept"]);
}

#[test]
fn writer_begins_a_file_every_256_kib_and_records_stay_in_order() {
    let root = TemporaryFolder::new();
    let spool = open(&root);
    let mut writer = spool.writer();
    let records: Vec<_> = (0..40).map(|n| format!("{n:04}{}", "x".repeat(20_000))).collect();
    assert_eq!(writer.append(&records[..30], NOW).unwrap(), 1..31);
    for record in &records[30..] {
        writer.append(&[record], NOW).unwrap();
    }
    let usage = spool.usage().unwrap();
    assert_eq!((usage.records, usage.files), (40, 4));
    assert!(usage.bytes < 4 * SEGMENT_BYTES as u64);
    writer.acknowledge(13).unwrap();
    assert_eq!(files(&spool).len(), 3);
    drop(writer);
    assert_eq!(recover(&spool, NOW), records[13..]);
}

#[test]
fn drain_acknowledges_in_the_order_of_reading_across_files() {
    let root = TemporaryFolder::new();
    let spool = open(&root);
    for record in ["1", "2"] {
        spool.put(record.as_bytes(), NOW).unwrap();
    }
    let mut writer = spool.writer();
    writer.append(&["3", "4", "5"], NOW + 1).unwrap();
    drop(writer);
    let mut first = drain(&spool, NOW);
    assert_eq!(first.read(3).unwrap(), [b"1", b"2", b"3"]);
    assert_eq!(first.read(1).unwrap(), [b"4"]);
    first.acknowledge(3).unwrap();
    assert_eq!((first.pending(), files(&spool).len()), (1, 1));
    first.acknowledge(100).unwrap();
    assert_eq!(first.pending(), 0);
    assert_eq!(first.read(0).unwrap(), [""; 0].map(|it| it.as_bytes().to_vec()));
    drop(first);
    assert_eq!(recover(&spool, NOW), ["5"]);
    assert_eq!(spool.stats().recovered, 5);
}

#[test]
fn drain_opens_64_files_at_once_and_goes_on_when_they_are_acknowledged() {
    let root = TemporaryFolder::new();
    let spool = open(&root);
    for n in 0..150_u64 {
        spool.put(n.to_string().as_bytes(), NOW + n).unwrap();
    }
    let mut drain = drain(&spool, NOW);
    for expected in [64, 64, 22, 0] {
        assert_eq!(drain.read(1_000).unwrap().len(), expected);
        assert!(drain.read(1_000).unwrap().is_empty());
        drain.acknowledge(expected).unwrap();
    }
}

#[test]
fn read_returns_about_a_mebibyte_at_once() {
    let root = TemporaryFolder::new();
    let spool = open(&root);
    for n in 0..4 {
        spool.put(&vec![n; MAX_RECORD_BYTES / 2], NOW).unwrap();
    }
    let mut drain = drain(&spool, NOW);
    assert_eq!([9, 9, 9].map(|max| drain.read(max).unwrap().len()), [2, 2, 0]);
}

#[test]
fn too_large_record_is_refused_and_those_before_it_are_written() {
    let root = TemporaryFolder::new();
    let spool = open(&root);
    let [large, too_large] = [0, 1].map(|it| "x".repeat(MAX_RECORD_BYTES + it));
    let is_too_large = |error| matches!(error, Error::TooLarge { max: MAX_RECORD_BYTES, .. });
    assert!(spool.put(too_large.as_bytes(), NOW).is_err_and(is_too_large));
    let mut writer = spool.writer();
    let error = writer.append(&["a", &large, &too_large, "b"], NOW).unwrap_err();
    assert!(error.to_string().starts_with("only 2 records of the batch are in the spool: "));
    assert_eq!(error.written, 1..3);
    assert!(is_too_large(error.error));
    drop(writer);
    assert_eq!(recover(&spool, NOW), ["a", &large]);
    let header = vec![0; MAX_HEADER_BYTES + 1];
    assert!(Spool::open(&*root, "test", &header, SpoolOptions::default()).is_err());
}

#[test]
fn records_of_two_destinations_with_one_name_do_not_cross() {
    let root = TemporaryFolder::new();
    let open = |header| Spool::open(&*root, "test", header, SpoolOptions::default()).unwrap();
    let spools = [open(b"https://a.example"), open(b"https://b.example")];
    for (spool, record) in spools.iter().zip(["a", "b"]) {
        spool.put(record.as_bytes(), NOW).unwrap();
        let mut writer = spool.writer();
        writer.append(&[record], NOW).unwrap();
    }
    let [a, b] = spools;
    assert_eq!(recover(&a, NOW), ["a", "a"]);
    assert_eq!((files(&a).len(), a.usage().unwrap().records), (2, 0));
    assert_eq!(recover(&b, NOW), ["b", "b"]);
    assert_eq!(files(&b), [""; 0]);
}

#[test]
fn foreign_files_and_unknown_versions_are_left_alone_until_they_are_too_old() {
    let root = TemporaryFolder::new();
    let foreign = Spool::open(&*root, "test", b"other", SpoolOptions::default()).unwrap();
    foreign.put(b"foreign", NOW).unwrap();
    let spool = open(&root);
    let version = spool.path().join(format!("{NOW}-0000000000000001.seg"));
    fs::write(version, "MSTSPL02 and something else").unwrap();
    spool.put(b"own", NOW).unwrap();
    assert_eq!(recover(&spool, NOW), ["own"]);
    for day in 1..=30 {
        assert_eq!(recover(&spool, NOW + day * DAY), [""; 0]);
        assert_eq!(files(&spool).len(), 2, "{day}");
    }
    assert_eq!(recover(&spool, NOW + 31 * DAY), [""; 0]);
    assert_eq!(files(&spool), [""; 0]);
    assert_eq!((spool.stats().expired, spool.stats().damaged), (1, 0));
}

#[test]
fn temporary_file_is_salvaged_after_a_minute() {
    let root = TemporaryFolder::new();
    let spool = open(&root);
    spool.put(b"record", NOW).unwrap();
    let [name] = &files(&spool)[..] else { panic!("one file") };
    let content = fs::read(spool.path().join(name)).unwrap();
    fs::remove_file(spool.path().join(name)).unwrap();
    for (name, content) in [(1, &content[..]), (2, &content[..content.len() - 1]), (3, b"")] {
        let name = format!(".new-{NOW}-{name:016x}");
        fs::write(spool.path().join(name), content).unwrap();
    }
    assert_eq!(recover(&spool, NOW + 60_000), [""; 0]);
    assert_eq!(files(&spool).len(), 3);
    assert_eq!(recover(&spool, NOW + 60_001), ["record"]);
    assert_eq!(files(&spool), [""; 0]);
    assert_eq!(spool.stats().damaged, 0, "no record of these was reported");
}

#[test]
fn names_that_are_taken_are_not_replaced() {
    let root = TemporaryFolder::new();
    // Same seed, time and count.
    for n in 0..20 {
        open(&root).put(format!("{n}").as_bytes(), NOW).unwrap_or_else(|error| {
            assert!(n >= 16, "{error}");
        });
    }
    let spool = open(&root);
    let mut records = recover(&spool, NOW);
    records.sort_by_key(|it| it.parse::<u64>().unwrap());
    assert!(records.len() >= 16);
    assert!(records.iter().enumerate().all(|(n, it)| *it == n.to_string()));
    assert!(!files(&spool).contains(&SEGMENT.to_owned()));
}
