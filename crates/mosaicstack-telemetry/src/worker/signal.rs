//! Flush and shutdown requests from callers to the worker, and its progress back to them.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Waker},
    time::Instant,
};

use super::{
    Process,
    wait::{Wait, WakerKey, WakerSet, wake_all},
};
use crate::sync::{Mutex, MutexGuard};

/// Requests of callers, and the state of the worker.
pub(crate) struct Signal {
    state: Mutex<State>,
    process: Process,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Debug, Default)]
struct State {
    /// Flushes requested so far, and how many of them the worker has seen.
    flushes_requested: u64,
    flushes_seen: u64,
    /// Deadline of a requested shutdown, until the worker has seen it.
    shutdown_by: Option<Instant>,
    /// The earliest deadline of all requested shutdowns.
    earliest_shutdown: Option<Instant>,
    /// Set while the worker sleeps.
    sleeping_until: Option<Instant>,
    /// The worker has ended: no further event is acknowledged.
    ended: bool,
    /// The writer of the spool has not ended.
    #[cfg(feature = "spool")]
    has_writer: bool,
    wakers: WakerSet,
    /// The lowest target and the earliest deadline of the flushes that wait.
    first_flush: Option<(u64, Instant)>,
}

/// A flush that a caller waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlushRequest {
    /// Position among all flush requests, from 1.
    pub(crate) number: u64,
    /// The number of acknowledged events that completes the flush.
    pub(crate) target: u64,
    pub(crate) deadline: Instant,
}

/// Requests since the worker looked last.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) flush: bool,
    pub(crate) shutdown_by: Option<Instant>,
}

impl Signal {
    /// `wake` makes the worker look for requests. It is called from `track`.
    pub(crate) fn new(process: Process, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { state: Mutex::default(), process, wake: Box::new(wake) }
    }

    /// Does nothing in a forked child, which has no worker. The locks of its waker may be held by a
    /// thread of the parent.
    pub(crate) fn wake_worker(&self) {
        if !self.process.is_forked() {
            (self.wake)();
        }
    }

    /// Calls [`wake_worker`](Self::wake_worker).
    pub(super) fn waker(self: &Arc<Self>) -> impl Fn() + Send + Sync + 'static {
        let signal = Arc::clone(self);
        move || signal.wake_worker()
    }

    /// Requests a flush and returns its number.
    pub(crate) fn request_flush(&self) -> u64 {
        let number = {
            let mut state = self.state.lock();
            state.flushes_requested += 1;
            state.flushes_requested
        };
        self.wake_worker();
        number
    }

    /// Requests the shutdown and returns its deadline: the earliest of all requests.
    pub(crate) fn request_shutdown(&self, deadline: Instant) -> Instant {
        let deadline = {
            let mut state = self.state.lock();
            let deadline = state.earliest_shutdown.map_or(deadline, |it| it.min(deadline));
            state.earliest_shutdown = Some(deadline);
            state.shutdown_by = Some(deadline);
            deadline
        };
        self.wake_worker();
        deadline
    }

    /// Polls a flush: true when its target is acknowledged; false when the deadline has passed, or
    /// the worker cannot acknowledge more before it. Calls `acknowledged` under the lock.
    pub(crate) fn poll_flush(
        &self,
        now: Instant,
        cx: &Context<'_>,
        key: &mut WakerKey,
        FlushRequest { number, target, deadline }: FlushRequest,
        acknowledged: impl Fn() -> u64,
    ) -> Wait<bool> {
        let mut state = self.state.lock();
        if acknowledged() >= target {
            return Wait::Ready(true);
        }
        let sleeps_on = state.sleeping_until.is_some_and(|until| until >= deadline);
        let given_up = state.flushes_seen >= number && sleeps_on;
        if state.ended || given_up || now >= deadline {
            return Wait::Ready(false);
        }
        let (lowest, earliest) = state.first_flush.unwrap_or((target, deadline));
        state.first_flush = Some((lowest.min(target), earliest.min(deadline)));
        register(state, key, cx);
        Wait::Until(deadline)
    }

    /// True if the worker has ended, and the writer of the spool; otherwise the waker of `cx` is called when they do.
    pub(crate) fn poll_ended(&self, key: &mut WakerKey, cx: &Context<'_>) -> bool {
        let state = self.state.lock();
        let ended = state.ended;
        #[cfg(feature = "spool")]
        let ended = ended && !state.has_writer;
        if !ended {
            register(state, key, cx);
        }
        ended
    }

    /// Ends the wait of a caller.
    pub(crate) fn remove_waker(&self, key: WakerKey) {
        if key.is_some() {
            let waker = self.state.lock().wakers.remove(key);
            drop(waker);
        }
    }

    /// For the worker, which is awake from now on: returns and clears the requests.
    pub(crate) fn take_requests(&self) -> Requests {
        let mut state = self.state.lock();
        state.sleeping_until = None;
        let flush = state.flushes_requested > state.flushes_seen;
        state.flushes_seen = state.flushes_requested;
        Requests { flush, shutdown_by: state.shutdown_by.take() }
    }

    /// For the worker during an attempt: the deadline of a shutdown requested meanwhile.
    #[cfg(feature = "tokio")]
    pub(crate) fn shutdown_deadline(&self) -> Option<Instant> {
        self.state.lock().shutdown_by
    }

    /// For the worker: true if it may sleep, false if there are requests. Wakes the callers only when one of them has
    /// reached its target, or has nothing to wait for until its deadline. Calls `acknowledged` under the lock.
    pub(crate) fn try_sleep(&self, until: Instant, acknowledged: impl Fn() -> u64) -> bool {
        let wakers = {
            let mut state = self.state.lock();
            if state.flushes_requested > state.flushes_seen || state.shutdown_by.is_some() {
                return false;
            }
            state.sleeping_until = Some(until);
            let is_over = |(target, deadline)| until >= deadline || acknowledged() >= target;
            if !state.first_flush.is_some_and(is_over) {
                return true;
            }
            state.take_wakers()
        };
        wake_all(wakers);
        true
    }

    /// For the worker, after events were acknowledged. Wakes the callers only when one of them has
    /// reached its target: otherwise each batch would wake a thread that only waits again.
    pub(crate) fn notify_progress(&self, acknowledged: impl Fn() -> u64) {
        let wakers = {
            // `acknowledged` is read under the lock. Before it, a caller could look, find too few,
            // and register after this call has found no waker.
            let mut state = self.state.lock();
            if state.first_flush.is_none_or(|(target, _)| acknowledged() < target) {
                return;
            }
            state.take_wakers()
        };
        wake_all(wakers);
    }

    /// Called by the worker when it ends. Does nothing in a forked child: no caller waits there, and
    /// the lock may be held by a thread of the parent.
    pub(crate) fn end(&self) {
        if self.process.is_forked() {
            return;
        }
        self.set(|state| state.ended = true);
    }

    /// Records that a writer of the spool runs, or has ended.
    #[cfg(feature = "spool")]
    pub(crate) fn set_writer(&self, runs: bool) {
        self.set(|state| state.has_writer = runs);
    }

    fn set(&self, set: impl FnOnce(&mut State)) {
        let wakers = {
            let mut state = self.state.lock();
            set(&mut state);
            state.take_wakers()
        };
        wake_all(wakers);
    }
}

fn register(mut state: MutexGuard<'_, State>, key: &mut WakerKey, cx: &Context<'_>) {
    let replaced = state.wakers.register(key, cx);
    drop(state);
    drop(replaced);
}

impl State {
    fn take_wakers(&mut self) -> Vec<Waker> {
        self.first_flush = None;
        self.wakers.take()
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
pub(super) mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        task::Wake,
        time::Duration,
    };

    use super::*;
    use crate::clock;

    /// Counts the calls of a waker.
    #[derive(Default)]
    pub(in crate::worker) struct Woken(pub(in crate::worker) AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn flush_is_woken_when_the_worker_sleeps_if_it_is_over() {
        let (now, second) = (clock::now(), Duration::from_secs(1));
        let deadline = now + 2 * second;
        for (sleep, acknowledged, is_woken) in
            [(second, 0, false), (second, 1, true), (2 * second, 0, true), (3 * second, 0, true)]
        {
            let signal = Signal::new(Process::current(), || {});
            let number = signal.request_flush();
            let poll = |deadline, key: &mut _| {
                let woken = Arc::<Woken>::default();
                let waker = Waker::from(Arc::clone(&woken));
                let (cx, request) =
                    (Context::from_waker(&waker), FlushRequest { number, target: 1, deadline });
                (signal.poll_flush(now, &cx, key, request, || 0), woken)
            };
            let mut keys = [None, None];
            let (_, woken) = poll(deadline, &mut keys[0]);
            poll(deadline + 2 * second, &mut keys[1]);
            let try_sleep = || signal.try_sleep(now + sleep, || acknowledged);
            assert!(!try_sleep(), "the worker has not seen the request");
            assert!(signal.take_requests().flush && try_sleep());
            let times = woken.0.load(Ordering::Relaxed);
            assert_eq!(times, u32::from(is_woken), "{sleep:?} {acknowledged}");
            let (poll, _) = poll(deadline, &mut keys[0]);
            assert_eq!(matches!(poll, Wait::Ready(false)), sleep > second, "{sleep:?}");
        }
    }
}
