//! Tables of at most 80 columns.

use std::io::{self, Write};

use mosaicstack_telemetry::{PredictionQuery, PredictionResponse, Stats};

/// Writes a line, ignoring errors such as a closed pipe.
pub(crate) fn line(text: impl AsRef<str>) {
    let _ = writeln!(io::stdout(), "{}", text.as_ref());
}

/// Prints the client's counters and the collector's.
pub(crate) fn counters(stats: &Stats, collector: Option<u64>) {
    line("\nevents");
    for (name, count) in [
        ("tracked", stats.tracked),
        ("delivered", stats.delivered),
        ("rejected", stats.rejected),
        ("evicted", stats.evicted),
        ("dropped", stats.dropped.total()),
        ("pending", stats.pending),
    ] {
        line(format!("  {name:<22}{count:>8}"));
    }
    let sum = if stats.is_balanced() { "yes" } else { "NO" };
    line(format!("  {:<22}{sum:>8}", "balanced"));
    let count = collector.map_or_else(|| "unknown".to_owned(), |count| count.to_string());
    line(format!("  {:<22}{count:>8}", "stored by collector"));
}

/// Prints a row for each query, grouped by model.
pub(crate) fn predictions<'a>(
    answers: impl IntoIterator<Item = (&'a PredictionQuery, &'a PredictionResponse)>,
) {
    line("\npredictions for an implementation task");
    line(format!("{:10}{:>13}{:>14}{:>16}", "", "input tokens", "output tokens", "cost in USD"));
    line(
        ROW.iter()
            .map(|(name, width)| format!("{name:>width$}"))
            .fold(format!("{:<10}", "complexity"), |row, cell| row + &cell),
    );
    let (mut model, mut notes) = (None, Vec::new());
    for (query, answer) in answers {
        if model.replace(&query.model) != Some(&query.model) {
            line(format!("{}, by {}", printable(&query.model), printable(query.provider.as_str())));
        }
        let cells = cells(answer);
        let mut row = format!("  {:<8}", query.complexity);
        for (index, (_, width)) in ROW.iter().enumerate() {
            row += &format!("{:>width$}", cells.get(index).map_or("-", String::as_str));
        }
        line(row);
        notes.extend(answer.metadata.fallback_note.as_deref());
    }
    notes.into_iter().for_each(|note| line(format!("note: {}", printable(note))));
}

/// Columns and their widths; 80 in total with the first column of 10.
const ROW: [(&str, usize); 9] = [
    ("median", 7),
    ("p90", 6),
    ("median", 8),
    ("p90", 6),
    ("median", 8),
    ("p90", 8),
    ("success", 8),
    ("samples", 8),
    ("confidence", 11),
];

fn cells(answer: &PredictionResponse) -> Vec<String> {
    let metadata = &answer.metadata;
    let basis = [metadata.sample_size.to_string(), metadata.confidence.to_string()];
    let Some(data) = &answer.prediction else {
        return [const { String::new() }; 7].into_iter().chain(basis).collect();
    };
    let dollars = |percentile: &str| {
        let micros = data.cost_usd_micros.percentile(percentile);
        micros.map_or_else(|| "-".into(), |micros| format!("{:.2}", micros / 1e6))
    };
    let expected = [
        short(data.input_tokens.median),
        short(data.input_tokens.p90),
        short(data.output_tokens.median),
        short(data.output_tokens.p90),
        dollars("median"),
        dollars("p90"),
        format!("{:.0} %", data.quality.success_rate * 100.0),
    ];
    expected.into_iter().chain(basis).collect()
}

/// Formats a number in at most five characters.
fn short(number: Option<f64>) -> String {
    let Some(number) = number else { return "-".into() };
    match number {
        _ if number >= 9.95e6 => format!("{:.1}M", number / 1e6),
        _ if number >= 1e6 => format!("{:.2}M", number / 1e6),
        _ if number >= 9_950.0 => format!("{:.0}k", number / 1e3),
        _ if number >= 1e3 => format!("{:.1}k", number / 1e3),
        _ => format!("{number:.0}"),
    }
}

/// Removes control characters from text of the server, and limits its length.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(70).collect()
}
