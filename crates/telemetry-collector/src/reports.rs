//! What the collector tells of what it has seen.

use std::fmt::{self, Write as _};

use http::{Method, StatusCode};
use serde::Serialize;
use telemetry_model::BatchReceipt;

/// The most rejected events that a [`BatchReport`] displays.
const MAX_REJECTED_SHOWN: usize = 5;

/// The most columns of a displayed line.
const COLUMNS: usize = 80;

/// What has been counted since the start.
///
/// `received` = `accepted` + `duplicates` + `rejected`, and `accepted` = `held` + `evicted`, at
/// any time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Requests that arrived in full, whatever they asked for and however they were answered. A
    /// request is counted before it is answered.
    pub requests: u64,
    /// Requests whose events were looked at one by one.
    pub batches: u64,
    /// Events in them.
    pub received: u64,
    /// Events taken, each once.
    pub accepted: u64,
    /// Events that had been taken before; they are answered as accepted.
    pub duplicates: u64,
    /// Events not taken: faulty, or of another instance.
    pub rejected: u64,
    /// Requests for which the answer is not a 2xx, scripted ones among them.
    pub refused: u64,
    /// Events held now.
    pub held: u64,
    /// Events taken and given up again to make room.
    pub evicted: u64,
    /// Connections, whatever came by them.
    pub connections: u64,
    /// Connections that ended in their TLS handshake.
    pub failed_handshakes: u64,
    /// Requests and connections for which a script or a fault changed something.
    pub faulted: u64,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, rejected, refused, held, evicted, .. } = self;
        let requests = Counted(self.requests, "request", "requests");
        let batches = Counted(self.batches, "batch", "batches");
        let events = Counted(self.received, "event", "events");
        let duplicates = Counted(self.duplicates, "duplicate", "duplicates");
        write!(
            f,
            "{requests} ({refused} refused), {batches}, {events}: {accepted} accepted \
             ({held} held, {evicted} evicted), {duplicates}, {rejected} rejected"
        )
    }
}

/// A number with its noun, for one and for more.
struct Counted(u64, &'static str, &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, one, more) = self;
        write!(f, "{count} {}", if *count == 1 { one } else { more })
    }
}

/// A batch whose events were looked at one by one.
///
/// Displays as a line and one more for each of the first 5 rejected events, none wider than 80
/// columns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BatchReport {
    /// Which batch: the first is 1.
    pub number: u64,
    /// Events in it.
    pub events: u64,
    /// Events taken.
    pub accepted: u64,
    /// Events that had been taken before.
    pub duplicates: u64,
    /// Events not taken.
    pub rejected: u64,
    /// The usual answer: what became of each event, in the batch's order.
    pub receipt: BatchReceipt,
    /// The totals with this batch.
    pub totals: Totals,
}

impl fmt::Display for BatchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, events, accepted, duplicates, rejected, .. } = self;
        let noun = if *events == 1 { "event " } else { "events" };
        let mut line = format!("batch {number:>3}   {events:>3} {noun}   {accepted:>3} accepted");
        if *duplicates > 0 {
            write!(line, "   {}", Counted(*duplicates, "duplicate", "duplicates"))?;
        }
        if *rejected > 0 {
            write!(line, "   {rejected} rejected")?;
        }
        write!(line, "   total {}", self.totals.accepted)?;
        f.write_str(&shown(&line))?;

        let mut rejected = self.receipt.results.iter().filter(|result| result.is_rejected());
        for result in rejected.by_ref().take(MAX_REJECTED_SHOWN) {
            let id = result.event_id.map_or_else(|| "no event_id".into(), |id| id.to_string());
            let error = result.error.as_deref().unwrap_or_default();
            let fault = error.lines().next().unwrap_or_default();
            write!(f, "\n{}", shown(&format!("  {id}: {fault}")))?;
        }
        match rejected.count() {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// A predictions request that was answered. Displays as one line.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PredictionsReport {
    /// Queries in it.
    pub queries: u64,
    /// Those for which there was a prediction, from a fallback or not.
    pub predicted: u64,
}

impl fmt::Display for PredictionsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queries, predicted } = self;
        let noun = if *queries == 1 { "query " } else { "queries" };
        write!(f, "predictions {queries:>3} {noun} {predicted:>3} predicted")
    }
}

/// A request for which the answer is not a 2xx. Displays as one line of at most 80 columns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// The request's method.
    pub method: Method,
    /// The request's path, with its query if it has one.
    pub path: String,
    /// The answer's status.
    pub status: StatusCode,
    /// The reason, as the answer tells it. Never contains the API key.
    pub reason: String,
    /// Whether a script or a fault asked for it.
    pub is_injected: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, status, reason, .. } = self;
        f.write_str(&shown(&format!("refused {} {method} {path}: {reason}", status.as_u16())))
    }
}

/// A request or a connection for which a script or a fault changed something. Displays as one line
/// of at most 80 columns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InjectedFault {
    /// Which connection: the first is 1.
    pub connection: u64,
    /// Which request, its method and its path; none if nothing was read.
    pub request: Option<(u64, Method, String)>,
    /// What happens to it, such as `status 503, delayed by 2s`.
    pub fault: String,
}

impl fmt::Display for InjectedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connection, request, fault } = self;
        f.write_str(&shown(&match request {
            Some((number, method, path)) => {
                format!("fault on request {number}, {method} {path}: {fault}")
            }
            None => format!("fault on connection {connection}: {fault}"),
        }))
    }
}

/// A connection that ended in its TLS handshake. Displays as one line of at most 80 columns.
#[cfg(feature = "tls")]
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FailedHandshake {
    /// Which connection: the first is 1.
    pub connection: u64,
    /// Why, such as what the client said of the certificate.
    pub reason: String,
}

#[cfg(feature = "tls")]
impl fmt::Display for FailedHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connection, reason } = self;
        f.write_str(&shown(&format!("no TLS on connection {connection}: {reason}")))
    }
}

/// `line`, cut to the columns there are. What could steer a terminal is replaced: the text comes
/// from clients.
pub(crate) fn shown(line: &str) -> String {
    let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    match line.char_indices().nth(COLUMNS) {
        Some(_) => line.chars().take(COLUMNS - 1).map(visible).chain(['…']).collect(),
        None => line.chars().map(visible).collect(),
    }
}

#[cfg(test)]
mod tests {
    use telemetry_model::EventResult;
    use uuid::Uuid;

    use super::*;

    fn batch(rejected: Vec<EventResult>) -> BatchReport {
        BatchReport {
            number: 3,
            events: 100,
            accepted: 99 - rejected.len() as u64,
            duplicates: 1,
            rejected: rejected.len() as u64,
            receipt: BatchReceipt::new(rejected),
            totals: Totals { accepted: 300, ..Totals::default() },
        }
    }

    #[test]
    fn a_batch_is_a_line_and_one_for_each_rejected_event() {
        let rejected = EventResult::rejected(Some(Uuid::from_u128(1)), "/events/7/model: empty\nx");
        assert_eq!(
            batch(vec![rejected]).to_string(),
            "batch   3   100 events    98 accepted   1 duplicate   1 rejected   total 300\n  \
             00000000-0000-0000-0000-000000000001: /events/7/model: empty"
        );
        assert_eq!(
            batch(Vec::new()).to_string(),
            "batch   3   100 events    99 accepted   1 duplicate   total 300"
        );
    }

    #[test]
    fn only_the_first_rejected_events_are_named() {
        let shown = batch(vec![EventResult::rejected(None, "bad"); 7]).to_string();
        assert_eq!(shown.matches("  no event_id: bad").count(), 5);
        assert!(shown.ends_with("\n  and 2 more"), "{shown}");
    }

    #[test]
    fn what_clients_send_can_neither_widen_a_line_nor_steer_a_terminal() {
        let rejected = EventResult::rejected(None, "\u{1b}[31m".repeat(50));
        let refusal = Refusal {
            method: Method::POST,
            path: "/".repeat(500),
            status: StatusCode::NOT_FOUND,
            reason: "\r\u{7}".into(),
            is_injected: false,
        };
        let mut wide = batch(vec![rejected]);
        for count in [&mut wide.number, &mut wide.totals.accepted] {
            *count = u64::MAX;
        }
        for text in [wide.to_string(), refusal.to_string()] {
            for line in text.lines() {
                assert!(line.chars().count() <= COLUMNS, "{line}");
                assert!(!line.contains(char::is_control), "{line}");
            }
        }
    }

    #[test]
    fn the_other_lines_are_readable() {
        let seen = PredictionsReport { queries: 2, predicted: 1 };
        assert_eq!(seen.to_string(), "predictions   2 queries   1 predicted");
        let totals = Totals {
            requests: 3,
            refused: 1,
            batches: 1,
            received: 5,
            accepted: 3,
            held: 2,
            evicted: 1,
            duplicates: 1,
            rejected: 1,
            ..Totals::default()
        };
        assert_eq!(
            totals.to_string(),
            "3 requests (1 refused), 1 batch, 5 events: 3 accepted (2 held, 1 evicted), \
             1 duplicate, 1 rejected"
        );
    }
}
