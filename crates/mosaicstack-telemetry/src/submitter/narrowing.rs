//! How many events go into a request while one of them is suspected.

/// Halves a batch that is at fault until the event at fault stands alone.
#[derive(Debug)]
pub(super) struct Narrowing {
    batch_size: usize,
    limit: usize,
    /// The first so many events hold what was at fault.
    suspects: usize,
}

impl Narrowing {
    pub(super) const fn new(batch_size: usize) -> Self {
        Self { batch_size, limit: batch_size, suspects: 0 }
    }

    /// The most events for the next request.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// A batch of `count` events was refused as a whole.
    pub(super) fn at_fault(&mut self, count: usize) {
        // A single one is dropped by the caller. Then sizes grow from one again: if the server
        // refuses whatever it is sent, that costs a request for each event and no more.
        (self.limit, self.suspects) = if count > 1 { (count.div_ceil(2), count) } else { (1, 0) };
    }

    /// A batch of `count` events was taken.
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

    /// Sends `events` (true: at fault) to a server that refuses batches with a fault in them.
    /// Returns how many requests it took, and how many events were delivered.
    fn drain(mut events: Vec<bool>, batch_size: usize) -> (usize, usize) {
        let mut narrowing = Narrowing::new(batch_size);
        let (mut requests, mut delivered) = (0, 0);
        while !events.is_empty() {
            let count = narrowing.limit().min(events.len());
            assert!(count >= 1);
            requests += 1;
            if events[..count].contains(&true) {
                narrowing.at_fault(count);
                if count == 1 {
                    events.remove(0);
                }
            } else {
                narrowing.accepted(count);
                delivered += count;
                events.drain(..count);
            }
        }
        (requests, delivered)
    }

    #[test]
    fn one_bad_event_costs_a_search_and_nobody_else() {
        for bad in 0..100 {
            let mut events = vec![false; 100];
            events[bad] = true;
            let (requests, delivered) = drain(events, 100);
            assert_eq!(delivered, 99);
            assert!(requests <= 23, "{bad}: {requests}");
        }
    }

    #[test]
    fn without_faults_batches_are_full() {
        assert_eq!(drain(vec![false; 1000], 100), (10, 1000));
    }

    #[test]
    fn a_server_that_refuses_everything_is_asked_about_once_an_event() {
        let (requests, delivered) = drain(vec![true; 1000], 100);
        assert_eq!(delivered, 0);
        assert!(requests <= 1010, "{requests}");
    }

    #[test]
    fn every_good_event_is_delivered_wherever_the_bad_ones_are() {
        for pattern in 0..1 << 10 {
            let events: Vec<bool> = (0..10).map(|bit| pattern >> bit & 1 == 1).collect();
            let good = events.iter().filter(|bad| !**bad).count();
            assert_eq!(drain(events, 4).1, good, "{pattern:b}");
        }
    }
}
