//! Runs fleets of clients through an outage of an hour, prints a table, and fails if they break a
//! guarantee. `cargo xtask outage` is a shortcut.

use std::{process::ExitCode, time::Duration};

use telemetry_tests::fleet::{Fleet, Launch, Outage};

const OUTAGES: [Outage; 6] = [
    Outage::Busy,
    Outage::BusyFor(Duration::from_secs(60)),
    Outage::BusyUntilItEnds,
    Outage::Refused,
    Outage::Silent,
    Outage::Overload,
];

#[expect(clippy::print_stdout, reason = "this is a program")]
fn main() -> ExitCode {
    println!(
        "                                requests a minute    in a busy second  clients back (m:s)  \
         backlog            \nclients start   outage          before during  after before during \
         after   50 %   95 %  100 %   gone  evicted  tracked"
    );
    let fleet = |clients, launch, outage| Fleet { clients, launch, outage, seed: 4 };
    let small = OUTAGES
        .map(|outage| [Launch::Spread, Launch::AtOnce].map(|launch| fleet(1_000, launch, outage)));
    let large = fleet(100_000, Launch::AtOnce, Outage::Overload);
    let mut violations = Vec::new();
    for fleet in small.into_iter().flatten().chain([large]) {
        let report = fleet.run();
        println!("{report}");
        violations.extend(report.violations());
    }
    violations.iter().for_each(|violation| println!("{violation}"));
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
