//! Where a peer SDK is ahead of ours.

use crate::{
    figure::Figure,
    report::{Figures, reference},
};

/// The peers that are SDKs with a client of their own; the others are here for what a part costs.
const PEERS: [&str; 3] = ["posthog-rs", "opentelemetry", "sentry"];

/// The rows in which one of ours has a figure and a peer SDK, too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows<'a> {
    /// How many there are: a case and a metric of one of ours each.
    pub compared: usize,
    /// Those that a peer SDK leads.
    pub behind: Vec<Lead<'a>>,
}

/// A row in which ours is not the least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lead<'a> {
    /// Our figure.
    pub ours: &'a Figure,
    /// The least.
    pub peer: &'a Figure,
    /// Our share of it.
    pub share: f64,
}

/// Compares every figure of ours with those of the peers.
///
/// What an SDK adds to a program is compared with the peers' usual and smallest settings alike.
#[must_use]
pub fn ahead(figures: &Figures) -> Rows<'_> {
    let mut rows = Rows::default();
    for ours in figures.all().filter(|it| is_compared(it)) {
        let theirs = figures.all().filter(|it| is_peer_of(it, ours));
        let leads = theirs.map(|peer| Lead { ours, peer, share: ours.share_of(peer) });
        let Some(lead) = leads.max_by(|a, b| a.share.total_cmp(&b.share)) else { continue };
        rows.compared += 1;
        rows.behind.extend(Some(lead).filter(|it| it.share > 1.0));
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
        let figures = Figures::of([
            figure("hand-over", "full", "mosaicstack-telemetry", 30.0),
            figure("hand-over", "full", "posthog-rs", 20.0),
            figure("hand-over", "full", "sentry", 10.0),
            figure("hand-over", "full", "cadence", 1.0),
            figure("hand-over", "roomy", "mosaicstack-telemetry", 30.0),
            figure("hand-over", "roomy", "sentry", 30.0),
            figure("hand-over", "alone", "mosaicstack-telemetry", 30.0),
        ]);
        let rows = ahead(&figures);
        assert_eq!((rows.compared, rows.behind.len()), (2, 1));
        let Lead { ours, peer, share } = rows.behind[0];
        assert_eq!((ours.case.as_str(), peer.subject.as_str(), share), ("full", "sentry", 3.0));
    }

    #[test]
    fn what_embedding_takes_is_compared_across_settings() {
        let figures = Figures::of([
            figure("embedding", "usual", "mosaicstack-telemetry, default", 30.0),
            figure("embedding", "without TLS", "mosaicstack-telemetry, tokio", 90.0),
            figure("embedding", "usual", "sentry", 40.0),
            figure("embedding", "smallest", "sentry", 20.0),
        ]);
        let rows = ahead(&figures);
        assert_eq!(rows.compared, 1);
        assert_eq!((rows.behind[0].peer.case.as_str(), rows.behind[0].share), ("smallest", 1.5));
    }
}
