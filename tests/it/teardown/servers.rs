//! Servers with each behavior.

use std::{any::Any, time::Duration};

use telemetry_collector::{FaultRule, ResponseTemplate};

use crate::support::{ABSENT, collector};

/// A server's URL, and the value that keeps it alive.
pub(super) type Server = (String, Box<dyn Any + Send>);

pub(super) type Start = fn() -> Server;

/// Each kind of server, with the function that starts it.
pub(super) const SERVERS: [(&str, Start); 15] = [
    ("healthy", || scripted(ResponseTemplate::normal())),
    ("slow", || scripted(ResponseTemplate::normal().delay(Duration::from_millis(33)))),
    ("absent", || (ABSENT.to_owned(), Box::new(()))),
    ("silent", || scripted(ResponseTemplate::hang())),
    ("trickling", || {
        scripted(ResponseTemplate::normal().body_size(1_000_000).pace(1, Duration::from_millis(5)))
    }),
    ("sending a byte a second", || {
        scripted(ResponseTemplate::normal().pace(1, Duration::from_secs(1)))
    }),
    ("sending 1 GiB", || scripted(ResponseTemplate::normal().body_size(1 << 30))),
    ("sending headers without end", || scripted(ResponseTemplate::normal().endless_head())),
    ("silent in the handshake", silent_in_the_handshake),
    ("busy", || scripted(ResponseTemplate::status(503))),
    ("pausing", || scripted(ResponseTemplate::status(503).header("retry-after", "600"))),
    ("urging", || scripted(ResponseTemplate::status(503).header("retry-after", "0"))),
    ("refusing the key", || scripted(ResponseTemplate::status(403))),
    ("refusing events", || scripted(ResponseTemplate::status(400))),
    ("closing", || scripted(ResponseTemplate::close())),
];

/// A collector with the same response, or fault, for all requests.
fn scripted(fault: impl Into<FaultRule>) -> Server {
    let collector = collector();
    collector.fault(fault);
    (collector.url().to_owned(), Box::new(collector))
}

/// A server that never answers the TLS handshake.
fn silent_in_the_handshake() -> Server {
    let (url, alive) = scripted(FaultRule::delay_before_reading(Duration::from_secs(3600)));
    (url.replace("http://", "https://"), alive)
}
