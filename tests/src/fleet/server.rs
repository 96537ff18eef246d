//! One virtual server for a whole fleet, and what it sees.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use http::HeaderValue;
use mosaicstack_telemetry::{Response, TransportError};

use super::{Outage, WALL, traffic::Random};
use crate::status;

/// How long a server takes that is well, at most.
const WELL: Duration = Duration::from_millis(200);
/// How long one takes that refuses, at most.
const QUICK: Duration = Duration::from_millis(50);
/// What a server asks for that is asked too often.
const SLOW_DOWN: Duration = Duration::from_secs(30);
/// For so long a server with little capacity can take what would have come evenly.
const BURST: u32 = 10;

/// What a server that has too little takes, in requests for so many clients a second.
const CLIENTS_A_SECOND: u32 = 500;

#[derive(Debug)]
pub(super) struct Server {
    outage: Outage,
    from: Duration,
    until: Duration,
    random: Random,
    clients: Vec<Seen>,
    bucket: Bucket,
    /// Requests by second.
    pub(super) seconds: Vec<u32>,
    /// Events taken.
    pub(super) accepted: u64,
    /// Events taken that had been taken before, or out of order.
    pub(super) again: u64,
    /// Requests before the time that a `Retry-After` named.
    pub(super) early: u64,
    /// Answers with a `Retry-After`.
    pub(super) asked_to_wait: u64,
    /// The most requests of one client in a window, during the outage.
    pub(super) busiest: usize,
    window: Duration,
}

/// What the server knows of one client.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The number of the last event that was taken.
    pub(super) last: u64,
    not_before: Duration,
    /// Its requests during the outage, as far as the window reaches back.
    recent: VecDeque<Duration>,
}

/// Tokens, in millionths, so that all is whole numbers.
#[derive(Debug)]
struct Bucket {
    tokens: u64,
    rate: u64,
    filled: Duration,
}

impl Server {
    pub(super) fn new(
        outage: Outage,
        clients: u32,
        (from, until): (Duration, Duration),
        window: Duration,
        random: Random,
    ) -> Self {
        let rate = u64::from(clients.div_ceil(CLIENTS_A_SECOND));
        Self {
            outage,
            from,
            until,
            random,
            clients: vec![Seen::default(); clients as usize],
            bucket: Bucket { tokens: 0, rate, filled: Duration::ZERO },
            seconds: Vec::new(),
            accepted: 0,
            again: 0,
            early: 0,
            asked_to_wait: 0,
            busiest: 0,
            window,
        }
    }

    pub(super) fn seen(&self, client: u32) -> &Seen {
        &self.clients[client as usize]
    }

    /// Takes a request with the events of these numbers; says what becomes of it, and how long
    /// that takes.
    pub(super) fn take(
        &mut self,
        now: Duration,
        client: u32,
        events: impl Iterator<Item = u64>,
        timeout: Duration,
    ) -> (Duration, Result<Response, TransportError>) {
        self.note(now, client);
        if self.from <= now && now < self.until {
            return self.fail(now, client, timeout);
        }
        if self.outage == Outage::Overload && !self.bucket.take(now) {
            return self.ask_to_wait(now, client, 429, SLOW_DOWN, &SLOW_DOWN.as_secs().to_string());
        }
        let seen = &mut self.clients[client as usize];
        for number in events {
            self.again += u64::from(number <= seen.last);
            self.accepted += 1;
            seen.last = number;
        }
        (self.random.within(WELL), Ok(status(200)))
    }

    fn note(&mut self, now: Duration, client: u32) {
        let second = usize::try_from(now.as_secs()).unwrap_or(usize::MAX);
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, 0);
        }
        self.seconds[second] += 1;
        let seen = &mut self.clients[client as usize];
        self.early += u64::from(now < seen.not_before);
        if self.from <= now && now < self.until {
            while seen.recent.front().is_some_and(|first| now - *first >= self.window) {
                seen.recent.pop_front();
            }
            seen.recent.push_back(now);
            self.busiest = self.busiest.max(seen.recent.len());
        }
    }

    fn fail(
        &mut self,
        now: Duration,
        client: u32,
        timeout: Duration,
    ) -> (Duration, Result<Response, TransportError>) {
        match self.outage {
            Outage::Busy | Outage::Overload => (self.random.within(QUICK), Ok(status(503))),
            Outage::BusyFor(wait) => {
                self.ask_to_wait(now, client, 503, wait, &wait.as_secs().to_string())
            }
            Outage::BusyUntilItEnds => {
                let end = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + WALL + self.until);
                self.ask_to_wait(now, client, 503, self.until - now, &end)
            }
            Outage::Refused => {
                (self.random.within(QUICK), Err(TransportError::network("connection refused")))
            }
            Outage::Silent => (timeout, Err(TransportError::Timeout)),
        }
    }

    fn ask_to_wait(
        &mut self,
        now: Duration,
        client: u32,
        code: u16,
        wait: Duration,
        header: &str,
    ) -> (Duration, Result<Response, TransportError>) {
        let takes = self.random.within(QUICK);
        let mut response = status(code);
        let value = HeaderValue::from_str(header).expect("a number or a date");
        response.headers_mut().insert(http::header::RETRY_AFTER, value);
        self.asked_to_wait += 1;
        // A date is a moment; seconds are counted from the answer on.
        let said = if self.outage == Outage::BusyUntilItEnds { now } else { now + takes };
        self.clients[client as usize].not_before = said + wait;
        (takes, Ok(response))
    }
}

impl Bucket {
    const TOKEN: u64 = 1_000_000;

    fn take(&mut self, now: Duration) -> bool {
        let passed = u64::try_from((now - self.filled).as_micros()).unwrap_or(u64::MAX);
        let most = self.rate * u64::from(BURST) * Self::TOKEN;
        self.tokens = most.min(self.tokens + passed * self.rate);
        self.filled = now;
        let is_there = self.tokens >= Self::TOKEN;
        self.tokens -= if is_there { Self::TOKEN } else { 0 };
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::{super::SECOND, *};

    #[test]
    fn a_bucket_gives_its_rate_and_what_it_has_saved() {
        let mut bucket = Bucket { tokens: 0, rate: 2, filled: Duration::ZERO };
        let mut taken = |now| (0..100).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(SECOND), 2);
        assert_eq!(taken(SECOND), 0);
        assert_eq!(taken(SECOND * 3 / 2), 1);
        assert_eq!(taken(SECOND * 1000), 20);
    }
}
