//! Other processes, with limits, or stopped.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use telemetry_spool::SpoolOptions;

use crate::{NOW, TemporaryFolder, drain, files, open, open_with, recover};

const ROOT: &str = "TELEMETRY_SPOOL_ROOT";

/// Runs a test of this program as a process, below a command of the shell. `Child` tests do nothing without it.
fn spawn(test: &str, root: &Path, limits: &str) -> Child {
    let shell = format!("{limits} exec \"$0\" \"$@\"");
    Command::new("sh")
        .args(["-c", &shell])
        .arg(env::current_exe().unwrap())
        .args(["--exact", &format!("processes::{test}"), "--nocapture", "--test-threads=1"])
        .env(ROOT, root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn root() -> Option<PathBuf> {
    env::var_os(ROOT).map(Into::into)
}

/// Appends 100 records of 10 kB where files have at most 100 kB.
#[test]
fn child_with_small_files() {
    let Some(root) = root() else { return };
    let mut writer = open(&root).writer();
    let records: Vec<_> = (0..100).map(|n| format!("{n:03}{}", "x".repeat(10_000))).collect();
    let (mut rest, mut failures) = (&records[..], 0);
    while !rest.is_empty() {
        let batch = &rest[..rest.len().min(7)];
        let written = match writer.append(batch, NOW) {
            Ok(written) => written,
            Err(error) => {
                failures += 1;
                error.written
            }
        };
        rest = &rest[usize::try_from(written.end - written.start).unwrap()..];
    }
    assert!(failures > 5, "{failures}");
}

#[test]
fn writer_that_fills_its_limit_of_file_sizes_goes_on_in_new_files() {
    let root = TemporaryFolder::alone();
    let spool = open(&root);
    // Units of 512 bytes.
    let limits = "ulimit -f 200 || exit 9; trap '' XFSZ;";
    let output = spawn("child_with_small_files", &root, limits).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(files(&spool).len() > 5);
    let records = recover(&spool, NOW);
    let numbers: Vec<_> = records.iter().map(|it| it[..3].parse::<u64>().unwrap()).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    assert_eq!(spool.stats().damaged, 0);
}

#[test]
fn child_with_few_descriptors() {
    let Some(root) = root() else { return };
    let spool = open(&root);
    let mut drain = drain(&spool, NOW);
    let mut count = 0;
    loop {
        let records = drain.read(1_000).unwrap();
        assert!(records.len() < 30);
        if records.is_empty() {
            break;
        }
        drain.acknowledge(records.len()).unwrap();
        count += records.len();
    }
    assert_eq!(count, 100);
}

#[test]
fn drain_with_few_descriptors_reads_everything_in_small_batches() {
    let root = TemporaryFolder::alone();
    let spool = open(&root);
    for n in 0..100 {
        spool.put(b"record", NOW + n).unwrap();
    }
    let child = spawn("child_with_few_descriptors", &root, "ulimit -n 25 || exit 9;");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(files(&spool), [""; 0]);
}

/// Drains until its input ends.
#[test]
fn child_that_drains() {
    let Some(root) = root() else { return };
    let spool = open(&root);
    let mut drain = drain(&spool, NOW);
    assert_eq!(drain.read(1).unwrap(), [b"held"]);
    println!("\nready");
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read_line(&mut String::new());
}

#[test]
fn stopped_drain_blocks_no_other_process() {
    let root = TemporaryFolder::alone();
    let spool = open_with(&root, SpoolOptions { max_bytes: 2_000_000, ..SpoolOptions::default() });
    spool.put(b"held", NOW).unwrap();
    let mut child = spawn("child_that_drains", &root, "");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "ready"));
    let stop = ["-STOP", &child.id().to_string()];
    assert!(Command::new("kill").args(stop).status().unwrap().success());

    assert!(spool.drain(NOW).unwrap().is_none());
    for n in 1..=10 {
        spool.put(&[b'x'; 500_000], NOW + n).unwrap();
    }
    let mut writer = spool.writer();
    writer.append(&["own"], NOW).unwrap();
    writer.acknowledge(1).unwrap();
    let usage = spool.usage().unwrap();
    assert!(usage.bytes < 2_600_000, "bounded: {usage:?}");
    assert_eq!(spool.stats().expired + usage.records, 11);

    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(recover(&spool, NOW)[0], "held", "not removed while it was being delivered");
}
