//! The thread of the spool's writer.

use std::{sync::Arc, thread, time::Instant};

use tracing::warn;

use super::signal::Signal;
use crate::{
    LOG_TARGET,
    config::TelemetryConfig,
    handle::TelemetryHandle,
    panics,
    submitter::{Start, Submitter},
};

/// Starts the thread. `None` if there is no spool to use, or no thread.
pub(super) fn spawn(
    config: &TelemetryConfig,
    start: Start,
    clock: fn() -> Instant,
    signal: &Arc<Signal>,
) -> Option<(Submitter, TelemetryHandle)> {
    let (submitter, handle, writer) =
        Submitter::with_spool_and_clock(config, start, clock, signal.waker())?;
    signal.set_writer(true);
    let end = End(Arc::clone(signal));
    let run = move || {
        let _end = end;
        writer.run();
    };
    match thread::Builder::new().name("telemetry-spool".into()).spawn(run) {
        Ok(_) => Some((submitter, handle)),
        Err(error) => {
            let _ = panics::catch(|| {
                warn!(
                    target: LOG_TARGET,
                    "failed to spawn the thread of the spool, events stay in memory: {error}"
                );
            });
            None
        }
    }
}

/// Ends the waits of callers, also if the writer panics or is not started.
struct End(Arc<Signal>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.set_writer(false);
    }
}
