//! FaultRules: which requests and connections meet with what.

use std::{
    fmt::{self, Display, Formatter},
    ops::{Bound, RangeBounds},
    time::Duration,
};

use crate::ResponseTemplate;

/// A rule for requests, or for connections, that are not to be treated as usual; see
/// [`Collector::fault`](crate::Collector::fault).
///
/// It applies to all of them unless it is told which: by number, by path, by chance. Told more than
/// one, it applies where all hold.
///
/// Numbers count what the fault could have applied to: the requests for its path, or the
/// connections, that came since it was added, the first being 1. Those that a script or another
/// fault takes are counted as well.
///
/// ```
/// use std::time::Duration;
///
/// use telemetry_collector::{ResponseTemplate, Collector, EVENTS_PATH, FaultRule};
///
/// let collector = Collector::start()?;
/// // Three in ten requests, the same ones in each run.
/// collector.fault(FaultRule::new(ResponseTemplate::status(503)).probability(0.3).seed(7));
/// // The second to the fifth report of events.
/// collector.fault(FaultRule::new(ResponseTemplate::close_after_processing()).path(EVENTS_PATH).range(2..=5));
/// // The third connection.
/// collector.fault(FaultRule::close_before_reading().nth(3));
/// collector.clear_faults();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a fault applies when it is added to a collector"]
pub struct FaultRule {
    effect: Effect,
    path: Option<String>,
    first: u64,
    last: u64,
    probability: f64,
    seed: u64,
}

#[derive(Clone, Debug)]
enum Effect {
    Request(Box<ResponseTemplate>),
    Connection(ConnectionFault),
}

/// What happens to a connection before anything is read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionFault {
    Close,
    Delay(Duration),
}

impl FaultRule {
    /// Requests get this answer.
    pub fn new(answer: ResponseTemplate) -> Self {
        Self::of(Effect::Request(Box::new(answer)))
    }

    /// Connections are closed before anything is read from them.
    pub fn close_before_reading() -> Self {
        Self::of(Effect::Connection(ConnectionFault::Close))
    }

    /// Nothing is done with connections for this long, not even a TLS handshake.
    ///
    /// That is as much of a delay before accepting as a client can see, since the operating
    /// system takes its connection anyway. What it sends meanwhile is not lost.
    pub fn delay_before_reading(delay: Duration) -> Self {
        Self::of(Effect::Connection(ConnectionFault::Delay(delay)))
    }

    /// Applies to requests for this path alone, with any query.
    ///
    /// # Panics
    ///
    /// It is a fault of connections, which have no path.
    #[track_caller]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        assert!(matches!(self.effect, Effect::Request(_)), "a connection has no path");
        self.path = Some(path.into());
        self
    }

    /// Applies to the `n`-th alone; the first is 1.
    ///
    /// # Panics
    ///
    /// `n` is 0.
    #[track_caller]
    pub fn nth(self, n: u64) -> Self {
        self.range(n..=n)
    }

    /// Applies to those with these numbers alone, such as `3..=5`, or `3..` from the third on.
    ///
    /// # Panics
    ///
    /// The range is empty, or has no number but 0: the first is 1.
    #[track_caller]
    pub fn range(mut self, numbers: impl RangeBounds<u64>) -> Self {
        self.first = match numbers.start_bound() {
            Bound::Included(first) => (*first).max(1),
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 1,
        };
        self.last = match numbers.end_bound() {
            Bound::Included(last) => *last,
            Bound::Excluded(behind) => behind.saturating_sub(1),
            Bound::Unbounded => u64::MAX,
        };
        assert!(self.first <= self.last, "no request has such a number; the first is 1");
        self
    }

    /// Applies with this probability. Chance is a function of the [seed](Self::seed) and the
    /// number alone: with the same seed the same numbers are chosen, whenever they come.
    ///
    /// # Panics
    ///
    /// `probability` is not in `0.0..=1.0`.
    #[track_caller]
    pub fn probability(mut self, probability: f64) -> Self {
        assert!((0.0..=1.0).contains(&probability), "a probability is in 0.0..=1.0");
        self.probability = probability;
        self
    }

    /// Decides which numbers a [probability](Self::probability) chooses; 0 by default.
    ///
    /// How many faults were added before this one, since the start or since they were last cleared,
    /// decides as well, so that two with the same seed do not choose the same.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    const fn of(effect: Effect) -> Self {
        Self { effect, path: None, first: 1, last: u64::MAX, probability: 1.0, seed: 0 }
    }

    fn chooses(&self, number: u64, place: u64) -> bool {
        (self.first..=self.last).contains(&number)
            && chance(self.seed, place, number) < self.probability
    }
}

impl From<ResponseTemplate> for FaultRule {
    fn from(answer: ResponseTemplate) -> Self {
        Self::new(answer)
    }
}

/// For a person: `status 503, for requests 2 to 5`.
impl Display for FaultRule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (one, more) = match &self.effect {
            Effect::Request(answer) => {
                answer.fmt(f)?;
                ("request", "requests")
            }
            Effect::Connection(fault) => {
                fault.fmt(f)?;
                ("connection", "connections")
            }
        };
        match (self.first, self.last) {
            (1, u64::MAX) => write!(f, ", for all {more}")?,
            (first, u64::MAX) => write!(f, ", for {more} from {first} on")?,
            (first, last) if first == last => write!(f, ", for {one} {first}")?,
            (first, last) => write!(f, ", for {more} {first} to {last}")?,
        }
        if let Some(path) = &self.path {
            write!(f, " to {path}")?;
        }
        if self.probability < 1.0 {
            write!(f, ", with probability {} and seed {}", self.probability, self.seed)?;
        }
        Ok(())
    }
}

impl Display for ConnectionFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close => f.write_str("closed before reading"),
            Self::Delay(delay) => write!(f, "delayed by {delay:?} before reading"),
        }
    }
}

/// A number in `0.0..1.0` that is the same for the same arguments and looks random otherwise.
fn chance(seed: u64, place: u64, number: u64) -> f64 {
    let mixed = mixed(mixed(mixed(seed) ^ place) ^ number);
    // The 53 bits that an f64 holds exactly.
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// One step of splitmix64.
const fn mixed(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The faults of a collector.
#[derive(Debug, Default)]
pub(crate) struct FaultRules {
    rules: Vec<Rule>,
    added: u64,
}

#[derive(Debug)]
struct Rule {
    fault: FaultRule,
    /// How many were added before.
    place: u64,
    /// How many requests or connections it could have applied to.
    seen: u64,
}

impl FaultRules {
    pub(crate) fn add(&mut self, fault: FaultRule) {
        self.rules.push(Rule { fault, place: self.added, seen: 0 });
        self.added += 1;
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Counts a request; what the first fault says that applies to it.
    pub(crate) fn request(&mut self, path: &str) -> Option<ResponseTemplate> {
        self.first(|fault| match &fault.effect {
            Effect::Request(answer) => {
                fault.path.as_deref().is_none_or(|own| own == path).then_some(&**answer)
            }
            Effect::Connection(_) => None,
        })
    }

    /// Counts a connection; what the first fault says that applies to it.
    pub(crate) fn connection(&mut self) -> Option<ConnectionFault> {
        self.first(|fault| match &fault.effect {
            Effect::Connection(fault) => Some(fault),
            Effect::Request(_) => None,
        })
    }

    fn first<T: Clone>(&mut self, effect: impl Fn(&FaultRule) -> Option<&T>) -> Option<T> {
        let mut first = None;
        for Rule { fault, place, seen } in &mut self.rules {
            let Some(effect) = effect(fault) else { continue };
            *seen += 1;
            if first.is_none() && fault.chooses(*seen, *place) {
                first = Some(effect.clone());
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers, of the first `count` requests for `path`, for which there is a fault.
    fn chosen(faults: &mut FaultRules, path: &str, count: u64) -> Vec<u64> {
        (1..=count).filter(|_| faults.request(path).is_some()).collect()
    }

    fn of(added: impl IntoIterator<Item = FaultRule>) -> FaultRules {
        let mut faults = FaultRules::default();
        added.into_iter().for_each(|fault| faults.add(fault));
        faults
    }

    fn any() -> FaultRule {
        ResponseTemplate::close().into()
    }

    #[test]
    fn numbers_choose() {
        assert_eq!(chosen(&mut of([any()]), "/", 3), [1, 2, 3]);
        assert_eq!(chosen(&mut of([any().nth(2)]), "/", 9), [2]);
        assert_eq!(chosen(&mut of([any().range(2..4)]), "/", 9), [2, 3]);
        assert_eq!(chosen(&mut of([any().range(2..=4)]), "/", 9), [2, 3, 4]);
        assert_eq!(chosen(&mut of([any().range(..=2)]), "/", 9), [1, 2]);
        assert_eq!(chosen(&mut of([any().range(8..)]), "/", 9), [8, 9]);
        let after = (Bound::Excluded(7), Bound::Unbounded);
        assert_eq!(chosen(&mut of([any().range(after)]), "/", 9), [8, 9]);
    }

    #[test]
    fn paths_choose_and_have_their_own_numbers() {
        let mut faults = of([any().path("/a").nth(2)]);
        let seen: Vec<_> =
            ["/a", "/b", "/b", "/a", "/a"].map(|path| faults.request(path).is_some()).into();
        assert_eq!(seen, [false, false, false, true, false]);
    }

    #[test]
    fn the_first_that_applies_wins_and_all_count() {
        let status = |fault: Option<ResponseTemplate>| fault.map(|answer| answer.to_string());
        let mut faults = of([
            FaultRule::new(ResponseTemplate::status(500)).range(1..=2),
            FaultRule::new(ResponseTemplate::status(501)).range(2..=3),
        ]);
        let seen: Vec<_> = (0..4).map(|_| status(faults.request("/"))).collect();
        let told = |text: &str| Some(text.to_owned());
        let (first, second) = (told("status 500"), told("status 501"));
        assert_eq!(seen, [first.clone(), first, second, None]);
    }

    #[test]
    fn chance_is_the_same_for_the_same_seed_and_near_its_probability() {
        let with = |seed| any().probability(0.3).seed(seed);
        let all = chosen(&mut of([with(7)]), "/", 10_000);
        assert_eq!(all, chosen(&mut of([with(7)]), "/", 10_000));
        assert_ne!(all, chosen(&mut of([with(8)]), "/", 10_000));
        // Six standard deviations of 45.8.
        assert!((2_725..=3_275).contains(&all.len()), "{}", all.len());
        assert!(chosen(&mut of([any().probability(0.0)]), "/", 1_000).is_empty());
        assert_eq!(chosen(&mut of([any().probability(1.0)]), "/", 1_000).len(), 1_000);
    }

    #[test]
    fn two_faults_with_the_same_seed_choose_on_their_own() {
        let half =
            |status| FaultRule::new(ResponseTemplate::status(status)).probability(0.5).seed(7);
        let mut faults = of([half(500), half(501)]);
        let mut seen = [0; 3];
        for _ in 0..10_000 {
            let answer = faults.request("/").map(|answer| answer.to_string());
            seen[match answer.as_deref() {
                Some("status 500") => 0,
                Some(_) => 1,
                None => 2,
            }] += 1;
        }
        // A half, a quarter and a quarter, give or take six standard deviations.
        assert!((4_700..=5_300).contains(&seen[0]), "{seen:?}");
        assert!((2_240..=2_760).contains(&seen[1]), "{seen:?}");
    }

    #[test]
    fn connections_are_counted_apart() {
        let mut faults = of([
            any().nth(2),
            FaultRule::close_before_reading().nth(2),
            FaultRule::close_before_reading(),
        ]);
        assert!(faults.request("/").is_none());
        faults.clear();
        assert!(faults.connection().is_none());
        faults.add(FaultRule::delay_before_reading(Duration::from_secs(1)).nth(2));
        assert!(faults.request("/").is_none() && faults.connection().is_none());
        assert_eq!(faults.connection(), Some(ConnectionFault::Delay(Duration::from_secs(1))));
    }

    #[test]
    fn a_fault_that_cannot_apply_is_refused_where_it_is_made() {
        for make in [
            (|| any().nth(0)) as fn() -> FaultRule,
            || any().range(0..1),
            || any().range(..1),
            || any().range((Bound::Included(3), Bound::Excluded(3))),
            || any().probability(1.1),
            || any().probability(-0.1),
            || any().probability(f64::NAN),
            || FaultRule::close_before_reading().path("/"),
        ] {
            assert!(std::panic::catch_unwind(make).is_err());
        }
    }

    #[test]
    fn a_fault_is_told_with_what_it_applies_to() {
        for (fault, told) in [
            (any(), "closed without an answer, for all requests"),
            (any().nth(3), "closed without an answer, for request 3"),
            (any().range(3..).path("/a"), "closed without an answer, for requests from 3 on to /a"),
            (
                FaultRule::close_before_reading().range(2..=5).probability(0.5).seed(7),
                "closed before reading, for connections 2 to 5, with probability 0.5 and seed 7",
            ),
            (
                FaultRule::delay_before_reading(Duration::from_secs(2)),
                "delayed by 2s before reading, for all connections",
            ),
        ] {
            assert_eq!(fault.to_string(), told);
        }
    }
}
