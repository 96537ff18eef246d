//! What holds up a client's own thread, as a server that does not answer would.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long a client's thread may take to arrive at the gate, or to pass on what it has.
const PATIENCE: Duration = Duration::from_secs(10);

/// Counts what passes, and lets nothing pass while it is closed.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug)]
struct State {
    is_open: bool,
    is_waited_at: bool,
    passed: u64,
}

impl Gate {
    pub(crate) fn new(is_open: bool) -> Self {
        let state = State { is_open, is_waited_at: false, passed: 0 };
        Self { shared: Arc::new((Mutex::new(state), Condvar::new())) }
    }

    /// For the client's thread: waits until the gate is open.
    pub(crate) fn pass(&self, events: u64) {
        let (_, changed) = &*self.shared;
        let mut state = self.lock();
        state.is_waited_at = true;
        changed.notify_all();
        let open = changed.wait_while(state, |state| !state.is_open);
        let mut state = open.unwrap_or_else(PoisonError::into_inner);
        state.passed += events;
        changed.notify_all();
    }

    /// Waits until the client's thread stands at the gate.
    pub(crate) fn wait_until_reached(&self) -> Result<(), String> {
        self.wait_while(|state| !state.is_waited_at, "nothing arrived at the gate")
    }

    pub(crate) fn open(&self) {
        self.lock().is_open = true;
        self.shared.1.notify_all();
    }

    /// How many events have passed.
    pub(crate) fn passed(&self) -> u64 {
        self.lock().passed
    }

    /// Waits until that many events have passed.
    pub(crate) fn wait_until_passed(&self, events: u64) -> Result<(), String> {
        self.wait_while(|state| state.passed < events, "events did not pass the gate")
    }

    fn wait_while(&self, unmet: impl Fn(&State) -> bool, otherwise: &str) -> Result<(), String> {
        let waited = self.shared.1.wait_timeout_while(self.lock(), PATIENCE, |state| unmet(state));
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() { Err(format!("{otherwise}: {state:?}")) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
