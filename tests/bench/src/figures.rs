//! Measured values, and their tables.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// The values of one metric of one contender in one case; lower is better.
///
/// The n-th values of all contenders of a case come from the same round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    case: String,
    contender: String,
    /// With its unit, such as `p50, ns`.
    metric: String,
    rounds: Vec<f64>,
}

impl Figure {
    /// The median of the rounds; the mean of a rare event, which most rounds lack.
    pub(crate) fn value(&self) -> f64 {
        if self.is_rare() {
            return self.rounds.iter().sum::<f64>() / self.rounds.len() as f64;
        }
        median(&self.rounds)
    }

    /// The ratio to `other`: the median of the ratios within each round.
    pub(crate) fn ratio_to(&self, other: &Self) -> f64 {
        if self.is_rare() || self.rounds.len() != other.rounds.len() {
            return self.value() / other.value();
        }
        let ratios = self.rounds.iter().zip(&other.rounds).map(|(this, other)| this / other);
        median(&ratios.collect::<Vec<_>>())
    }

    fn is_rare(&self) -> bool {
        self.metric.ends_with("per million")
    }
}

/// The figures of a section.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures(Vec<Figure>);

impl Figures {
    /// Adds the value of one round.
    pub(crate) fn add(&mut self, case: &str, contender: &str, metric: &str, value: f64) {
        let names = (case, contender, metric);
        match self.0.iter_mut().find(|it| (&*it.case, &*it.contender, &*it.metric) == names) {
            Some(figure) => figure.rounds.push(value),
            None => {
                let [case, contender, metric] = [case, contender, metric].map(str::to_owned);
                self.0.push(Figure { case, contender, metric, rounds: vec![value] });
            }
        }
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(crate) fn find(&self, case: &str, contender: &str, metric: &str) -> Option<&Figure> {
        let names = (case, contender, metric);
        self.0.iter().find(|it| (&*it.case, &*it.contender, &*it.metric) == names)
    }

    /// A table for each case: a row for each contender, `reference` first, and a column for each metric,
    /// with the ratio to `reference` in parentheses.
    pub(crate) fn tables(&self, reference: &str) -> String {
        let mut text = String::new();
        for case in distinct(self.0.iter().map(|it| &*it.case)) {
            let of_case = || self.0.iter().filter(|it| it.case == case);
            let metrics = distinct(of_case().map(|it| &*it.metric));
            let header = [&[case], &*metrics].concat();
            let mut rows = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
            let mut contenders = distinct(of_case().map(|it| &*it.contender));
            contenders.sort_by_key(|contender| *contender != reference);
            for contender in contenders {
                let cell = |metric: &&str| {
                    let Some(figure) = self.find(case, contender, metric) else {
                        return String::new();
                    };
                    let value = legible(figure.value());
                    match self.find(case, reference, metric) {
                        Some(other) if other != figure && other.value() != 0.0 => {
                            format!("{value} ({})", times(figure.ratio_to(other)))
                        }
                        _ => value,
                    }
                };
                let cells = metrics.iter().map(cell);
                rows.push([contender.to_owned()].into_iter().chain(cells).collect());
            }
            text += &aligned(&rows);
            text.push('\n');
        }
        text
    }
}

/// The order of `count` contenders in a round: it starts one further in each round and runs backwards
/// in every other, so that no contender always follows the same one.
pub(crate) fn order(count: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |place| {
        let place = (place + round) % count;
        if round.is_multiple_of(2) { place } else { count - 1 - place }
    })
}

/// The median of the values; NaN without any.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match (values.len() / 2, values.len() % 2) {
        (0, 0) => f64::NAN,
        (middle, 1) => values[middle],
        (middle, _) => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Rows of text in columns; all columns but the first are aligned to the right.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|it| it.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(line, "{cell:width$}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// A value with three significant digits, and all digits before the point: `0.048`, `1.5`, `12345`.
pub(crate) fn legible(value: f64) -> String {
    let decimals = match value.abs() {
        it if it >= 99.95 || it == 0.0 => 0,
        it if it >= 9.995 => 1,
        it if it >= 0.995 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    if decimals == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

/// A ratio: `0.95 ×`, `1.3 ×`, `48 ×`.
pub(crate) fn times(ratio: f64) -> String {
    let digits = if ratio >= 9.95 { 1.0 } else { 100.0 };
    format!("{} ×", legible((ratio * digits).round() / digits))
}

fn distinct<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut once = Vec::new();
    for it in all {
        if !once.contains(&it) {
            once.push(it);
        }
    }
    once
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Figures of the case `case`: contender, metric and rounds.
    pub(crate) fn figures(all: &[(&str, &str, &[f64])]) -> Figures {
        let mut figures = Figures::default();
        for (contender, metric, rounds) in all {
            rounds.iter().for_each(|value| figures.add("case", contender, metric, *value));
        }
        figures
    }

    #[test]
    fn tables_show_medians_and_ratios_within_rounds() {
        let figures = figures(&[
            ("ours", "p50, ns", &[40.0, 50.0, 30.0]),
            ("ours", "allocations", &[0.0]),
            ("sentry", "p50, ns", &[80.0, 2_000.0, 60.0]),
            ("sentry", "allocations", &[7.0]),
            ("clock", "p50, ns", &[12_345.6]),
        ]);
        let expected = "\
case          p50, ns  allocations
ours               40            0
sentry       80 (2 ×)            7
clock   12346 (309 ×)

";
        assert_eq!(figures.tables("ours"), expected);
    }

    #[test]
    fn rare_events_are_averaged_over_all_rounds() {
        let figures = figures(&[("a", "stalls, per million", &[0.0, 0.0, 3.0])]);
        assert_eq!(figures.0[0].value(), 1.0);
    }

    #[test]
    fn median_is_the_middle_value() {
        assert!(median(&[]).is_nan());
        assert_eq!([median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0, 2.0, 3.0])], [2.0, 2.5]);
    }

    #[test]
    fn order_differs_between_rounds() {
        let orders: Vec<Vec<_>> = (0..4).map(|round| order(3, round).collect()).collect();
        assert_eq!(orders, [[0, 1, 2], [1, 0, 2], [2, 0, 1], [2, 1, 0]]);
    }

    #[test]
    fn numbers_have_three_significant_digits() {
        let numbers = [0.0, 0.0482, 0.5, 0.999, 1.456, 48.25, 99.97, 484.4, 12_345.6];
        let texts = ["0", "0.048", "0.5", "1", "1.46", "48.2", "100", "484", "12346"];
        assert_eq!(numbers.map(legible), texts);
        assert_eq!([0.954, 1.0, 12.7, 1_234.0].map(times), ["0.95 ×", "1 ×", "13 ×", "1234 ×"]);
    }
}
