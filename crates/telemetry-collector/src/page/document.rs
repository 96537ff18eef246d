//! The document: its head, filters, sections, and the pages of errors.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use telemetry_model::{EventBatch, EventBuilder, Outcome, Tokens, uuid::Uuid};

use super::{
    breakdown, details, overview,
    report::{BREAKDOWN, Report},
    selection::Selection,
    units,
};
use crate::storage::views::UnixMillis;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The most choices of a filter; the names in the tables set the others.
const MAX_CHOICES: usize = 200;

/// The sections, by their ids.
const SECTIONS: [(&str, &str); 7] = [
    ("time", "Over time"),
    ("breakdown", "Breakdown"),
    ("estimates", "Estimates"),
    ("gates", "Gates"),
    ("predictions", "Predictions"),
    ("events", "Events"),
    ("rejections", "Rejected"),
];

/// The spans that a link selects: a name, and hours before the current one.
const SPANS: [(&str, i64); 3] = [("24 hours", 24), ("7 days", 7 * 24), ("30 days", 30 * 24)];

/// The parts of a page that do not come from the events.
pub(super) struct Frame {
    /// Permits the style and the script of the document.
    pub(super) nonce: String,
    /// The version of the events; see [`Live`](super::live::Live).
    pub(super) version: String,
    pub(super) now: UnixMillis,
    /// The URL of the server, for a client.
    pub(super) url: String,
}

/// The page with its report.
pub(super) fn page(frame: &Frame, report: &Report, selection: &Selection) -> String {
    let is_empty = report.choices.iter().all(Vec::is_empty);
    let content = html! {
        main #content tabindex="-1" data-version=(frame.version) {
            @if is_empty {
                (first_event(frame))
            } @else {
                (filters(report, selection, frame.now))
                @if report.all.tasks == 0 {
                    (nothing(report, selection))
                } @else {
                    (overview::section(report, selection))
                    (breakdown::section(report, selection))
                    (breakdown::estimates(report, selection))
                    (details::gates(report, selection))
                    (details::predictions(report, selection))
                    (details::events(report, selection))
                }
            }
            @if !is_empty || !report.rejections.is_empty() { (details::rejections(report, selection)) }
            (footer(report))
        }
    };
    let header = html! {
        @if report.all.tasks > 0 {
            nav aria-label="Sections" {
                @for (id, name) in SECTIONS { a href={ "#" (id) } { (name) } }
            }
        }
        div.live #live hidden {
            span #live-state role="status" { "Connecting" }
            button #live-pause type="button" aria-pressed="false" { "Pause" }
        }
    };
    document(frame, "Telemetry", &header, &content)
}

/// A page with errors only.
pub(super) fn error(frame: &Frame, title: &str, errors: &[String]) -> String {
    let content = html! {
        main #content tabindex="-1" {
            section.panel.message {
                h2 { (title) }
                ul { @for error in errors { li { (error) } } }
                p { a href="/" { "Show all tasks" } }
            }
        }
    };
    document(frame, title, &html! {}, &content)
}

fn document(frame: &Frame, title: &str, header: &Markup, content: &Markup) -> String {
    let icon = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
                %3Cg fill='%232f74c0'%3E%3Crect x='1' y='8' width='3.6' height='7' rx='1'/%3E\
                %3Crect x='6.2' y='1' width='3.6' height='14' rx='1'/%3E\
                %3Crect x='11.4' y='5' width='3.6' height='10' rx='1'/%3E%3C/g%3E%3C/svg%3E";
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · telemetry-collector" }
                link rel="icon" href=(icon);
                style nonce=(frame.nonce) { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header.top {
                    h1 { a href="/" { "telemetry-collector" } }
                    (header)
                }
                (content)
                script nonce=(frame.nonce) { (PreEscaped(SCRIPT)) }
            }
        }
    };
    document.into_string()
}

fn filters(report: &Report, selection: &Selection, now: UnixMillis) -> Markup {
    let pairs = selection.pairs();
    let value = |parameter: &str| {
        pairs.iter().find(|(name, _)| *name == parameter).and_then(|(_, value)| value.as_deref())
    };
    // The current hour is the last one.
    let hour = now.div_euclid(3_600_000) + 1;
    html! {
        form.filters method="get" action="/" aria-label="Filters" {
            @for (by, choices) in BREAKDOWN.into_iter().zip(&report.choices) {
                @let (title, parameter) = breakdown::name(by);
                @let current = value(parameter);
                label {
                    span { (title) }
                    select name=(parameter) id={ "filter-" (parameter) } {
                        option value="" { "All" }
                        @if let Some(current) = current.filter(|it| !choices.iter().take(MAX_CHOICES).any(|choice| choice == it)) {
                            option value=(current) selected { (current) }
                        }
                        @for choice in choices.iter().take(MAX_CHOICES) {
                            option value=(choice) selected[current == Some(choice)] { (choice) }
                        }
                    }
                }
            }
            @for (parameter, title) in [("from", "From (UTC)"), ("to", "Before (UTC)")] {
                label {
                    span { (title) }
                    input type="datetime-local" step="3600" name=(parameter) id={ "filter-" (parameter) } value=[value(parameter)];
                }
            }
            button type="submit" { "Apply" }
            p.spans {
                @for (name, hours) in SPANS {
                    @let from = units::local(units::at_hour(hour - hours));
                    @let is_current = value("from") == Some(&from) && value("to").is_none();
                    a href=(selection.url_with("/", &[("from", Some(&from)), ("to", None)])) aria-current=[is_current.then_some("true")] { (name) }
                }
                @let is_current = value("from").is_none() && value("to").is_none();
                a href=(selection.url_with("/", &[("from", None), ("to", None)])) aria-current=[is_current.then_some("true")] { "All time" }
            }
        }
        @if !selection.is_all() {
            p.chosen {
                @for (name, value) in &pairs {
                    @if let Some(value) = value {
                        a.chip href=(selection.url_with("/", &[(name, None)])) aria-label={ "Remove the filter " (name) " " (value) } {
                            (name) " " b { (value) } span aria-hidden="true" { " ×" }
                        }
                    }
                }
                a href="/" { "Clear all" }
            }
        }
    }
}

/// No event matches; names the values that no event has.
fn nothing(report: &Report, selection: &Selection) -> Markup {
    let pairs = selection.pairs();
    let unknown = BREAKDOWN.into_iter().zip(&report.choices).filter_map(|(by, choices)| {
        let (title, parameter) = breakdown::name(by);
        let (_, value) = pairs.iter().find(|(name, _)| *name == parameter)?;
        let value = value.as_ref().filter(|value| !choices.contains(value))?;
        Some((title.to_lowercase(), value))
    });
    html! {
        section.panel.message {
            h2 { "No task matches" }
            ul {
                @for (title, value) in unknown { li { "There is no task with the " (title) " " b { (value) } "." } }
            }
            p { a href="/" { "Show all tasks" } }
        }
    }
}

/// The empty state: how to send the first event.
fn first_event(frame: &Frame) -> Markup {
    let url = &frame.url;
    let example = example(frame.now);
    html! {
        section.panel.message #first {
            h2 { "No events yet" }
            p { "This page shows tasks as soon as they are reported, without a reload. A client of the SDK needs three variables:" }
            pre { code {
                "export MOSAIC_TELEMETRY_SERVER_URL=" (url) "\n"
                "export MOSAIC_TELEMETRY_API_KEY=" ("0123456789abcdef".repeat(4)) "\n"
                "export MOSAIC_TELEMETRY_INSTANCE_ID=12345678-1234-1234-1234-123456789abc"
            } }
            p { "Or send a first event from a shell:" }
            pre { code {
                "curl " (url) (crate::EVENTS_PATH) " -H \"authorization: Bearer $MOSAIC_TELEMETRY_API_KEY\" \\\n"
                "  -H 'content-type: application/json' -d '" (example) "'"
            } }
            p { "If the collector requires a key or an instance, use those instead of the values above." }
        }
    }
}

/// A batch of one event. New for each page, so that it can be sent again.
fn example(now: UnixMillis) -> String {
    let event = EventBuilder::new(Uuid::from_u128(0x12345678_1234_1234_1234_123456789abc))
        .timestamp(units::at_millis(now))
        .task_type("implementation")
        .model("first-model")
        .provider("anthropic")
        .outcome(Outcome::Success)
        .tokens(Tokens {
            estimated_in: 10_000,
            estimated_out: 2_000,
            actual_in: 12_345,
            actual_out: 1_234,
        })
        .duration_ms(250_000)
        .build();
    // Never fails: one event is within the limit, and serializes.
    let batch = EventBatch::new(vec![event]).ok();
    batch.and_then(|batch| serde_json::to_string(&batch).ok()).unwrap_or_default()
}

fn footer(report: &Report) -> Markup {
    let totals = &report.totals;
    let figures = [
        ("Events received", totals.received),
        ("Accepted", totals.accepted),
        ("Duplicates", totals.duplicates),
        ("Rejected", totals.rejected),
        ("Held", totals.held),
        ("Evicted", totals.evicted),
        ("Batches", totals.batches),
    ];
    html! {
        footer {
            h2 { "Collector, since its start" }
            dl.strip { @for (name, count) in figures { div { dt { (name) } dd { (units::exact(count.into())) } } } }
        }
    }
}

/// Links to a table as CSV and JSON.
pub(super) fn exports(name: &str, selection: &Selection) -> Markup {
    html! {
        span.exports {
            @for (extension, label) in [("csv", "CSV"), ("json", "JSON")] {
                a href=(selection.url(&format!("/page/{name}.{extension}"))) aria-label={ (name) " as " (label) } { (label) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_is_a_valid_batch_that_a_shell_passes_on() {
        let example = example(1_795_848_796_123);
        let events = EventBatch::from_json(example.as_bytes()).unwrap();
        assert!(events.len() == 1 && events[0].is_ok(), "{example}");
        assert!(!example.contains('\''), "{example}");
    }

    #[test]
    fn script_and_style_cannot_end_their_elements() {
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("</") && !text.contains("<!--"));
        }
    }
}
