//! The table of targets, for the page and for the terminal.

use std::fmt::Write as _;

use super::{
    Figures,
    numbers::{measured, times},
};
use crate::{
    figure::Figure,
    targets::{Bound, Lead, Rows, TARGETS, Target, ahead},
};

const UNEXPLAINED: &str = "not explained.";

/// The targets as a table, the reasons for those that are not held, and where a peer SDK is ahead.
pub(super) fn section(figures: &Figures) -> String {
    let mut text = String::from(
        "| target | at most | measured | beside | share | held |\n|---|---|--:|---|--:|---|\n",
    );
    let mut reasons = String::new();
    for target in &TARGETS {
        let (name, cells) = (name(target), Cells::of(target, figures));
        let Cells { bound, measured, beside, share, held } = &cells;
        let _ = writeln!(text, "| {name} | {bound} | {measured} | {beside} | {share} | {held} |");
        if cells.is_missed() {
            let reason = if target.reason.is_empty() { UNEXPLAINED } else { target.reason };
            let _ = writeln!(reasons, "- {name}, {bound}: {reason}");
        }
    }
    if !reasons.is_empty() {
        let _ = write!(text, "\nNot held:\n\n{reasons}");
    }
    let rows = ahead(figures);
    let _ = writeln!(text, "\n{}", lead(&rows));
    if !rows.behind.is_empty() {
        text +=
            "\n| section | case | metric | ours | led by | ours is |\n|---|---|---|---|---|--:|\n";
    }
    let mut reasons: Vec<String> = Vec::new();
    for lead in &rows.behind {
        let Lead { ours, peer, share } = lead;
        let Figure { section, case, metric, subject, .. } = ours;
        let (by, share) = (led_by(ours, peer), times(*share));
        let _ = writeln!(text, "| {section} | {case} | {metric} | {subject} | {by} | {share} |");
        let reason = format!("- {section}, {metric}: {}", lead.reason().unwrap_or(UNEXPLAINED));
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    if !reasons.is_empty() {
        let _ = writeln!(text, "\nWhy:\n\n{}", reasons.join("\n"));
    }
    text
}

/// The targets for a terminal of 100 columns.
pub(super) fn summary(figures: &Figures) -> String {
    let mut text = format!("{:<68} {:>11} {:>7}  held\n", "target", "measured", "share");
    for target in &TARGETS {
        let cells = Cells::of(target, figures);
        let Cells { bound, measured, share, held, .. } = &cells;
        // What does not fit has its end in the page.
        let name: String = format!("{}: {bound}", name(target)).chars().take(68).collect();
        let _ = writeln!(text, "{name:<68} {measured:>11} {share:>7}  {held}");
        if cells.is_missed() && target.reason.is_empty() {
            text += "  no reason is given for that in tests/bench/src/targets/list.rs\n";
        }
    }
    let rows = ahead(figures);
    let _ = writeln!(text, "{}", lead(&rows));
    for lead in &rows.behind {
        let Lead { ours, peer, share } = lead;
        let Figure { section, case, metric, subject, .. } = ours;
        let (by, share) = (led_by(ours, peer), times(*share));
        let _ = writeln!(text, "  {section}, {case}: {metric} of {subject}: {share} {by}");
        if lead.reason().is_none() {
            text += "    no reason is given for that in tests/bench/src/targets/ahead.rs\n";
        }
    }
    text
}

/// A target and what came of it, in words.
struct Cells {
    bound: String,
    measured: String,
    beside: String,
    share: String,
    held: &'static str,
}

impl Cells {
    fn of(target: &Target, figures: &Figures) -> Self {
        let verdict = target.judge(figures);
        let unit = verdict.map_or("", |it| &it.ours.unit);
        let rival = verdict.and_then(|it| it.rival);
        let beside =
            |(it, _): (&Figure, f64)| format!("{}: {}", it.subject, measured(it.value(), unit));
        Self {
            bound: bound(&target.bound, unit),
            measured: verdict.map(|it| measured(it.ours.value(), unit)).unwrap_or_default(),
            beside: rival.map(beside).unwrap_or_default(),
            share: rival.map(|(_, share)| times(share)).unwrap_or_default(),
            held: match verdict {
                None => "no figure",
                Some(it) if it.is_held => "yes",
                Some(_) => "no",
            },
        }
    }

    fn is_missed(&self) -> bool {
        self.held == "no"
    }
}

/// The peer, with its case where that is another one.
fn led_by(ours: &Figure, peer: &Figure) -> String {
    let Figure { subject, case, .. } = peer;
    if *case == ours.case { subject.clone() } else { format!("{subject}, {case}") }
}

fn name(target: &Target) -> String {
    let Target { section, case, subject, metric, .. } = target;
    let ours = ["mosaicstack-telemetry, ", "mosaicstack-telemetry"];
    let subject = ours.iter().find_map(|it| subject.strip_prefix(it)).unwrap_or(subject);
    match subject {
        "" => format!("{section}, {case}: {metric}"),
        _ => format!("{section}, {case}, {subject}: {metric}"),
    }
}

/// The most that the target allows; `unit` is that of the figure.
fn bound(bound: &Bound, unit: &str) -> String {
    let Bound { is_inclusive, most, rivals } = *bound;
    let most = match rivals {
        [] => measured(most, unit),
        [rival] => format!("{} {}", times(most), rival.subject),
        _ => format!("{} the best peer SDK", times(most)),
    };
    if is_inclusive { most } else { format!("below {most}") }
}

fn lead(rows: &Rows<'_>) -> String {
    let ahead = rows.compared - rows.behind.len();
    format!("No peer SDK is ahead in {ahead} of {} rows.", rows.compared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(ours: f64) -> Figures {
        let figure = |subject: &str, allocations: f64| {
            let (case, rounds) = ("prebuilt, roomy, 1 thread", vec![allocations]);
            Figure::new("hand-over", case, subject, "allocations", "", rounds)
        };
        Figures::of([figure("mosaicstack-telemetry", ours), figure("sentry", 7.0)])
    }

    #[test]
    fn a_target_is_held_missed_or_not_measured() {
        let held = section(&figures(1.0));
        let row = "| hand-over, prebuilt, roomy, 1 thread: allocations | 1 | 1 |  |  | yes |\n";
        assert!(held.contains(row), "{held}");
        assert!(held.contains("thread: p50 | 0.33 × the best peer SDK |  |  |  | no figure |\n"));
        assert!(!held.contains("Not held") && held.ends_with("in 1 of 1 rows.\n"), "{held}");
        let missed = section(&figures(14.0));
        assert!(missed.contains("| 14 |  |  | no |\n"), "{missed}");
        let reason = "\nNot held:\n\n- hand-over, prebuilt, roomy, 1 thread: allocations, 1: ";
        assert!(missed.contains(reason), "{missed}");
        let row = "| mosaicstack-telemetry | sentry | 2 × |\n";
        assert!(missed.contains("in 0 of 1 rows.") && missed.contains(row), "{missed}");
        assert!(
            missed.ends_with("\nWhy:\n\n- hand-over, allocations: not explained.\n"),
            "{missed}"
        );
    }

    #[test]
    fn the_summary_fits_a_terminal() {
        let text = summary(&figures(14.0));
        assert_eq!(
            text.lines().filter(|line| line.ends_with("  no figure")).count(),
            TARGETS.len() - 1
        );
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(text.contains("\nNo peer SDK is ahead in 0 of 1 rows.\n"));
    }

    #[test]
    fn names_do_not_repeat_whose_they_are() {
        for target in &TARGETS {
            assert!(!name(target).contains("mosaicstack"), "{}", name(target));
        }
    }
}
