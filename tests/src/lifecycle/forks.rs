//! Forked children with the client of their parent.

mod child;

use std::{
    process,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use mosaicstack_telemetry::{AsyncTelemetryClient, TelemetryClient, TelemetryHandle};
use tokio::runtime::Runtime;

use self::child::{Calls, Measured, blocking, on_tokio, record};
use super::{
    Case, Setting,
    setting::{AMPLE, all_delivered, current_thread, multi_thread, query},
};
use crate::{evidence::scale, track};

/// How often a case with other threads at work forks.
const USUAL: u32 = 10;

const fn case(name: &'static str, run: fn(&Setting)) -> Case {
    Case::new(name, run).of("R12")
}

pub(super) const CASES: [Case; 19] = [
    case("forked: stop", |it| idle(it, |client, calls| blocking(client, calls, stop))).delivers(3),
    case("forked: drop", |it| idle(it, |client, calls| blocking(client, calls, drop))).delivers(3),
    case("forked: the child leaks its client and exits", |it| {
        idle(it, |client, calls| blocking(client, calls, std::mem::forget));
    })
    .delivers(3),
    case("forked: the child exits at once", |it| idle(it, |_, _| process::exit(0))).delivers(3),
    case("forked: the child returns from main", |it| {
        let client = it.client();
        track(&client.handle(), 3);
        let child = child::fork(&mut |calls| record(&client.handle(), calls));
        let Some(child) = child else { return };
        child.passed();
        all_delivered(&client.stop());
    })
    .delivers(3),
    case("forked: the child's child", |it| {
        idle(it, |client, calls| {
            let mut client = Some(client);
            let grandchild = child::fork(&mut |calls| {
                blocking(client.take().expect("it is there"), calls, stop);
            });
            let Some(grandchild) = grandchild else { process::exit(0) };
            calls.add(&grandchild.passed());
            blocking(client.take().expect("it is the child's"), calls, stop);
        });
    })
    .delivers(3),
    case("forked twice", |it| {
        let client = it.client();
        track(&client.handle(), 3);
        let mut client = Some(client);
        for _ in 0..2 {
            measured(|calls| blocking(client.take().expect("it is there"), calls, stop));
        }
        all_delivered(&client.expect("it is the parent's").stop());
    })
    .delivers(3),
    case("forked in the middle of an attempt: stop", |it| {
        in_attempt(it, |client, calls| blocking(client, calls, stop));
    })
    .silent(),
    case("forked in the middle of an attempt: drop", |it| {
        in_attempt(it, |client, calls| blocking(client, calls, drop));
    })
    .silent(),
    case("forked beside threads that track", |it| {
        beside(it, track_one, |client, calls| blocking(client, calls, stop));
    })
    .delivers_any(),
    case("forked beside threads that read predictions", |it| {
        let read = |handle: &TelemetryHandle| drop(handle.prediction(&query()));
        beside(it, read, |client, calls| blocking(client, calls, drop));
    })
    .delivers_any(),
    case("forked after a stop, with handle and predictor", |it| {
        let client = it.client();
        let (handle, predictor) = (client.handle(), client.predictor());
        track(&handle, 3);
        all_delivered(&client.stop());
        measured(|calls| {
            calls.time("track", || track(&handle, 1));
            calls.time("predict", || predictor.predict(&query()).expect_err("it is the parent's"));
        });
        predictor.predict(&query()).expect("the server answers");
    })
    .delivers(3),
    // Ids that are drawn on the same thread in both processes, from the same state if it is copied.
    case("forked: the child starts a client of its own", |it| {
        let client = it.client();
        track(&client.handle(), 3);
        measured(|_| {
            let own = it.client();
            track(&own.handle(), 30);
            all_delivered(&own.stop());
        });
        track(&client.handle(), 30);
        all_delivered(&client.stop());
    })
    .delivers(63),
    case("forked: the child starts a client on tokio of its own", |it| {
        let client = it.client();
        track(&client.handle(), 3);
        measured(|_| {
            let runtime = multi_thread();
            let own = runtime.block_on(async { it.tokio_client() });
            track(&own.handle(), 30);
            all_delivered(&runtime.block_on(own.stop()));
        });
        track(&client.handle(), 30);
        all_delivered(&client.stop());
    })
    .delivers(63),
    case("forked beside a current-thread runtime", |it| idle_on_tokio(it, &current_thread()))
        .delivers(3),
    case("forked beside a multi-thread runtime", |it| idle_on_tokio(it, &multi_thread()))
        .delivers(3),
    case("forked within a current-thread runtime, in the middle of an attempt", |it| {
        in_attempt_on_tokio(it, &current_thread());
    })
    .silent(),
    case("forked within a multi-thread runtime, in the middle of an attempt", |it| {
        in_attempt_on_tokio(it, &multi_thread());
    })
    .silent(),
    case("forked beside a runtime whose threads track", |it| {
        let runtime = multi_thread();
        let client = runtime.block_on(async { it.tokio_client() });
        let (handle, mut client) = (client.handle(), Some(client));
        busy(&handle, track_one, || {
            measured(|calls| {
                // Whoever has been forked off has no runtime; its own is not to be waited for.
                on_tokio(client.take().expect("it is there"), calls);
            });
        });
        let stats = runtime.block_on(client.expect("it is the parent's").stop());
        assert!(stats.is_balanced(), "{stats:?}");
    })
    .delivers_any(),
];

fn track_one(handle: &TelemetryHandle) {
    track(handle, 1);
}

fn stop(client: TelemetryClient) {
    let before = client.stats();
    let stats = client.stop();
    assert_eq!(
        (stats.requests, stats.delivered, stats.pending),
        (before.requests, before.delivered, before.pending),
        "a child sends nothing"
    );
}

/// Forks, has the child measured, and says what came of it.
fn measured(child: impl FnMut(&mut Calls<'_>)) {
    Measured::of(child).report();
}

/// Forks with three events queued; then the parent delivers them.
fn idle(setting: &Setting, mut child: impl FnMut(TelemetryClient, &mut Calls<'_>)) {
    let client = setting.client();
    track(&client.handle(), 3);
    let mut client = Some(client);
    measured(|calls| child(client.take().expect("it is there"), calls));
    all_delivered(&client.expect("it is the parent's").stop());
}

/// Forks while the worker waits for an answer; the parent goes on in time.
fn in_attempt(setting: &Setting, child: impl Fn(TelemetryClient, &mut Calls<'_>)) {
    let mut client = Some(setting.client_in_attempt());
    measured(|calls| child(client.take().expect("it is there"), calls));
    let stats = client.expect("it is the parent's").stop();
    assert_eq!((stats.pending, stats.delivered), (100, 0));
    assert!(stats.is_balanced(), "{stats:?}");
}

/// Forks again and again while other threads do `work`.
fn beside(
    setting: &Setting,
    work: fn(&TelemetryHandle),
    child: impl Fn(TelemetryClient, &mut Calls<'_>),
) {
    let client = setting.client();
    let (handle, mut client) = (client.handle(), Some(client));
    client.as_ref().expect("it is there").predict(&query()).expect("the server answers");
    busy(&handle, work, || {
        measured(|calls| child(client.take().expect("it is there"), calls));
    });
    let client = client.expect("it is the parent's");
    client.flush(AMPLE).expect("the server takes them");
    let stats = client.stop();
    assert!(stats.is_balanced() && stats.pending == 0, "{stats:?}");
}

fn busy(handle: &TelemetryHandle, work: fn(&TelemetryHandle), mut forks: impl FnMut()) {
    /// Also when a fork fails.
    struct Ends<'a>(&'a AtomicBool);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(false, Ordering::Relaxed);
        }
    }
    let goes_on = AtomicBool::new(true);
    thread::scope(|scope| {
        let _ends = Ends(&goes_on);
        for _ in 0..2 {
            scope.spawn(|| {
                while goes_on.load(Ordering::Relaxed) {
                    work(handle);
                }
            });
        }
        for _ in 0..scale(USUAL, 20 * USUAL) {
            forks();
        }
    });
}

fn idle_on_tokio(setting: &Setting, runtime: &Runtime) {
    let client = runtime.block_on(async { setting.tokio_client() });
    track(&client.handle(), 3);
    let mut client = Some(client);
    measured(|calls| on_tokio(client.take().expect("it is there"), calls));
    all_delivered(&runtime.block_on(client.expect("it is the parent's").stop()));
}

fn in_attempt_on_tokio(setting: &Setting, runtime: &Runtime) {
    let stats = runtime.block_on(async {
        let mut client: Option<AsyncTelemetryClient> =
            Some(setting.tokio_client_in_attempt().await);
        measured(|calls| on_tokio(client.take().expect("it is there"), calls));
        client.expect("it is the parent's").stop().await
    });
    assert_eq!((stats.pending, stats.delivered), (100, 0));
    assert!(stats.is_balanced(), "{stats:?}");
}
