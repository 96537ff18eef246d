//! Events that other processes left.

use super::*;

#[test]
fn events_of_a_killed_process_are_delivered_by_the_next_one() {
    let folder = Folder::new();
    let mut killed = Program::start(folder.config());
    let ids = killed.track(250);
    killed.write();
    killed.track(1); // and not written
    killed.kill();

    let mut next = Program::start(folder.config());
    for _ in 0..9 {
        next.write();
        next.send();
    }
    assert_eq!(next.requests.concat(), ids, "with the same ids, at once");
    let stats = next.stats();
    assert_eq!((stats.tracked, stats.recovered, stats.delivered), (0, 250, 250));
    assert_eq!(folder.usage(), (0, 0));
}

#[test]
fn recovered_events_do_not_delay_a_stop() {
    let folder = Folder::new();
    folder.leave(30);

    let mut next = Program::start(folder.config());
    next.write();
    assert_eq!(next.stats().recovered, 30);
    let own = next.track(2);
    let (stats, requests) = next.stop();
    assert_eq!(requests, [own]);
    assert_eq!((stats.delivered, stats.spooled), (2, 30));
    assert_eq!(folder.usage(), (30, 1));
    let (stats, _) = Program::start(folder.config()).flush_and_stop();
    assert_eq!((stats.recovered, stats.delivered), (30, 30));
}

#[test]
fn recovered_events_are_left_to_others_if_the_configuration_is_refused() {
    let folder = Folder::new();
    folder.leave(3);

    let mut refused = Program::start(folder.config());
    refused.status = 401;
    refused.write();
    refused.send();
    refused.write();
    assert_eq!(refused.stats().spooled, 3);
    let (stats, _) = Program::start(folder.config()).flush_and_stop();
    assert_eq!((stats.recovered, stats.delivered), (3, 3));
    let (stats, _) = refused.stop();
    assert_eq!((stats.recovered, stats.delivered), (3, 0));
}

#[test]
fn recovered_events_are_read_by_one_process_at_a_time() {
    let folder = Folder::new();
    folder.leave(150);

    let mut programs = [1, 2].map(|_| Program::start(folder.config()));
    for _ in 0..5 {
        for program in &mut programs {
            program.write();
        }
        for program in &mut programs {
            program.send();
        }
    }
    assert_eq!(programs.map(|it| it.stop().0.delivered), [150, 0]);
}

#[test]
fn records_that_are_no_events_are_counted_and_removed() {
    let folder = Folder::new();
    let event = telemetry_model::EventBuilder::new(Uuid::from_u128(1)).build();
    let event = serde_json::to_vec(&event).unwrap();
    for record in [b"{}", &event[..], b"\xff", &event, b"[]"] {
        folder.spool().put(record, 1_800_000_000_000).unwrap();
    }
    let (stats, _) = Program::start(folder.config()).flush_and_stop();
    assert_eq!((stats.recovered, stats.delivered, stats.damaged), (2, 2, 3));
    assert_eq!(folder.usage(), (0, 0));
}

#[test]
fn spools_of_two_servers_and_instances_are_apart() {
    let folder = Folder::new();
    let other_server = || folder.config().server_url("https://example.com/other");
    let other_instance = || folder.config().instance_id(Uuid::from_u128(9));
    for config in [folder.config(), other_server(), other_instance()] {
        let mut program = Program::start(config);
        program.track(2);
        program.write();
    }
    for config in [folder.config().api_key("b".repeat(64)), other_server(), other_instance()] {
        let (stats, _) = Program::start(config).flush_and_stop();
        assert_eq!(stats.delivered, 2);
    }
}

#[test]
fn put_events_are_delivered_by_flush() {
    let folder = Folder::new();
    let config = folder.config().build().unwrap();
    for id in 0..150 {
        let event = telemetry_model::EventBuilder::new(config.instance_id());
        crate::spool::put(&config, event.event_id(Uuid::from_u128(id)).build()).unwrap();
    }
    let refuse = |_: telemetry_transport::Request| {
        Ok(http::Response::builder().status(401).body(Vec::new()).unwrap())
    };
    let stats = crate::spool::flush_with(&config, &refuse, Duration::from_secs(60)).unwrap();
    assert_eq!((stats.requests, stats.delivered), (1, 0));
    assert_eq!(folder.usage(), (150, 150));
    // The first request is retried, after the shortest delay.
    let policy = crate::RetryPolicy { initial_backoff: Duration::ZERO, ..config.retry_policy() };
    let config = folder.config().retry_policy(policy).build().unwrap();
    let requests = AtomicU32::new(0);
    let accept = |_: telemetry_transport::Request| match requests.fetch_add(1, Ordering::Relaxed) {
        0 => Err(telemetry_transport::TransportError::Timeout),
        _ => Ok(Response::default()),
    };
    let stats = crate::spool::flush_with(&config, &accept, Duration::ZERO).unwrap();
    assert_eq!((stats.requests, stats.spooled), (0, 0), "no time");
    let stats = crate::spool::flush_with(&config, &accept, Duration::from_secs(60)).unwrap();
    assert_eq!((stats.recovered, stats.delivered, stats.spooled), (150, 150, 0));
    assert_eq!(folder.usage(), (0, 0));
}

#[test]
fn lock_of_the_drain_is_free_as_soon_as_the_configuration_is_refused() {
    let folder = Folder::new();
    folder.leave(150);

    let mut revoked = Program::start(folder.config());
    revoked.write();
    revoked.track(1);
    revoked.write();
    let Action::Send(_, recovered) = revoked.submitter.poll(revoked.now) else {
        panic!("there are recovered events")
    };
    revoked.answer(recovered);
    revoked.status = 401;
    revoked.submitter.flush(revoked.now);
    revoked.send();
    revoked.write();
    assert_eq!((revoked.stats().delivered, revoked.stats().health), (100, Health::Misconfigured));
    let (stats, _) = Program::start(folder.config()).flush_and_stop();
    assert_eq!((stats.recovered, stats.delivered), (50, 50));
}

#[test]
fn spool_that_cannot_be_read_is_written_and_reported_once() {
    let folder = Folder::new();
    let lock = folder.spool().path().join("drain.lock");
    fs::create_dir(&lock).unwrap();
    let failures = Arc::<AtomicU32>::default();
    let seen = Arc::clone(&failures);
    let mut program = Program::start(folder.config().on_notification(move |it| {
        let is_failure = matches!(it, Notification::SpoolFailed { .. });
        seen.fetch_add(u32::from(is_failure), Ordering::Relaxed);
    }));
    for looks in 1..4 {
        program.now += Duration::from_secs(60);
        program.write();
        program.track(2);
        program.write();
        assert_eq!((program.stats().pending, program.stats().spooled), (0, 2), "look {looks}");
        program.submitter.flush(program.now);
        program.send();
    }
    assert_eq!((program.stats().delivered, failures.load(Ordering::Relaxed)), (6, 1));
}
