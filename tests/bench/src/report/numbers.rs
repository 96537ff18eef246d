//! Numbers with the digits that mean something.

/// A value with at most three digits that are not zero, and all those before the point: `0.048`,
/// `1.5`, `48.2`, `484`, `12,345`.
pub(super) fn legible(value: f64) -> String {
    if !value.is_finite() {
        return "∞".into();
    }
    let decimals = match value.abs() {
        it if it >= 99.95 => 0,
        it if it >= 9.995 => 1,
        it if it >= 0.995 => 2,
        it if it > 0.0 => 3,
        _ => 0,
    };
    let digits = format!("{value:.decimals$}");
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    match fraction.trim_end_matches('0') {
        "" => grouped(whole),
        fraction => format!("{}.{fraction}", grouped(whole)),
    }
}

/// A value and its unit, if it has one.
pub(super) fn measured(value: f64, unit: &str) -> String {
    format!("{} {unit}", legible(value)).trim_end().to_owned()
}

/// A factor: `0.95 ×`, `1.3 ×`, `48 ×`.
pub(super) fn times(factor: f64) -> String {
    let rounded = if factor >= 9.95 { factor.round() } else { (factor * 100.0).round() / 100.0 };
    format!("{} ×", legible(rounded))
}

/// Digits with a comma before each three.
fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |it| ("-", it));
    let mut text = sign.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_enough() {
        let numbers = [0.0, 0.0482, 0.5, 0.999, 1.0, 1.456, 48.25, 99.97, 484.4, 999.9, 12_345.6];
        let texts =
            ["0", "0.048", "0.5", "1", "1", "1.46", "48.2", "100", "484", "1,000", "12,346"];
        assert_eq!(numbers.map(legible), texts);
        assert_eq!(legible(1e6 / 0.0), "∞");
        assert_eq!((measured(1.5, "ns"), measured(2.0, "")), ("1.5 ns".into(), "2".into()));
    }

    #[test]
    fn factors_are_coarser() {
        assert_eq!([0.954, 1.0, 12.7, 1_234.0].map(times), ["0.95 ×", "1 ×", "13 ×", "1,234 ×"]);
    }
}
