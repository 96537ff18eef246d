//! What a driver is told to do and when, as the documentation has it.

use std::{fmt, time::Duration};

use mosaicstack_telemetry::Health;

use super::{answers::Meaning, books::Books, steps::Settings};

/// The rules of the submitter, with the time since the start.
#[derive(Debug)]
pub(super) struct Schedule {
    settings: Settings,
    /// When the interval is over, or when the cycle that is going on wants its next request.
    due: Duration,
    gate: Gate,
    /// How often the batch has been tried again in this cycle.
    retries: u32,
    /// The cycle has given up: full batches wait for the next one.
    gave_up: bool,
    /// Events before this number belong to the cycle.
    cycle: u64,
    closing: Option<Duration>,
    narrowing: Narrowing,
}

/// Before when nothing is sent.
#[derive(Clone, Copy, Debug)]
enum Gate {
    At(Duration),
    /// A delay that chance has spread; how far, the driver learns when it polls.
    Between(Duration, Duration),
}

/// How many events go into a request while one of them is suspected.
#[derive(Debug)]
struct Narrowing {
    limit: usize,
    suspects: usize,
}

/// What a driver is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// To send so many events, in so much time.
    Send(usize, Duration),
    Wait(Duration),
    Done,
}

impl Schedule {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            due: ms(settings.interval),
            gate: Gate::At(Duration::ZERO),
            retries: 0,
            gave_up: false,
            cycle: 0,
            closing: None,
            narrowing: Narrowing { limit: settings.batch, suspects: 0 },
            settings: settings.clone(),
        }
    }

    /// What the driver has to be told; books what is sent. `told` is what it was told: where
    /// chance decided, it has to be within the bounds, and says what has been decided.
    pub(super) fn poll(&mut self, now: Duration, books: &mut Books, told: Told) -> Told {
        self.learn(now, told);
        if !books.out.is_empty() {
            let expires = now + ms(self.settings.timeout);
            let until = self.closing.map_or(expires, |deadline| deadline.min(expires));
            return if until > now { Told::Wait(until) } else { Told::Done };
        }
        if self.closing.is_some_and(|deadline| now >= deadline || self.next() >= deadline) {
            return Told::Done;
        }
        if self.sends_early(now, books) {
            self.begin(now, books);
        }
        if now < self.next() {
            return Told::Wait(self.next());
        }
        if self.cycle <= books.settled() {
            self.begin(now, books);
        }
        if self.settings.dry_run {
            while !books.waiting.is_empty() {
                books.skip(self.settings.batch);
            }
        } else if !books.waiting.is_empty() {
            books.send(self.narrowing.limit);
            self.gate = Gate::At(now + self.delay(0));
            let left = self.closing.map_or(Duration::MAX, |deadline| deadline - now);
            return Told::Send(books.out.len(), left.min(ms(self.settings.timeout)));
        }
        if self.closing.is_some() && books.pending() == 0 {
            return Told::Done;
        }
        self.wait_for_interval(now);
        Told::Wait(self.closing.map_or(self.due, |deadline| deadline.min(self.due)))
    }

    /// The driver polled, and the subscriber of the log panicked over so many events of a dry run.
    pub(super) fn poll_broken(&mut self, now: Duration, books: &mut Books, skipped: u64) {
        if skipped > 0 {
            if self.sends_early(now, books) || self.cycle <= books.settled() {
                self.begin(now, books);
            }
            let before = books.dry_run;
            while books.dry_run < before + skipped {
                books.skip(self.settings.batch);
            }
        }
    }

    /// What an answer means for what comes next; books it.
    pub(super) fn complete(&mut self, now: Duration, books: &mut Books, meaning: Meaning) {
        let count = books.out.len();
        match meaning {
            Meaning::Accepted { rejected } => {
                books.accept(rejected);
                books.health = Health::Good;
                self.narrowing.accepted(count, self.settings.batch);
                self.retries = 0;
                self.open();
                self.go_on(now, books);
            }
            Meaning::AtFault => {
                books.health = Health::Good;
                self.narrowing.at_fault(count);
                self.retries = 0;
                self.open();
                if count == 1 {
                    books.accept(1);
                    self.go_on(now, books);
                } else {
                    books.retried += 1;
                    books.put_back();
                    self.due = now;
                }
            }
            Meaning::Refused => {
                books.health = Health::Misconfigured;
                books.put_back();
                self.open();
                self.give_up(now);
            }
            Meaning::Passing(pause) => {
                books.health = Health::Retrying;
                books.retried += 1;
                books.put_back();
                self.pause(now, pause);
            }
        }
    }

    pub(super) fn flush(&mut self, now: Duration, books: &Books) {
        if self.closing.is_none() {
            self.begin(now, books);
        }
    }

    pub(super) fn close(&mut self, now: Duration, books: &mut Books, deadline: Duration) {
        books.closed = true;
        if let Some(first) = &mut self.closing {
            *first = deadline.min(*first);
            return;
        }
        self.closing = Some(deadline);
        self.retries = 0;
        self.open();
        self.begin(now, books);
        self.cycle = u64::MAX;
    }

    /// Whether a driver that was told to wait has to be woken.
    pub(super) fn sends_early(&self, now: Duration, books: &Books) -> bool {
        let full = self.settings.batch.min(self.settings.places);
        let is_full = self.settings.early_flush && books.pending() >= full;
        is_full && !self.gave_up && self.opens() <= now && now < self.due
    }

    /// Whether there is a delay whose length only the next poll shows.
    pub(super) fn has_to_learn(&self) -> bool {
        matches!(self.gate, Gate::Between(..))
    }

    /// Takes in how long a delay was, where chance decided it.
    fn learn(&mut self, now: Duration, told: Told) {
        let Gate::Between(from, to) = self.gate else { return };
        let at = match told {
            // The delay is over before the next cycle begins, and hidden behind that.
            Told::Wait(until) if until == self.due && until > from => {
                self.gate = Gate::Between(from, to.min(until));
                return;
            }
            // It is over by now: something else is waited for, if anything.
            Told::Wait(until) if until > to && from <= now => now.min(to),
            Told::Send(..) => now.min(to),
            Told::Wait(until) => until,
            Told::Done => self.closing.map_or(from, |deadline| deadline.clamp(from, to)),
        };
        assert!(from <= at && at <= to, "a delay to {at:?}, and not from {from:?} to {to:?}");
        self.gate = Gate::At(at);
    }

    fn next(&self) -> Duration {
        self.due.max(self.opens())
    }

    fn opens(&self) -> Duration {
        match self.gate {
            Gate::At(at) | Gate::Between(at, _) => at,
        }
    }

    fn open(&mut self) {
        self.gate = Gate::At(Duration::ZERO);
    }

    fn begin(&mut self, now: Duration, books: &Books) {
        self.due = now;
        self.gave_up = false;
        self.cycle = self.cycle.max(books.queued);
    }

    fn go_on(&mut self, now: Duration, books: &Books) {
        if books.settled() < self.cycle {
            self.due = now;
        } else {
            self.wait_for_interval(now);
        }
    }

    fn wait_for_interval(&mut self, now: Duration) {
        self.due = now + ms(self.settings.interval);
        self.gave_up = false;
    }

    /// After a failure that may pass.
    fn pause(&mut self, now: Duration, asked: Option<Duration>) {
        let asked = asked.map(|asked| asked.min(ms(self.settings.longest_pause)));
        // Half of the delay in either direction, or, on top of what the server asked for, all of it
        // or a tenth of what was asked for.
        let between = |delay: Duration| {
            let from = now + asked.unwrap_or(delay / 2);
            Gate::Between(from, from + delay.max(asked.unwrap_or_default() / 10))
        };
        let is_last = self.retries == self.settings.retries;
        if is_last {
            let (gate, open) = (between(self.delay(0)), Gate::At(Duration::ZERO));
            self.gate = if asked.is_some() { gate } else { open };
            self.give_up(now);
            return;
        }
        self.gate = between(self.delay(self.retries));
        self.retries += 1;
        self.due = now;
    }

    fn give_up(&mut self, now: Duration) {
        self.retries = 0;
        self.wait_for_interval(now);
        self.gave_up = true;
        self.cycle = 0;
        if let Some(deadline) = self.closing {
            self.due = self.due.max(deadline);
        }
    }

    /// The delay after so many retries, before it is spread.
    fn delay(&self, retries: u32) -> Duration {
        let Settings { first_delay, longest_delay, .. } = self.settings;
        let factor = 1_u64.checked_shl(retries).unwrap_or(u64::MAX);
        ms(first_delay.saturating_mul(factor).min(longest_delay))
    }
}

impl Narrowing {
    fn at_fault(&mut self, count: usize) {
        if count > 1 {
            (self.limit, self.suspects) = (count.div_ceil(2), count);
        } else {
            (self.limit, self.suspects) = (1, 0);
        }
    }

    fn accepted(&mut self, count: usize, batch: usize) {
        self.suspects = self.suspects.saturating_sub(count);
        if self.suspects == 0 {
            self.limit = (2 * self.limit).min(batch);
        } else {
            self.limit = self.limit.min(self.suspects);
        }
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(count, timeout) => write!(f, "send {count} in {timeout:?}"),
            Self::Wait(until) => write!(f, "wait until {until:?}"),
            Self::Done => f.write_str("done"),
        }
    }
}

pub(super) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
