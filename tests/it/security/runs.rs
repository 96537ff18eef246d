//! A run of a client, and everything that an application could print of it.

use mosaicstack_telemetry::{Notification, Stats, TelemetryConfig, TelemetryConfigBuilder};
use telemetry_tests::track;

use super::search::{debugged, everything};
use crate::{
    client::Client,
    notifications::Received,
    support::{AMPLE, query, returned},
};

pub(crate) struct Run {
    /// `Debug` and `Display` of the client, its parts, errors and notifications.
    pub(crate) shown: String,
    /// The notifications, as text.
    pub(crate) notifications: String,
    pub(crate) stats: Stats,
}

/// Tracks and flushes three events, refreshes a prediction, and stops the client.
pub(crate) fn run(
    config: TelemetryConfigBuilder,
    start: impl FnOnce(TelemetryConfig) -> Client,
) -> Run {
    let received = Received::default();
    let config = received.record(config).build().expect("a valid configuration");
    let mut shown = debugged(&config);
    let client = start(config);
    let (shown, stats) = returned(move || {
        track(&client.handle(), 3);
        if let Err(error) = client.flush(5 * AMPLE) {
            shown += &everything(&error);
        }
        if let Err(error) = client.refresh(&[query(0)]) {
            shown += &everything(&error);
        }
        shown += &debugged(&(&client, client.handle()));
        (shown, client.stop())
    });
    assert!(stats.is_balanced(), "{stats}");
    let all = received.take();
    let causes = all.iter().filter_map(|it| match it {
        Notification::Deferred { cause, .. } | Notification::Misconfigured { cause, .. } => {
            Some(format!("{cause}\n"))
        }
        _ => None,
    });
    let notifications = debugged(&all) + &causes.collect::<String>();
    Run { shown: format!("{shown}{notifications}{stats}{stats:?}"), notifications, stats }
}
