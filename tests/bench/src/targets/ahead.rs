//! Where a peer SDK is ahead of ours.

use crate::{
    figure::Figure,
    report::{Figures, reference},
};

/// The peers that are SDKs with a client of their own; the others are here for what a part costs.
const PEERS: [&str; 3] = ["posthog-rs", "opentelemetry", "sentry"];

/// The rows in which one of ours has a figure and a peer SDK, too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// How many there are: a case and a metric of one of ours each.
    pub compared: usize,
    /// Those that a peer SDK leads: section, case, metric, ours, the peer that leads it, and our
    /// share of its figure.
    pub behind: Vec<(String, String, String, String, String, f64)>,
}

/// Compares every figure of ours with those of the peers.
///
/// What an SDK adds to a program is compared with the peers' usual and smallest settings alike.
#[must_use]
pub fn ahead(figures: &Figures) -> Rows {
    let mut rows = Rows::default();
    for ours in figures.all().filter(|it| is_compared(it)) {
        let theirs = figures.all().filter(|it| is_peer_of(it, ours));
        let shares = theirs.map(|it| (it, ours.share_of(it)));
        let Some((peer, share)) = shares.max_by(|a, b| a.1.total_cmp(&b.1)) else { continue };
        rows.compared += 1;
        if share > 1.0 {
            let [section, case, metric] =
                [&ours.section, &ours.case, &ours.metric].map(Clone::clone);
            let peer = if peer.case == case {
                peer.subject.clone()
            } else {
                format!("{}, {}", peer.subject, peer.case)
            };
            rows.behind.push((section, case, metric, ours.subject.clone(), peer, share));
        }
    }
    rows
}

/// Whether it is a figure of ours in a form that does all that the peers do.
fn is_compared(figure: &Figure) -> bool {
    match figure.section.as_str() {
        "embedding" => figure.subject == reference("embedding").1,
        _ => figure.subject.starts_with("mosaicstack-telemetry"),
    }
}

fn is_peer_of(figure: &Figure, ours: &Figure) -> bool {
    PEERS.contains(&figure.subject.as_str())
        && figure.section == ours.section
        && figure.metric == ours.metric
        && (figure.case == ours.case || figure.section == "embedding")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(section: &str, case: &str, subject: &str, median: f64) -> Figure {
        let [section, case, subject, metric] = [section, case, subject, "p50"].map(str::to_owned);
        Figure { section, case, subject, metric, unit: "ns".into(), rounds: vec![median] }
    }

    #[test]
    fn a_row_is_lost_to_the_peer_that_leads_it() {
        let rows = ahead(&Figures::of([
            figure("hand-over", "full", "mosaicstack-telemetry", 30.0),
            figure("hand-over", "full", "posthog-rs", 20.0),
            figure("hand-over", "full", "sentry", 10.0),
            figure("hand-over", "full", "cadence", 1.0),
            figure("hand-over", "roomy", "mosaicstack-telemetry", 30.0),
            figure("hand-over", "roomy", "sentry", 30.0),
            figure("hand-over", "alone", "mosaicstack-telemetry", 30.0),
        ]));
        let behind = ["hand-over", "full", "p50", "mosaicstack-telemetry", "sentry"];
        let [section, case, metric, ours, peer] = behind.map(str::to_owned);
        let behind = vec![(section, case, metric, ours, peer, 3.0)];
        assert_eq!(rows, Rows { compared: 2, behind });
    }

    #[test]
    fn what_embedding_takes_is_compared_across_settings() {
        let rows = ahead(&Figures::of([
            figure("embedding", "usual", "mosaicstack-telemetry, default", 30.0),
            figure("embedding", "without TLS", "mosaicstack-telemetry, tokio", 90.0),
            figure("embedding", "usual", "sentry", 40.0),
            figure("embedding", "smallest", "sentry", 20.0),
        ]));
        assert_eq!(rows.compared, 1);
        assert_eq!((rows.behind[0].4.as_str(), rows.behind[0].5), ("sentry, smallest", 1.5));
    }
}
