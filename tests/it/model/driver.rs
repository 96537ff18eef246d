//! Takes steps with the submitter and with its model, and compares them.

use std::time::Duration;

use mosaicstack_telemetry::sans_io::Delivery;
use telemetry_tests::{Next, Simulation};
use uuid::Uuid;

use super::{
    reference::{Expected, Reference},
    replies::Reply,
    steps::{Settings, Step},
};

pub(super) struct Driver {
    settings: Settings,
    simulation: Simulation,
    reference: Reference,
    delivery: Option<Delivery>,
    /// Result of the last poll; `None` if the driver has to poll again.
    polled: Option<Expected>,
    /// Wake-ups before the last poll.
    woken: usize,
    /// Id and JSON of each queued event.
    events: Vec<(Uuid, String)>,
}

impl Driver {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            simulation: Simulation::seeded(&settings.config, settings.seed),
            reference: Reference::new(&settings.config),
            settings: settings.clone(),
            delivery: None,
            polled: None,
            woken: 0,
            events: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, step: &Step) {
        let ms = Duration::from_millis;
        match step {
            Step::Track(count) => self.track(*count),
            Step::Advance(by) => self.advance(ms(*by)),
            Step::Sleep => {
                if let Some(Expected::Wait(until)) = self.polled {
                    self.advance(until.saturating_sub(self.simulation.now()));
                }
            }
            Step::Poll => self.poll(),
            Step::Reply(reply) => self.complete(reply),
            Step::DropDelivery => {
                if self.delivery.take().is_some() {
                    self.reference.put_back();
                    self.polled = None;
                }
            }
            Step::Flush => {
                self.simulation.flush();
                self.reference.flush(self.simulation.now());
                self.polled = None;
            }
            Step::Close(within) => self.close(ms(*within)),
        }
        let stats = self.simulation.handle.stats();
        assert_eq!(stats, self.reference.stats(), "{:?}", self.reference);
        assert!(stats.is_balanced(), "{stats:?}");
    }

    fn track(&mut self, count: usize) {
        let handle = &self.simulation.handle;
        for _ in 0..count {
            let event = handle.event().build();
            let written = (event.event_id, serde_json::to_string(&event).expect("plain data"));
            handle.track(event);
            if self.reference.track() {
                self.events.push(written);
            }
        }
        let now = self.simulation.now();
        // A driver that is to poll at once needs no wake-up.
        let waits = matches!(self.polled, Some(Expected::Wait(until)) if until > now);
        if waits && self.delivery.is_none() && self.reference.flushes_early(now) {
            assert!(self.simulation.woken() > self.woken, "a full batch does not wake the driver");
        }
    }

    fn advance(&mut self, by: Duration) {
        // A delay is visible only before it is over.
        if self.reference.is_unresolved() {
            self.poll();
        }
        self.simulation.advance(by);
    }

    fn poll(&mut self) {
        self.woken = self.simulation.woken();
        let was_done = self.polled == Some(Expected::Done);
        let now = self.simulation.now();
        let actual = match self.simulation.step() {
            Next::Sent(delivery) => {
                let timeout = self.simulation.sent.last().expect("recorded by `step`").timeout;
                let count = delivery.len();
                self.delivery = Some(delivery);
                Expected::Send(count, timeout)
            }
            Next::Waits(until) => Expected::Wait(until),
            Next::Done => Expected::Done,
        };
        let done = |reference: &Reference| {
            let stats = reference.stats();
            stats.dropped.dry_run + stats.delivered
        };
        let skipped = done(&self.reference);
        let expected = self.reference.poll(now, actual);
        assert_eq!(actual, expected, "at {now:?}: {:?}", self.reference);
        assert!(!was_done || actual == Expected::Done, "{actual:?} after the end");
        if let Expected::Wait(until) = actual {
            // Polled again after a batch that is not sent.
            let has_skipped = done(&self.reference) > skipped;
            assert!(until > now || has_skipped, "a busy loop");
        }
        if matches!(actual, Expected::Send(..)) {
            let numbers = self.reference.sent().iter();
            let events: Vec<_> = numbers.map(|&it| &*self.events[it as usize].1).collect();
            let body = format!("{{\"events\":[{}]}}", events.join(","));
            let sent = self.simulation.sent.last().expect("a request");
            assert_eq!(String::from_utf8_lossy(&sent.body), body, "the same bytes each time");
        }
        self.polled = Some(actual);
    }

    fn complete(&mut self, reply: &Reply) {
        let Some(delivery) = self.delivery.take() else { return };
        let ids = self.reference.sent().iter().map(|&it| self.events[it as usize].0);
        assert!(delivery.events().map(|event| event.event_id).eq(ids));
        let outcome = self.reference.complete(self.simulation.now(), reply);
        assert_eq!(self.simulation.complete(delivery, reply.result()), outcome, "{reply:?}");
        self.polled = None;
    }

    fn close(&mut self, within: Duration) {
        self.simulation.close(within);
        let now = self.simulation.now();
        self.reference.close(now, now + within);
        self.polled = None;
    }

    /// Pending events are delivered without further delay once the server accepts everything.
    pub(super) fn finish(mut self, closes: bool) {
        self.take(&Step::DropDelivery);
        let (config, was_open) = (self.settings.config.clone(), self.reference.deadline.is_none());
        if was_open && closes {
            self.close(config.request_timeout());
        }
        let is_closed = !was_open || closes;
        let (start, pending) = (self.simulation.now(), self.reference.pending());
        let mut polls = 0;
        while self.polled != Some(Expected::Done) && (is_closed || self.reference.pending() > 0) {
            self.take(&Step::Poll);
            self.take(&Step::Reply(Reply::Accepted(200, None)));
            if is_closed || self.reference.pending() > 0 {
                self.take(&Step::Sleep);
            }
            polls += 1;
            assert!(polls <= 2 * pending + 8, "no progress");
        }
        if was_open {
            assert_eq!(self.reference.pending(), 0);
            let policy = config.retry_policy();
            let most = policy.max_retry_after * 11 / 10 + policy.max_backoff * 3 / 2;
            let most = if closes { Duration::ZERO } else { most + config.submit_interval() };
            let waited = self.simulation.now() - start;
            assert!(waited <= most, "{waited:?}");
        }
    }
}
