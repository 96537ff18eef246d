//! Fleets of clients and a server that fails for an hour, in virtual time.

use std::{sync::LazyLock, time::Duration};

use telemetry_tests::{
    Simulation, config,
    fleet::{Fleet, Launch, Outage, Report},
    status, track,
};

const MINUTE: Duration = Duration::from_secs(60);

static BUSY: LazyLock<Report> = LazyLock::new(|| fleet(Outage::Busy));

/// What becomes of clients that start at once: the harder way.
fn fleet(outage: Outage) -> Report {
    Fleet { clients: 200, launch: Launch::AtOnce, outage, seed: 7 }.run()
}

fn keeps_the_bounds(report: &Report) {
    let faults = report.faults();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_busy_server_is_asked_four_times_a_cycle_and_not_by_all_at_once() {
    let report = &*BUSY;
    keeps_the_bounds(report);
    assert_eq!(report.busiest, 4, "each client: one attempt and three retries");
    let cycles = 60 * MINUTE.as_secs() / 270 + 1;
    let attempts = report.during().total;
    assert!(attempts <= 200 * 4 * cycles, "{attempts}");
    assert!(attempts >= 200 * 4 * 10, "they do not give up either: {attempts}");
    assert!(report.back(100).is_some_and(|at| at <= 6 * MINUTE));
}

#[test]
fn clients_that_start_at_once_are_spread_from_the_first_interval_on() {
    let config = config("https://example.com").interval_jitter(true).build().unwrap();
    let mut minutes = [0; 5];
    for seed in 0..200 {
        let mut simulation = Simulation::seeded(&config, seed);
        track(&simulation.handle, 1);
        simulation.run_until(config.submit_interval(), |_| Ok(status(200)));
        let minute = simulation.sent[0].at.as_secs() / 60;
        minutes[usize::try_from(minute).unwrap().min(4)] += 1;
    }
    assert!(minutes.iter().all(|count| (20..=60).contains(count)), "{minutes:?}");
}

#[test]
fn every_client_waits_as_long_as_it_is_asked_to() {
    let report = fleet(Outage::BusyFor(MINUTE));
    keeps_the_bounds(&report);
    assert_eq!(report.asked_to_wait, report.during().total);
    assert_eq!(report.early, 0);
    assert!(report.busiest <= 4);
}

#[test]
fn clients_that_are_told_the_same_moment_do_not_come_back_at_it() {
    let report = fleet(Outage::BusyUntilItEnds);
    keeps_the_bounds(&report);
    assert_eq!((report.busiest, report.during().total), (1, 200), "each asks once");
    assert!(report.back(10) > Some(MINUTE / 4), "{:?}", report.back(10));
    assert!(report.back(50) > Some(MINUTE), "{:?}", report.back(50));
}

#[test]
fn connections_that_are_refused_are_tried_as_often_as_answers_are_asked_for() {
    let report = fleet(Outage::Refused);
    keeps_the_bounds(&report);
    assert_eq!(report.seconds, BUSY.seconds);
}

#[test]
fn a_server_that_never_answers_is_left_alone_between_cycles() {
    let report = fleet(Outage::Silent);
    keeps_the_bounds(&report);
    assert!(report.during().total < BUSY.during().total);
    assert!(report.back(100).is_some_and(|at| at <= 6 * MINUTE));
}

#[test]
fn an_overloaded_server_gets_its_backlog_at_its_own_pace() {
    let report = fleet(Outage::Overload);
    keeps_the_bounds(&report);
    // A request a second for each 500 clients; those beyond were asked to wait.
    let beyond = report.asked_to_wait;
    assert!(beyond > 0 && beyond < report.stats.requests / 4, "{beyond}");
    assert!(report.done().is_some_and(|at| at < 30 * MINUTE), "{:?}", report.done());
}

#[test]
fn a_run_follows_from_its_seed() {
    let run = |seed| {
        let (launch, outage) = (Launch::Spread, Outage::Overload);
        let report = Fleet { clients: 30, launch, outage, seed }.run();
        (report.seconds, report.first, report.stats)
    };
    assert!(run(7) == run(7));
    assert!(run(7).0 != run(8).0);
}
