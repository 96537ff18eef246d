//! Reports: the arguments of the callbacks, and the totals.

use std::fmt::{self, Write as _};

use http::{Method, StatusCode};
use serde::Serialize;
use telemetry_model::BatchReceipt;

/// The most rejected events that a [`BatchReport`] displays.
const MAX_REJECTED_SHOWN: usize = 5;

/// The most columns of a displayed line.
const MAX_COLUMNS: usize = 80;

/// Counters since the start.
///
/// At any time `received` = `accepted` + `duplicates` + `rejected`, and `accepted` = `held` +
/// `evicted`. With a store, `held` has the events of earlier runs as well, and
/// can be ahead of `accepted` by batches whose receipts are being sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Requests read to their end, whatever the path and the response. Incremented before the
    /// response.
    pub requests: u64,
    /// Requests whose events were processed one by one.
    pub batches: u64,
    /// Events in those batches.
    pub received: u64,
    /// Events accepted, each `event_id` once.
    pub accepted: u64,
    /// Events whose `event_id` had been accepted before. The receipt reports them as accepted.
    pub duplicates: u64,
    /// Events that are invalid, or of another instance.
    pub rejected: u64,
    /// Responses whose status is not a 2xx, injected ones included.
    pub refused: u64,
    /// Events held now; with a store all events in it.
    pub held: u64,
    /// Events that were removed to make room, or because of their age.
    pub evicted: u64,
    /// TCP connections that were accepted.
    pub connections: u64,
    /// TCP connections that were closed at once because there were too many.
    pub refused_connections: u64,
    /// Connections that ended in their TLS handshake.
    pub failed_handshakes: u64,
    /// Requests and connections that a script or a fault rule changed.
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

/// A number with its noun in the singular or the plural.
struct Counted(u64, &'static str, &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, singular, plural) = self;
        write!(f, "{count} {}", if *count == 1 { singular } else { plural })
    }
}

/// A batch whose events were processed one by one.
///
/// Displays as one line, and one for each of the first 5 rejected events, of at most 80 columns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BatchReport {
    /// The number of the batch, from 1.
    pub number: u64,
    /// Events in the batch.
    pub events: u64,
    /// Events accepted.
    pub accepted: u64,
    /// Events accepted before.
    pub duplicates: u64,
    /// Events rejected.
    pub rejected: u64,
    /// The usual response: a result for each event, in the order of the batch.
    pub receipt: BatchReceipt,
    /// The totals, this batch included.
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
        f.write_str(&printable(&line))?;

        let mut rejected = self.receipt.results.iter().filter(|result| result.is_rejected());
        for result in rejected.by_ref().take(MAX_REJECTED_SHOWN) {
            let id = result.event_id.map_or_else(|| "no event_id".into(), |id| id.to_string());
            let error = result.error.as_deref().unwrap_or_default();
            let first = error.lines().next().unwrap_or_default();
            write!(f, "\n{}", printable(&format!("  {id}: {first}")))?;
        }
        match rejected.count() {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// A predictions request that was processed. Displays as one line.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PredictionsReport {
    /// Queries in the request.
    pub queries: u64,
    /// Queries with a prediction, from a fallback or not.
    pub predicted: u64,
}

impl fmt::Display for PredictionsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queries, predicted } = self;
        let noun = if *queries == 1 { "query " } else { "queries" };
        write!(f, "predictions {queries:>3} {noun} {predicted:>3} predicted")
    }
}

/// A response whose status is not a 2xx. Displays as one line of at most 80 columns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// The method of the request.
    pub method: Method,
    /// The path of the request, with its query.
    pub path: String,
    /// The status of the response.
    pub status: StatusCode,
    /// The `error` of the response. Never contains the API key.
    pub reason: String,
    /// True if a script or a fault rule set the status.
    pub is_injected: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, status, reason, .. } = self;
        f.write_str(&printable(&format!("refused {} {method} {path}: {reason}", status.as_u16())))
    }
}

/// A request or a connection that a script or a fault rule changed. Displays as one line of at most
/// 80 columns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InjectedFault {
    /// The number of the connection, from 1.
    pub connection: u64,
    /// The number of the request, from 1, its method and its path. `None` for a fault of the
    /// connection.
    pub request: Option<(u64, Method, String)>,
    /// A summary of the fault, such as `status 503, delay 2s`.
    pub fault: String,
}

impl fmt::Display for InjectedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connection, request, fault } = self;
        f.write_str(&printable(&match request {
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
    /// The number of the connection, from 1.
    pub connection: u64,
    /// The error, such as the alert that the client sent.
    pub reason: String,
}

#[cfg(feature = "tls")]
impl fmt::Display for FailedHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connection, reason } = self;
        f.write_str(&printable(&format!(
            "TLS handshake failed on connection {connection}: {reason}"
        )))
    }
}

/// Truncates a line to [`MAX_COLUMNS`] and replaces control characters, since parts of it come from
/// clients and may be displayed by a terminal.
pub(crate) fn printable(line: &str) -> String {
    let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    match line.char_indices().nth(MAX_COLUMNS) {
        Some(_) => line.chars().take(MAX_COLUMNS - 1).map(visible).chain(['…']).collect(),
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
    fn batch_displays_a_line_and_one_for_each_of_five_rejected_events() {
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
        let many = batch(vec![EventResult::rejected(None, "bad"); 7]).to_string();
        assert_eq!(many.matches("  no event_id: bad").count(), 5);
        assert!(many.ends_with("\n  and 2 more"), "{many}");
    }

    #[test]
    fn text_from_clients_neither_widens_a_line_nor_controls_a_terminal() {
        let refusal = Refusal {
            method: Method::POST,
            path: "/".repeat(500),
            status: StatusCode::NOT_FOUND,
            reason: "\r\u{7}".into(),
            is_injected: false,
        };
        let mut wide = batch(vec![EventResult::rejected(None, "\u{1b}[31m".repeat(50))]);
        (wide.number, wide.totals.accepted) = (u64::MAX, u64::MAX);
        for line in [wide.to_string(), refusal.to_string()].iter().flat_map(|text| text.lines()) {
            assert!(line.chars().count() <= MAX_COLUMNS, "{line}");
            assert!(!line.contains(char::is_control), "{line}");
        }
    }

    #[test]
    fn totals_display_as_one_line() {
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
