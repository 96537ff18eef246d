//! sentry's structured logs.

use std::{fmt, sync::Arc, time::SystemTime};

use sentry::{
    Client, Hub,
    protocol::{Log, LogLevel},
};

use super::{
    PLACES, Producer, Room, Sample, Subject,
    gate::Gate,
    lost, offer,
    sentry::{client, flush, hub},
};
use crate::fields::Value;

/// How many logs are in an envelope; sentry has it so.
const BATCH: usize = 100;

/// `Hub::capture_log`, each thread with a hub of its own, as sentry has it.
///
/// In the measured call: the hub's lock is taken, the scope's data and the client's default attributes
/// are added, and the log is pushed onto a vector under a lock that all threads share. The hundredth
/// one makes an envelope of them and sends it through a bounded channel of std, which wakes the thread
/// behind it. Nothing is serialized. A refused envelope is counted under a lock and freed, with its
/// hundred logs, within that call.
///
/// The transport is that of [`Sentry`](super::Sentry). Every 5 s sentry sends what there is; a case that
/// took so long would fail, since some of its logs would be in an envelope of their own.
pub struct SentryLogs {
    client: Arc<Client>,
    gate: Gate,
    prefilled: u64,
}

/// What a thread logs with.
#[derive(Debug)]
pub struct Logger(Hub);

impl Subject for SentryLogs {
    const NAME: &'static str = "sentry, logs";

    type Producer = Logger;

    fn start(room: Room, samples: &'static [Sample]) -> Result<Self, String> {
        let is_full = room == Room::Full;
        let gate = Gate::new(!is_full);
        let mut subject = Self { client: client(&gate, room.places() / BATCH), gate, prefilled: 0 };
        if is_full {
            offer(&subject, samples, BATCH);
            subject.gate.wait_until_reached()?;
            offer(&subject, samples, PLACES);
            subject.prefilled = (BATCH + PLACES) as u64;
        }
        Ok(subject)
    }

    fn producer(&self) -> Logger {
        Logger(hub(&self.client))
    }

    fn finish(self, offered: u64) -> Result<u64, String> {
        // Where what is lost is checked, calls come in hundreds, and all of them are in envelopes.
        self.gate.open();
        flush(&self.client)?;
        lost(offered, self.prefilled, self.gate.passed())
    }
}

impl fmt::Debug for SentryLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentryLogs").field("prefilled", &self.prefilled).finish_non_exhaustive()
    }
}

impl Producer for Logger {
    type Item = Log;

    fn build(&self, sample: &'static Sample) -> Log {
        let attribute = |(name, value): &(&str, Value)| ((*name).to_owned(), value.clone().into());
        Log {
            level: LogLevel::Info,
            body: "task".to_owned(),
            trace_id: None,
            timestamp: SystemTime::now(),
            severity_number: None,
            attributes: sample.fields.iter().map(attribute).collect(),
        }
    }

    fn hand_over(&mut self, item: Log) {
        self.0.capture_log(item);
    }
}
