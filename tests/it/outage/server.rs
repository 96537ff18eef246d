//! The simulated server of a fleet, and its counts.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use http::HeaderValue;
use mosaicstack_telemetry::transport::{Response, TransportError};
use telemetry_tests::{Random, status};

use super::fleet::{END, FROM, Outage, UNTIL, WALL};

type Answer = (Duration, Result<Response, TransportError>);

/// Longest time to accept a batch.
const ACCEPTS: Duration = Duration::from_millis(200);
/// Longest time to refuse one.
const REFUSES: Duration = Duration::from_millis(50);
/// `Retry-After` of a server with too many requests.
const SLOW_DOWN: Duration = Duration::from_secs(30);
/// An overloaded server accepts one request a second for this many clients.
const CLIENTS_A_SECOND: u32 = 500;
/// Seconds of unused capacity that an overloaded server can catch up with.
const BURST: u64 = 10;
/// Micro-tokens of a request; their rate is whole that way.
const TOKEN: u64 = 1_000_000;

#[derive(Debug)]
pub(super) struct Server {
    outage: Outage,
    random: Random,
    clients: Vec<Client>,
    /// Requests accepted a second during an overload, with the micro-tokens that are left.
    rate: u64,
    tokens: u64,
    filled: Duration,
    window: Duration,
    pub(super) seen: Seen,
}

/// Counts of requests and events.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Requests by second.
    pub(super) seconds: Vec<u32>,
    /// Events accepted.
    pub(super) accepted: u64,
    /// Events accepted twice, or out of order.
    pub(super) again: u64,
    /// Requests before the time of a `Retry-After`.
    pub(super) early: u64,
    /// Answers with a `Retry-After`.
    pub(super) asked_to_wait: u64,
    /// The most requests of one client in a window, during the outage.
    pub(super) busiest: usize,
}

/// The server's view of one client.
#[derive(Clone, Debug, Default)]
struct Client {
    /// The number of the last accepted event.
    last: u64,
    not_before: Duration,
    /// Requests of the current window.
    recent: VecDeque<Duration>,
}

impl Server {
    pub(super) fn new(outage: Outage, clients: u32, window: Duration, random: Random) -> Self {
        Self {
            outage,
            random,
            clients: vec![Client::default(); clients as usize],
            rate: clients.div_ceil(CLIENTS_A_SECOND).into(),
            tokens: 0,
            filled: Duration::ZERO,
            window,
            seen: Seen { seconds: vec![0; END.as_secs() as usize], ..Seen::default() },
        }
    }

    /// The number of the client's last accepted event.
    pub(super) fn last(&self, client: u32) -> u64 {
        self.clients[client as usize].last
    }

    /// Handles a request with events of these numbers; returns the result and how long it takes.
    pub(super) fn handle(
        &mut self,
        now: Duration,
        client: u32,
        events: impl Iterator<Item = u64>,
        timeout: Duration,
    ) -> Answer {
        let (seen, it) = (&mut self.seen, &mut self.clients[client as usize]);
        seen.seconds[now.as_secs() as usize] += 1;
        seen.early += u64::from(now < it.not_before);
        if FROM <= now && now < UNTIL {
            it.recent.retain(|at| now - *at < self.window);
            it.recent.push_back(now);
            seen.busiest = seen.busiest.max(it.recent.len());
            return self.fail(now, client, timeout);
        }
        if self.outage == Outage::Overload && !self.has_capacity(now) {
            return self.ask_to_wait(now, client, 429, SLOW_DOWN, &SLOW_DOWN.as_secs().to_string());
        }
        let (seen, it) = (&mut self.seen, &mut self.clients[client as usize]);
        for number in events {
            seen.again += u64::from(number <= it.last);
            seen.accepted += 1;
            it.last = number;
        }
        (self.random.within(ACCEPTS), Ok(status(200)))
    }

    fn fail(&mut self, now: Duration, client: u32, timeout: Duration) -> Answer {
        match self.outage {
            Outage::Busy | Outage::Overload => (self.random.within(REFUSES), Ok(status(503))),
            Outage::BusyFor(wait) => {
                self.ask_to_wait(now, client, 503, wait, &wait.as_secs().to_string())
            }
            Outage::BusyUntilItEnds => {
                let end = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + WALL + UNTIL);
                self.ask_to_wait(now, client, 503, UNTIL - now, &end)
            }
            Outage::Refused => {
                (self.random.within(REFUSES), Err(TransportError::network("connection refused")))
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
    ) -> Answer {
        let takes = self.random.within(REFUSES);
        let mut response = status(code);
        let value = HeaderValue::from_str(header).expect("a number or a date");
        response.headers_mut().insert(http::header::RETRY_AFTER, value);
        self.seen.asked_to_wait += 1;
        // A date is absolute; seconds count from the answer.
        let from = if self.outage == Outage::BusyUntilItEnds { now } else { now + takes };
        self.clients[client as usize].not_before = from + wait;
        (takes, Ok(response))
    }

    /// A token bucket.
    fn has_capacity(&mut self, now: Duration) -> bool {
        let earned = (now - self.filled).as_micros() as u64 * self.rate;
        self.tokens = (self.tokens + earned).min(self.rate * BURST * TOKEN);
        self.filled = now;
        let has_capacity = self.tokens >= TOKEN;
        self.tokens -= if has_capacity { TOKEN } else { 0 };
        has_capacity
    }
}
