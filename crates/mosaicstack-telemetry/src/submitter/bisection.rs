//! The number of events per request while a batch with a rejected event is searched.

/// Halves a rejected batch until the rejected event is alone.
///
/// The size of the last attempt is kept while suspects remain, and grows from 1 after an event was
/// isolated. One bad event among 100 costs at most 23 requests; a server that rejects everything is
/// sent about one request per event.
#[derive(Debug)]
pub(super) struct Bisection {
    batch_size: usize,
    limit: usize,
    /// The rejected event is among this many of the oldest events; 0 if none is known.
    suspects: usize,
}

impl Bisection {
    pub(super) const fn new(batch_size: usize) -> Self {
        Self { batch_size, limit: batch_size, suspects: 0 }
    }

    /// The maximum number of events in the next request.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// Records that a batch of `count` events was rejected as a whole.
    pub(super) fn rejected(&mut self, count: usize) {
        // The caller drops a single event. Sizes then grow from 1 again: starting from the full size
        // would cost a search for each event of a server that rejects everything.
        (self.limit, self.suspects) = if count > 1 { (count.div_ceil(2), count) } else { (1, 0) };
    }

    /// Records that a batch of `count` events was accepted.
    pub(super) fn accepted(&mut self, count: usize) {
        self.suspects = self.suspects.saturating_sub(count);
        self.limit = if self.suspects > 0 {
            self.limit.min(self.suspects)
        } else {
            self.limit.saturating_mul(2).min(self.batch_size)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `events` (true: bad) to a server that rejects batches with a bad event. Returns the
    /// number of requests and of delivered events.
    fn drain(mut events: Vec<bool>, batch_size: usize) -> (usize, usize) {
        let mut bisection = Bisection::new(batch_size);
        let (mut requests, mut delivered) = (0, 0);
        while !events.is_empty() {
            let count = bisection.limit().min(events.len());
            assert!(count >= 1);
            requests += 1;
            if events[..count].contains(&true) {
                bisection.rejected(count);
                if count == 1 {
                    events.remove(0);
                }
            } else {
                bisection.accepted(count);
                delivered += count;
                events.drain(..count);
            }
        }
        (requests, delivered)
    }

    #[test]
    fn one_bad_event_costs_at_most_23_requests() {
        for bad in 0..100 {
            let mut events = vec![false; 100];
            events[bad] = true;
            let (requests, delivered) = drain(events, 100);
            assert_eq!(delivered, 99);
            assert!(requests <= 23, "{bad}: {requests}");
        }
    }

    #[test]
    fn good_events_are_sent_in_full_batches() {
        assert_eq!(drain(vec![false; 1000], 100), (10, 1000));
    }

    #[test]
    fn all_bad_events_cost_about_one_request_each() {
        let (requests, delivered) = drain(vec![true; 1000], 100);
        assert_eq!(delivered, 0);
        assert!(requests <= 1010, "{requests}");
    }

    #[test]
    fn every_good_event_is_delivered_for_any_pattern_of_bad_ones() {
        for pattern in 0..1 << 10 {
            let events: Vec<bool> = (0..10).map(|bit| pattern >> bit & 1 == 1).collect();
            let good = events.iter().filter(|bad| !**bad).count();
            assert_eq!(drain(events, 4).1, good, "{pattern:b}");
        }
    }
}
