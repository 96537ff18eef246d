//! Who is measured when events are handed over: an adapter for each SDK, and two floors.

mod cadence;
mod floors;
mod gate;
mod opentelemetry;
mod ours;
mod posthog;
mod sample;
mod sentry;
mod sentry_logs;
mod tracing_appender;

use self::gate::Gate;
pub use self::{
    cadence::Cadence,
    floors::{Clock, Deque},
    opentelemetry::OpenTelemetry,
    ours::{Ours, OursAsShipped},
    posthog::PostHog,
    sample::{Sample, samples},
    sentry::Sentry,
    sentry_logs::SentryLogs,
    tracing_appender::TracingAppender,
};

/// How many places there are when all of them are to be taken.
pub const PLACES: usize = 1_000;

/// How much room a client's queue has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// For that many events and a few more.
    Roomy(usize),
    /// For [`PLACES`] events, and there are as many already.
    Full,
}

impl Room {
    /// The capacity to configure.
    #[must_use]
    pub const fn places(self) -> usize {
        match self {
            // As many as the events, some take it for a full batch and wake up.
            Self::Roomy(events) => events + PLACES,
            Self::Full => PLACES,
        }
    }
}

/// A running client that sends nothing.
pub trait Subject: Sized {
    /// Its name in the figures.
    const NAME: &'static str;

    /// What a thread hands events over with.
    type Producer: Producer;

    /// Starts a client. With [`Room::Full`], its queue is full when this returns, and stays so.
    ///
    /// # Errors
    ///
    /// It cannot be started, or its queue cannot be filled.
    fn start(room: Room, samples: &'static [Sample]) -> Result<Self, String>;

    /// For one more thread.
    fn producer(&self) -> Self::Producer;

    /// Ends the client, and returns how many of the `offered` events it evicted or refused, by its
    /// own counters where it has such, and otherwise by what it passed on.
    ///
    /// # Errors
    ///
    /// It does not end, or its counters contradict each other.
    fn finish(self, offered: u64) -> Result<u64, String>;
}

/// What one thread hands events over with.
pub trait Producer: Send {
    /// An event, ready to be handed over.
    type Item: Send;

    /// Makes an event, as an application does when a task has ended.
    fn build(&self, sample: &'static Sample) -> Self::Item;

    /// The call that is measured.
    fn hand_over(&mut self, item: Self::Item);

    /// Makes an event and hands it over, as an application does it.
    fn build_and_hand_over(&mut self, sample: &'static Sample) {
        let item = self.build(sample);
        self.hand_over(item);
    }
}

/// A list of `(name, function::<Subject>)`, for each subject.
///
/// Each is compiled for its subject, so nothing is looked up within what is measured.
#[macro_export]
macro_rules! for_each_subject {
    ($function:ident) => {
        $crate::for_each_subject!($function: Ours OursAsShipped PostHog OpenTelemetry Sentry SentryLogs TracingAppender Cadence Deque Clock)
    };
    ($function:ident: $($subject:ident)+) => {
        vec![$((
            <$crate::subjects::$subject as $crate::subjects::Subject>::NAME,
            $function::<$crate::subjects::$subject> as _,
        )),+]
    };
}

/// Hands events over from the calling thread, without a clock.
pub(crate) fn offer<S: Subject>(subject: &S, samples: &'static [Sample], events: usize) {
    let mut producer = subject.producer();
    for sample in samples.iter().cycle().take(events) {
        producer.build_and_hand_over(sample);
    }
}

/// Fills a client whose thread stands still at the gate with its first event; returns how many events
/// that took.
fn fill<S: Subject>(subject: &S, gate: &Gate, samples: &'static [Sample]) -> Result<u64, String> {
    offer(subject, samples, 1);
    gate.wait_until_reached()?;
    offer(subject, samples, PLACES);
    Ok(PLACES as u64 + 1)
}

/// How many of the offered events were not kept.
fn lost(offered: u64, prefilled: u64, kept: u64) -> Result<u64, String> {
    (offered + prefilled)
        .checked_sub(kept)
        .filter(|lost| *lost <= offered)
        .ok_or_else(|| format!("{kept} events were kept, of {offered} and {prefilled} before"))
}
