//! Accepted events, as JSON or as rows of a table.

use telemetry_model::TaskCompletionEvent;

/// The values of `--show`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Show {
    /// One line of JSON each
    Json,
    /// A row each, of 80 columns
    Table,
}

/// The heading of the table.
pub(crate) const HEADING: &str =
    "UTC      TASK           OUTCOME  MODEL                   INPUT  OUTPUT      COST";

impl Show {
    /// The event as a line without a line break.
    pub(crate) fn line(self, event: &TaskCompletionEvent) -> String {
        match self {
            // Infallible: events serialize, and the writer is memory.
            Self::Json => serde_json::to_string(event).unwrap_or_default(),
            Self::Table => row(event),
        }
    }
}

fn row(event: &TaskCompletionEvent) -> String {
    let at = event.timestamp;
    format!(
        "{:02}:{:02}:{:02} {} {} {} {:>8} {:>7} {:>9}",
        at.hour(),
        at.minute(),
        at.second(),
        cell(event.task_type.as_str(), 14),
        cell(event.outcome.as_str(), 8),
        cell(&event.model, 20),
        event.actual_input_tokens,
        event.actual_output_tokens,
        format_args!("${:.4}", event.actual_cost_usd_micros as f64 / 1e6).to_string(),
    )
}

/// Pads or truncates text, and replaces control characters, since a client chose it.
fn cell(text: &str, width: usize) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut cell: String = text.chars().map(shown).take(width).collect();
    if text.chars().nth(width).is_some() {
        cell.pop();
        cell.push('…');
    }
    format!("{cell:<width$}")
}

#[cfg(test)]
mod tests {
    use telemetry_model::{Cost, EventBuilder, Tokens, time::OffsetDateTime, uuid::Uuid};

    use super::*;

    #[test]
    fn rows_fit_the_heading_and_have_no_control_characters() {
        let event = |model: &str| {
            EventBuilder::new(Uuid::nil())
                .timestamp(OffsetDateTime::UNIX_EPOCH)
                .task_type("implementation")
                .outcome("success")
                .model(model)
                .tokens(Tokens { actual_in: 112_340, actual_out: 38_760, ..Tokens::default() })
                .cost(Cost::from_usd(0.9192))
                .build()
        };
        for (model, shown) in [
            ("m", "m                   "),
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5-2…"),
            ("\u{1b}[31m\n", "\u{fffd}[31m\u{fffd}              "),
        ] {
            let expected =
                format!("00:00:00 implementation success  {shown}   112340   38760   $0.9192");
            assert_eq!(Show::Table.line(&event(model)), expected);
            assert_eq!(expected.chars().count(), HEADING.len());
        }
        let event = event("a\nb");
        assert_eq!(Show::Json.line(&event), serde_json::to_string(&event).unwrap());
    }
}
