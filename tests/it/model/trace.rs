//! What the requests and answers must be whatever the schedule: rules that need no model of it.

use std::time::Duration;

use super::{
    answers::Meaning,
    schedule::{Told, ms},
    steps::Settings,
};

/// What has gone over the wire, as far as the rules need it.
#[derive(Debug, Default)]
pub(super) struct Trace {
    settings: Settings,
    /// The server, or the back-off, wants no request before.
    quiet_until: Duration,
    /// The same where the cycle has given up or the configuration was refused: a flush may come
    /// before it.
    patient_until: Duration,
    /// How many requests in a row have failed in a way that may pass.
    failures: u32,
    /// How many batches in a row were at fault, without an event that was settled.
    faults: u32,
    deadline: Option<Duration>,
    /// Nothing more can be sent in the last drain: it has given up.
    drained: bool,
    done: bool,
    /// For each event, how often the server has taken it, and whether the client was told the last
    /// time.
    taken: Vec<(u32, bool)>,
    /// The last event that was settled.
    settled: Option<u64>,
    pub(super) counts: Counts,
}

/// What has been tried.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) schedules: u64,
    pub(super) steps: u64,
    pub(super) events: u64,
    pub(super) delivered: u64,
    pub(super) rejected: u64,
    pub(super) evicted: u64,
    pub(super) requests: u64,
    pub(super) sent: u64,
    pub(super) again: u64,
    pub(super) ambiguous: u64,
    pub(super) pauses: u64,
    pub(super) polls_in_pauses: u64,
    pub(super) failures: u64,
    pub(super) refusals: u64,
    pub(super) faults: u64,
    pub(super) drains: u64,
    pub(super) panics: u64,
}

impl Trace {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone(), ..Self::default() }
    }

    /// The driver was told something; `events` are those that are sent.
    pub(super) fn told(&mut self, now: Duration, told: Told, events: &[u64]) {
        let Settings { retries, timeout, interval, longest_pause, longest_delay, .. } =
            self.settings;
        self.counts.polls_in_pauses += u64::from(now < self.quiet_until);
        assert!(!self.done || told == Told::Done, "{told:?} after the end");
        match told {
            Told::Send(_, time) => {
                assert!(now >= self.quiet_until, "in a pause until {:?}", self.quiet_until);
                assert!(now >= self.patient_until, "in a cycle that has given up");
                assert!(self.failures <= retries, "{} failures in a cycle", self.failures);
                assert!(!self.drained, "after the last drain has given up");
                assert!(time <= ms(timeout) && !time.is_zero());
                assert!(self.deadline.is_none_or(|deadline| now + time <= deadline));
                self.send(events);
            }
            Told::Wait(until) => {
                assert!(until > now, "a hot loop");
                assert!(self.deadline.is_none_or(|deadline| until <= deadline));
                let pause = ms(longest_pause) * 11 / 10 + ms(longest_delay) * 3 / 2;
                assert!(until <= now + pause.max(ms(interval)).max(ms(timeout)), "too long");
            }
            Told::Done => {
                assert!(self.deadline.is_some(), "done, and nobody has closed");
                self.done = true;
            }
        }
    }

    fn send(&mut self, events: &[u64]) {
        assert!(!events.is_empty() && events.len() <= self.settings.batch);
        assert!(events.windows(2).all(|pair| pair[0] + 1 == pair[1]), "a gap: {events:?}");
        assert!(Some(events[0]) > self.settled, "out of order: {events:?}");
        self.counts.requests += 1;
        self.counts.sent += events.len() as u64;
        self.taken.resize(self.taken.len().max(events[events.len() - 1] as usize + 1), (0, false));
        for &event in events {
            let (times, told) = self.taken[event as usize];
            assert!(!told, "event {event} again, after the server took it and said so");
            self.counts.again += u64::from(times > 0);
        }
    }

    /// A request has ended; `took` says whether the server has the events now.
    pub(super) fn answered(
        &mut self,
        now: Duration,
        (meaning, took): (Meaning, bool),
        events: &[u64],
    ) {
        let Settings {
            batch, retries, interval, first_delay, longest_delay, longest_pause, ..
        } = self.settings;
        let told = matches!(meaning, Meaning::Accepted { .. });
        for &event in events.iter().filter(|_| took) {
            let (times, _) = self.taken[event as usize];
            self.taken[event as usize] = (times + 1, told);
        }
        let failures = std::mem::take(&mut self.failures);
        let faults = std::mem::take(&mut self.faults);
        match meaning {
            Meaning::Accepted { .. } => self.settled = events.last().copied(),
            Meaning::AtFault => {
                self.counts.faults += 1;
                if events.len() == 1 {
                    self.settled = events.last().copied();
                } else {
                    self.faults = faults + 1;
                    let most = batch.next_power_of_two().ilog2();
                    assert!(self.faults <= most, "{} requests for a batch at fault", self.faults);
                }
            }
            Meaning::Refused => {
                self.counts.refusals += 1;
                self.patient_until = now + ms(interval);
                self.drained = self.deadline.is_some();
            }
            Meaning::Passing(asked) => {
                self.counts.failures += 1;
                self.counts.ambiguous += u64::from(took);
                self.counts.pauses += u64::from(asked.is_some());
                let asked = asked.map(|asked| asked.min(ms(longest_pause)));
                if failures == retries {
                    self.patient_until = now + ms(interval);
                    self.quiet_until = now + asked.unwrap_or_default();
                    self.drained = self.deadline.is_some();
                } else {
                    self.failures = failures + 1;
                    let least = ms(first_delay.min(longest_delay)) / 2;
                    self.quiet_until = now + asked.unwrap_or(least);
                }
            }
        }
    }

    pub(super) fn flushed(&mut self) {
        if self.deadline.is_none() {
            self.patient_until = Duration::ZERO;
        }
    }

    /// The last drain begins at once, once.
    pub(super) fn closed(&mut self, deadline: Duration) {
        if self.deadline.is_none() {
            self.counts.drains += 1;
            (self.quiet_until, self.patient_until) = (Duration::ZERO, Duration::ZERO);
            self.failures = 0;
        }
        self.deadline = Some(self.deadline.map_or(deadline, |first| first.min(deadline)));
    }
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.schedules += other.schedules;
        self.steps += other.steps;
        self.events += other.events;
        self.delivered += other.delivered;
        self.rejected += other.rejected;
        self.evicted += other.evicted;
        self.requests += other.requests;
        self.sent += other.sent;
        self.again += other.again;
        self.ambiguous += other.ambiguous;
        self.pauses += other.pauses;
        self.polls_in_pauses += other.polls_in_pauses;
        self.failures += other.failures;
        self.refusals += other.refusals;
        self.faults += other.faults;
        self.drains += other.drains;
        self.panics += other.panics;
    }
}
