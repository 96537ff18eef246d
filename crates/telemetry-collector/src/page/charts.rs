//! Charts in SVG.
//!
//! They are stretched to the width of their place, so they consist of rectangles only; labels are HTML.

use maud::{Markup, html};

/// The height of the coordinates of a chart over time.
const HEIGHT: f64 = 100.0;

/// The width of the coordinates of the other charts.
const WIDTH: f64 = 1_000.0;

/// One bar of a chart over time: parts on top of each other, the lowest first, each with its class.
pub(super) struct Bar {
    /// The exact figures.
    pub(super) title: String,
    pub(super) parts: Vec<(&'static str, f64)>,
}

/// Bars side by side. `max` is the value at the top, above 0.
pub(super) fn bars(label: &str, bars: &[Bar], max: f64) -> Markup {
    let width = bars.len() as f64 * 10.0;
    // Gaps would be wider than bars that are thin.
    let gap = if bars.len() > 100 { 1.5 } else { 2.5 };
    html! {
        svg.bars role="img" aria-label=(label) viewBox={ "0 0 " (width) " " (HEIGHT) }
            preserveAspectRatio="none" {
            @for (index, bar) in bars.iter().enumerate() {
                @let x = (index * 10) as f64;
                g {
                    title { (bar.title) }
                    rect.hit x=(x) y="0" width="10" height=(HEIGHT) {}
                    @for (class, top, height) in stack(&bar.parts, max) {
                        rect class=(class) x=(x + gap / 2.0) y=(round(HEIGHT - top))
                            width=(10.0 - gap) height=(round(height)) {}
                    }
                }
            }
        }
    }
}

/// The parts with their upper edges and heights. A part that is not 0 stays visible.
fn stack<'a>(
    parts: &'a [(&'static str, f64)],
    max: f64,
) -> impl Iterator<Item = (&'static str, f64, f64)> + 'a {
    let mut top = 0.0;
    parts.iter().filter(|(_, value)| *value > 0.0).map(move |(class, value)| {
        let height = (value / max * HEIGHT).clamp(1.5, HEIGHT);
        top += height;
        (*class, top.min(HEIGHT), height)
    })
}

/// A horizontal bar of consecutive parts, each with its class and its share of the width.
pub(super) fn meter(parts: &[(&'static str, f64)]) -> Markup {
    let mut x = 0.0;
    html! {
        svg.meter aria-hidden="true" viewBox="0 0 1000 10" preserveAspectRatio="none" {
            rect.track x="0" y="0" width="1000" height="10" {}
            @for (class, share) in parts {
                @let width = (share * WIDTH).clamp(0.0, WIDTH);
                rect class=(class) x=(round(x)) y="0" width=(round(width)) height="10" {}
                @let () = x += width;
            }
        }
    }
}

/// A bar from 1 to the factor, on a logarithmic scale from a half to the double.
pub(super) fn deviation(factor: f64) -> Markup {
    let end = (factor.max(f64::MIN_POSITIVE).log2().clamp(-1.0, 1.0) + 1.0) * WIDTH / 2.0;
    let (x, width) =
        if end < WIDTH / 2.0 { (end, WIDTH / 2.0 - end) } else { (WIDTH / 2.0, end - WIDTH / 2.0) };
    let class = if factor > 1.0 { "over" } else { "under" };
    html! {
        svg.meter aria-hidden="true" viewBox="0 0 1000 10" preserveAspectRatio="none" {
            rect.track x="0" y="0" width="1000" height="10" {}
            rect class=(class) x=(round(x)) y="0" width=(round(width)) height="10" {}
            rect.mark x="495" y="0" width="10" height="10" {}
        }
    }
}

/// A box plot: whiskers from p10 to p90, a box from p25 to p75, a mark at the median. `max` is the value at the
/// right, above 0.
pub(super) fn box_plot(label: &str, [p10, p25, median, p75, p90]: [f64; 5], max: f64) -> Markup {
    let at = |value: f64| round((value / max * WIDTH).clamp(0.0, WIDTH));
    // So that a plot of equal values is visible.
    let wide = |from: f64, to: f64, least: f64| round((at(to) - at(from)).max(least));
    html! {
        svg.box role="img" aria-label=(label) viewBox="0 0 1000 20" preserveAspectRatio="none" {
            title { (label) }
            rect.hit x="0" y="0" width="1000" height="20" {}
            rect.whisker x=(at(p10)) y="9" width=(wide(p10, p90, 4.0)) height="2" {}
            rect.whisker x=(at(p10)) y="5" width="6" height="10" {}
            rect.whisker x=(at(p90).min(WIDTH - 6.0)) y="5" width="6" height="10" {}
            rect.quartiles x=(at(p25)) y="2" width=(wide(p25, p75, 4.0)) height="16" {}
            rect.median x=((at(median) - 6.0).clamp(0.0, WIDTH - 12.0)) y="0" width="12" height="20" {}
        }
    }
}

/// The next round number that is not below `value`; 1 for 0.
pub(super) fn ceiling(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    // Rounding may put the value just above a step.
    let step = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0]
        .iter()
        .find(|step| value <= *step * power * (1.0 + 1e-9));
    step.unwrap_or(&10.0) * power
}

/// Two decimals are less than a tenth of a pixel.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceiling_is_a_round_number() {
        for (value, expected) in [
            (0.0, 1.0),
            (1.0, 1.0),
            (1.1, 1.2),
            (0.03, 0.03),
            (7.0, 8.0),
            (9.0, 10.0),
            (2_345.0, 2_500.0),
        ] {
            assert!(
                (ceiling(value) - expected).abs() < 1e-9 * expected,
                "{value}: {}",
                ceiling(value)
            );
        }
    }

    #[test]
    fn bars_are_stacked_and_small_parts_visible() {
        let bar = |parts| Bar { title: "<b>".into(), parts };
        let svg = bars(
            "l",
            &[bar(vec![("a", 50.0), ("b", 25.0), ("c", 0.0)]), bar(vec![("a", 0.01)])],
            100.0,
        );
        let svg = svg.into_string();
        for part in [
            r#"<rect class="a" x="1.25" y="50" width="7.5" height="50">"#,
            r#"<rect class="b" x="1.25" y="25" width="7.5" height="25">"#,
            r#"<rect class="a" x="11.25" y="98.5" width="7.5" height="1.5">"#,
            "<title>&lt;b&gt;</title>",
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert!(!svg.contains(r#"class="c""#));
    }

    #[test]
    fn box_plot_stays_within_its_width() {
        let svg = box_plot("label", [0.0, 25.0, 50.0, 75.0, 100.0], 100.0).into_string();
        for part in [
            r#"<rect class="quartiles" x="250" y="2" width="500""#,
            r#"<rect class="median" x="494""#,
            r#"<rect class="whisker" x="0" y="9" width="1000""#,
            r#"<rect class="whisker" x="994" y="5""#,
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        let equal = box_plot("label", [100.0; 5], 100.0).into_string();
        assert!(equal.contains(r#"<rect class="median" x="988""#), "{equal}");
    }

    #[test]
    fn deviation_points_to_both_sides() {
        let bar = |factor| deviation(factor).into_string();
        assert!(
            bar(2f64.sqrt()).contains(r#"<rect class="over" x="500" y="0" width="250""#),
            "{}",
            bar(2.0)
        );
        assert!(bar(0.5f64.sqrt()).contains(r#"<rect class="under" x="250" y="0" width="250""#));
        assert!(bar(0.0).contains(r#"<rect class="under" x="0" y="0" width="500""#));
    }
}
