//! Spools that cannot be used, or are not to be.

use super::*;

#[test]
fn events_go_on_in_memory_without_a_usable_folder() {
    let folder = Folder::new();
    fs::write(&folder.0, "a file").unwrap();
    let failures = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&failures);
    let config = folder.config().on_notification(move |it| {
        if let Notification::SpoolFailed { reason } = it {
            seen.lock().expect("no panic").push(reason.clone());
        }
    });
    let mut program = Program::start(config);
    for _ in 0..3 {
        program.track(5);
        program.write();
        program.send();
        program.now += Duration::from_secs(6);
    }
    assert_eq!((program.stats().pending, program.stats().spooled), (15, 0));
    let reasons = failures.lock().unwrap().clone();
    assert!(reasons.len() == 1 && reasons[0].contains("spool-"), "{reasons:?}");

    // It is used as soon as it can be, also for the events in memory.
    fs::remove_file(&folder.0).unwrap();
    program.track(5);
    program.write();
    assert_eq!((program.stats().pending, program.stats().spooled), (0, 20));
    assert_eq!(folder.usage(), (20, 1));
    let (stats, _) = program.flush_and_stop();
    assert_eq!(stats.delivered, 20);
    assert_eq!(folder.usage(), (0, 0));
}

#[test]
fn nothing_is_written_or_read_in_a_dry_run_or_without_telemetry() {
    let folder = Folder::new();
    for config in [folder.config().dry_run(true), folder.config().enabled(false)] {
        let config = config.build().unwrap();
        let start = Start { now: clock::now(), seed: 7 };
        assert!(Submitter::with_spool(&config, start, || {}).is_none());
        let event = telemetry_model::EventBuilder::new(Uuid::nil()).build();
        crate::spool::put(&config, event).unwrap();
    }
    assert!(!folder.0.exists());
}

#[test]
fn panic_of_the_wake_up_stops_no_writer() {
    let folder = Folder::new();
    let config = folder.config().build().unwrap();
    let start = Start { now: clock::now(), seed: 7 };
    let wake = || std::panic::resume_unwind(Box::new("the wake-up panics"));
    let (submitter, handle, writer) = Submitter::with_spool(&config, start, wake).unwrap();
    handle.track(handle.event().build());
    let writing = thread::spawn(|| writer.run());
    handle.shutdown(Duration::ZERO);
    drop(submitter);
    writing.join().unwrap();
    assert_eq!(handle.stats().spooled, 1);
    assert_eq!(folder.usage(), (1, 1));
}

#[test]
fn folder_that_is_removed_costs_no_event_of_a_running_program() {
    let folder = Folder::new();
    let mut program = Program::start(folder.config());
    program.track(2);
    program.write();
    fs::remove_dir_all(&folder.0).unwrap();
    program.track(3);
    program.write();
    assert_eq!((program.stats().pending, program.stats().spooled), (3, 2));
    let (stats, _) = program.flush_and_stop();
    assert_eq!((stats.delivered, stats.pending, stats.spooled), (5, 0, 0));
}
