//! Bisection of refused batches: the events of the next request.

/// Number of single events refused in a row after which the server is taken to refuse all.
const FEW: usize = 3;

/// Searches the rejected event of a refused batch, without giving up events to a server that refuses
/// everything.
///
/// A refused batch is halved until the refused event is alone. The size of the last attempt is kept
/// while suspects remain, and grows from 1 after an event was isolated. One bad event among 100 costs at
/// most 23 requests.
///
/// A single event is rejected only if the server has accepted another one since the refusals began.
/// Otherwise the events behind it are tried one by one, with the refused ones kept at their places in
/// the queue. An acceptance proves the server usable; the refused events are then sent again.
///
/// Positions are sequence numbers of the queue.
#[derive(Debug)]
pub(super) struct Bisection {
    batch_size: usize,
    limit: usize,
    /// The rejected event is among this many of the oldest events; 0 if none is known.
    suspects: usize,
    /// The server has accepted events since it refused the suspects.
    is_proven: bool,
    /// The event to send alone, behind refused ones.
    probe: Option<u64>,
    /// The event that was accepted as a probe, and leaves the queue after those before it.
    ahead: Option<u64>,
    /// Number of single events refused since the last acceptance, and the last of them.
    refused: usize,
    last_refused: Option<u64>,
    /// The server has accepted events since the start.
    has_accepted: bool,
}

/// Result of the refusal of a single event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The server accepts others: the event is rejected.
    Rejected,
    /// It is not known whether the server accepts any. The next one to try has this position.
    Suspect(u64),
    /// The server refuses all.
    Refuses,
}

impl Bisection {
    pub(super) const fn new(batch_size: usize) -> Self {
        Self {
            batch_size,
            limit: batch_size,
            suspects: 0,
            is_proven: false,
            probe: None,
            ahead: None,
            refused: 0,
            last_refused: None,
            has_accepted: false,
        }
    }

    pub(super) const fn has_accepted(&self) -> bool {
        self.has_accepted
    }

    /// The events to take next, counted from `first`, the oldest: the number to leave out, and the
    /// maximum number behind them, at least 1.
    pub(super) fn range(&self, first: u64) -> (usize, usize) {
        match (offset(self.probe, first), offset(self.ahead, first)) {
            (Some(skipped), _) => (skipped, 1),
            // The event that was accepted is taken alone.
            (None, Some(before)) => (0, self.limit.min(before.max(1))),
            (None, None) => (0, self.limit),
        }
    }

    /// True if the event at this position was accepted as a probe, and is not to be sent again.
    pub(super) fn was_accepted(&self, at: u64) -> bool {
        self.ahead == Some(at)
    }

    /// True if [`range`](Self::range) depends on the oldest event.
    pub(super) const fn has_position(&self) -> bool {
        self.probe.is_some() || self.ahead.is_some()
    }

    /// Returns to the oldest event: there is none at the position of the probe.
    pub(super) const fn restart(&mut self) {
        self.probe = None;
    }

    /// Records that a batch of several events was refused as a whole.
    pub(super) const fn batch_refused(&mut self, count: usize) {
        if self.suspects == 0 {
            self.is_proven = false;
        }
        (self.limit, self.suspects) = (count.div_ceil(2), count);
    }

    /// Records that the event at this position was refused alone.
    pub(super) fn single_refused(&mut self, at: u64) -> Refusal {
        if self.is_proven || self.ahead.is_some_and(|ahead| ahead > at) {
            // Sizes grow from 1 again: starting from the full size would cost a search for each event
            // of a series of bad ones.
            (self.limit, self.suspects, self.is_proven) = (1, 0, false);
            return Refusal::Rejected;
        }
        if self.last_refused.replace(at) != Some(at) {
            self.refused += 1;
        }
        self.probe = Some(at + 1);
        if self.refused >= FEW { Refusal::Refuses } else { Refusal::Suspect(at + 1) }
    }

    /// Records that the server does not seem to be the right one. Single events are sent until one is
    /// accepted.
    pub(super) const fn all_refused(&mut self) {
        (self.limit, self.suspects, self.refused) = (1, 0, FEW);
    }

    /// Records that a batch of `count` events, the oldest ones, was accepted.
    pub(super) fn accepted(&mut self, count: usize) {
        self.suspects = self.suspects.saturating_sub(count);
        self.is_proven = self.suspects > 0;
        (self.probe, self.refused, self.last_refused, self.has_accepted) = (None, 0, None, true);
        self.limit = if self.suspects > 0 {
            self.limit.min(self.suspects)
        } else {
            self.limit.saturating_mul(2).min(self.batch_size)
        };
    }

    /// Records that the event at this position was accepted before older ones.
    pub(super) const fn probe_accepted(&mut self, at: u64) {
        *self = Self { ahead: Some(at), has_accepted: true, ..Self::new(self.batch_size) };
    }
}

/// The number of events from `first` to a position; `None` if that has left the queue.
fn offset(position: Option<u64>, first: u64) -> Option<usize> {
    let offset = position?.checked_sub(first)?;
    Some(usize::try_from(offset).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `events` (true: bad) to a server that rejects batches with a bad event. Returns the
    /// number of requests, of delivered events, and of those that stay when the server is taken to
    /// refuse all.
    fn drain(events: &[bool], batch_size: usize) -> (usize, usize, usize) {
        let mut bisection = Bisection::new(batch_size);
        let (mut requests, mut delivered, mut first) = (0, 0, 0);
        while first < events.len() {
            let (skipped, max) = bisection.range(first as u64);
            if bisection.was_accepted(first as u64) {
                assert_eq!((skipped, max), (0, 1));
                (delivered, first) = (delivered + 1, first + 1);
                continue;
            }
            let from = first + skipped;
            if from >= events.len() {
                return (requests, delivered, events.len() - first);
            }
            let sent = &events[from..events.len().min(from + max)];
            requests += 1;
            match (sent.contains(&true), sent.len()) {
                (true, 1) => match bisection.single_refused(from as u64) {
                    Refusal::Rejected => first += 1,
                    Refusal::Suspect(next) => assert_eq!(next, from as u64 + 1),
                    Refusal::Refuses => return (requests, delivered, events.len() - first),
                },
                (true, count) => bisection.batch_refused(count),
                (false, _) if skipped > 0 => bisection.probe_accepted(from as u64),
                (false, count) => {
                    bisection.accepted(count);
                    (delivered, first) = (delivered + count, first + count);
                }
            }
        }
        (requests, delivered, 0)
    }

    #[test]
    fn one_bad_event_costs_at_most_23_requests() {
        for bad in 0..99 {
            let mut events = vec![false; 100];
            events[bad] = true;
            let (requests, delivered, left) = drain(&events, 100);
            assert_eq!((delivered, left), (99, 0), "{bad}");
            assert!(requests <= 23, "{bad}: {requests}");
        }
    }

    #[test]
    fn good_events_are_sent_in_full_batches() {
        assert_eq!(drain(&[false; 1000], 100), (10, 1000, 0));
    }

    #[test]
    fn server_that_refuses_all_costs_few_requests_and_no_event() {
        assert_eq!(drain(&[true; 1000], 100), (10, 0, 1000));
        assert_eq!(drain(&[true; 1000], 1), (3, 0, 1000));
        assert_eq!(drain(&[true; 2], 1), (2, 0, 2));
    }

    #[test]
    fn events_of_any_pattern_are_delivered_or_kept_if_the_last_ones_are_bad() {
        for pattern in 0..1 << 10 {
            // Fewer bad events in a row than FEW, and a good one at the end.
            let events: Vec<bool> = (0..10).map(|bit| pattern >> bit & 1 == 1).collect();
            let in_a_row = events.split(|bad| !bad).map(<[_]>::len).max().unwrap_or(0);
            let events = [events, vec![false]].concat();
            let good = events.iter().filter(|bad| !**bad).count();
            if in_a_row < FEW {
                let (_, delivered, left) = drain(&events, 4);
                assert_eq!((delivered, left), (good, 0), "{pattern:b}");
            }
        }
    }

    #[test]
    fn event_accepted_as_a_probe_is_not_sent_again() {
        let mut bisection = Bisection::new(100);
        assert_eq!(bisection.single_refused(7), Refusal::Suspect(8));
        assert_eq!(bisection.range(7), (1, 1));
        bisection.probe_accepted(8);
        assert_eq!(bisection.range(7), (0, 1));
        assert_eq!(bisection.single_refused(7), Refusal::Rejected);
        assert_eq!((bisection.range(8), bisection.range(9)), ((0, 1), (0, 1)));
        assert_eq!([7, 8, 9].map(|at| bisection.was_accepted(at)), [false, true, false]);
    }

    #[test]
    fn evicted_events_are_passed_over() {
        let mut bisection = Bisection::new(100);
        assert_eq!(bisection.single_refused(7), Refusal::Suspect(8));
        assert_eq!([bisection.range(8), bisection.range(9)], [(0, 1), (0, 100)]);
        bisection.probe_accepted(8);
        assert_eq!(bisection.range(9), (0, 100));
    }
}
