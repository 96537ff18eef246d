//! Results of requests: acceptance, bisection, and servers that refuse everything.

use std::{mem, time::Duration};

use mosaicstack_telemetry::{Health, sans_io::DeliveryOutcome};

use super::{super::replies::Reply, NotBefore, Reference};

/// Events refused alone, and none accepted, that make a server misconfigured, and events rejected for an
/// acceptance.
const FEW: usize = 3;

impl Reference {
    /// Returns the expected outcome.
    pub(in crate::model) fn complete(&mut self, now: Duration, reply: &Reply) -> DeliveryOutcome {
        let count = self.sent().len();
        let outcome = reply.outcome(count);
        match outcome {
            DeliveryOutcome::Accepted if self.skipped > 0 => {
                self.stats.health = Health::Good;
                (self.limit, self.suspects) = (1, 0);
                self.ahead.insert(self.in_flight[self.skipped]);
                self.accepted();
                self.put_back();
                self.reset_backoff();
                self.due = now;
            }
            DeliveryOutcome::Accepted => {
                self.stats.health = Health::Good;
                self.bisect_accepted(count);
                self.accepted();
                self.is_proven = self.suspects > 0;
                self.acknowledge(now, reply.rejected(count));
            }
            DeliveryOutcome::BatchRejected if reply.is_foreign() && !self.has_accepted => {
                (self.limit, self.suspects, self.refused) = (1, 0, FEW);
                if count > 1 {
                    return self.misconfigured(now);
                }
                return self.refused_alone(now);
            }
            DeliveryOutcome::BatchRejected if count == 1 => return self.refused_alone(now),
            DeliveryOutcome::BatchRejected => {
                self.is_credited &= self.suspects > 0;
                (self.limit, self.suspects) = (count.div_ceil(2), count);
                self.send_again(now);
            }
            DeliveryOutcome::Retry { retry_after } => {
                self.stats.health = Health::Retrying;
                self.stats.retried += 1;
                self.put_back();
                self.back_off(now, retry_after);
            }
            _ => return self.misconfigured(now),
        }
        outcome
    }

    fn accepted(&mut self) {
        (self.is_proven, self.probe, self.has_accepted) = (false, None, true);
        (self.refused, self.credit, self.is_credited) = (0, FEW, true);
    }

    fn refused_alone(&mut self, now: Duration) -> DeliveryOutcome {
        let number = self.in_flight[self.skipped];
        (self.limit, self.suspects) = (1, 0);
        if mem::take(&mut self.is_proven) || (self.is_credited && self.has_credit(number)) {
            self.credit = self.credit.saturating_sub(1);
            self.stats.health = Health::Good;
            self.acknowledge(now, 1);
            return DeliveryOutcome::BatchRejected;
        }
        self.tried.insert(number);
        self.refused += 1;
        let untried = |it: &u64| !self.tried.contains(it) && !self.ahead.contains(it);
        let first = self.in_flight[0];
        let all: Vec<_> = (first..self.queued).take(1_000).filter(untried).collect();
        let is_oldest = self.refused % 2 == 1;
        self.probe = if is_oldest { all.first() } else { all.last() }.copied();
        let is_last = self.probe.is_none();
        if is_last {
            self.tried.clear();
            self.is_credited = true;
            if !self.has_accepted {
                self.refused = FEW;
            }
        }
        if self.refused >= FEW {
            return self.misconfigured(now);
        }
        if is_last && !self.has_credit(first) {
            self.refused = 0;
            self.stats.health = Health::Retrying;
            self.stats.retried += 1;
            self.put_back();
            self.reset_backoff();
            self.give_up(now);
            self.early_from = self.queued;
        } else {
            self.send_again(now);
        }
        DeliveryOutcome::BatchRejected
    }

    /// True if an event was accepted behind the event of this number.
    fn has_credit(&self, number: u64) -> bool {
        self.credit > 0 && self.ahead.last().is_some_and(|&ahead| ahead > number)
    }

    fn send_again(&mut self, now: Duration) {
        self.stats.retried += 1;
        self.put_back();
        self.reset_backoff();
        self.due = now;
    }

    fn misconfigured(&mut self, now: Duration) -> DeliveryOutcome {
        self.stats.health = Health::Misconfigured;
        self.put_back();
        self.not_before = NotBefore::At(Duration::ZERO);
        self.give_up(now);
        DeliveryOutcome::Misconfigured
    }

    fn bisect_accepted(&mut self, count: usize) {
        self.suspects = self.suspects.saturating_sub(count);
        self.limit = if self.suspects == 0 {
            (2 * self.limit).min(self.config.batch_size())
        } else {
            self.limit.min(self.suspects)
        };
    }
}
