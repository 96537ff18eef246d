//! Writer and submitter on one thread, with a simulated clock and server.

mod failures;
mod recovered;
mod wakes;

use std::{
    fs,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use telemetry_transport::{Response, http};
use uuid::Uuid;

use super::*;
use crate::{
    Health, Notification, Stats, TelemetryConfigBuilder, TelemetryHandle,
    sans_io::{Action, Delivery, Start, Submitter},
    spool::Spool as Settings,
};

/// A folder that is removed at the end of a test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let name = format!("spool-{}-{}", process::id(), LAST.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    fn config(&self) -> TelemetryConfigBuilder {
        TelemetryConfig::builder()
            .server_url("https://example.com")
            .api_key("a".repeat(64))
            .instance_id("12345678-1234-1234-1234-123456789abc")
            .spool(Settings::in_dir(&self.0))
    }

    fn spool(&self) -> Spool {
        let config = self.config().build().expect("a valid configuration");
        let destination = Destination::of(&config).expect("it has a spool");
        destination.open().expect("a folder")
    }

    /// Events that a killed process leaves in a file.
    fn leave(&self, count: usize) -> Vec<Uuid> {
        let mut killed = Program::start(self.config());
        let ids = killed.track(count);
        killed.write();
        killed.kill();
        ids
    }

    /// The number of records and files.
    fn usage(&self) -> (u64, u64) {
        let usage = self.spool().usage().expect("a folder");
        (usage.records, usage.files)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process with a client.
struct Program {
    submitter: Submitter,
    handle: TelemetryHandle,
    writer: SpoolWriter,
    /// Number of times that the writer has woken the submitter.
    wakes: Arc<AtomicU32>,
    now: Instant,
    /// Status of all answers.
    status: u16,
    /// Ids of the events in each request.
    requests: Vec<Vec<Uuid>>,
}

impl Program {
    fn start(config: TelemetryConfigBuilder) -> Self {
        let config = config.interval_jitter(false).build().expect("a valid configuration");
        let now = clock::now();
        let start = Start { now, seed: 7 };
        let wakes = Arc::<AtomicU32>::default();
        let counter = Arc::clone(&wakes);
        let wake = move || {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        let (submitter, handle, writer) =
            Submitter::with_spool(&config, start, wake).expect("it has a spool");
        Self { submitter, handle, writer, wakes, now, status: 200, requests: Vec::new() }
    }

    fn track(&self, count: usize) -> Vec<Uuid> {
        let track = |_| {
            let event = self.handle.event().build();
            let id = event.event_id;
            self.handle.track(event);
            id
        };
        (0..count).map(track).collect()
    }

    /// Waits for the end of a burst, passes its events on, and lets time go by until they are written.
    fn write(&mut self) {
        for _ in 0..3 {
            let wake_at = self.writer.step(self.now, clock::wall());
            assert!(wake_at.is_some() && self.stats().is_balanced(), "{:?}", self.stats());
            self.now += WRITE_AFTER;
        }
    }

    /// Sends what can be sent now. False when the submitter is done.
    fn send(&mut self) -> bool {
        loop {
            match self.submitter.poll(self.now) {
                Action::Send(_, delivery) => self.answer(delivery),
                Action::Wait(_) => return true,
                Action::Done => return false,
            }
        }
    }

    fn answer(&mut self, delivery: Delivery) {
        self.requests.push(delivery.events().map(|it| it.event_id).collect());
        let answer = http::Response::builder().status(self.status);
        let answer: Response = answer.body(Vec::new()).expect("a valid status");
        self.submitter.complete(self.now, clock::wall(), delivery, Ok(answer));
        assert!(self.stats().is_balanced(), "{:?}", self.stats());
    }

    /// Delivers all that can be delivered now.
    fn flush(&mut self) {
        self.submitter.flush(self.now);
        for _ in 0..100 {
            self.write();
            self.send();
        }
    }

    fn stop(mut self) -> (Stats, Vec<Vec<Uuid>>) {
        self.handle.shutdown(Duration::ZERO);
        self.submitter.close(self.now, self.now + Duration::from_secs(5));
        for _ in 0..100 {
            self.write();
            if !self.send() {
                break;
            }
        }
        let Self { submitter, handle, mut writer, now, requests, .. } = self;
        drop(submitter);
        assert_eq!(writer.step(now, clock::wall()), None);
        assert!(handle.stats().is_balanced(), "{:?}", handle.stats());
        (handle.stats(), requests)
    }

    fn flush_and_stop(mut self) -> (Stats, Vec<Vec<Uuid>>) {
        self.flush();
        self.stop()
    }

    /// Ends without a shutdown, which frees the locks.
    fn kill(self) {}

    fn stats(&self) -> Stats {
        self.handle.stats()
    }
}

#[test]
fn events_are_in_files_until_they_are_delivered() {
    let folder = Folder::new();
    let mut program = Program::start(folder.config());
    program.track(3);
    assert_eq!((program.stats().pending, program.stats().spooled), (3, 0));
    program.write();
    assert_eq!((program.stats().pending, program.stats().spooled), (0, 3));
    assert_eq!(folder.usage(), (3, 1));
    program.submitter.flush(program.now);
    program.send();
    assert_eq!((program.stats().delivered, program.stats().spooled), (3, 0));
    program.write();
    assert_eq!(folder.usage(), (0, 0));
}

#[test]
fn burst_is_passed_on_at_once_if_a_flush_waits_or_the_queue_fills() {
    for (capacity, is_flushed, expected) in [(100, false, 0), (100, true, 3), (6, false, 3)] {
        let folder = Folder::new();
        let mut program = Program::start(folder.config().max_queue_size(capacity));
        program.write();
        program.track(3);
        if is_flushed {
            program.handle.buffer.begin_flush();
        }
        let queued = |program: &Program| program.handle.buffer.queued();
        let wake_at = program.writer.step(program.now, clock::wall());
        assert_eq!(queued(&program), expected, "{capacity} {is_flushed}");
        program.writer.step(wake_at.unwrap(), clock::wall());
        assert_eq!(queued(&program), 3, "{capacity} {is_flushed}");
    }
}

#[test]
fn events_that_are_delivered_at_once_are_in_no_file() {
    let folder = Folder::new();
    let mut program = Program::start(folder.config());
    program.track(7);
    program.writer.step(program.now, clock::wall());
    program.submitter.flush(program.now);
    program.send();
    program.track(2);
    program.write();
    assert_eq!((program.stats().delivered, program.stats().spooled), (7, 2));
    assert_eq!(program.writer.spool.as_ref().unwrap().stats().written, 2);
}

#[test]
fn events_are_sent_with_the_bytes_that_are_in_the_file() {
    let folder = Folder::new();
    let ids = folder.leave(3);
    let mut next = Program::start(folder.config());
    next.write();
    let Action::Send(request, delivery) = next.submitter.poll(next.now) else {
        panic!("there are events")
    };
    drop(delivery);
    let drained: Vec<_> = {
        next.kill();
        let mut drain = folder.spool().drain(1_800_000_000_000).unwrap().unwrap();
        drain.read(9).unwrap()
    };
    let json: Vec<_> = drained.iter().map(|it| str::from_utf8(it).unwrap()).collect();
    let body = String::from_utf8(request.into_body().into()).unwrap();
    assert_eq!(body, format!("{{\"events\":[{}]}}", json.join(",")));
    assert!(ids.iter().all(|id| body.contains(&id.to_string())));
}

#[test]
fn clean_stop_delivers_and_leaves_no_file() {
    let folder = Folder::new();
    let program = Program::start(folder.config());
    program.track(250);
    let (stats, requests) = program.stop();
    assert_eq!((stats.delivered, stats.pending, stats.spooled), (250, 0, 0));
    assert_eq!(requests.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
    assert_eq!(folder.usage(), (0, 0));
}

#[test]
fn events_that_a_stopped_client_could_not_deliver_are_spooled() {
    let folder = Folder::new();
    let mut program = Program::start(folder.config());
    program.status = 503;
    program.track(7);
    let (stats, _) = program.stop();
    assert_eq!((stats.pending, stats.spooled), (0, 7));
    assert_eq!(folder.usage(), (7, 1));
    let (stats, _) = Program::start(folder.config()).flush_and_stop();
    assert_eq!((stats.recovered, stats.delivered), (7, 7));
}

#[test]
fn events_without_room_in_memory_go_to_the_spool_and_come_back() {
    let folder = Folder::new();
    let mut program = Program::start(folder.config().max_queue_size(20).batch_size(10));
    program.status = 503;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.extend(program.track(19));
        program.write();
        program.send();
    }
    let stats = program.stats();
    assert_eq!((stats.evicted, stats.pending, stats.spooled), (0, 0, 95));
    program.status = 200;
    // Before the time of the next look for events of others.
    program.now += Duration::from_secs(20);
    program.flush();
    let stats = program.stats();
    assert_eq!((stats.delivered, stats.recovered, stats.spooled), (95, 75, 75));
    let mut delivered: Vec<_> = program.requests.split_off(program.requests.len() - 10).concat();
    delivered.sort_unstable();
    ids.sort_unstable();
    assert_eq!(delivered, ids);
    assert_eq!(folder.usage(), (0, 0));
}

/// The sums of the notifications about recovered, spooled, damaged and expired events.
type Sums = Arc<Mutex<[u64; 4]>>;

fn observed(config: TelemetryConfigBuilder) -> (Program, Sums) {
    let sums = Sums::default();
    let seen = Arc::clone(&sums);
    let program = Program::start(config.on_notification(move |it| {
        let (sum, events) = match *it {
            Notification::Recovered { events } => (0, events),
            Notification::Spooled { events } => (1, events),
            Notification::Damaged { events } => (2, events),
            Notification::Expired { events } => (3, events),
            _ => return,
        };
        seen.lock().expect("no panic")[sum] += events;
    }));
    (program, sums)
}

#[test]
fn each_counter_has_its_notifications() {
    let folder = Folder::new();
    folder.leave(3);
    folder.spool().put(b"no event", 1_800_000_000_000).unwrap();

    let (mut program, sums) = observed(folder.config().max_queue_size(10));
    for _ in 0..2 {
        program.write();
        program.send();
    }
    program.status = 503;
    for _ in 0..3 {
        program.track(8);
        program.write();
        program.send();
    }
    let (stats, _) = program.stop();
    assert_eq!((stats.recovered, stats.spooled, stats.damaged), (3, 24, 1));
    assert_eq!(*sums.lock().unwrap(), [3, 24, 1, 0]);

    let folder = Folder::new();
    folder.spool().put(b"long ago", 1_700_000_000_000).unwrap();
    let settings = Settings::in_dir(&folder.0).max_age(Duration::ZERO);
    let (mut program, sums) = observed(folder.config().spool(settings));
    program.write();
    program.send();
    assert_eq!((program.stats().expired, *sums.lock().unwrap()), (1, [0, 0, 0, 1]));
}
