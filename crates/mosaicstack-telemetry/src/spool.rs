//! Events that outlive the process.
//!
//! With a spool, a client keeps its events in files until the server has accepted them. What a process could not
//! deliver, because it was killed or the server could not be reached, the next one delivers that uses the same
//! folder, server and instance.
//!
//! ```no_run
//! # #[cfg(feature = "ureq")]
//! # fn report() -> Result<(), mosaicstack_telemetry::ConfigError> {
//! use mosaicstack_telemetry::{TelemetryClient, TelemetryConfig, spool::Spool};
//!
//! let config = TelemetryConfig::builder()
//!     .with_env()
//!     .spool(Spool::in_dir("/home/me/.local/state/my-agent/telemetry"))
//!     .build()?;
//! let client = TelemetryClient::start(config);
//! client.track(client.event().build());
//! # Ok(())
//! # }
//! ```
//!
//! `track` does no I/O: a thread writes events that are not delivered within 100 ms, and `kill -9` costs at most those of
//! this time. Tools that live shorter than a request takes write their event with [`put`], and leave the delivery to a
//! client or to `flush`.
//!
//! `docs/integration.md` has the details: losses by cause, the content of the files, and how to remove them.

use std::{borrow::Borrow, error, fmt, thread, time::Duration};

use telemetry_model::TaskCompletionEvent;
pub use telemetry_spool::{SyncPolicy, Usage};
use telemetry_transport::Transport;

pub use crate::config::spool::Spool;
use crate::{
    clock,
    config::{
        TelemetryConfig,
        spool::{Destination, unix_millis},
    },
    panics,
    stats::Stats,
    submitter::{Action, Start, Submitter},
    worker::thread::send,
};

/// The spool could not be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpoolError {
    /// The configuration has no spool.
    NotConfigured,
    /// The folder or a file in it cannot be used.
    Files(telemetry_spool::Error),
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured => {
                f.write_str("no spool: set .spool(…) or MOSAIC_TELEMETRY_SPOOL_DIR")
            }
            Self::Files(error) => write!(f, "the spool cannot be used: {error}"),
        }
    }
}

impl error::Error for SpoolError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::NotConfigured => None,
            Self::Files(error) => Some(error),
        }
    }
}

/// Writes one event to the spool, for hooks and other programs that end at once: no thread, no network, one file.
///
/// It is delivered by a client with the same folder, server and instance, or by [`flush`]. Does nothing if telemetry is
/// disabled, and in a dry run.
///
/// # Errors
///
/// The event is not in the spool. It can still be tracked by a client.
pub fn put(
    config: &TelemetryConfig,
    event: impl Borrow<TaskCompletionEvent>,
) -> Result<(), SpoolError> {
    let Some(destination) = destination(config)? else { return Ok(()) };
    let mut json = Vec::new();
    event.borrow().write_json(&mut json);
    let spool = destination.open().map_err(SpoolError::Files)?;
    spool.put(&json, unix_millis(clock::wall())).map_err(SpoolError::Files)
}

/// Counts what the spool holds for the server and instance of the configuration. Creates its folder if it does not exist.
///
/// # Errors
///
/// The spool cannot be used.
pub fn usage(config: &TelemetryConfig) -> Result<Usage, SpoolError> {
    let Some(destination) = destination(config)? else { return Ok(Usage::default()) };
    destination.open().and_then(|it| it.usage()).map_err(SpoolError::Files)
}

/// Delivers what the spool holds, on this thread, and returns when nothing is left, or nothing more can be done in
/// `timeout`. Sends with [`UreqTransport`](crate::transport::UreqTransport).
///
/// Events of running clients are left to these. Returns at once if another process delivers, if telemetry is
/// disabled, and in a dry run.
///
/// # Errors
///
/// The spool cannot be used. What the server says is in the returned counters: `recovered` counts the events that
/// were read, and `spooled` those that are still there.
#[cfg(feature = "ureq")]
pub fn flush(config: &TelemetryConfig, timeout: Duration) -> Result<Stats, SpoolError> {
    if destination(config)?.is_none() {
        return Ok(Stats::default());
    }
    flush_with(config, &config.ureq(), timeout)
}

/// As `flush`, with another transport.
///
/// # Errors
///
/// The spool cannot be used.
pub fn flush_with(
    config: &TelemetryConfig,
    transport: &dyn Transport,
    timeout: Duration,
) -> Result<Stats, SpoolError> {
    let Some(destination) = destination(config)? else { return Ok(Stats::default()) };
    let spool = destination.open().map_err(SpoolError::Files)?;
    let mut now = clock::now();
    let deadline = clock::after(now, timeout);
    let start = Start { now, seed: clock::seed(now, clock::wall()) };
    let Some((mut submitter, handle, mut writer)) = Submitter::with_spool(config, start, || {})
    else {
        return Ok(Stats::default());
    };
    writer.use_spool(spool);
    while now < deadline {
        writer.step(now, clock::wall());
        if handle.buffer.is_empty() {
            break; // Another process delivers, or there is no more.
        }
        submitter.limit_requests(deadline.saturating_duration_since(now));
        // A log subscriber or the callback may panic.
        match panics::catch(|| submitter.poll(now)) {
            Ok(Action::Send(request, delivery)) => {
                let result = send(transport, request, &handle.buffer);
                let (now, wall) = (clock::now(), clock::wall());
                let _ = panics::catch(|| submitter.complete(now, wall, delivery, result));
            }
            Ok(Action::Wait(until)) if until < deadline => {
                #[expect(clippy::disallowed_methods, reason = "nothing could wake this thread")]
                thread::sleep(until.saturating_duration_since(now));
            }
            Ok(Action::Wait(_) | Action::Done) => break,
            Err(_) => handle.buffer.count_panic(),
        }
        now = clock::now();
    }
    handle.buffer.close();
    drop(submitter);
    writer.step(clock::now(), clock::wall());
    Ok(handle.stats())
}

/// `None` if telemetry is disabled, and in a dry run.
fn destination(config: &TelemetryConfig) -> Result<Option<Destination>, SpoolError> {
    if config.is_enabled() && config.spool().is_none() {
        return Err(SpoolError::NotConfigured);
    }
    Ok(Destination::of(config))
}
