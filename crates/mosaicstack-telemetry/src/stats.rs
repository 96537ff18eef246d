//! Event counters, and their public snapshot [`Stats`].

use std::fmt;

use serde::Serialize;

use crate::sync::{AtomicU8, AtomicU64, Ordering};

/// Snapshot of a client's counters.
///
/// Every event is accounted for: `tracked = delivered + rejected + evicted + dropped + pending`. The
/// equation holds whenever neither a call nor the worker is between two counters. Reading takes no
/// lock, so a snapshot taken meanwhile may be off by a few events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Events passed to `track`.
    pub tracked: u64,
    /// Events accepted by the server.
    pub delivered: u64,
    /// Events rejected by the server for their content. They are not sent again.
    pub rejected: u64,
    /// Events removed from a full queue to make room for newer ones. Also an event that the server has
    /// accepted behind refused ones, if it is removed before these have left the queue.
    pub evicted: u64,
    /// Events that were not queued, by reason.
    pub dropped: Dropped,
    /// Events queued or in flight. After `stop`: events that were not delivered in time. Includes events
    /// that the server has accepted behind refused ones, until these have left the queue.
    pub pending: u64,
    /// Requests sent to deliver events, with any result.
    pub requests: u64,
    /// Requests that failed for a reason that may pass, or whose batch was rejected, and that left
    /// their events queued for another attempt.
    pub retried: u64,
    /// Panics caught in the transport, in the notification callback, elsewhere on the worker, or in a
    /// `TelemetryLayer`.
    pub panics: u64,
    /// Result of the last request.
    pub health: Health,
    /// Events read from the [`spool`](crate::spool) that another process, or this client, has left there. They are
    /// then delivered like others.
    #[cfg(feature = "spool")]
    pub recovered: u64,
    /// Events in the spool that are not delivered, and not `pending`: they survive the end of the process. An event
    /// that this client leaves to the spool and reads again itself stays counted, and is also `recovered`.
    #[cfg(feature = "spool")]
    pub spooled: u64,
    /// Events of the spool that could not be read. They are lost, and in no other counter of this client.
    #[cfg(feature = "spool")]
    pub damaged: u64,
    /// Events removed from the spool unread because of its bounds, or of their age. They are lost, and in no other
    /// counter of this client, unless it has left them there.
    #[cfg(feature = "spool")]
    pub expired: u64,
}

/// Numbers of events that were not queued, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Dropped {
    /// Tracked while telemetry is disabled.
    pub disabled: u64,
    /// Logged instead of sent, in a dry run.
    pub dry_run: u64,
    /// Tracked after `stop`.
    pub closed: u64,
}

impl Dropped {
    /// Sum over all reasons.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.disabled + self.dry_run + self.closed
    }
}

/// State of the delivery: the result of the last request that delivered events. Does not change while a
/// refused batch is bisected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Health {
    /// The server accepts events, or nothing was sent yet.
    #[default]
    Good,
    /// The request failed and is retried: the server is busy or cannot be reached, or it refused the
    /// only event.
    Retrying,
    /// The API key, the instance id, the URL or the transport is misconfigured, or the server refuses
    /// every event. Events stay queued, and it is tried again at each interval.
    Misconfigured,
    /// Nothing sends events, and they stay queued. The system could not spawn the thread of a
    /// [`TelemetryClient`](crate::TelemetryClient), which later calls of `track` (at most one a second)
    /// and `flush` try again. Or the tokio runtime of the client is missing or has ended.
    NoWorker,
}

impl Stats {
    /// Returns `true` if the equation holds, which it always does while no call is in progress.
    #[must_use]
    pub const fn is_balanced(&self) -> bool {
        let finished = self.delivered + self.rejected + self.evicted + self.dropped.total();
        #[cfg(feature = "spool")]
        return self.tracked + self.recovered == finished + self.pending + self.spooled;
        #[cfg(not(feature = "spool"))]
        return self.tracked == finished + self.pending;
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tracked {}, delivered {}, rejected {}, evicted {}, dropped {}, pending {}",
            self.tracked,
            self.delivered,
            self.rejected,
            self.evicted,
            self.dropped.total(),
            self.pending,
        )?;
        #[cfg(feature = "spool")]
        for (name, count) in [
            ("recovered", self.recovered),
            ("spooled", self.spooled),
            ("damaged", self.damaged),
            ("expired", self.expired),
        ] {
            if count > 0 {
                write!(f, ", {name} {count}")?;
            }
        }
        Ok(())
    }
}

/// The counters behind [`Stats`], each incremented where its events are handled.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) tracked: Counter,
    pub(crate) delivered: Counter,
    pub(crate) rejected: Counter,
    pub(crate) evicted: Counter,
    pub(crate) disabled: Counter,
    pub(crate) dry_run: Counter,
    pub(crate) closed: Counter,
    pub(crate) requests: Counter,
    pub(crate) retried: Counter,
    pub(crate) panics: Counter,
    #[cfg(feature = "spool")]
    pub(crate) recovered: Counter,
    /// Events left to the spool.
    #[cfg(feature = "spool")]
    pub(crate) stored: Counter,
    health: AtomicU8,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        // Release: a thread that reads the count also sees the counted change. Acquire: see `latest`.
        self.0.fetch_add(count as u64, Ordering::AcqRel);
    }

    /// Returns the value. A thread that increments the counter afterwards sees all writes made before
    /// this call.
    pub(crate) fn latest(&self) -> u64 {
        self.0.fetch_add(0, Ordering::AcqRel)
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl Counters {
    pub(crate) fn set_health(&self, health: Health) {
        self.health.store(health as u8, Ordering::Release);
    }

    pub(crate) fn health(&self) -> Health {
        match self.health.load(Ordering::Acquire) {
            health if health == Health::Retrying as u8 => Health::Retrying,
            health if health == Health::Misconfigured as u8 => Health::Misconfigured,
            health if health == Health::NoWorker as u8 => Health::NoWorker,
            _ => Health::Good,
        }
    }

    pub(crate) fn stats(&self, pending: u64) -> Stats {
        Stats {
            tracked: self.tracked.value(),
            delivered: self.delivered.value(),
            rejected: self.rejected.value(),
            evicted: self.evicted.value(),
            dropped: Dropped {
                disabled: self.disabled.value(),
                dry_run: self.dry_run.value(),
                closed: self.closed.value(),
            },
            pending,
            requests: self.requests.value(),
            retried: self.retried.value(),
            panics: self.panics.value(),
            health: self.health(),
            #[cfg(feature = "spool")]
            recovered: self.recovered.value(),
            #[cfg(feature = "spool")]
            spooled: self.stored.value(),
            #[cfg(feature = "spool")]
            damaged: 0,
            #[cfg(feature = "spool")]
            expired: 0,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn stats_are_balanced_if_every_event_is_counted_once() {
        let dropped = Dropped { disabled: 10, dry_run: 20, closed: 40 };
        let stats = Stats {
            tracked: 0,
            delivered: 1,
            rejected: 2,
            evicted: 4,
            dropped,
            pending: 100,
            ..Stats::default()
        };
        for (tracked, is_balanced) in [(176, false), (177, true), (178, false)] {
            assert_eq!(Stats { tracked, ..stats }.is_balanced(), is_balanced, "{tracked}");
        }
        let expected = "tracked 0, delivered 1, rejected 2, evicted 4, dropped 70, pending 100";
        assert_eq!(stats.to_string(), expected);
        let expected = serde_json::json!({
            "tracked": 0, "delivered": 1, "rejected": 2, "evicted": 4,
            "dropped": {"disabled": 10, "dry_run": 20, "closed": 40},
            "pending": 100, "requests": 0, "retried": 0, "panics": 0, "health": "good",
        });
        let mut json = serde_json::json!(stats);
        #[cfg(feature = "spool")]
        for count in ["recovered", "spooled", "damaged", "expired"] {
            assert_eq!(json.as_object_mut().unwrap().remove(count), Some(0.into()));
        }
        assert_eq!(json.take(), expected);
    }

    #[cfg(feature = "spool")]
    #[test]
    fn spooled_events_are_on_the_books() {
        let stats =
            Stats { tracked: 3, recovered: 4, delivered: 2, spooled: 5, ..Stats::default() };
        assert!(stats.is_balanced());
        assert!(!Stats { spooled: 4, damaged: 1, expired: 1, ..stats }.is_balanced());
        let shown = Stats { expired: 7, ..stats }.to_string();
        assert!(shown.ends_with("pending 0, recovered 4, spooled 5, expired 7"), "{shown}");
    }

    #[test]
    fn counters_return_the_last_health() {
        let counters = Counters::default();
        for health in [Health::NoWorker, Health::Misconfigured, Health::Retrying, Health::Good] {
            counters.set_health(health);
            assert_eq!(counters.stats(7).health, health);
        }
    }
}
