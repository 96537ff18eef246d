//! The figures of a run, and their bounds.

use std::{fmt, ops::Range, time::Duration};

use mosaicstack_telemetry::Stats;

use super::{
    fleet::{END, FROM, Fleet, Outage, STARTS, UNTIL},
    server::Seen,
};

const MINUTE: Duration = Duration::from_secs(60);
/// One attempt and three retries.
const ATTEMPTS: u32 = 4;
/// Shortest wait between two flush cycles: nine tenths of the interval.
const CYCLE: Duration = Duration::from_secs(270);
/// Batches of a full queue, which are sent one after another.
const BACKLOG: u32 = 10;
/// Largest share of the clients that recover within the same ten seconds, in percent.
const AT_ONCE: usize = 20;

/// The figures of one run.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) fleet: Fleet,
    /// The figures of the server.
    pub(super) seen: Seen,
    /// Clients that had events pending when the outage ended.
    pub(super) backlogged: usize,
    /// When each of them was successful for the first time, from the end of the outage; sorted.
    pub(super) first: Vec<Duration>,
    /// When each had delivered its backlog; sorted.
    pub(super) drained: Vec<Duration>,
    /// The sum of all clients' counters.
    pub(super) stats: Stats,
    /// Each client's counters balance and match the events that it tracked.
    is_balanced: bool,
    /// Accepted events whose response was in flight when the simulation ended.
    pub(super) unanswered: u64,
}

/// The requests of a period.
pub(super) struct Load {
    pub(super) total: u64,
    /// In an average minute, rounded.
    a_minute: u64,
    /// In the busiest second.
    peak: u32,
}

impl Report {
    pub(super) fn new(fleet: Fleet) -> Self {
        let (seen, stats, first, drained) = Default::default();
        let (backlogged, is_balanced, unanswered) = (0, true, 0);
        Self { fleet, seen, backlogged, first, drained, stats, is_balanced, unanswered }
    }

    /// Adds a client's counters.
    pub(super) fn add(&mut self, client: Stats, tracked: u64) {
        self.is_balanced &= client.is_balanced() && client.tracked == tracked;
        let sum = &mut self.stats;
        sum.tracked += client.tracked;
        sum.delivered += client.delivered;
        sum.rejected += client.rejected;
        sum.evicted += client.evicted;
        sum.pending += client.pending;
        sum.requests += client.requests;
        sum.retried += client.retried;
        sum.dropped.closed += client.dropped.total();
    }

    /// The half hour before the outage, when all clients have started.
    pub(super) fn before(&self) -> Load {
        self.load(STARTS..FROM)
    }

    /// The hour of the outage.
    pub(super) fn during(&self) -> Load {
        self.load(FROM..UNTIL)
    }

    /// The hour after it.
    pub(super) fn after(&self) -> Load {
        self.load(UNTIL..END)
    }

    fn load(&self, time: Range<Duration>) -> Load {
        let seconds =
            &self.seen.seconds[time.start.as_secs() as usize..time.end.as_secs() as usize];
        let total = seconds.iter().copied().map(u64::from).sum::<u64>();
        let minutes = seconds.len() as u64 / 60;
        let peak = seconds.iter().copied().max().unwrap_or(0);
        Load { total, a_minute: (total + minutes / 2) / minutes, peak }
    }

    /// The time after the outage within which this percentage of the clients with a backlog had
    /// their first success; `None` if they had not.
    pub(super) fn back(&self, percent: usize) -> Option<Duration> {
        let count = (self.backlogged * percent).div_ceil(100);
        self.first.get(count.checked_sub(1)?).copied()
    }

    /// The time after the outage at which the last of the backlog was delivered; `None` if some of
    /// it was not.
    pub(super) fn done(&self) -> Option<Duration> {
        self.drained.get(self.backlogged.checked_sub(1)?).copied()
    }

    /// The guarantees that the run broke.
    ///
    /// Each client sends at its own time, so requests come at random. The busiest second of an hour
    /// rarely exceeds the mean of a Poisson distribution plus six times its root. In addition,
    /// two services may send a full queue each.
    pub(super) fn violations(&self) -> Vec<String> {
        let Seen { accepted, again, early, busiest, .. } = self.seen;
        let stats = self.stats;
        let (crowd, all) = (self.crowd(), self.backlogged);
        let (earliest, latest) = self.half_is_back();
        let half = self.back(50);
        let counted = stats.delivered + self.unanswered;
        let rules = [
            (self.is_balanced && stats.is_balanced(), format!("unbalanced counters: {stats}")),
            (accepted == counted, format!("accepted {accepted}, counted {counted}")),
            (again == 0, format!("{again} events twice or out of order")),
            (early == 0, format!("{early} requests before Retry-After")),
            (busiest <= ATTEMPTS as usize, format!("{busiest} requests of a client in a cycle")),
            self.peak("before", self.before(), self.usual_wait()),
            self.peak("during", self.during(), CYCLE / ATTEMPTS),
            self.peak("after", self.after(), self.usual_wait()),
            (all > 0, "no client has a backlog".into()),
            (
                crowd * 100 <= all * AT_ONCE + 500,
                format!("{crowd} of {all} clients are back within the same ten seconds"),
            ),
            (
                half.is_some_and(|at| (earliest..=latest).contains(&at)),
                format!("half the clients are back after {half:?}"),
            ),
            (self.done().is_some(), "some of the backlog is left".into()),
        ];
        let broken = rules.into_iter().filter(|(holds, _)| !holds);
        broken.map(|(_, rule)| format!("{:?}: {rule}", self.fleet)).collect()
    }

    /// Bounds the requests of a second, if each client makes one in `wait`.
    fn peak(&self, when: &str, load: Load, wait: Duration) -> (bool, String) {
        let mean = f64::from(self.fleet.clients) / wait.as_secs_f64();
        let most = (mean + 6.0 * mean.sqrt()).ceil() as u32 + 2 * BACKLOG;
        let peak = load.peak;
        (peak <= most, format!("{peak} requests in a second {when}, expected at most {most}"))
    }

    /// Mean time between two requests of a client while the server accepts: a cycle, or a part of it
    /// where the server asks to come again.
    fn usual_wait(&self) -> Duration {
        match self.fleet.outage {
            Outage::BusyFor(_) | Outage::Overload => CYCLE / ATTEMPTS,
            _ => CYCLE,
        }
    }

    /// The most clients that were back within the same ten seconds.
    fn crowd(&self) -> usize {
        let until = |first: &Duration| {
            self.first.partition_point(|at| *at < *first + Duration::from_secs(10))
        };
        (0..).zip(&self.first).map(|(index, first)| until(first) - index).max().unwrap_or(0)
    }

    /// When half of the clients should be back: without `Retry-After` after about half an interval;
    /// with it, half of them are waiting for that; an overloaded server makes them wait.
    fn half_is_back(&self) -> (Duration, Duration) {
        match self.fleet.outage {
            Outage::BusyFor(wait) => (wait / 2, wait * 2),
            Outage::Overload => (MINUTE, 8 * MINUTE),
            _ => (Duration::from_secs(100), Duration::from_secs(200)),
        }
    }
}

/// A row of the table.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fleet { clients, starts_at_once, outage, .. } = self.fleet;
        let start = if starts_at_once { "at once" } else { "spread" };
        let outage = format!("{outage:?}");
        let [before, during, after] = [self.before(), self.during(), self.after()];
        let time = |time: Option<Duration>| {
            let seconds = time.map(|time| time.as_millis().div_ceil(1_000));
            seconds.map_or_else(|| "never".into(), |it| format!("{}:{:02}", it / 60, it % 60))
        };
        write!(f, "{clients:>7} {start:<7} {outage:<15}")?;
        write!(f, " {:>6} {:>6} {:>6}", before.a_minute, during.a_minute, after.a_minute)?;
        write!(f, " {:>5} {:>5} {:>5}", before.peak, during.peak, after.peak)?;
        for percent in [50, 95, 100] {
            write!(f, " {:>6}", time(self.back(percent)))?;
        }
        let Stats { evicted, tracked, .. } = self.stats;
        write!(f, " {:>6} {evicted:>8} {tracked:>8}", time(self.done()))
    }
}
