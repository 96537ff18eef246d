//! Fleets of clients and a server that fails for an hour, in virtual time.

mod fleet;
mod report;
mod server;
mod traffic;

use std::{sync::LazyLock, time::Duration};

use telemetry_tests::{Random, Simulation, config, status, track};

use self::{
    fleet::{Fleet, Outage},
    report::Report,
    traffic::Traffic,
};

const MINUTE: Duration = Duration::from_secs(60);

static BUSY: LazyLock<Report> = LazyLock::new(|| run(Outage::Busy));

/// Clients that start at once are the harder case.
fn run(outage: Outage) -> Report {
    let report = Fleet { clients: 200, starts_at_once: true, outage, seed: 7 }.run();
    assert_eq!(report.violations(), [""; 0]);
    report
}

#[test]
fn busy_server_gets_four_requests_a_cycle() {
    let report = &*BUSY;
    assert_eq!(report.seen.busiest, 4, "each client: one attempt and three retries");
    let cycles = 60 * MINUTE.as_secs() / 270 + 1;
    let attempts = report.during().total;
    assert!(attempts <= 200 * 4 * cycles, "{attempts}");
    assert!(attempts >= 200 * 4 * 10, "clients have given up: {attempts}");
    assert!(report.back(100).is_some_and(|at| at <= 6 * MINUTE));
}

#[test]
fn clients_started_at_once_are_spread_from_the_first_interval() {
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
fn retry_after_is_kept_by_every_client() {
    let report = run(Outage::BusyFor(MINUTE));
    assert_eq!(report.seen.asked_to_wait, report.during().total);
    assert_eq!(report.seen.early, 0);
    assert!(report.seen.busiest <= 4);
}

#[test]
fn clients_with_the_same_retry_after_date_return_spread() {
    let report = run(Outage::BusyUntilItEnds);
    assert_eq!((report.seen.busiest, report.during().total), (1, 200), "each asks once");
    assert!(report.back(10) > Some(MINUTE / 4), "{:?}", report.back(10));
    assert!(report.back(50) > Some(MINUTE), "{:?}", report.back(50));
}

#[test]
fn refused_connections_are_retried_like_busy_answers() {
    assert_eq!(run(Outage::Refused).seen.seconds, BUSY.seen.seconds);
}

#[test]
fn silent_server_gets_fewer_requests_than_a_busy_one() {
    let report = run(Outage::Silent);
    assert!(report.during().total < BUSY.during().total);
    assert!(report.back(100).is_some_and(|at| at <= 6 * MINUTE));
}

#[test]
fn overloaded_server_receives_the_backlog_within_half_an_hour() {
    let report = run(Outage::Overload);
    let beyond = report.seen.asked_to_wait;
    assert!(beyond > 0 && beyond < report.stats.requests / 4, "{beyond}");
    assert!(report.done().is_some_and(|at| at < 30 * MINUTE), "{:?}", report.done());
}

#[test]
fn report_follows_from_the_seed() {
    let run = |seed| {
        let outage = Outage::Overload;
        let report = Fleet { clients: 30, starts_at_once: false, outage, seed }.run();
        (report.seen.seconds, report.first, report.stats)
    };
    assert!(run(7) == run(7));
    assert!(run(7).0 != run(8).0);
}

#[test]
fn interactive_clients_report_some_tasks_an_hour_and_services_a_thousand() {
    for (client, expected) in [(0, 3.5..5.5), (99, 1100.0..1300.0)] {
        let mut traffic = Traffic::new(client, Random(7));
        let tasks = 10_000;
        let time: Duration = (0..tasks).map(|_| traffic.next()).sum();
        let hourly = f64::from(tasks) * 3600.0 / time.as_secs_f64();
        assert!(expected.contains(&hourly), "{hourly}");
    }
}

/// Prints the figures of `docs/reliability.md`. `cargo xtask outage` is a shortcut.
#[test]
#[ignore = "takes a minute, in a release build"]
fn table() {
    println!(
        "                                requests a minute    in a busy second  clients back (m:s)  \
         backlog            \nclients start   outage          before during  after before during \
         after   50 %   95 %  100 %   gone  evicted  tracked"
    );
    let fleet =
        |clients, starts_at_once, outage| Fleet { clients, starts_at_once, outage, seed: 4 };
    let outages = [
        Outage::Busy,
        Outage::BusyFor(MINUTE),
        Outage::BusyUntilItEnds,
        Outage::Refused,
        Outage::Silent,
        Outage::Overload,
    ];
    let small = outages.map(|outage| [false, true].map(|at_once| fleet(1_000, at_once, outage)));
    let large = fleet(100_000, true, Outage::Overload);
    let reports = small.into_iter().flatten().chain([large]).map(|fleet| {
        let report = fleet.run();
        println!("{report}");
        report.violations()
    });
    assert_eq!(reports.collect::<Vec<_>>().concat(), [""; 0]);
}
