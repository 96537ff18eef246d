//! When the writer wakes the submitter.

use super::*;

impl Program {
    /// Waits, and returns how many times a step of the writer wakes the submitter.
    fn wakes_of_step(&mut self, wait: Duration) -> u32 {
        self.now += wait;
        let before = self.wakes.load(Ordering::Relaxed);
        self.writer.step(self.now, clock::wall());
        self.wakes.load(Ordering::Relaxed) - before
    }
}

#[test]
fn submitter_is_woken_for_events_and_for_what_it_reports() {
    let folder = Folder::new();
    let mut program = Program::start(folder.config().max_queue_size(5));
    assert_eq!(program.wakes_of_step(Duration::ZERO), 1, "the first look into the spool");
    assert_eq!(program.wakes_of_step(Duration::ZERO), 0, "nothing to do");
    program.track(2);
    assert_eq!(program.wakes_of_step(Duration::ZERO), 0, "the start of a burst");
    assert_eq!(program.wakes_of_step(BURST), 1, "events");
    assert_eq!(program.wakes_of_step(COLLECT), 0, "no further events");
    assert_eq!(program.wakes_of_step(WRITE_AFTER), 1, "events in a file");
    program.submitter.flush(program.now);
    program.send();
    assert_eq!(program.wakes_of_step(Duration::ZERO), 0, "events that are delivered");

    // Nothing moves from here on.
    program.track(5);
    while program.wakes_of_step(COLLECT) > 0 {}
    program.writer.retry_at = Some(program.now + Duration::from_secs(60));
    let buffer = Arc::clone(&program.handle.buffer);
    program.track(5);
    assert_eq!(program.wakes_of_step(Duration::ZERO), 0, "no room");
    program.track(1);
    assert_eq!(program.wakes_of_step(Duration::ZERO), 1, "an eviction");
    buffer.transport_panicked();
    assert_eq!(program.wakes_of_step(Duration::ZERO), 1, "a panic of the transport");
    buffer.set_worker(false);
    program.track(1);
    assert_eq!(program.wakes_of_step(Duration::ZERO), 1, "no thread");
    buffer.backlog().unwrap().spool_failed(&Error::Full);
    assert_eq!(program.wakes_of_step(Duration::ZERO), 1, "a failure");
    drop(program);

    let folder = Folder::new();
    folder.leave(2);
    let mut program = Program::start(folder.config());
    assert_eq!(program.wakes_of_step(Duration::ZERO), 1, "events of another process");
    program.status = 401;
    program.send();
    assert_eq!(program.wakes_of_step(Duration::ZERO), 1, "they are left to the spool");
}

#[test]
fn submitter_is_woken_after_a_panic_of_its_driver() {
    let folder = Folder::new();
    let config = folder.config().build().expect("a valid configuration");
    let start = Start { now: clock::now(), seed: 7 };
    let calls = Arc::<AtomicU32>::default();
    let counter = Arc::clone(&calls);
    let wake = move || assert!(counter.fetch_add(1, Ordering::Relaxed) > 0, "the first call");
    let (_submitter, handle, mut writer) =
        Submitter::with_spool(&config, start, wake).expect("it has a spool");
    assert!(panics::catch(|| writer.step(start.now, clock::wall())).is_err());
    writer.buffer.count_panic();
    writer.step(start.now, clock::wall());
    assert_eq!((calls.load(Ordering::Relaxed), handle.stats().panics), (2, 1));
}

#[test]
fn writer_sleeps_while_nothing_can_be_done() {
    let run = |case: &str, config: TelemetryConfigBuilder, status: u16| {
        let mut program = Program::start(config.max_queue_size(20));
        program.status = status;
        let end = program.now + Duration::from_secs(600);
        let mut steps = 0;
        program.track(9);
        while program.now < end {
            program.now = program.writer.step(program.now, clock::wall()).unwrap().max(program.now);
            program.send();
            if steps == 5 {
                // More than there is room for.
                program.track(30);
            }
            steps += 1;
            // It looks for files each 30 s, and tries a folder again after 5 s.
            assert!(steps < 300, "{case}, {status}: {:?} left", end - program.now);
        }
    };
    for status in [200, 503, 401] {
        let folder = Folder::new();
        run("a folder", folder.config(), status);
        let file = folder.0.join("file");
        fs::write(&file, "").unwrap();
        run("no folder", folder.config().spool(Settings::in_dir(&file)), status);
    }
}
