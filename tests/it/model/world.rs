//! The core beside its model: each step is taken by both, and then they must agree.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, UNIX_EPOCH},
};

use mosaicstack_telemetry::{
    Action, Delivery, DeliveryOutcome, Start, Submitter, TelemetryHandle, Timeout,
};
use telemetry_tests::Fuse;
use uuid::Uuid;

use super::{
    answers::{Answer, Meaning, Receipt},
    books::Books,
    schedule::{Schedule, Told, ms},
    steps::{self, Settings, Step},
    trace::{Counts, Trace},
};

/// A core, its model, and everything around them that a schedule needs.
pub(super) struct World {
    settings: Settings,
    handle: TelemetryHandle,
    submitter: Submitter,
    now: Duration,
    under_way: Option<Delivery>,
    /// What the driver was told last; none if it has to ask again.
    told: Option<Told>,
    /// How often it was woken, and how often it had been when it asked last.
    woken: Arc<AtomicU64>,
    known: u64,
    /// The id and the JSON of each event that was queued.
    events: Vec<(Uuid, String)>,
    fuse: Fuse,
    books: Books,
    schedule: Schedule,
    trace: Trace,
}

impl World {
    pub(super) fn new(settings: &Settings) -> Self {
        let woken = Arc::<AtomicU64>::default();
        let wake = {
            let woken = Arc::clone(&woken);
            move || {
                woken.fetch_add(1, Ordering::Relaxed);
            }
        };
        let wall = UNIX_EPOCH + Duration::from_secs(settings.wall);
        let start = Start { now: start(), wall, seed: settings.seed };
        let (handle, submitter) = TelemetryHandle::with_submitter(&settings.config(), start, wake);
        Self {
            settings: settings.clone(),
            handle,
            submitter,
            now: Duration::ZERO,
            under_way: None,
            told: None,
            woken,
            known: 0,
            events: Vec::new(),
            fuse: Fuse::new(),
            books: Books::new(settings.places),
            schedule: Schedule::new(settings),
            trace: Trace::new(settings),
        }
    }

    pub(super) fn take(&mut self, step: &Step) {
        self.trace.counts.steps += 1;
        match step {
            Step::Track(count) => self.track(*count),
            Step::Advance(by) => self.advance(ms(*by)),
            Step::Sleep => {
                if let Some(Told::Wait(until)) = self.told {
                    self.advance(until.saturating_sub(self.now));
                }
            }
            Step::Poll(fuse) => self.poll(*fuse),
            Step::Answer(answer, fuse) => self.answer(answer, *fuse),
            Step::GiveUp => {
                if self.under_way.take().is_some() {
                    self.books.put_back();
                    self.told = None;
                }
            }
            Step::Flush => {
                self.submitter.flush(self.instant());
                self.schedule.flush(self.now, &self.books);
                self.trace.flushed();
                self.told = None;
            }
            Step::Close(after) => {
                let deadline = self.now + ms(*after);
                self.submitter.close(self.instant(), start() + deadline);
                self.schedule.close(self.now, &mut self.books, deadline);
                self.trace.closed(deadline);
                self.told = None;
            }
        }
        self.books.check(self.handle.stats());
    }

    fn track(&mut self, count: usize) {
        for _ in 0..count {
            let event = self.handle.event().build();
            let shown = (event.event_id, serde_json::to_string(&event).expect("plain data"));
            self.handle.track(event);
            if self.books.track().is_some() {
                self.events.push(shown);
            }
        }
        let waits = self.under_way.is_none() && matches!(self.told, Some(Told::Wait(_)));
        if waits && self.schedule.sends_early(self.now, &self.books) {
            assert!(self.woken.load(Ordering::Relaxed) > self.known, "nobody wakes the driver");
        }
    }

    fn advance(&mut self, by: Duration) {
        if self.schedule.has_to_learn() {
            // How long a delay is can only be seen before it is over.
            self.poll(None);
        }
        self.now += by;
    }

    fn poll(&mut self, fuse: steps::Fuse) {
        self.known = self.woken.load(Ordering::Relaxed);
        let dry_run = self.handle.stats().dropped.dry_run;
        let now = self.instant();
        self.fuse.light(fuse);
        let action = catch_unwind(AssertUnwindSafe(|| self.submitter.poll(now)));
        self.fuse.put_out();
        let Ok(action) = action else {
            self.trace.counts.panics += 1;
            let skipped = self.handle.stats().dropped.dry_run - dry_run;
            self.schedule.poll_broken(self.now, &mut self.books, skipped);
            self.told = None;
            return;
        };
        let told = match &action {
            Action::Send(request, delivery) => Told::Send(delivery.len(), Timeout::of(request)),
            Action::Wait(until) => Told::Wait(until.saturating_duration_since(start())),
            Action::Done => Told::Done,
        };
        let expected = self.schedule.poll(self.now, &mut self.books, told);
        assert_eq!(told, expected, "at {:?}: {:?}", self.now, self.schedule);
        let sent = if matches!(told, Told::Send(..)) { &self.books.out[..] } else { &[] };
        self.trace.told(self.now, told, sent);
        if let Action::Send(request, delivery) = action {
            let events: Vec<&str> =
                sent.iter().map(|&number| &*self.events[number as usize].1).collect();
            let body = format!("{{\"events\":[{}]}}", events.join(","));
            assert_eq!(String::from_utf8_lossy(request.body()), body);
            self.under_way = Some(delivery);
        }
        self.told = Some(told);
    }

    fn answer(&mut self, answer: &Answer, fuse: steps::Fuse) {
        let Some(delivery) = self.under_way.take() else { return };
        let wall = Duration::from_secs(self.settings.wall) + self.now;
        let sent = self.books.out.clone();
        let ids: Vec<Uuid> = sent.iter().map(|&number| self.events[number as usize].0).collect();
        assert!(delivery.events().map(|event| event.event_id).eq(ids.iter().copied()));
        let meaning = answer.meaning(sent.len(), wall);
        self.trace.answered(self.now, (meaning, answer.takes()), &sent);
        let (now, result) = (self.instant(), answer.result(&ids, wall));
        self.fuse.light(fuse);
        let complete = || self.submitter.complete(now, delivery, result);
        let verdict = catch_unwind(AssertUnwindSafe(complete));
        self.fuse.put_out();
        self.schedule.complete(self.now, &mut self.books, meaning);
        match verdict {
            Ok(verdict) => assert_eq!(verdict, meaning.verdict()),
            Err(_) => self.trace.counts.panics += 1,
        }
        self.told = None;
    }

    /// From now on all is well: whatever is still there is delivered, and soon.
    pub(super) fn end(mut self, closes: bool) -> Counts {
        self.take(&Step::GiveUp);
        let is_open = !self.books.closed;
        if is_open && closes {
            self.take(&Step::Close(self.settings.timeout));
        }
        let (start, pending) = (self.now, self.books.pending());
        let mut polls = 0;
        while self.told != Some(Told::Done) && (self.books.closed || self.books.pending() > 0) {
            self.take(&Step::Poll(None));
            self.take(&Step::Answer(Answer::Taken(200, Receipt::Text(String::new())), None));
            let waits = matches!(self.told, Some(Told::Wait(_)));
            if waits && (self.books.closed || self.books.pending() > 0) {
                self.take(&Step::Sleep);
            }
            polls += 1;
            assert!(polls <= 2 * pending + 8, "it never ends");
        }
        if is_open {
            assert_eq!(self.books.pending(), 0);
            let waited = self.now - start;
            let Settings { longest_pause, longest_delay, interval, .. } = self.settings;
            let most = ms(longest_pause) * 11 / 10 + ms(longest_delay) * 3 / 2 + ms(interval);
            assert!(waited <= if closes { Duration::ZERO } else { most }, "{waited:?}");
        }
        Counts {
            schedules: 1,
            events: self.books.queued + self.books.too_late,
            delivered: self.books.delivered,
            rejected: self.books.rejected,
            evicted: self.books.evicted,
            ..self.trace.counts
        }
    }

    fn instant(&self) -> Instant {
        start() + self.now
    }
}

impl Meaning {
    fn verdict(self) -> DeliveryOutcome {
        match self {
            Self::Accepted { .. } => DeliveryOutcome::Accepted,
            Self::Passing(retry_after) => DeliveryOutcome::Retry { retry_after },
            Self::AtFault => DeliveryOutcome::BatchRejected,
            Self::Refused => DeliveryOutcome::Misconfigured,
        }
    }
}

/// Time 0 of all schedules.
#[expect(clippy::disallowed_methods, reason = "an instant can only be had from the clock")]
pub(super) fn start() -> Instant {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    *START
}
