//! Fault rules: a fault to inject, and the requests or connections to inject it into.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use crate::ResponseTemplate;

/// A fault to inject, and the requests or connections to inject it into; see
/// [`Collector::fault`](crate::Collector::fault).
///
/// The *candidates* of a rule are the requests, or the connections, that arrive after it was added,
/// numbered from 1. A rule applies to all its candidates unless it is restricted by
/// [`path`](Self::path), by number ([`skip`](Self::skip), [`times`](Self::times)) or by
/// [`probability`](Self::probability). Restrictions add up.
///
/// A candidate counts even if a script or an earlier rule handles it, so that the choice of one
/// rule does not depend on the others.
///
/// ```
/// use telemetry_collector::{Collector, EVENTS_PATH, FaultRule, ResponseTemplate};
///
/// let collector = Collector::start()?;
/// // Three in ten requests, the same ones in each run.
/// collector.fault(FaultRule::new(ResponseTemplate::status(503)).probability(0.3).seed(7));
/// // The second to the fifth batch of events.
/// let lost = ResponseTemplate::close_after_processing();
/// collector.fault(FaultRule::new(lost).path(EVENTS_PATH).skip(1).times(4));
/// // The third connection.
/// collector.fault(FaultRule::close_before_reading().skip(2).times(1));
/// collector.clear_faults();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a rule has no effect until it is added to a collector"]
pub struct FaultRule {
    effect: Effect,
    path: Option<String>,
    skip: u64,
    times: u64,
    probability: f64,
    seed: u64,
}

#[derive(Clone, Debug)]
enum Effect {
    // Boxed because a template is ten times the size of the other variant.
    Request(Box<ResponseTemplate>),
    Connection(ConnectionFault),
}

/// A fault injected into a connection before anything is read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionFault {
    Close,
    Delay(Duration),
}

impl FaultRule {
    /// Responds to requests with `template`. Also available as `From<ResponseTemplate>`.
    pub fn new(template: ResponseTemplate) -> Self {
        Self::with_effect(Effect::Request(Box::new(template)))
    }

    /// Closes connections before anything is read from them.
    pub fn close_before_reading() -> Self {
        Self::with_effect(Effect::Connection(ConnectionFault::Close))
    }

    /// Leaves connections alone for `delay`: no read, no TLS handshake.
    ///
    /// A client cannot be kept from connecting, because the operating system accepts on behalf of
    /// the listener. Data that it sends during the delay is not lost.
    pub fn delay_before_reading(delay: Duration) -> Self {
        Self::with_effect(Effect::Connection(ConnectionFault::Delay(delay)))
    }

    /// Restricts the candidates to requests for `path`, with any query.
    ///
    /// # Panics
    ///
    /// If this is a rule for connections, which have no path.
    #[track_caller]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        assert!(matches!(self.effect, Effect::Request(_)), "a connection has no path");
        self.path = Some(path.into());
        self
    }

    /// Skips the first `count` candidates. The default is 0.
    pub const fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Stops after `count` candidates, not counting those that [`skip`](Self::skip) skips. There is
    /// no limit by default.
    pub const fn times(mut self, count: u64) -> Self {
        self.times = count;
        self
    }

    /// Applies to each of the remaining candidates with this probability. The default is 1.
    ///
    /// The outcome is a function of the [seed](Self::seed) and the candidate's number, so a run can
    /// be repeated however its requests are timed.
    ///
    /// # Panics
    ///
    /// If `probability` is not in `0.0..=1.0`.
    #[track_caller]
    pub fn probability(mut self, probability: f64) -> Self {
        assert!((0.0..=1.0).contains(&probability), "a probability is in 0.0..=1.0");
        self.probability = probability;
        self
    }

    /// Sets the seed of [`probability`](Self::probability). The default is 0.
    ///
    /// The number of rules added before this one, since the start or since the last
    /// [`clear_faults`](crate::Collector::clear_faults), is part of the seed: two rules with the
    /// same seed choose independently.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    const fn with_effect(effect: Effect) -> Self {
        Self { effect, path: None, skip: 0, times: u64::MAX, probability: 1.0, seed: 0 }
    }

    /// True if the rule applies to the candidate `number`, given the `index` of the rule.
    fn applies(&self, number: u64, index: u64) -> bool {
        number > self.skip
            && number - self.skip <= self.times
            && chance(self.seed, index, number) < self.probability
    }
}

impl From<ResponseTemplate> for FaultRule {
    fn from(template: ResponseTemplate) -> Self {
        Self::new(template)
    }
}

impl Display for ConnectionFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close => f.write_str("close before reading"),
            Self::Delay(delay) => write!(f, "delay of {delay:?} before reading"),
        }
    }
}

/// The rules of a collector, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct FaultRules {
    rules: Vec<NumberedRule>,
}

#[derive(Debug)]
struct NumberedRule {
    rule: FaultRule,
    candidates: u64,
}

impl FaultRules {
    pub(crate) fn add(&mut self, rule: FaultRule) {
        self.rules.push(NumberedRule { rule, candidates: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Counts a request. Returns the template of the first rule that applies to it.
    pub(crate) fn on_request(&mut self, path: &str) -> Option<ResponseTemplate> {
        self.first_effect(|rule| match &rule.effect {
            Effect::Request(template) => {
                rule.path.as_deref().is_none_or(|own| own == path).then_some(&**template)
            }
            Effect::Connection(_) => None,
        })
    }

    /// Counts a connection. Returns the fault of the first rule that applies to it.
    pub(crate) fn on_connection(&mut self) -> Option<ConnectionFault> {
        self.first_effect(|rule| match &rule.effect {
            Effect::Connection(fault) => Some(fault),
            Effect::Request(_) => None,
        })
    }

    fn first_effect<T: Clone>(
        &mut self,
        candidate: impl Fn(&FaultRule) -> Option<&T>,
    ) -> Option<T> {
        let mut first = None;
        // No early return: every rule counts its candidates.
        for (index, NumberedRule { rule, candidates }) in (0..).zip(&mut self.rules) {
            let Some(effect) = candidate(rule) else { continue };
            *candidates += 1;
            if first.is_none() && rule.applies(*candidates, index) {
                first = Some(effect.clone());
            }
        }
        first
    }
}

/// A number in `0.0..1.0` that is a function of the arguments and uniformly distributed.
fn chance(seed: u64, index: u64, number: u64) -> f64 {
    let mixed = splitmix64(splitmix64(splitmix64(seed) ^ index) ^ number);
    // The 53 bits that an f64 holds exactly.
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// One step of the generator splitmix64. A dependency would be larger, and its output may change
/// between versions.
const fn splitmix64(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(added: impl IntoIterator<Item = FaultRule>) -> FaultRules {
        let mut rules = FaultRules::default();
        added.into_iter().for_each(|rule| rules.add(rule));
        rules
    }

    /// The numbers of the requests, among the first `count`, that the rule applies to.
    fn chosen(rule: FaultRule, count: u64) -> Vec<u64> {
        let mut rules = rules([rule]);
        (1..=count).filter(|_| rules.on_request("/").is_some()).collect()
    }

    fn any() -> FaultRule {
        ResponseTemplate::close().into()
    }

    fn statuses(rules: &mut FaultRules, count: usize) -> Vec<String> {
        let status =
            |it: Option<ResponseTemplate>| it.map_or_else(|| "none".into(), |it| it.to_string());
        (0..count).map(|_| status(rules.on_request("/"))).collect()
    }

    #[test]
    fn skip_and_times_select_by_number() {
        for (rule, expected) in [
            (any(), vec![1, 2, 3, 4]),
            (any().skip(2), vec![3, 4]),
            (any().times(2), vec![1, 2]),
            (any().skip(1).times(2), vec![2, 3]),
            (any().times(0), vec![]),
            (any().skip(u64::MAX), vec![]),
        ] {
            assert_eq!(chosen(rule.clone(), 4), expected, "{rule:?}");
        }
    }

    #[test]
    fn rule_with_path_numbers_requests_for_that_path_only() {
        let mut rules = rules([any().path("/a").skip(1).times(1)]);
        let faults = ["/a", "/b", "/b", "/a", "/a"].map(|path| rules.on_request(path).is_some());
        assert_eq!(faults, [false, false, false, true, false]);
    }

    #[test]
    fn first_applicable_rule_wins_and_every_rule_counts() {
        let mut rules = rules([
            FaultRule::new(ResponseTemplate::status(500)).times(2),
            FaultRule::new(ResponseTemplate::status(501)).skip(1).times(2),
        ]);
        assert_eq!(statuses(&mut rules, 4), ["status 500", "status 500", "status 501", "none"]);
    }

    #[test]
    fn probability_is_repeatable_by_seed_and_near_its_value() {
        let with = |seed| any().probability(0.3).seed(seed);
        let all = chosen(with(7), 10_000);
        assert_eq!(all, chosen(with(7), 10_000));
        assert_ne!(all, chosen(with(8), 10_000));
        // Six standard deviations of 45.8.
        assert!((2_725..=3_275).contains(&all.len()), "{}", all.len());
        assert!(chosen(any().probability(0.0), 1_000).is_empty());
        assert_eq!(chosen(any().probability(1.0), 1_000).len(), 1_000);
    }

    #[test]
    fn rules_with_one_seed_choose_independently() {
        let half =
            |status| FaultRule::new(ResponseTemplate::status(status)).probability(0.5).seed(7);
        let all = statuses(&mut rules([half(500), half(501)]), 10_000);
        let count = |status: &str| all.iter().filter(|it| *it == status).count();
        // A half and a quarter, plus or minus six standard deviations.
        let counts = (count("status 500"), count("status 501"));
        assert!((4_700..=5_300).contains(&counts.0), "{counts:?}");
        assert!((2_240..=2_760).contains(&counts.1), "{counts:?}");
    }

    #[test]
    fn connections_are_counted_apart_from_requests_until_rules_are_cleared() {
        let second = |rule: FaultRule| rule.skip(1).times(1);
        let mut rules = rules([
            second(any()),
            second(FaultRule::close_before_reading()),
            FaultRule::delay_before_reading(Duration::from_secs(1)),
        ]);
        assert!(rules.on_request("/").is_none());
        assert_eq!(rules.on_connection(), Some(ConnectionFault::Delay(Duration::from_secs(1))));
        assert_eq!(rules.on_connection(), Some(ConnectionFault::Close));
        rules.clear();
        assert!(rules.on_request("/").is_none() && rules.on_connection().is_none());
    }

    #[test]
    fn inapplicable_rule_panics_where_it_is_made() {
        for make in [
            (|| any().probability(1.1)) as fn() -> FaultRule,
            || any().probability(-0.1),
            || any().probability(f64::NAN),
            || FaultRule::close_before_reading().path("/"),
        ] {
            assert!(std::panic::catch_unwind(make).is_err());
        }
    }
}
