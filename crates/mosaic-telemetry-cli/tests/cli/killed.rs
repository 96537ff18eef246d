//! Reports that are killed, and reports at the same time.

use std::{
    collections::BTreeSet,
    env, fs,
    path::Path,
    process::{self, Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use mosaicstack_telemetry::{model::TaskCompletionEvent, uuid::Uuid};
use telemetry_collector::Collector;

use crate::home::{Home, text, turns};

const MODEL: &str = "claude-sonnet-4-5";

/// The tasks that are added before each report. Each of them is a file in the spool until it is delivered.
const TASKS: u32 = 20;

/// When a report is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    /// The spool has this number of files.
    Spooled(usize),
    /// The scan is remembered.
    Scanned,
    /// The ledger is longer than before.
    Recorded,
    /// The server has read a request, and has not looked at it.
    Requested,
    /// The server has accepted the events of a request, and has not answered.
    Accepted,
}

/// The report that runs, and its moment. Killed by the test or by a callback of the collector.
type Running = Arc<Mutex<Option<(Child, Moment, &'static str)>>>;

/// Kills the report if this is its moment. Returns whether it is killed now.
fn kill_at(running: &Running, is_now: impl Fn(Moment) -> bool) -> bool {
    let mut running = running.lock().expect("no panic");
    let Some((child, moment, signal)) = running.as_mut() else { return false };
    if !is_now(*moment) {
        return false;
    }
    // It may have ended.
    let pid = child.id().to_string();
    let killed = Command::new("kill")
        .args([*signal, &pid])
        .stderr(Stdio::null())
        .status()
        .expect("kill runs");
    let status = child.wait().expect("a child");
    *running = None;
    killed.success() && status.code().is_none()
}

/// A generator of numbers (xorshift), so that a seed repeats a run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn moment(&mut self) -> Moment {
        match self.below(6) {
            0 | 1 => Moment::Spooled(1 + self.below(u64::from(TASKS)) as usize),
            2 => Moment::Scanned,
            3 => Moment::Recorded,
            4 => Moment::Requested,
            _ => Moment::Accepted,
        }
    }
}

/// Number of files below a folder.
fn files(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let count = |entry: fs::DirEntry| if entry.path().is_dir() { files(&entry.path()) } else { 1 };
    entries.flatten().map(count).sum()
}

fn len(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |it| it.len())
}

/// The ids that the program reports, and those that the collector has; each once.
fn ids(home: &Home, collector: &Collector) -> [BTreeSet<Uuid>; 2] {
    let lines = home.run("scan --events");
    let events =
        lines.lines().map(|it| serde_json::from_str::<TaskCompletionEvent>(it).expect("an event"));
    let reported: BTreeSet<_> = events.map(|it| it.event_id).collect();
    assert_eq!(reported.len(), lines.lines().count());
    let held: BTreeSet<_> = collector.events().iter().map(|it| it.event_id).collect();
    assert_eq!(held.len(), collector.events().len());
    [reported, held]
}

/// `kill -9` and Ctrl-C in turn, at moments that a seed chooses, until the number of kills is reached.
#[cfg(unix)]
#[test]
fn tasks_of_killed_reports_are_delivered_once() {
    let is_long = env::var_os("TELEMETRY_LONG_TESTS").is_some();
    let (kills, seed) =
        if is_long { (1_000, u64::from(process::id()) << 20 | 1) } else { (50, 0x5eed) };
    println!("seed: {seed:#x}");
    let mut random = Random(seed);
    let running = Running::default();
    let (on_request, on_batch) = (Arc::clone(&running), Arc::clone(&running));
    let collector = Collector::builder()
        .on_request(move |_| _ = kill_at(&on_request, |it| it == Moment::Requested))
        .on_batch(move |_| _ = kill_at(&on_batch, |it| it == Moment::Accepted))
        .start()
        .unwrap();
    let home = Home::reporting_to(collector.url());
    let state = home.path.join(".local/state/mosaic-telemetry");
    let (mut killed, mut number) = (0, 0);
    for round in 0.. {
        if killed == kills {
            break;
        }
        assert!(round < 3 * kills, "{killed} of {round} reports were killed");
        home.log("more.jsonl", &turns(number..number + TASKS, MODEL));
        number += TASKS;
        let (moment, signal) = (random.moment(), ["-KILL", "-INT"][round % 2]);
        let before = [len(&state.join("sent")), len(&state.join("scan"))];
        let mut command = home.command("report --since 2026-01-01");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        *running.lock().unwrap() = Some((command.spawn().unwrap(), moment, signal));
        killed += usize::from(watch(&running, &state, before));
    }
    // The last one is left alone.
    home.run("report --since 2026-01-01");
    assert!(home.run("status --offline").contains("waiting to be sent: 0 tasks"));
    let [reported, held] = ids(&home, &collector);
    assert_eq!(reported.len(), 2 + number as usize);
    assert_eq!(reported.difference(&held).count(), 0, "missing");
    assert_eq!(held.difference(&reported).count(), 0, "unknown");
    let totals = collector.totals();
    println!("{killed} kills, {number} tasks, {} sent again", totals.duplicates);
    // A kill between acceptance and answer costs a repetition, with the same id.
    assert!(totals.duplicates > 0, "{totals}");
}

/// Waits until the report has ended, and kills it at its moment. Returns whether a signal ended it.
fn watch(running: &Running, state: &Path, before: [u64; 2]) -> bool {
    loop {
        let is_killed = kill_at(running, |moment| match moment {
            Moment::Spooled(count) => files(&state.join("spool")) > count,
            Moment::Scanned => len(&state.join("scan")) > before[1],
            Moment::Recorded => len(&state.join("sent")) > before[0],
            Moment::Requested | Moment::Accepted => false,
        });
        if is_killed {
            return true;
        }
        let mut guard = running.lock().expect("no panic");
        let Some((child, ..)) = guard.as_mut() else { return true };
        if let Some(status) = child.try_wait().expect("a child") {
            assert!(status.success(), "{status}");
            *guard = None;
            return false;
        }
        drop(guard);
        thread::yield_now();
    }
}

#[test]
fn reports_at_the_same_time_send_each_task_once() {
    let collector = Collector::start().unwrap();
    let home = Home::reporting_to(collector.url());
    home.log("more.jsonl", &turns(0..300, MODEL));
    let start = || {
        let mut command = home.command("report --since 2026-01-01");
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut outputs = [start(), start()].map(|it| text(it.wait_with_output().unwrap()));
    outputs.sort_by(|one, other| one.1.cmp(&other.1));
    let [first, second] = outputs;
    assert_eq!(first, (Some(0), "sent: 0\nsent before: 302\n".into(), String::new()));
    assert_eq!(second, (Some(0), "sent: 302\n".into(), String::new()));
    let [reported, held] = ids(&home, &collector);
    assert_eq!((reported, collector.totals().duplicates), (held, 0));
}
