//! Rounds of a case: its subjects one after the other, in an order that changes.

use crate::figure::Figure;

/// What the rounds of one case have found so far.
#[derive(Debug)]
pub struct Rounds {
    section: &'static str,
    case: String,
    figures: Vec<Figure>,
}

impl Rounds {
    /// Starts a case.
    pub fn new(section: &'static str, case: impl Into<String>) -> Self {
        Self { section, case: case.into(), figures: Vec::new() }
    }

    /// Adds a value that a subject had in this round.
    pub fn add(&mut self, subject: &str, metric: &str, unit: &str, value: f64) {
        let known = self.figures.iter_mut().find(|it| it.subject == subject && it.metric == metric);
        match known {
            Some(figure) => figure.rounds.push(value),
            None => {
                let (section, case) = (self.section, &self.case);
                self.figures.push(Figure::new(section, case, subject, metric, unit, vec![value]));
            }
        }
    }

    /// What was found.
    #[must_use]
    pub fn into_figures(self) -> Vec<Figure> {
        self.figures
    }
}

/// The order of `count` subjects in a round: each round begins with the next one, and every other
/// round goes backwards, so that nobody always follows the same.
pub fn order(count: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |place| {
        let place = (place + round) % count;
        if round.is_multiple_of(2) { place } else { count - 1 - place }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_has_all_subjects_in_another_order() {
        let orders: Vec<Vec<_>> = (0..4).map(|round| order(3, round).collect()).collect();
        assert_eq!(orders, [[0, 1, 2], [1, 0, 2], [2, 0, 1], [2, 1, 0]]);
    }

    #[test]
    fn values_are_kept_by_subject_and_metric() {
        let mut rounds = Rounds::new("queue", "full");
        for (subject, value) in [("a", 1.0), ("b", 2.0), ("b", 3.0), ("a", 4.0)] {
            rounds.add(subject, "p50", "ns", value);
        }
        let figures = rounds.into_figures();
        let kept: Vec<_> = figures.iter().map(|it| (&*it.subject, &it.rounds[..])).collect();
        assert_eq!(kept, [("a", &[1.0, 4.0][..]), ("b", &[2.0, 3.0])]);
    }
}
