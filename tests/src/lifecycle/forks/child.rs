//! What a forked child does, and how long that takes.

use std::{
    fmt,
    io::{PipeReader, PipeWriter, Read, Write, pipe},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    process,
    task::{Context, Poll, Waker},
    time::Duration,
};

use fork::Fork;
use mosaicstack_telemetry::{
    AsyncTelemetryClient, Outcome, PredictionError, TelemetryClient, TelemetryHandle,
};

use super::super::{
    Setting,
    resources::timed,
    setting::{AMPLE, query},
};
use crate::track;

/// How long a call in a child may take.
const LIMIT: Duration = Duration::from_millis(100);

/// Where a child says how long its calls take.
#[derive(Debug)]
pub(in super::super) struct Calls<'a>(&'a PipeWriter);

impl Calls<'_> {
    /// Makes a call.
    pub(super) fn time<T>(&mut self, name: &str, call: impl FnOnce() -> T) -> T {
        let (result, took) = timed(call);
        writeln!(self.0, "{} {name}", took.as_micros()).expect("the parent reads it");
        result
    }

    /// Passes on what a child of its own has said.
    pub(super) fn add(&mut self, measured: &Measured) {
        for (name, took) in &measured.0 {
            writeln!(self.0, "{} {name}", took.as_micros()).expect("the parent reads it");
        }
    }
}

/// A child, for its parent.
#[derive(Debug)]
pub(super) struct Child {
    pid: i32,
    said: PipeReader,
}

/// Forks. Returns none in the child, when it has done what it is to do.
///
/// A child that panics ends here.
pub(super) fn fork(child: &mut dyn FnMut(&mut Calls<'_>)) -> Option<Child> {
    let (said, says) = pipe().expect("there is a pipe");
    match fork::fork().expect("it can be forked") {
        Fork::Child => {
            drop(said);
            // The message is on its way already.
            if catch_unwind(AssertUnwindSafe(|| child(&mut Calls(&says)))).is_err() {
                process::exit(1);
            }
            None
        }
        Fork::Parent(pid) => Some(Child { pid, said }),
    }
}

impl Child {
    /// Waits for its end.
    pub(super) fn passed(mut self) -> Measured {
        let mut said = String::new();
        self.said.read_to_string(&mut said).expect("the child writes text");
        let status = fork::waitpid(self.pid).expect("it is a child");
        assert_eq!(status, 0, "the child failed after {said}");
        let call = |line: &str| {
            let (took, name) = line.split_once(' ')?;
            Some((name.to_owned(), Duration::from_micros(took.parse().ok()?)))
        };
        Measured(said.lines().map(|line| call(line).expect("a time and a name")).collect())
    }
}

/// The calls of a child, and how long they took.
#[derive(Debug)]
pub(super) struct Measured(Vec<(String, Duration)>);

impl Measured {
    /// Forks, and once more if a call takes too long: the machine has other things to do.
    pub(super) fn of(mut child: impl FnMut(&mut Calls<'_>)) -> Self {
        let mut once = || fork(&mut child).unwrap_or_else(|| process::exit(0)).passed();
        let first = once();
        if first.is_in_time() {
            return first;
        }
        let second = once();
        assert!(second.is_in_time(), "a call took too long twice: {first}, then {second}");
        second
    }

    pub(super) fn report(&self) {
        Setting::report(format_args!(
            "{} calls, the longest {} us",
            self.0.len(),
            self.longest().as_micros()
        ));
    }

    fn is_in_time(&self) -> bool {
        self.longest() < LIMIT
    }

    fn longest(&self) -> Duration {
        self.0.iter().map(|(_, took)| *took).max().unwrap_or_default()
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

/// Each call of a handle.
pub(super) fn record(handle: &TelemetryHandle, calls: &mut Calls<'_>) {
    let tracked = handle.stats().tracked;
    calls.time("build", || handle.event().build());
    // More than a batch, which would wake the worker.
    calls.time("track", || track(handle, 150));
    calls.time("begin", || handle.begin(handle.event()).finish(Outcome::Success));
    calls.time("stats", || assert_eq!(handle.stats().tracked, tracked + 151));
    calls.time("prediction", || handle.prediction(&query()));
    calls.time("cached_prediction", || handle.cached_prediction(&query()));
}

fn forked<T: fmt::Debug>(result: Result<T, PredictionError>) {
    let error = result.expect_err("a child asks nobody");
    assert!(matches!(error, PredictionError::Forked), "{error}");
}

/// Each call of a client that has been inherited, and then `end`.
pub(super) fn blocking(client: TelemetryClient, calls: &mut Calls<'_>, end: fn(TelemetryClient)) {
    record(&client.handle(), calls);
    calls.time("flush", || client.flush(2 * AMPLE).expect_err("nobody sends"));
    calls.time("refresh_predictions", || forked(client.refresh_predictions(&[query()])));
    calls.time("predict", || forked(client.predict(&query())));
    calls.time("predict_all", || forked(client.predict_all(&[query()])));
    calls.time("end", || end(client));
}

/// The same on tokio, whose threads are in the parent: each future is ready when it is polled first.
pub(super) fn on_tokio(client: AsyncTelemetryClient, calls: &mut Calls<'_>) {
    fn ready<T>(future: impl Future<Output = T>) -> T {
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(future).poll(&mut cx) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }
    record(&client.handle(), calls);
    calls.time("flush", || ready(client.flush(2 * AMPLE)).expect_err("nobody sends"));
    calls.time("refresh_predictions", || forked(ready(client.refresh_predictions(&[query()]))));
    calls.time("predict", || forked(ready(client.predict(&query()))));
    calls.time("predict_all", || forked(ready(client.predict_all(&[query()]))));
    calls.time("stop", || ready(client.stop()));
}
