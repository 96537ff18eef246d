//! A gate that blocks a client's thread, as a server that does not answer would.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::Result;

/// The longest time that a client's thread may take to arrive, or to pass on its events.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Counts the events that pass, and blocks all while it is closed.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug)]
struct State {
    is_open: bool,
    is_reached: bool,
    passed: u64,
}

impl Gate {
    pub(super) fn new(is_open: bool) -> Self {
        let state = State { is_open, is_reached: false, passed: 0 };
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    /// Called by the client's thread; waits until the gate is open.
    pub(super) fn pass(&self, events: u64) {
        let changed = &self.0.1;
        let mut state = self.lock();
        state.is_reached = true;
        changed.notify_all();
        let open = changed.wait_while(state, |state| !state.is_open);
        open.unwrap_or_else(PoisonError::into_inner).passed += events;
        changed.notify_all();
    }

    pub(super) fn is_open(&self) -> bool {
        self.lock().is_open
    }

    pub(super) fn open(&self) {
        self.lock().is_open = true;
        self.0.1.notify_all();
    }

    pub(super) fn passed(&self) -> u64 {
        self.lock().passed
    }

    pub(super) fn wait_until_reached(&self) -> Result<()> {
        self.wait_while(|state| !state.is_reached)
    }

    pub(super) fn wait_until_passed(&self, events: u64) -> Result<()> {
        self.wait_while(|state| state.passed < events)
    }

    fn wait_while(&self, is_unmet: impl Fn(&State) -> bool) -> Result<()> {
        let waited = self.0.1.wait_timeout_while(self.lock(), TIMEOUT, |state| is_unmet(state));
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            Err(format!("events did not arrive: {state:?}").into())
        } else {
            Ok(())
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
