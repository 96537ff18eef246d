//! A curve for each subject, over cases that are in an order, on a logarithmic scale.

use super::{
    numbers::legible,
    svg::{CLASSES, Drawing},
};

const WIDTH: u32 = 840;
const HEIGHT: u32 = 360;
/// The place of the axes: left, top, right, bottom.
const FRAME: [u32; 4] = [74, 44, 540, 308];

/// What a plot is of.
pub(super) struct Curves<'a> {
    pub(super) title: &'a str,
    /// What is up.
    pub(super) metric: &'a str,
    /// What is across, and its values.
    pub(super) axis: &'a str,
    pub(super) across: &'a [&'a str],
    /// A value for each of those, or none where there is no figure.
    pub(super) curves: Vec<(&'a str, Vec<Option<f64>>)>,
}

impl Curves<'_> {
    /// `None` if there is nothing to draw.
    pub(super) fn draw(&self) -> Option<String> {
        let values = || self.curves.iter().flat_map(|(_, it)| it).flatten().copied();
        let values = || values().filter(|&it| it > 0.0);
        let (least, most) = (values().min_by(f64::total_cmp)?, values().max_by(f64::total_cmp)?);
        // Whole powers of ten, at least one apart.
        let bottom = least.log10().floor();
        let top = most.log10().ceil().max(bottom + 1.0);
        let [left, above, right, below] = FRAME;
        let step = (right - left) / u32::try_from(self.across.len()).ok()?;
        let x = |index: u32| left + step / 2 + step * index;
        let height = f64::from(below - above);
        let y = |value: f64| {
            let share = (value.log10() - bottom) / (top - bottom);
            f64::from(below) - height * share.clamp(0.0, 1.0)
        };

        let mut drawing = Drawing::new(WIDTH, HEIGHT, self.title);
        drawing.title(left, self.title);
        let powers = (0..).map(|power| bottom + f64::from(power)).take_while(|&it| it <= top);
        for power in powers {
            let (value, y) = (10_f64.powf(power), y(10_f64.powf(power)) as u32);
            drawing.add(format_args!("<path class=\"grid\" d=\"M{left} {y}H{right}\"/>"));
            drawing.text((left - 8, y + 4), "end", "", &legible(value));
        }
        for (index, name) in (0..).zip(self.across) {
            drawing.add(format_args!("<path class=\"axis\" d=\"M{} {below}v5\"/>", x(index)));
            drawing.text((x(index), below + 19), "middle", "", name);
        }
        drawing.add(format_args!("<path class=\"axis\" d=\"M{left} {below}H{right}\"/>"));
        drawing.text((u32::midpoint(left, right), HEIGHT - 12), "middle", "", self.axis);
        let middle = u32::midpoint(above, below);
        let turned = format!(" transform=\"rotate(-90 16 {middle})\"");
        drawing.text((16, middle), "middle", &turned, self.metric);
        for (index, ((name, values), class)) in (0..).zip(self.curves.iter().zip(CLASSES)) {
            let points = (0..).zip(values).filter_map(|(index, value)| {
                let value = value.filter(|&it| it > 0.0)?;
                Some(format!("{},{:.1}", x(index), y(value)))
            });
            let points = points.collect::<Vec<_>>().join(" ");
            drawing.add(format_args!("<polyline class=\"line {class}\" points=\"{points}\"/>"));
            let (x, y) = (right + 16, above + 16 + 22 * index);
            drawing.add(format_args!("<path class=\"line {class}\" d=\"M{x} {}h28\"/>", y - 4));
            drawing.text((x + 36, y), "start", "", name);
        }
        Some(drawing.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_ten_are_as_far_apart_as_values_are() {
        let curves =
            vec![("ours", vec![Some(10.0), Some(100.0)]), ("a<b", vec![Some(1_000.0), None])];
        let (metric, axis, across) = ("p50, ns", "threads", &["1", "2"][..]);
        let plot = Curves { title: "t", metric, axis, across, curves };
        let svg = plot.draw().unwrap();
        let [left, above, right, below] = FRAME;
        let middle = u32::midpoint(above, below);
        let [first, second] = [1, 3].map(|it| left + it * ((right - left) / 2) / 2);
        assert!(
            svg.contains(&format!("points=\"{first},{below}.0 {second},{middle}.0\"")),
            "{svg}"
        );
        assert!(svg.contains(&format!("points=\"{first},{above}.0\"")), "{svg}");
        assert!(svg.contains(">1,000</text>") && svg.contains(">a&lt;b</text>"));
    }

    #[test]
    fn without_a_figure_there_is_no_plot() {
        let curves = vec![("ours", vec![None, Some(0.0)])];
        let plot = Curves { title: "", metric: "", axis: "", across: &["1"], curves };
        assert_eq!(plot.draw(), None);
    }
}
