//! What the figures should be, and whether they are.

use crate::{figure::Figure, report::Figures};

pub use self::{
    ahead::{Lead, Rows, ahead},
    list::TARGETS,
};

mod ahead;
mod list;

/// A bound on one figure of ours.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The section of the figure.
    pub section: &'static str,
    /// Its case.
    pub case: &'static str,
    /// Its subject: one of ours.
    pub subject: &'static str,
    /// Its metric.
    pub metric: &'static str,
    /// What it should be.
    pub bound: Bound,
    /// Why it is not held, in words for the report; nothing while it is.
    pub reason: &'static str,
}

/// A bound; what is below it or, if it is inclusive, equal to it holds.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Whether equal is enough.
    pub is_inclusive: bool,
    /// The most it may be: in its unit, or as a share of the best rival's.
    pub most: f64,
    /// Whose figures it is compared with; nobody's if there is none.
    pub rivals: &'static [Rival],
}

/// A subject to compare with: the same section and metric.
#[derive(Clone, Copy, Debug)]
pub struct Rival {
    /// Its case.
    pub case: &'static str,
    /// Its name.
    pub subject: &'static str,
}

/// What came of a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict<'a> {
    /// Our figure.
    pub ours: &'a Figure,
    /// The rival whose figure is the hardest to match, and our share of it.
    pub rival: Option<(&'a Figure, f64)>,
    /// Whether the target is held.
    pub is_held: bool,
}

impl Target {
    /// Compares the figures with the bound; `None` if one that it takes is missing.
    #[must_use]
    pub fn judge<'a>(&self, figures: &'a Figures) -> Option<Verdict<'a>> {
        let Self { section, case, subject, metric, bound, .. } = *self;
        let figure = |case, subject| figures.find(section, case, subject, metric);
        let ours = figure(case, subject)?;
        let mut rivals = Vec::new();
        for rival in bound.rivals {
            let theirs = figure(rival.case, rival.subject)?;
            rivals.push((theirs, ours.share_of(theirs)));
        }
        let rival = rivals.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let is_held = bound.holds(rival.map_or_else(|| ours.value(), |(_, share)| share));
        Some(Verdict { ours, rival, is_held })
    }
}

impl Bound {
    fn holds(&self, value: f64) -> bool {
        value < self.most || (self.is_inclusive && value == self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIVALS: &[Rival] =
        &[Rival { case: "case", subject: "b" }, Rival { case: "other", subject: "c" }];

    fn target(most: f64, rivals: &'static [Rival]) -> Target {
        Target {
            section: "queue",
            case: "case",
            subject: "a",
            metric: "p50",
            bound: Bound { is_inclusive: true, most, rivals },
            reason: "",
        }
    }

    fn figures(rounds: &[(&str, &str, &[f64])]) -> Figures {
        let figure = |&(case, subject, rounds): &(&str, &str, &[f64])| {
            Figure::new("queue", case, subject, "p50", "ns", rounds.into())
        };
        Figures::of(rounds.iter().map(figure))
    }

    #[test]
    fn a_bound_is_on_the_median() {
        let figures = figures(&[("case", "a", &[9.0, 1.0, 2.0])]);
        let verdict = target(2.0, &[]).judge(&figures).unwrap();
        assert_eq!((verdict.ours.value(), verdict.rival, verdict.is_held), (2.0, None, true));
        assert!(!target(1.9, &[]).judge(&figures).unwrap().is_held);
        let mut below = target(2.0, &[]);
        below.bound.is_inclusive = false;
        assert!(!below.judge(&figures).unwrap().is_held);
    }

    #[test]
    fn a_share_is_of_the_best_rival_and_of_the_same_round() {
        let figures = figures(&[
            ("case", "a", &[10.0, 20.0, 30.0]),
            ("case", "b", &[20.0, 40.0, 60.0]),
            ("other", "c", &[100.0, 25.0, 31.0]),
        ]);
        let verdict = target(0.8, RIVALS).judge(&figures).unwrap();
        let (rival, share) = verdict.rival.unwrap();
        assert_eq!((rival.subject.as_str(), share), ("c", 0.8));
        assert!(verdict.is_held && !target(0.79, RIVALS).judge(&figures).unwrap().is_held);
    }

    #[test]
    fn without_all_its_figures_a_target_is_not_judged() {
        let figures = figures(&[("case", "a", &[1.0]), ("case", "b", &[2.0])]);
        assert_eq!(target(1.0, RIVALS).judge(&figures), None);
        assert_eq!(target(1.0, &RIVALS[..1]).judge(&figures).unwrap().rival.unwrap().1, 0.5);
    }
}
