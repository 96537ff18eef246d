//! Contrast of the colors in the style, by WCAG 2.2.

use std::collections::BTreeMap;

const STYLE: &str = include_str!("style.css");

/// The colors of text, and of lines that mark an input.
const TEXT: [&str; 3] = ["ink", "muted", "link"];

/// The backgrounds of text.
const BACKGROUNDS: [&str; 2] = ["page", "panel"];

/// The colors of marks in charts.
const MARKS: [&str; 7] = ["ok", "partial", "fail", "late", "first", "second", "mark"];

/// The backgrounds of marks, and of a bar on which the pointer is.
const BEHIND_MARKS: [&str; 4] = ["page", "panel", "track", "pale"];

/// Decoration: nothing depends on seeing them.
const DECORATION: [&str; 3] = ["line", "track", "pale"];

type Palette = BTreeMap<&'static str, [f64; 3]>;

/// The palettes for light and dark.
fn palettes() -> [Palette; 2] {
    let (light, rest) = STYLE.split_once("@media (prefers-color-scheme: dark)").unwrap();
    let (dark, _) = rest.split_once("}\n}").unwrap();
    [light, dark].map(|css| {
        let colors = css.lines().filter_map(|line| line.trim().strip_prefix("--"));
        colors
            .map(|line| {
                let (name, hex) = line.trim_end_matches(';').split_once(": #").unwrap();
                let channel = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
                (name, [0, 2, 4].map(|at| f64::from(channel(at)) / 255.0))
            })
            .collect()
    })
}

fn luminance(color: [f64; 3]) -> f64 {
    let [r, g, b] = color.map(|channel| {
        if channel <= 0.040_45 { channel / 12.92 } else { ((channel + 0.055) / 1.055).powf(2.4) }
    });
    0.0722f64.mul_add(b, 0.2126f64.mul_add(r, 0.7152 * g))
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let [a, b] = [a, b].map(|color| luminance(color) + 0.05);
    a.max(b) / a.min(b)
}

#[test]
fn contrast_matches_known_ratios() {
    assert_eq!(contrast([0.0; 3], [1.0; 3]), 21.0);
    let grey = [f64::from(0x76) / 255.0; 3];
    assert!((contrast(grey, [1.0; 3]) - 4.54).abs() < 0.005);
}

#[test]
fn every_color_is_used_and_has_a_role_in_both_themes() {
    let roles: Vec<_> = [&TEXT[..], &BACKGROUNDS, &MARKS, &DECORATION].concat();
    for palette in palettes() {
        assert_eq!(palette.len(), roles.len());
        for name in &roles {
            assert!(
                palette.contains_key(name) && STYLE.contains(&format!("var(--{name})")),
                "{name}"
            );
        }
    }
    // Colors come from the palette only.
    let rules = STYLE.rsplit_once("}\n}\n\n*,").unwrap().1;
    assert!(!rules.contains("rgb") && !rules.contains(": #"));
}

#[test]
fn contrast_is_aa_in_both_themes() {
    for (theme, palette) in ["light", "dark"].into_iter().zip(palettes()) {
        for (foregrounds, backgrounds, least) in [
            (&TEXT[..], &BACKGROUNDS[..], 4.5),
            (&MARKS, &BEHIND_MARKS, 3.0),
            (&["panel"], &["ink"], 4.5),
        ] {
            for (a, b) in foregrounds.iter().flat_map(|a| backgrounds.iter().map(move |b| (a, b))) {
                let found = contrast(palette[a], palette[b]);
                assert!(found >= least, "{theme}: {a} on {b} is {found:.2}, less than {least}");
            }
        }
    }
}
