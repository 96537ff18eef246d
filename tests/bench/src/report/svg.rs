//! What the plots have in common: SVG that is legible on light and on dark pages.

use std::fmt::{Display, Write as _};

/// As many as there are lines or bars of one plot.
pub(super) const CLASSES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

const HEAD: &str = r##"<style>
text { font: 13px sans-serif; fill: #24292f }
.title { font-weight: bold }
.grid { stroke: #d0d7de }
.axis { stroke: #57606a }
.line { fill: none; stroke-width: 2; stroke-linejoin: round }
.a { stroke: #0969da; stroke-width: 3 }
.b { stroke: #bc4c00; stroke-dasharray: 7 3 }
.c { stroke: #8250df; stroke-dasharray: 2 3 }
.d { stroke: #1a7f37; stroke-dasharray: 7 3 2 3 }
.e { stroke: #9a6700; stroke-dasharray: 12 4 }
.f { stroke: #57606a; stroke-dasharray: 4 4 }
.ours { fill: #0969da }
.others { fill: #8c959f }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.grid { stroke: #30363d }
.axis { stroke: #8b949e }
.a { stroke: #58a6ff }
.b { stroke: #f0883e }
.c { stroke: #bc8cff }
.d { stroke: #3fb950 }
.e { stroke: #d29922 }
.f { stroke: #8b949e }
.ours { fill: #58a6ff }
.others { fill: #6e7681 }
}
</style>
"##;

/// A drawing that is being made.
pub(super) struct Drawing(String);

impl Drawing {
    pub(super) fn new(width: u32, height: u32, title: &str) -> Self {
        let title = escaped(title);
        Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" aria-label=\"{title}\">\n{HEAD}"
        ))
    }

    /// Adds an element, which ends itself.
    pub(super) fn add(&mut self, element: impl Display) {
        let _ = writeln!(self.0, "{element}");
    }

    /// Adds text; `anchor` is `start`, `middle` or `end`, and `more` other attributes.
    pub(super) fn text(&mut self, (x, y): (u32, u32), anchor: &str, more: &str, text: &str) {
        let text = escaped(text);
        self.add(format_args!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\"{more}>{text}</text>"
        ));
    }

    pub(super) fn title(&mut self, x: u32, title: &str) {
        self.text((x, 20), "start", " class=\"title\"", title);
    }

    pub(super) fn end(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_markup() {
        let mut drawing = Drawing::new(1, 2, "\"a\"");
        drawing.text((3, 4), "end", "", "Mutex<VecDeque>");
        let svg = drawing.end();
        assert!(svg.contains("aria-label=\"&quot;a&quot;\">"));
        assert!(svg.contains(">Mutex&lt;VecDeque></text>") && svg.ends_with("</svg>\n"));
    }
}
