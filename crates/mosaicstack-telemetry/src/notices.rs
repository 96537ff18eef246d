//! What an application is told while it runs.

use std::{
    fmt, mem,
    sync::{Arc, OnceLock},
    time::Instant,
};

use telemetry_transport::{Response, TransportError, reexport::http::StatusCode};
use tracing::warn;
use uuid::Uuid;

use crate::{
    LOG_TARGET, panics,
    redact::excerpt,
    sync::{AtomicU64, Condvar, Mutex, Ordering, thread},
};

/// The most notices that wait for a hook, behind those that its thread has taken out together.
const WAITING: usize = 1_000;

/// What became of events, as a hook is told that is set with
/// [`on_notification`](crate::TelemetryConfigBuilder::on_notification).
///
/// No notice holds the API key: what others say is cut at 200 characters, and what could be the key is
/// masked, in hexadecimal digits or base64.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The server took events, all those of a request but for the ones that it rejected.
    Delivered {
        /// How many; at least one.
        events: usize,
    },
    /// A request failed in a way that may pass. Its events are kept.
    Deferred {
        /// How many it carried.
        events: usize,
        /// Why.
        cause: Cause,
        /// When they are tried again, unless a flush or the last drain is earlier.
        until: Instant,
    },
    /// The server refused an event for good.
    Rejected {
        /// Which one; none if the server's answer did not say so.
        event_id: Option<Uuid>,
        /// The server's reason.
        reason: String,
    },
    /// The queue was full: the oldest events made room for newer ones. The sum of these notices is
    /// [`Stats::evicted`](crate::Stats::evicted), as of when the worker looked last.
    Evicted {
        /// How many since the last such notice; at least one.
        events: u64,
    },
    /// The server refused the configuration, or it cannot be used: the URL, the key, its instance,
    /// the certificate. Events are kept and tried again.
    Refused {
        /// Why.
        cause: Cause,
        /// When they are tried again, unless a flush or the last drain is earlier.
        until: Instant,
    },
    /// There was a panic, in the transport or in a log subscriber say; it was caught, counted in
    /// [`Stats::panics`](crate::Stats::panics), and cost one attempt at the most. A panic of the hook
    /// is counted there, too, but makes no notice.
    Recovered,
    /// The hook was too slow: notices were lost before this one.
    Missed {
        /// How many.
        notices: u64,
    },
}

/// Why events were not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The server answered with this status.
    Status(StatusCode),
    /// [`TransportError::Timeout`].
    Timeout,
    /// [`TransportError::Network`], and what it said.
    Network(String),
    /// [`TransportError::Other`], and what it said.
    Other(String),
}

impl Cause {
    pub(crate) fn of(result: &Result<Response, TransportError>) -> Self {
        match result {
            Ok(response) => Self::Status(response.status()),
            Err(TransportError::Timeout) => Self::Timeout,
            Err(error @ TransportError::Network(_)) => Self::Network(excerpt(&error.to_string())),
            Err(error) => Self::Other(excerpt(&error.to_string())),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the server answered {status}"),
            Self::Timeout => TransportError::Timeout.fmt(f),
            Self::Network(said) | Self::Other(said) => f.write_str(said),
        }
    }
}

/// What an application does with notices.
#[derive(Clone)]
pub(crate) struct Hook(Arc<dyn Fn(&Notice) + Send + Sync>);

impl Hook {
    pub(crate) fn new(hook: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// The way to the hook, if there is one.
#[derive(Debug)]
pub(crate) enum Notices {
    None,
    /// On the thread of whoever drives the submitter.
    Here(Hook, Arc<Teller>),
    /// On a thread of the client's own: however long a hook takes, no event waits for it.
    Thread(Arc<Teller>),
}

/// Those that wait for the hook, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    state: Mutex<State>,
    changed: Condvar,
    panics: AtomicU64,
    thread: OnceLock<thread::ThreadId>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Notice>,
    missed: u64,
    is_closed: bool,
}

impl Notices {
    pub(crate) fn here(hook: Option<&Hook>) -> Self {
        hook.map_or(Self::None, |hook| Self::Here(hook.clone(), Arc::default()))
    }

    /// Starts the thread, which drops `keep` when it has told the last notice.
    pub(crate) fn on_thread(hook: Option<&Hook>, keep: impl Send + 'static) -> Self {
        let Some(hook) = hook.cloned() else { return Self::None };
        let teller = Arc::<Teller>::default();
        let shared = Arc::clone(&teller);
        let named = thread::Builder::new().name("telemetry-notices".into());
        let spawned = named.spawn(move || {
            shared.run(&hook);
            drop(keep);
        });
        if let Err(error) = spawned {
            warn!(target: LOG_TARGET, "there is no thread for notices, they are lost: {error}");
            return Self::None;
        }
        Self::Thread(teller)
    }

    /// Has the hook told, if there is one. Waits for nothing but, in a driver of one's own, the hook.
    pub(crate) fn tell(&self, notice: impl FnOnce() -> Notice) {
        match self {
            Self::None => {}
            Self::Here(hook, teller) => teller.call(hook, &notice()),
            Self::Thread(teller) => teller.push(notice()),
        }
    }

    /// Ends the thread, once it has told what waits.
    pub(crate) fn close(&self) {
        if let Self::Thread(teller) = self {
            teller.state.lock().is_closed = true;
            teller.changed.notify_one();
        }
    }

    /// Whether this is the thread itself, which cannot wait for its own end.
    pub(crate) fn is_current(&self) -> bool {
        let Self::Thread(teller) = self else { return false };
        teller.thread.get() == Some(&thread::current().id())
    }

    /// How often the hook has panicked.
    pub(crate) fn panics(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Here(_, teller) | Self::Thread(teller) => teller.panics.load(Ordering::Acquire),
        }
    }
}

impl Teller {
    fn push(&self, notice: Notice) {
        let mut state = self.state.lock();
        if state.is_closed {
            // A predictor may outlive its client; nobody would take this out.
            return;
        }
        if state.waiting.len() < WAITING {
            state.waiting.push(notice);
        } else {
            state.missed += 1;
        }
        self.changed.notify_one();
    }

    fn run(&self, hook: &Hook) {
        // Set once, here.
        let _ = self.thread.set(thread::current().id());
        while let Some((notices, missed)) = self.next() {
            notices.iter().for_each(|notice| self.call(hook, notice));
            if missed > 0 {
                self.call(hook, &Notice::Missed { notices: missed });
            }
        }
    }

    /// Waits for notices; none if there will be no more.
    fn next(&self) -> Option<(Vec<Notice>, u64)> {
        let mut state = self.state.lock();
        while state.waiting.is_empty() {
            if state.is_closed {
                return None;
            }
            self.changed.wait(&mut state);
        }
        Some((mem::take(&mut state.waiting), mem::take(&mut state.missed)))
    }

    fn call(&self, hook: &Hook, notice: &Notice) {
        if panics::catch(|| (hook.0)(notice)).is_err() {
            self.panics.fetch_add(1, Ordering::Release);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn without_a_hook_there_is_neither_thread_nor_notice() {
        let keep = Arc::new(());
        for notices in [Notices::here(None), Notices::on_thread(None, Arc::clone(&keep))] {
            assert!(matches!(notices, Notices::None));
            notices.tell(|| panic!("a notice is made"));
        }
        assert_eq!(Arc::strong_count(&keep), 1);
    }

    #[test]
    fn what_comes_after_the_end_is_not_kept() {
        let teller = Arc::<Teller>::default();
        let notices = Notices::Thread(Arc::clone(&teller));
        notices.tell(|| Notice::Recovered);
        notices.close();
        notices.tell(|| Notice::Recovered);
        assert!(teller.next().is_some_and(|(told, missed)| (told.len(), missed) == (1, 0)));
        assert!(teller.next().is_none());
        notices.tell(|| Notice::Recovered);
        assert!(teller.state.lock().waiting.is_empty());
    }
}
