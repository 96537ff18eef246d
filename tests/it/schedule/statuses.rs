//! Every status that there is, beside the table of `docs/protocol.md`.

use telemetry_tests::evidence;

use super::*;

const PROTOCOL: &str = include_str!("../../../docs/protocol.md");

/// What a submitter can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// The events have left.
    Accepts,
    /// The same batch is tried again, as often as a cycle may.
    TriesAgain,
    /// The batch is halved until one event stands alone, which is dropped.
    Searches,
    /// All events stay until the next cycle.
    Refused,
}

/// What the table says of a status.
fn documented(code: u16) -> Does {
    let (_, section) = PROTOCOL.split_once("## What an answer means").expect("the section");
    let rows = section.lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        Some((cells.next()?, cells.next()?))
    });
    let rows: Vec<(&str, &str)> = rows.collect();
    let verdict = |is_named: &dyn Fn(&str) -> bool| {
        let row = rows.iter().find(|(answers, _)| answers.split([',', ' ']).any(is_named));
        row.map(|(_, verdict)| *verdict)
    };
    let (number, class) = (code.to_string(), format!("{}xx", code / 100));
    let named = verdict(&|word| word == number);
    let found =
        named.or_else(|| verdict(&|word| word == class)).or_else(|| verdict(&|it| it == "rest"));
    match found.expect("a row for the rest") {
        "accepted" => Does::Accepts,
        "transient" => Does::TriesAgain,
        "the batch is at fault" => Does::Searches,
        "configuration" => Does::Refused,
        other => panic!("what does {other:?} mean?"),
    }
}

/// What a submitter does with a server that answers this to whatever it is sent.
fn observed(code: u16) -> Does {
    let mut simulation = simulation();
    track(&simulation.handle, 4);
    // The cycle, with all its retries; the next one begins later.
    simulation.run_until(INTERVAL + 60 * SECOND, |_| Ok(status(code)));
    let stats = simulation.handle.stats();
    assert!(stats.is_balanced());
    let (requests, sizes) = (simulation.sent.len(), sizes(&simulation));
    let gone = (stats.delivered, stats.rejected, stats.pending);
    match (stats.health, gone) {
        (Health::Good, (4, 0, 0)) if requests == 1 => Does::Accepts,
        // Four, two, one; then each of the others for itself.
        (Health::Good, (0, 4, 0)) if sizes == [4, 2, 1, 1, 1, 1] => Does::Searches,
        (Health::Retrying, (0, 0, 4)) if sizes == [4; 4] => Does::TriesAgain,
        (Health::Misconfigured, (0, 0, 4)) if requests == 1 => {
            // Once a cycle, and it notices when the configuration has been put right.
            simulation.run_until(2 * INTERVAL, |_| Ok(status(code)));
            simulation.run_until(3 * INTERVAL, accept);
            assert_eq!(times(&simulation), [INTERVAL, 2 * INTERVAL, 3 * INTERVAL]);
            let stats = simulation.handle.stats();
            assert_eq!((stats.delivered, stats.health), (4, Health::Good));
            Does::Refused
        }
        other => panic!("{code}: {other:?} after {sizes:?}"),
    }
}

#[test]
fn every_status_does_what_the_protocol_says() {
    let statuses: Vec<u16> =
        (0..=u16::MAX).filter(|&code| http::StatusCode::from_u16(code).is_ok()).collect();
    let mut counts = [0; 4];
    for &code in &statuses {
        let does = observed(code);
        assert_eq!(does, documented(code), "{code}");
        counts[does as usize] += 1;
    }
    assert_eq!(statuses, (100..=999).collect::<Vec<u16>>());
    let [accepted, transient, at_fault, refused] = counts;
    evidence::tried(
        "R10",
        format_args!(
            "{} statuses: {accepted} accepted, {transient} tried again, {at_fault} searched for the \
             event at fault, {refused} refused once a cycle",
            statuses.len()
        ),
    );
}

#[test]
fn the_table_of_the_protocol_names_what_the_guide_names() {
    for (code, does) in [
        (200, Does::Accepts),
        (202, Does::Accepts),
        (401, Does::Refused),
        (403, Does::Refused),
        (400, Does::Searches),
        (413, Does::Searches),
        (422, Does::Searches),
        (429, Does::TriesAgain),
        (503, Does::TriesAgain),
        (418, Does::Refused),
    ] {
        assert_eq!(documented(code), does, "{code}");
    }
}
