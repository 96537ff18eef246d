//! All figures that there are.

use std::{collections::BTreeMap, iter};

use serde::{Deserialize, Serialize};

use super::{Machine, SECTIONS, reference};
use crate::figure::{Figure, median};

/// The figures of each section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Figures(BTreeMap<String, Run>);

/// What one run of a section found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Where it ran.
    pub machine: Machine,
    /// What it found.
    pub figures: Vec<Figure>,
}

impl Figures {
    /// Figures of an unknown machine.
    #[must_use]
    pub fn of(figures: impl IntoIterator<Item = Figure>) -> Self {
        let mut sections = BTreeMap::<String, Run>::new();
        for figure in figures {
            sections.entry(figure.section.clone()).or_default().figures.push(figure);
        }
        Self(sections)
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// It is something else.
    pub fn parse(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }

    /// A figure a line, so that changes are legible.
    ///
    /// # Errors
    ///
    /// A value is not a number.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let mut sections = Vec::new();
        for (section, Run { machine, figures }) in &self.0 {
            let lines = figures.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
            let (section, machine) =
                (serde_json::to_string(section)?, serde_json::to_string(machine)?);
            let lines = lines.join(",\n");
            sections
                .push(format!("{section}: {{\"machine\": {machine}, \"figures\": [\n{lines}\n]}}"));
        }
        Ok(format!("{{\n{}\n}}\n", sections.join(",\n")))
    }

    /// Forgets what was known of a section.
    pub fn replace(&mut self, section: &str, run: Run) {
        self.0.insert(section.to_owned(), run);
    }

    /// The run of a section, if there was one.
    #[must_use]
    pub fn run(&self, section: &str) -> Option<&Run> {
        self.0.get(section).filter(|it| !it.figures.is_empty())
    }

    /// All figures, in the order of the sections and of their runs.
    pub fn all(&self) -> impl Iterator<Item = &Figure> {
        SECTIONS.into_iter().filter_map(|section| self.run(section)).flat_map(|it| &it.figures)
    }

    /// The figure of that name, if there is one.
    #[must_use]
    pub fn find(&self, section: &str, case: &str, subject: &str, metric: &str) -> Option<&Figure> {
        let is_it = |it: &&Figure| it.case == case && it.subject == subject && it.metric == metric;
        self.run(section)?.figures.iter().find(is_it)
    }

    /// Ours that this one is compared with: itself, if it is that.
    #[must_use]
    pub fn reference(&self, figure: &Figure) -> Option<&Figure> {
        let (case, subject) = reference(&figure.section);
        let case = if case.is_empty() { &figure.case } else { case };
        self.find(&figure.section, case, subject, &figure.metric)
    }
}

impl Figure {
    /// What share of the other's values these are: the median over the rounds of one in which both
    /// have one, or the share of the values if one of them has more rounds or it is of what is rare.
    ///
    /// 1 if both are 0.
    #[must_use]
    pub fn share_of(&self, other: &Self) -> f64 {
        let share = |(a, b): (f64, f64)| if a == b { 1.0 } else { a / b };
        if self.rounds.len() != other.rounds.len() || self.is_rare() {
            return share((self.value(), other.value()));
        }
        let rounds = iter::zip(&self.rounds, &other.rounds);
        median(&rounds.map(|(&a, &b)| share((a, b))).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(section: &str, rounds: &[f64]) -> Figure {
        Figure::new(section, "c", "s", "m", "ns", rounds.into())
    }

    #[test]
    fn a_share_is_taken_round_by_round() {
        let noisy = figure("queue", &[10.0, 100.0, 20.0]);
        assert_eq!(noisy.share_of(&figure("queue", &[20.0, 200.0, 10.0])), 0.5);
        assert_eq!(noisy.share_of(&figure("queue", &[40.0])), 0.5);
        let none = figure("queue", &[0.0]);
        assert_eq!(none.share_of(&none), 1.0);
        assert!(figure("queue", &[1.0]).share_of(&none).is_infinite());
    }

    #[test]
    fn figures_are_read_as_they_were_written() {
        let machine = Machine { cores: 2, ..Machine::default() };
        let mut figures = Figures::of([figure("queue", &[1.5, 2.0]), figure("encoding", &[3.0])]);
        figures.replace("queue", Run { machine, figures: vec![figure("queue", &[4.0]); 2] });
        let json = figures.to_json().unwrap();
        assert_eq!(Figures::parse(&json).unwrap(), figures);
        assert_eq!(json.lines().filter(|line| line.starts_with("{\"section\"")).count(), 3);
        assert_eq!(
            Figures::parse(&Figures::default().to_json().unwrap()).unwrap(),
            Figures::default()
        );
    }

    #[test]
    fn figures_are_in_the_order_of_the_sections() {
        let figures = Figures::of(["embedding", "queue", "none"].map(|it| figure(it, &[1.0])));
        let sections: Vec<_> = figures.all().map(|it| it.section.as_str()).collect();
        assert_eq!(sections, ["queue", "embedding"]);
    }
}
