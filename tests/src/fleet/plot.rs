//! A chart of requests over time, as SVG that is legible on light and on dark pages.

use std::fmt::Write as _;

use super::{FROM, MINUTE, Report, UNTIL};

const WIDTH: u32 = 760;
const HEIGHT: u32 = 340;
/// The place of the axes: left, top, right, bottom.
const FRAME: [u32; 4] = [64, 44, 744, 288];
/// Marks on the vertical axis, at most.
const MARKS: u32 = 6;
/// Minutes between marks on the horizontal axis.
const STEP: u32 = 30;

const HEAD: &str = r##"<style>
text { font: 13px sans-serif; fill: #24292f }
.title { font-weight: bold }
.grid { stroke: #d0d7de }
.axis { stroke: #57606a }
.outage { fill: #cf222e; opacity: .09 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round }
.a { stroke: #0969da }
.b { stroke: #bc4c00; stroke-dasharray: 5 3 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.grid { stroke: #30363d }
.axis { stroke: #8b949e }
.outage { fill: #f85149; opacity: .16 }
.a { stroke: #58a6ff }
.b { stroke: #f0883e }
}
</style>
"##;

/// Draws one line for each of two reports, named.
pub(super) fn plot(title: &str, lines: [(&str, &Report); 2]) -> String {
    let minutes = lines.map(|(name, report)| (name, report.minutes()));
    let most = minutes.iter().flat_map(|(_, counts)| counts).copied().max().unwrap_or(0);
    let step = round_step(most);
    let top = most.div_ceil(step) * step;
    let last = u32::try_from(minutes[0].1.len()).unwrap_or(u32::MAX);
    let across = |minute: u32| FRAME[0] + minute * (FRAME[2] - FRAME[0]) / last;
    let up = |count: u32| FRAME[3] - count * (FRAME[3] - FRAME[1]) / top;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{title}\">\n{HEAD}"
    );
    let mut add = |line: String| _ = writeln!(svg, "{line}");
    let [left, above, right, below] = FRAME;
    let [from, until] = [FROM, UNTIL].map(|at| across(minutes_of(at)));
    let (breadth, depth) = (until - from, below - above);
    add(format!(
        "<rect class=\"outage\" x=\"{from}\" y=\"{above}\" width=\"{breadth}\" height=\"{depth}\"/>"
    ));
    add(text(left, 20, "start", " class=\"title\"", title));
    add(text(from + 6, above + 16, "start", "", "outage"));
    for count in (0..=top).step_by(step as usize) {
        let y = up(count);
        add(format!("<path class=\"grid\" d=\"M{left} {y}H{right}\"/>"));
        add(text(left - 8, y + 4, "end", "", &count.to_string()));
    }
    for minute in (0..=last).step_by(STEP as usize) {
        let x = across(minute);
        add(format!("<path class=\"axis\" d=\"M{x} {below}v5\"/>"));
        add(text(x, below + 19, "middle", "", &minute.to_string()));
    }
    add(format!("<path class=\"axis\" d=\"M{left} {below}H{right}\"/>"));
    add(text((left + right) / 2, HEIGHT - 10, "middle", "", "minutes since the first start"));
    let middle = (above + below) / 2;
    let turned = format!(" transform=\"rotate(-90 16 {middle})\"");
    add(text(16, middle, "middle", &turned, "requests a minute"));
    for (index, ((name, counts), class)) in minutes.iter().zip(["a", "b"]).enumerate() {
        let points: Vec<String> = (0..)
            .zip(counts)
            // A minute's count stands in its middle.
            .map(|(minute, count)| {
                format!("{},{}", across(2 * minute + 1).midpoint(left), up(*count))
            })
            .collect();
        let points = points.join(" ");
        add(format!("<polyline class=\"line {class}\" points=\"{points}\"/>"));
        let y = above + 16 + 20 * u32::try_from(index).unwrap_or(0);
        let x = until + 24;
        add(format!("<path class=\"line {class}\" d=\"M{x} {}h28\"/>", y - 4));
        add(text(x + 36, y, "start", "", name));
    }
    svg.push_str("</svg>\n");
    svg
}

fn text(x: u32, y: u32, anchor: &str, more: &str, text: &str) -> String {
    format!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\"{more}>{text}</text>")
}

fn minutes_of(at: std::time::Duration) -> u32 {
    u32::try_from(at.as_secs() / MINUTE.as_secs()).unwrap_or(u32::MAX)
}

/// 1, 2 or 5 times a power of ten, so that few marks reach `most`.
fn round_step(most: u32) -> u32 {
    let powers = (0..9).map(|power| 10_u32.pow(power));
    let steps = powers.flat_map(|power| [1, 2, 5].map(|step| step * power));
    steps.into_iter().find(|step| step * MARKS >= most).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_few() {
        for (most, step) in [(0, 1), (6, 1), (7, 2), (61, 20), (743, 200), (70_000, 20_000)] {
            assert_eq!(round_step(most), step, "{most}");
        }
    }
}
