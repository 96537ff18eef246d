//! Bars for a few metrics beside each other, a row for each subject.

use super::{numbers::legible, svg::Drawing};

const WIDTH: u32 = 760;
/// Where the first bars begin; names are left of it.
const LEFT: u32 = 280;
const TOP: u32 = 60;
const ROW: u32 = 26;
/// What is right of the longest bar, for its number.
const ROOM: u32 = 58;

/// What a plot is of.
pub(super) struct Bars<'a> {
    pub(super) title: &'a str,
    /// What is beside each other.
    pub(super) metrics: &'a [&'a str],
    /// Whether they are ours, and a value for each metric or none.
    pub(super) rows: Vec<(String, bool, Vec<Option<f64>>)>,
}

impl Bars<'_> {
    /// `None` if there is nothing to draw.
    pub(super) fn draw(&self) -> Option<String> {
        let rows = u32::try_from(self.rows.len()).ok().filter(|&it| it > 0)?;
        let breadth = (WIDTH - LEFT) / u32::try_from(self.metrics.len()).ok()?;
        let mut drawing = Drawing::new(WIDTH, TOP + rows * ROW + 8, self.title);
        drawing.title(8, self.title);
        for (row, (name, ..)) in (0..).zip(&self.rows) {
            drawing.text((LEFT - 10, TOP + row * ROW + 15), "end", "", name);
        }
        for (column, metric) in self.metrics.iter().enumerate() {
            let x = LEFT + u32::try_from(column).ok()? * breadth;
            drawing.text((x, TOP - 10), "start", "", metric);
            let value = |values: &[Option<f64>]| values.get(column).copied().flatten();
            let values = self.rows.iter().filter_map(|(_, _, values)| value(values));
            let most = values.fold(f64::MIN_POSITIVE, f64::max);
            for (row, (_, is_ours, values)) in (0..).zip(&self.rows) {
                let Some(value) = value(values) else { continue };
                let length = f64::from(breadth - ROOM) * value / most;
                let (y, class) = (TOP + row * ROW, if *is_ours { "ours" } else { "others" });
                drawing.add(format_args!(
                    "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{length:.1}\" height=\"20\"/>"
                ));
                drawing.text((x + length as u32 + 6, y + 15), "start", "", &legible(value));
            }
        }
        Some(drawing.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_of_a_metric_leaves_room_for_its_number() {
        let rows =
            vec![("ours".into(), true, vec![Some(50.0)]), ("b".into(), false, vec![Some(100.0)])];
        let svg = Bars { title: "t", metrics: &["crates"], rows }.draw().unwrap();
        let most = f64::from(WIDTH - LEFT - ROOM);
        assert!(svg.contains(&format!(
            "class=\"others\" x=\"{LEFT}\" y=\"{}\" width=\"{most:.1}\"",
            TOP + ROW
        )));
        assert!(svg.contains(&format!(
            "class=\"ours\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{:.1}\"",
            most / 2.0
        )));
        assert!(Bars { title: "t", metrics: &["crates"], rows: Vec::new() }.draw().is_none());
    }
}
