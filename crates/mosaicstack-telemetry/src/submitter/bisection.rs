//! Bisection of refused batches: the events of the next request.

use std::{collections::BTreeSet, mem};

/// Number of single events refused in a row after which the server is taken to refuse all.
const FEW: usize = 3;

/// The number of events, from the oldest, among which single ones are tried: those before one of them are
/// taken out of the queue while its request is in flight.
const WINDOW: u64 = 1_000;

/// Searches the rejected event of a refused batch, without giving up events to a server that refuses
/// everything.
///
/// A refused batch is halved until the refused event is alone. The size of the last attempt is kept
/// while suspects remain, and grows from 1 after an event was isolated. One bad event among 100 costs at
/// most 23 requests.
///
/// A single event is rejected only if the server has accepted another one since the refusals began.
/// Otherwise others are tried alone (probes), with the refused ones kept at their places in the queue:
/// alternately the oldest and the newest one. An accepted probe stays in the queue until it is the oldest
/// event. Until then, events before it are rejected if they are refused again, up to `FEW` for each request
/// that the server accepts.
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
    /// Events that were accepted as probes.
    ahead: BTreeSet<u64>,
    /// Number of events before the last of these that may be rejected until the next acceptance.
    credit: usize,
    /// They may be rejected now: no batch was refused since that acceptance, or no other event is left.
    is_credited: bool,
    /// Events refused alone, which are not tried again while there are others.
    tried: BTreeSet<u64>,
    /// Number of single events refused since the last acceptance.
    refused: usize,
    /// The server has accepted events since the start.
    has_accepted: bool,
}

/// Result of the refusal of a single event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The server accepts others: the event is rejected.
    Rejected,
    /// It is not known whether the server accepts any: another event is tried.
    Suspect,
    /// As `Suspect`, but there is no other event. The server has accepted events since the start.
    NoOther,
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
            ahead: BTreeSet::new(),
            credit: 0,
            is_credited: false,
            tried: BTreeSet::new(),
            refused: 0,
            has_accepted: false,
        }
    }

    pub(super) const fn has_accepted(&self) -> bool {
        self.has_accepted
    }

    /// The events to take next, counted from `first`, the oldest: the number to leave out, and the
    /// maximum number behind them, at least 1.
    pub(super) fn range(&mut self, first: u64) -> (usize, usize) {
        for positions in [&mut self.ahead, &mut self.tried] {
            if positions.first().is_some_and(|&lowest| lowest < first) {
                *positions = positions.split_off(&first);
            }
        }
        match (offset(self.probe, first), offset(self.ahead.first().copied(), first)) {
            // The oldest event was accepted.
            (_, Some(0)) => (0, 1),
            (Some(skipped), _) => (skipped, 1),
            (None, before) => (0, self.limit.min(before.unwrap_or(usize::MAX))),
        }
    }

    /// True if the event at this position was accepted as a probe, and is not to be sent again.
    pub(super) fn was_accepted(&self, at: u64) -> bool {
        self.ahead.contains(&at)
    }

    /// True if [`range`](Self::range) depends on the oldest event.
    pub(super) fn has_position(&self) -> bool {
        self.probe.is_some() || !self.ahead.is_empty()
    }

    /// Returns to the oldest event: there is none at the position of the probe.
    pub(super) const fn restart(&mut self) {
        self.probe = None;
    }

    /// Records that a batch of several events was refused as a whole.
    pub(super) const fn batch_refused(&mut self, count: usize) {
        if self.suspects == 0 {
            (self.is_proven, self.is_credited) = (false, false);
        }
        (self.limit, self.suspects) = (count.div_ceil(2), count);
    }

    /// Records that the event at position `at` was refused alone, in a queue with the positions
    /// `first..end`.
    pub(super) fn single_refused(&mut self, at: u64, first: u64, end: u64) -> Refusal {
        // Sizes grow from 1 again: starting from the full size would cost a search for each event of a
        // series of bad ones.
        (self.limit, self.suspects) = (1, 0);
        if mem::take(&mut self.is_proven) || (self.is_credited && self.has_credit(at)) {
            self.credit = self.credit.saturating_sub(1);
            return Refusal::Rejected;
        }
        self.tried.insert(at);
        self.refused += 1;
        self.probe = self.next_probe(first, end.min(first + WINDOW));
        let is_last = self.probe.is_none();
        if is_last {
            // Starts over: the server may be put right, and the oldest event be a bad one.
            self.tried.clear();
            self.is_credited = true;
            if !self.has_accepted {
                self.refused = FEW;
            }
        }
        match is_last {
            _ if self.refused >= FEW => Refusal::Refuses,
            true if !self.has_credit(first) => {
                self.refused = 0;
                Refusal::NoOther
            }
            _ => Refusal::Suspect,
        }
    }

    /// True if the event at this position may be rejected because of one accepted behind it.
    fn has_credit(&self, at: u64) -> bool {
        self.credit > 0 && self.ahead.last().is_some_and(|&ahead| ahead > at)
    }

    /// Alternately the oldest and the newest event: the bad ones may be a series at either end.
    fn next_probe(&self, first: u64, end: u64) -> Option<u64> {
        let is_new = |at: &u64| !self.tried.contains(at) && !self.ahead.contains(at);
        let mut all = first..end;
        if self.refused % 2 == 1 { all.find(is_new) } else { all.rev().find(is_new) }
    }

    /// Records that the server does not seem to be the right one. Single events are sent until one is
    /// accepted.
    pub(super) const fn all_refused(&mut self) {
        (self.limit, self.suspects, self.refused) = (1, 0, FEW);
    }

    /// Records that a batch of `count` events, the oldest ones, was accepted.
    pub(super) fn accepted(&mut self, count: usize) {
        self.end_refusals();
        self.suspects = self.suspects.saturating_sub(count);
        self.is_proven = self.suspects > 0;
        self.limit = if self.suspects > 0 {
            self.limit.min(self.suspects)
        } else {
            self.limit.saturating_mul(2).min(self.batch_size)
        };
    }

    /// Records that the event at this position was accepted before older ones.
    pub(super) fn probe_accepted(&mut self, at: u64) {
        self.end_refusals();
        self.ahead.insert(at);
        (self.limit, self.suspects, self.is_proven) = (1, 0, false);
    }

    fn end_refusals(&mut self) {
        (self.credit, self.is_credited) = (FEW, true);
        (self.probe, self.refused, self.has_accepted) = (None, 0, true);
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

    /// Sends `events` (true: bad) to a server that rejects batches with a bad event, for this many
    /// intervals. Returns the number of requests, of accepted events, and of those that stay.
    fn drain(events: &[bool], batch_size: usize, mut intervals: usize) -> (usize, usize, usize) {
        let mut bisection = Bisection::new(batch_size);
        let (mut requests, mut accepted, mut first) = (0, 0, 0);
        while first < events.len() && intervals > 0 {
            let (skipped, max) = bisection.range(first as u64);
            if bisection.was_accepted((first + skipped) as u64) {
                assert_eq!((skipped, max), (0, 1));
                first += 1;
                continue;
            }
            let from = first + skipped;
            let sent = &events[from..events.len().min(from + max)];
            requests += 1;
            match (sent.contains(&true), sent.len()) {
                (true, 1) => {
                    match bisection.single_refused(from as u64, first as u64, events.len() as u64) {
                        Refusal::Rejected => first += 1,
                        Refusal::Suspect => {}
                        Refusal::NoOther | Refusal::Refuses => intervals -= 1,
                    }
                }
                (true, count) => bisection.batch_refused(count),
                (false, _) if skipped > 0 => {
                    accepted += 1;
                    bisection.probe_accepted(from as u64);
                }
                (false, count) => {
                    bisection.accepted(count);
                    (accepted, first) = (accepted + count, first + count);
                }
            }
        }
        (requests, accepted, events.len() - first)
    }

    #[test]
    fn one_bad_event_costs_at_most_23_requests() {
        for bad in 0..99 {
            let mut events = vec![false; 100];
            events[bad] = true;
            let (requests, delivered, left) = drain(&events, 100, 1);
            assert_eq!((delivered, left), (99, 0), "{bad}");
            assert!(requests <= 23, "{bad}: {requests}");
        }
    }

    #[test]
    fn good_events_are_sent_in_full_batches() {
        assert_eq!(drain(&[false; 1000], 100, 1), (10, 1000, 0));
    }

    #[test]
    fn server_that_refuses_all_costs_few_requests_and_no_event() {
        // 100, 50, 25, 13, 7, 4, 2 and three single events, then one each interval.
        assert_eq!(drain(&[true; 1000], 100, 1), (10, 0, 1000));
        assert_eq!(drain(&[true; 1000], 100, 50), (59, 0, 1000));
        assert_eq!(drain(&[true; 1000], 1, 1), (3, 0, 1000));
        assert_eq!(drain(&[true; 2], 1, 1), (2, 0, 2));
        assert_eq!(drain(&[true; 2], 1, 50), (51, 0, 2));
    }

    #[test]
    fn events_of_any_pattern_are_delivered_if_the_newest_one_is_good() {
        for pattern in 0..1 << 11 {
            let bad = (0..11).map(|bit| pattern >> bit & 1 == 1);
            let events: Vec<bool> = bad.chain([false]).collect();
            let good = events.iter().filter(|bad| !**bad).count();
            let (requests, accepted, left) = drain(&events, 4, 12);
            assert_eq!(accepted, good, "{pattern:b}");
            assert!(requests < 50, "{pattern:b}: {requests}");
            // Of many bad events, the last ones wait for the next event.
            let in_a_row = events.split(|bad| !bad).map(<[_]>::len).max().unwrap_or(0);
            let are_many = in_a_row > FEW || good <= events.len() / 2;
            assert!(left == 0 || are_many, "{pattern:b}: {left}");
        }
    }

    #[test]
    fn good_events_behind_many_bad_ones_are_delivered() {
        for bad in [3, 20, 200] {
            let events = [vec![true; bad], vec![false; 300]].concat();
            let (requests, delivered, left) = drain(&events, 100, 1);
            assert_eq!((delivered, left), (300, 0), "{bad}");
            assert!(requests <= 20 + 3 * bad, "{bad}: {requests}");
        }
    }

    #[test]
    fn oldest_and_newest_events_are_tried_in_turn() {
        let mut bisection = Bisection::new(100);
        let refused: Vec<_> = [7, 8, 12, 9, 11, 10]
            .map(|at| {
                assert_eq!(bisection.probe.unwrap_or(7), at);
                bisection.single_refused(at, 7, 13)
            })
            .into();
        let [Refusal::Suspect, Refusal::Suspect, rest @ ..] = &refused[..] else {
            panic!("{refused:?}")
        };
        assert_eq!(rest, [Refusal::Refuses; 4]);
        assert_eq!(bisection.probe, None, "starts over");
        assert_eq!(bisection.single_refused(7, 7, 13), Refusal::Refuses);

        let mut of_a_long_queue = Bisection::new(100);
        for at in [0, 1] {
            assert_eq!(of_a_long_queue.single_refused(at, 0, 5_000), Refusal::Suspect);
        }
        assert_eq!(of_a_long_queue.range(0), (999, 1));
    }

    #[test]
    fn few_events_are_rejected_for_one_accepted_behind_them() {
        let mut bisection = Bisection::new(100);
        for at in [0, 1, 99] {
            assert_ne!(bisection.single_refused(at, 0, 100), Refusal::Rejected);
        }
        bisection.probe_accepted(98);
        let again = [0, 1, 2, 3].map(|at| bisection.single_refused(at, at, 100));
        assert_eq!(again[..FEW], [Refusal::Rejected; FEW]);
        assert_eq!(again[FEW], Refusal::Suspect);
        bisection.probe_accepted(97);
        assert_eq!(bisection.single_refused(99, 99, 100), Refusal::NoOther, "behind both");
    }

    #[test]
    fn event_accepted_as_a_probe_is_not_sent_again() {
        let mut bisection = Bisection::new(100);
        assert_eq!(bisection.single_refused(7, 7, 20), Refusal::Suspect);
        assert_eq!(bisection.range(7), (1, 1));
        bisection.probe_accepted(8);
        assert_eq!(bisection.range(7), (0, 1));
        assert_eq!(bisection.single_refused(7, 7, 20), Refusal::Rejected);
        assert_eq!([7, 8, 9].map(|at| bisection.was_accepted(at)), [false, true, false]);
        assert_eq!((bisection.range(8), bisection.range(9)), ((0, 1), (0, 1)));
        assert!(!bisection.has_position());
    }

    #[test]
    fn evicted_events_are_passed_over() {
        let mut bisection = Bisection::new(100);
        assert_eq!(bisection.single_refused(7, 7, 20), Refusal::Suspect);
        assert_eq!([bisection.range(8), bisection.range(9)], [(0, 1), (0, 1)]);
        bisection.probe_accepted(8);
        assert_eq!(bisection.range(9), (0, 1));
    }
}
