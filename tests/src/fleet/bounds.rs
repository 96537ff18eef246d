//! What a fleet may ask of a server, and how it comes back.

use std::time::Duration;

use super::{Launch, MINUTE, Outage, Report, SECOND};

/// One attempt and three retries.
const ATTEMPTS: u32 = 4;
/// The shortest wait between two cycles: nine tenths of the interval.
const CYCLE: Duration = Duration::from_secs(270);
/// The full batches of a queue that is full: who has them sends them one after the other.
const BACKLOG: u32 = 10;
/// The largest part of the clients that come back within the same ten seconds, in percent.
const AT_ONCE: usize = 20;

impl Report {
    /// What is not as it should be, if anything: claim R9.
    ///
    /// Each client sends at a time of its own. So requests come at random, and in the busiest of an
    /// hour's seconds there are hardly more than the mean and six times its root, of a Poisson
    /// distribution. Besides, a service may have a full queue to send at once; two may meet.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut holds = |is_so: bool, what: String| {
            if !is_so {
                faults.push(format!("{:?}: {what}", self.fleet));
            }
        };
        let (stats, attempts) = (self.stats, ATTEMPTS as usize);
        holds(self.is_balanced && stats.is_balanced(), format!("the books are off: {stats}"));
        let booked = stats.delivered + self.unanswered;
        holds(self.accepted == booked, format!("taken {}, booked {booked}", self.accepted));
        holds(self.again == 0, format!("{} events twice or out of order", self.again));
        holds(self.early == 0, format!("{} requests before Retry-After", self.early));
        let busiest = self.busiest;
        holds(busiest <= attempts, format!("{busiest} requests of a client in a cycle"));

        let peaks = [
            ("before", self.before().peak, self.usual_wait()),
            ("during", self.during().peak, CYCLE / ATTEMPTS),
            ("after", self.after().peak, self.usual_wait()),
        ];
        for (when, peak, wait) in peaks {
            let most = self.bearable(wait);
            holds(peak <= most, format!("{peak} requests in a second {when}, at most {most}"));
        }

        let (crowd, all) = (self.crowd(), self.backlogged);
        holds(all > 0, "nobody has a backlog".into());
        let is_spread = crowd * 100 <= all * AT_ONCE + 500;
        holds(is_spread, format!("{crowd} of {all} clients are back within the same ten seconds"));
        let (earliest, latest) = self.half_is_back();
        let half = self.back(50);
        let is_in_time = half.is_some_and(|at| earliest <= at && at <= latest);
        holds(is_in_time, format!("half the clients are back after {half:?}"));
        holds(self.done().is_some(), "some of the backlog is left".into());
        faults
    }

    /// The mean time between two requests of a client, when the server is there: a cycle, or a part of
    /// it where it is told to come again.
    fn usual_wait(&self) -> Duration {
        match self.fleet.outage {
            Outage::BusyFor(_) | Outage::Overload => CYCLE / ATTEMPTS,
            _ => CYCLE,
        }
    }

    /// The most requests in a second, if each client makes one in that time.
    fn bearable(&self, wait: Duration) -> u32 {
        let mean = f64::from(self.fleet.clients) / wait.as_secs_f64();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let most = (mean + 6.0 * mean.sqrt()).ceil() as u32;
        most + 2 * BACKLOG
    }

    /// The most clients that were back within the same ten seconds.
    fn crowd(&self) -> usize {
        let until = |first: &Duration| self.first.partition_point(|at| *at < *first + 10 * SECOND);
        (0..).zip(&self.first).map(|(index, first)| until(first) - index).max().unwrap_or(0)
    }

    /// When half of the clients should be back: without `Retry-After` that is about half an
    /// interval; with one, half of them wait for it and are back before; and a server that takes
    /// little makes them wait.
    fn half_is_back(&self) -> (Duration, Duration) {
        match self.fleet.outage {
            Outage::BusyFor(wait) => (wait / 2, wait * 2),
            Outage::Overload => (MINUTE, 8 * MINUTE),
            _ => (100 * SECOND, 200 * SECOND),
        }
    }
}

/// Every outage that is looked at.
pub(super) const OUTAGES: [Outage; 6] = [
    Outage::Busy,
    Outage::BusyFor(MINUTE),
    Outage::BusyUntilItEnds,
    Outage::Refused,
    Outage::Silent,
    Outage::Overload,
];

/// Every way in which clients start.
pub(super) const LAUNCHES: [Launch; 2] = [Launch::Spread, Launch::AtOnce];
