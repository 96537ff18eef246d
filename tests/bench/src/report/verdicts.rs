//! The table of targets, for the page and for the terminal.

use std::fmt::Write as _;

use super::{
    Figures,
    numbers::{measured, times},
};
use crate::targets::{Bound, Rows, TARGETS, Target, Verdict, ahead};

/// The targets as a table, the reasons for those that are not held, and where a peer SDK is ahead.
pub(super) fn section(figures: &Figures) -> String {
    let mut text = String::from(
        "| target | at most | measured | beside | share | held |\n|---|---|--:|---|--:|---|\n",
    );
    let mut reasons = String::new();
    for target in &TARGETS {
        let name = name(target);
        let verdict = target.judge(figures);
        let (measured, beside, share, held) = cells(verdict.as_ref());
        let bound = bound(&target.bound, unit(verdict.as_ref()));
        let _ = writeln!(text, "| {name} | {bound} | {measured} | {beside} | {share} | {held} |");
        if held == "no" {
            let reason = if target.reason.is_empty() { "not explained." } else { target.reason };
            let _ = writeln!(reasons, "- {name}: {reason}");
        }
    }
    if !reasons.is_empty() {
        let _ = write!(text, "\nNot held:\n\n{reasons}");
    }
    let rows = ahead(figures);
    let _ = write!(text, "\nBeside the peer SDKs: {}", lead(&rows));
    if !rows.behind.is_empty() {
        text +=
            "\n\n| section | case | metric | ours | led by | ours is |\n|---|---|---|---|---|--:|";
    }
    for (section, case, metric, ours, peer, share) in &rows.behind {
        let share = times(*share);
        let _ = write!(text, "\n| {section} | {case} | {metric} | {ours} | {peer} | {share} |");
    }
    text.push('\n');
    text
}

/// The targets for a terminal of 100 columns.
pub(super) fn summary(figures: &Figures) -> String {
    let mut text = format!("{:<62} {:>11} {:>10}  held\n", "target", "measured", "share");
    for target in &TARGETS {
        let verdict = target.judge(figures);
        let (measured, _, share, held) = cells(verdict.as_ref());
        let name = format!("{}: {}", name(target), bound(&target.bound, unit(verdict.as_ref())));
        // What does not fit has its end in the page.
        let name: String = name.chars().take(62).collect();
        let _ = writeln!(text, "{name:<62} {measured:>11} {share:>10}  {held}");
        if held == "no" && target.reason.is_empty() {
            let _ =
                writeln!(text, "  no reason is given for that in tests/bench/src/targets/list.rs");
        }
    }
    let rows = ahead(figures);
    let _ = writeln!(text, "beside the peer SDKs: {}", lead(&rows));
    for (section, case, metric, ours, peer, share) in &rows.behind {
        let _ =
            writeln!(text, "  {section}, {case}: {metric} of {ours} is {} {peer}'s", times(*share));
    }
    text
}

fn unit(verdict: Option<&Verdict>) -> &str {
    verdict.map_or("", |it| &it.unit)
}

/// What was measured, beside what, the share of that, and whether the target is held.
fn cells(verdict: Option<&Verdict>) -> (String, String, String, &'static str) {
    let nothing = String::new;
    let Some(Verdict { measured: ours, unit, rival, is_held }) = verdict else {
        return (nothing(), nothing(), nothing(), "not measured");
    };
    let (beside, share) = match rival {
        Some((rival, median, share)) => {
            (format!("{rival}: {}", measured(*median, unit)), times(*share))
        }
        None => (nothing(), nothing()),
    };
    (measured(*ours, unit), beside, share, if *is_held { "yes" } else { "no" })
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

fn lead(rows: &Rows) -> String {
    let ahead = rows.compared - rows.behind.len();
    format!("no peer SDK is ahead in {ahead} of {} rows.", rows.compared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Figure;

    fn figures(ours: f64) -> Figures {
        let figure = |subject: &str, allocations: f64| {
            let [section, case, metric] =
                ["hand-over", "prebuilt, roomy, 1 thread", "allocations"].map(str::to_owned);
            let (subject, unit, rounds) = (subject.to_owned(), String::new(), vec![allocations]);
            Figure { section, case, subject, metric, unit, rounds }
        };
        Figures::of([figure("mosaicstack-telemetry", ours), figure("sentry", 7.0)])
    }

    #[test]
    fn a_target_is_held_missed_or_not_measured() {
        let held = section(&figures(1.0));
        let row = "| hand-over, prebuilt, roomy, 1 thread: allocations | 1 | 1 |  |  | yes |\n";
        assert!(held.contains(row), "{held}");
        assert!(
            held.contains("thread: p50 | 0.33 × the best peer SDK |  |  |  | not measured |\n")
        );
        assert!(!held.contains("Not held") && held.ends_with("in 1 of 1 rows.\n"), "{held}");
        let missed = section(&figures(14.0));
        assert!(missed.contains("| 14 |  |  | no |\n"), "{missed}");
        let reason = "\nNot held:\n\n- hand-over, prebuilt, roomy, 1 thread: allocations: ";
        assert!(missed.contains(reason), "{missed}");
        let row = "| mosaicstack-telemetry | sentry | 2 × |\n";
        assert!(missed.contains("in 0 of 1 rows.") && missed.ends_with(row), "{missed}");
    }

    #[test]
    fn the_summary_fits_a_terminal() {
        let text = summary(&figures(14.0));
        assert_eq!(text.lines().filter(|line| line.ends_with("  not measured")).count(), 21);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(text.contains("\nbeside the peer SDKs: no peer SDK is ahead in 0 of 1 rows.\n"));
    }

    #[test]
    fn names_do_not_repeat_whose_they_are() {
        for target in &TARGETS {
            assert!(!name(target).contains("mosaicstack"), "{}", name(target));
        }
    }
}
