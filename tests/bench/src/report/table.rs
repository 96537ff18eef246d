//! The table of a section.

use super::{
    Figures, Run,
    numbers::{legible, times},
};
use crate::figure::Figure;

/// A row for each case and subject and a column for each metric: the median, and how many times ours
/// that is.
pub(super) fn table(run: &Run, figures: &Figures) -> String {
    let metrics = distinct(run.figures.iter().map(|it| (it.metric.as_str(), it.unit.as_str())));
    let rows = distinct(run.figures.iter().map(|it| (it.case.as_str(), it.subject.as_str())));
    let mut text = String::from("| case | subject |");
    for (metric, unit) in &metrics {
        text += &format!(" {metric}{}{unit} |", if unit.is_empty() { "" } else { ", " });
    }
    text += &format!("\n|---|---|{}\n", "--:|".repeat(metrics.len()));
    let mut last = "";
    for (case, subject) in rows {
        // A type with a parameter would be a tag of HTML.
        let name = subject.replace('<', "&lt;");
        text += &format!("| {} | {name} |", if case == last { "" } else { case });
        last = case;
        for (metric, _) in &metrics {
            let is_it =
                |it: &&Figure| it.case == case && it.subject == subject && it.metric == *metric;
            let cell = run.figures.iter().find(is_it).map(|it| cell(it, figures));
            text += &format!(" {} |", cell.unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

fn cell(figure: &Figure, figures: &Figures) -> String {
    let median = legible(figure.value());
    match figures.reference(figure) {
        Some(ours) if ours == figure => format!("**{median}**"),
        // Nothing is a multiple of nothing.
        Some(ours) if ours.value() == 0.0 => median,
        Some(ours) => format!("{median} ({})", times(figure.share_of(ours))),
        None => median,
    }
}

fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut once = Vec::new();
    for it in all {
        if !once.contains(&it) {
            once.push(it);
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(case: &str, subject: &str, metric: &str, rounds: &[f64]) -> Figure {
        let unit = if metric == "allocations" { "" } else { "ns" };
        Figure::new("hand-over", case, subject, metric, unit, rounds.into())
    }

    #[test]
    fn medians_and_how_many_times_ours() {
        let all = [
            figure("roomy", "mosaicstack-telemetry", "p50", &[40.0, 50.0, 30.0]),
            figure("roomy", "sentry", "p50", &[80.0, 2_000.0, 60.0]),
            figure("roomy", "mosaicstack-telemetry", "allocations", &[0.0]),
            figure("roomy", "sentry", "allocations", &[7.0]),
            figure("full", "floor: Mutex<Vec>", "p50", &[1_234.0]),
        ];
        let figures = Figures::of(all);
        let expected = "\
| case | subject | p50, ns | allocations |
|---|---|--:|--:|
| roomy | mosaicstack-telemetry | **40** | **0** |
|  | sentry | 80 (2 ×) | 7 |
| full | floor: Mutex&lt;Vec> | 1,234 |  |
";
        assert_eq!(table(figures.run("hand-over").unwrap(), &figures), expected);
    }
}
