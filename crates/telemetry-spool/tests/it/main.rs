//! The spool, as a program uses it.
#![expect(clippy::unwrap_used, reason = "also in helpers of tests")]

use std::{fs, path::Path};

use telemetry_spool::{Drain, Spool, SpoolOptions};

mod bounds;
mod damage;
#[cfg(unix)]
mod folder;
#[cfg(unix)]
mod processes;
mod records;
#[path = "../../src/tests/temporary.rs"]
mod temporary;

use temporary::TemporaryFolder;

const NOW: u64 = 1_800_000_000_000;
const DAY: u64 = 24 * 60 * 60 * 1000;
const YEAR: u64 = 365 * DAY;

/// The name of a segment of `NOW`.
const SEGMENT: &str = "1800000000000-0000000000000001.seg";

fn open(root: &Path) -> Spool {
    open_with(root, SpoolOptions::default())
}

fn open_with(root: &Path, options: SpoolOptions) -> Spool {
    Spool::open(root, "test", b"destination", options).unwrap()
}

fn drain(spool: &Spool, now: u64) -> Drain {
    spool.drain(now).unwrap().expect("there is no other drain")
}

/// Reads and acknowledges everything.
fn recover(spool: &Spool, now: u64) -> Vec<String> {
    let (mut drain, mut all) = (drain(spool, now), Vec::new());
    loop {
        let records = drain.read(7).unwrap();
        if records.is_empty() {
            return all;
        }
        drain.acknowledge(records.len()).unwrap();
        all.extend(records.into_iter().map(|it| String::from_utf8(it).unwrap()));
    }
}

/// Names in the folder, without the lock of drains.
fn files(spool: &Spool) -> Vec<String> {
    let names = fs::read_dir(spool.path()).unwrap();
    let names = names.filter_map(|it| it.unwrap().file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|it| it != "drain.lock").collect();
    names.sort();
    names
}
