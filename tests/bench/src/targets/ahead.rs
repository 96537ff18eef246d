//! Where a peer SDK is ahead of ours.

use crate::{
    figure::Figure,
    report::{Figures, reference},
};

/// The peers that are SDKs with a client of their own; the others are here for what a part costs.
const PEERS: [&str; 3] = ["posthog-rs", "opentelemetry", "sentry"];

/// Why a peer leads, if it does.
struct Reason {
    section: &'static str,
    /// A part of the case; nothing for all of them.
    case: &'static str,
    metric: &'static str,
    /// The end of the name of ours; nothing for all of them.
    ours: &'static str,
    peer: &'static str,
    text: &'static str,
}

const REASONS: [Reason; 10] = [
    Reason {
        section: "hand-over",
        case: "roomy",
        metric: "p99.9",
        ours: "early flush",
        peer: "opentelemetry",
        text: WAKES,
    },
    Reason {
        section: "hand-over",
        case: "roomy",
        metric: "p99",
        ours: "early flush",
        peer: "opentelemetry",
        text: WAKES,
    },
    Reason {
        section: "hand-over",
        case: "8 threads",
        metric: "p99.9",
        ours: "",
        peer: "opentelemetry",
        text: "the slowest thousandth of the calls of eight threads on a few cores is up to the \
               scheduler; runs differ by more than this.",
    },
    Reason {
        section: "hand-over",
        case: "full",
        metric: "p99",
        ours: "early flush",
        peer: "posthog-rs",
        text: "posthog refuses the new event; ours evicts and frees the oldest, and looks each time \
               whether its thread knows of the full batch.",
    },
    Reason {
        section: "hand-over",
        case: "prebuilt, roomy",
        metric: "allocated",
        ours: "",
        peer: "posthog-rs",
        text: "the box of our event has its 26 fields in place; posthog's has them in a map that was \
               allocated when it was made.",
    },
    Reason {
        section: "hand-over",
        case: "full",
        metric: "allocated",
        ours: "",
        peer: "posthog-rs",
        text: REFUSED,
    },
    Reason {
        section: "hand-over",
        case: "full",
        metric: "allocations",
        ours: "",
        peer: "posthog-rs",
        text: REFUSED,
    },
    Reason {
        section: "delivery",
        case: "",
        metric: "requests",
        ours: "",
        peer: "opentelemetry, batches of 512",
        text: "the protocol takes 100 events in a request.",
    },
    Reason {
        section: "start-stop",
        case: "",
        metric: "wake-ups, interval of 1 s",
        ours: "ureq",
        peer: "posthog-rs",
        text: "it looks once an interval whether there is something to send; posthog's thread waits for \
               the first event. By default the interval is five minutes.",
    },
    Reason {
        section: "start-stop",
        case: "",
        metric: "wake-ups, interval of 1 s",
        ours: "hyper",
        peer: "posthog-rs",
        text: "it looks once an interval, as the client on ureq, and tokio wakes its thread about twice \
               for a timer of a second, as the bare timer beside it shows.",
    },
];

const WAKES: &str = "calls that find a full batch wake the thread that encodes; OpenTelemetry wakes \
                     nobody here, since its batches are made as large as its queue.";

const REFUSED: &str =
    "posthog refuses the new event before it is boxed; ours boxes it, and frees the oldest.";

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

impl Lead<'_> {
    /// Why it leads, if that is known.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        let is_it = |it: &&Reason| {
            it.section == self.ours.section
                && self.ours.case.contains(it.case)
                && it.metric == self.ours.metric
                && self.ours.subject.ends_with(it.ours)
                && self.peer.subject == it.peer
        };
        REASONS.iter().find(is_it).map(|it| it.text)
    }
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
    let subject = figure.subject.as_str();
    let name = subject.split_once(", ").map_or(subject, |(name, _form)| name);
    PEERS.contains(&name)
        && figure.section == ours.section
        && figure.metric == ours.metric
        && (figure.case == ours.case || figure.section == "embedding")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(section: &str, case: &str, subject: &str, median: f64) -> Figure {
        Figure::new(section, case, subject, "p50", "ns", vec![median])
    }

    #[test]
    fn a_row_is_lost_to_the_peer_that_leads_it() {
        let figures = Figures::of([
            figure("hand-over", "full", "mosaicstack-telemetry", 30.0),
            figure("hand-over", "full", "posthog-rs", 20.0),
            figure("hand-over", "full", "sentry", 15.0),
            figure("hand-over", "full", "sentry, logs", 10.0),
            figure("hand-over", "full", "cadence", 1.0),
            figure("hand-over", "roomy", "mosaicstack-telemetry", 30.0),
            figure("hand-over", "roomy", "sentry", 30.0),
            figure("hand-over", "alone", "mosaicstack-telemetry", 30.0),
        ]);
        let rows = ahead(&figures);
        assert_eq!((rows.compared, rows.behind.len()), (2, 1));
        let Lead { ours, peer, share } = rows.behind[0];
        assert_eq!(
            (ours.case.as_str(), peer.subject.as_str(), share),
            ("full", "sentry, logs", 3.0)
        );
    }

    #[test]
    fn a_reason_is_one_of_the_metric_and_of_the_subject() {
        let (ours, peer) = ("mosaicstack-telemetry, hyper", "posthog-rs");
        let figure =
            |subject, metric| Figure::new("start-stop", "", subject, metric, "", vec![1.0]);
        let metric = "wake-ups, interval of 1 s";
        let (ours, peer) = (figure(ours, metric), figure(peer, metric));
        let lead = Lead { ours: &ours, peer: &peer, share: 2.0 };
        assert!(lead.reason().unwrap().contains("tokio"));
        let start = Figure { metric: "start".into(), ..ours.clone() };
        assert_eq!(Lead { ours: &start, ..lead }.reason(), None);
        assert_eq!(Lead { peer: &start, ..lead }.reason(), None);
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
