//! The global client, in a process with nothing else.

use mosaicstack_telemetry::{
    global,
    transport::{Request, Response, TransportError},
};
use telemetry_tests::{Log, status, track};

use crate::support::{AMPLE, collector, eager, ids, run_alone};

#[test]
fn global_client_is_disabled_until_it_starts_and_starts_once() {
    if run_alone(global_client_is_disabled_until_it_starts_and_starts_once, &[]).is_some() {
        return;
    }
    let (log, collector) = (Log::new(), collector());
    let early = global::handle();
    track(&early, 2);
    early.flush(AMPLE).unwrap();
    let stats = global::shutdown(AMPLE);
    assert_eq!((stats.tracked, stats.dropped.disabled), (2, 2));

    let config = || eager(collector.url()).build().unwrap();
    let guard = global::init(config()).unwrap();
    assert_eq!(log.lines("dropped 2 events tracked before `global::init`").len(), 1);
    let refuse = |_: Request| -> Result<Response, TransportError> { Ok(status(403)) };
    global::init(config()).unwrap_err();
    let error = global::init_with_transport(config(), refuse).unwrap_err();
    assert_eq!(error.to_string(), "`global::init` was called before: call it once, in `main`");

    let tracked = track(&global::handle(), 3);
    global::handle().flush(AMPLE).unwrap();
    assert_eq!(ids(&collector), tracked);
    track(&global::handle(), 1);
    track(&early, 1);
    drop(guard);
    let stats = global::handle().stats();
    assert_eq!((stats.tracked, stats.delivered), (4, 4));
    assert_eq!(early.stats().dropped.disabled, 3);
    global::init(config()).unwrap_err();
}
