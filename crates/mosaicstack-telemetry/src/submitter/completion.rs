//! Results of requests: their interpretation, and their effect on events and schedule.

use std::time::{Duration, Instant, SystemTime};

use http::StatusCode;
use telemetry_model::BatchReceipt;
use telemetry_transport::{Response, TransportError};

use super::{Submitter, bisection::Refusal, delivery::Delivery};
use crate::{protocol::DeliveryOutcome, response, stats::Health};

impl Submitter {
    /// Handles the result of a request, and returns how it was interpreted. `wall` is the calendar time,
    /// for a `Retry-After` with a date.
    pub fn complete(
        &mut self,
        now: Instant,
        wall: SystemTime,
        delivery: Delivery,
        result: Result<Response, TransportError>,
    ) -> DeliveryOutcome {
        let accepted = result.as_ref().ok().filter(|it| it.status().is_success());
        let receipt = accepted.and_then(|it| response::receipt(it.body()));
        let mut outcome = self.outcome(wall, &delivery, &result, receipt.as_ref());
        let count = delivery.len();
        // Each arm updates counters and schedule before it reports: a log subscriber may panic.
        match outcome {
            DeliveryOutcome::Accepted => {
                self.delays.reset();
                self.not_before = None;
                self.buffer.counters.set_health(Health::Good);
                let is_understood = receipt.is_some();
                let receipt = receipt.unwrap_or_default();
                if delivery.is_probe() {
                    self.bisection.probe_accepted(delivery.position());
                    drop(delivery);
                    self.due = now;
                    self.reporter.accepts_again();
                } else {
                    self.bisection.accepted(count);
                    let rejected = delivery.accept(&receipt);
                    self.continue_cycle(now);
                    self.reporter.accepted(count, &rejected);
                }
                if !is_understood {
                    self.reporter.not_understood(&result);
                }
            }
            DeliveryOutcome::Retry { retry_after } => {
                self.buffer.counters.retried.add(1);
                self.buffer.counters.set_health(Health::Retrying);
                drop(delivery);
                let gave_up = !self.schedule_retry(now, retry_after);
                let pending = gave_up.then(|| self.buffer.pending());
                self.reporter.deferred(count, &result, self.retry_in(now), pending);
            }
            DeliveryOutcome::BatchRejected => {
                self.delays.reset();
                self.not_before = None;
                outcome = self.refused(now, delivery, &result);
            }
            DeliveryOutcome::Misconfigured => {
                drop(delivery);
                self.misconfigured(now, &result);
            }
        }
        self.reporter.changes();
        outcome
    }

    /// Interprets a result. `receipt` is that of a successful response.
    fn outcome(
        &mut self,
        wall: SystemTime,
        delivery: &Delivery,
        result: &Result<Response, TransportError>,
        receipt: Option<&BatchReceipt>,
    ) -> DeliveryOutcome {
        let outcome = match DeliveryOutcome::of(result, wall) {
            DeliveryOutcome::Accepted if receipt.is_some_and(|it| delivery.is_refused_by(it)) => {
                DeliveryOutcome::BatchRejected
            }
            outcome => outcome,
        };
        // A gateway that limits the size of a body answers 413 with a page.
        let is_foreign = |answer: &Response| {
            answer.status() != StatusCode::PAYLOAD_TOO_LARGE && response::is_foreign(answer)
        };
        if outcome == DeliveryOutcome::BatchRejected
            && !self.bisection.has_accepted()
            && result.as_ref().is_ok_and(is_foreign)
        {
            self.bisection.all_refused();
            if delivery.single().is_none() {
                return DeliveryOutcome::Misconfigured;
            }
        }
        outcome
    }

    /// Handles the refusal of a batch, or of a single event.
    fn refused(
        &mut self,
        now: Instant,
        delivery: Delivery,
        result: &Result<Response, TransportError>,
    ) -> DeliveryOutcome {
        let Some(event_id) = delivery.single().map(|event| event.event_id) else {
            self.bisection.batch_refused(delivery.len());
            self.retry_now(now, delivery);
            return DeliveryOutcome::BatchRejected;
        };
        let (first, end) = (self.buffer.acknowledged(), self.buffer.queued());
        match self.bisection.single_refused(delivery.position(), first, end) {
            Refusal::Rejected => {
                self.buffer.counters.set_health(Health::Good);
                delivery.reject();
                self.continue_cycle(now);
                self.reporter.rejected(event_id, result);
            }
            Refusal::Suspect => self.retry_now(now, delivery),
            Refusal::NoOther => {
                // As in a service with few events: the next one decides.
                self.buffer.counters.retried.add(1);
                self.buffer.counters.set_health(Health::Retrying);
                drop(delivery);
                self.give_up(now);
                self.early_from = self.buffer.queued();
                let pending = Some(self.buffer.pending());
                self.reporter.deferred(1, result, self.retry_in(now), pending);
            }
            Refusal::Refuses => {
                drop(delivery);
                self.misconfigured(now, result);
                return DeliveryOutcome::Misconfigured;
            }
        }
        DeliveryOutcome::BatchRejected
    }

    fn retry_now(&mut self, now: Instant, delivery: Delivery) {
        self.buffer.counters.retried.add(1);
        drop(delivery);
        self.due = now;
    }

    fn misconfigured(&mut self, now: Instant, result: &Result<Response, TransportError>) {
        self.buffer.counters.set_health(Health::Misconfigured);
        self.not_before = None;
        self.give_up(now);
        self.reporter.misconfigured(result, self.retry_in(now));
    }

    fn retry_in(&self, now: Instant) -> Duration {
        self.next_attempt().saturating_duration_since(now)
    }
}
