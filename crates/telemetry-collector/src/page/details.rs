//! Gates, predictions, the last events and rejections.

use maud::{Markup, html};
use telemetry_model::PredictionResponse;

use super::{
    charts,
    document::exports,
    export::fields,
    report::{Report, SHOWN_EVENTS},
    selection::Selection,
    table::Value,
    units,
};
use crate::storage::views::{Group, Rejection, StoredEvent};

pub(super) fn gates(report: &Report, selection: &Selection) -> Markup {
    let most = report.gates.iter().map(|it| it.run.max(it.failed)).max().unwrap_or_default().max(1);
    html! {
        section #gates aria-labelledby="gates-title" {
            h2 #gates-title { "Quality gates" }
            div.scroll.panel tabindex="0" role="region" aria-labelledby="gates-caption" id="gates-scroll" {
                table {
                    caption #gates-caption { "Tasks that ran each gate, most failures first " (exports("gates", selection)) }
                    thead { tr {
                        th scope="col" { "Gate" } th.wide scope="col" { "Passed and failed" }
                        th.n scope="col" { "Run" } th.n scope="col" { "Failed" } th.n scope="col" { "Failure rate" }
                    } }
                    tbody {
                        @for it in &report.gates {
                            @let share = |count: u64| count as f64 / most as f64;
                            tr {
                                th scope="row" { (it.gate) }
                                td.wide { (charts::meter(&[("ok", share(it.run.saturating_sub(it.failed))), ("fail", share(it.failed))])) }
                                td.n { (units::exact(it.run.into())) }
                                td.n { (units::exact(it.failed.into())) }
                                td.n { (units::share(it.failed, it.run.max(it.failed))) }
                            }
                        }
                        @if report.gates.is_empty() { tr { td.none colspan="5" { "No task ran a quality gate." } } }
                    }
                }
            }
        }
    }
}

/// The metrics of a prediction.
const METRICS: [&str; 4] = ["Cost", "Input tokens", "Output tokens", "Time"];

/// The percentiles of a metric: p10, p25, median, p75, p90.
type Percentiles = [f64; 5];

pub(super) fn predictions(report: &Report, selection: &Selection) -> Markup {
    let rows: Vec<_> = report
        .predictions
        .iter()
        .map(|(group, response)| (group, response, percentiles(response)))
        .collect();
    let max = |metric: usize| {
        let values = rows.iter().filter_map(|(_, _, all)| Some(all.as_ref()?[metric][4]));
        let max = values.fold(0.0, f64::max);
        // Times are round in minutes or hours.
        let unit = match METRICS[metric] {
            "Time" if max >= 3.6e6 => 3.6e6,
            "Time" if max >= 6e4 => 6e4,
            _ => 1.0,
        };
        charts::ceiling(max / unit) * unit
    };
    let maxima = [0, 1, 2, 3].map(max);
    html! {
        section #predictions aria-labelledby="predictions-title" {
            h2 #predictions-title { "Predictions" }
            div.scroll.panel tabindex="0" role="region" aria-labelledby="predictions-caption" id="predictions-scroll" {
                table.predictions {
                    caption #predictions-caption {
                        "The next task of each of the groups with most tasks, from all events held: p10 to p90 as a line, p25 to \
                         p75 as a box, the median as a mark and in figures. "
                        (exports("predictions", selection))
                    }
                    thead { tr {
                        th scope="col" { "Group" }
                        th.n scope="col" { "Samples" }
                        th scope="col" { "Confidence" }
                        @for (metric, name) in METRICS.into_iter().enumerate() {
                            th.plot scope="col" { (name) span.scale { "0 – " (figure(metric, maxima[metric])) } }
                        }
                    } }
                    tbody {
                        @for (group, response, percentiles) in &rows {
                            tr {
                                (group_name(group))
                                td.n { (units::count(response.metadata.sample_size.into())) }
                                td title=[response.metadata.fallback_note.as_deref()] { (response.metadata.confidence) }
                                @match percentiles {
                                    Some(all) => @for (metric, values) in all.iter().enumerate() {
                                        td.plot { (plot(metric, *values, maxima[metric])) }
                                    },
                                    None => td colspan="4" { "no prediction" },
                                }
                            }
                        }
                        @if rows.is_empty() { tr { td.none colspan="7" { "No group matches." } } }
                    }
                }
            }
        }
    }
}

fn group_name(group: &Group) -> Markup {
    let query = &group.query;
    html! {
        th scope="row" {
            span.model title=(query.model) { (query.model) }
            span.group { (query.task_type) " · " (query.complexity) " · " (query.provider) }
        }
    }
}

fn plot(metric: usize, values: Percentiles, max: f64) -> Markup {
    let [p10, p25, median, p75, p90] = values.map(|it| figure(metric, it));
    let label =
        format!("{}: p10 {p10}, p25 {p25}, median {median}, p75 {p75}, p90 {p90}", METRICS[metric]);
    html! {
        (charts::box_plot(&label, values, max))
        span.range { b { (median) } span { (p10) " – " (p90) } }
    }
}

fn percentiles(response: &PredictionResponse) -> Option<[Percentiles; 4]> {
    let data = response.prediction.as_ref()?;
    let names = ["p10", "p25", "median", "p75", "p90"];
    let tokens = [&data.input_tokens, &data.output_tokens]
        .map(|it| names.map(|name| it.percentile(name).unwrap_or_default()));
    let values = [&data.cost_usd_micros, &data.duration_ms]
        .map(|it| names.map(|name| it.percentile(name).unwrap_or_default()));
    Some([values[0], tokens[0], tokens[1], values[1]])
}

/// A value of a metric.
fn figure(metric: usize, value: f64) -> String {
    let value = value.round() as u128;
    match METRICS[metric] {
        "Cost" => units::money(value),
        "Time" => units::duration(value),
        _ => units::count(value),
    }
}

pub(super) fn events(report: &Report, selection: &Selection) -> Markup {
    html! {
        section #events aria-labelledby="events-title" {
            h2 #events-title { "Last events" }
            p.lead {
                "The last " (SHOWN_EVENTS) " that match, newest first. Each opens to all its fields. "
                (exports("events", selection))
            }
            ul.events.panel {
                @for event in &report.events { (event_item(event)) }
                @if report.events.is_empty() { li.none #no-events { "No event matches." } }
            }
        }
    }
}

fn event_item(stored: &StoredEvent) -> Markup {
    let event = &stored.event;
    let received = units::at_millis(stored.received);
    let id = event.event_id;
    let class = match event.outcome.as_str() {
        "success" => "ok",
        "partial" => "partial",
        "failure" => "fail",
        "timeout" => "late",
        _ => "mark",
    };
    let tokens = u128::from(event.actual_input_tokens) + u128::from(event.actual_output_tokens);
    html! {
        li id={ "event-" (id) } {
            details id={ "fields-" (id) } {
                summary {
                    time datetime=(units::rfc3339(received)) title={ "received " (units::rfc3339(received)) } { (units::date_time(received)) }
                    span.outcome { (super::overview::swatch(class)) (event.outcome) }
                    span.task { (event.task_type) }
                    span.model { (event.model) }
                    span.n title={ (units::exact(tokens)) " tokens" } { (units::count(tokens)) span.unit { " tokens" } }
                    span.n title=(units::exact_money(event.actual_cost_usd_micros.into())) { (units::money(event.actual_cost_usd_micros.into())) }
                    span.n title=(units::exact_duration(event.task_duration_ms.into())) { (units::duration(event.task_duration_ms.into())) }
                }
                dl.fields {
                    div { dt { "received" } dd { (units::rfc3339(received)) } }
                    @for (name, value) in fields(stored) {
                        div { dt { (name) } dd { (field(name, &value)) } }
                    }
                }
            }
        }
    }
}

fn field(name: &str, value: &Value) -> Markup {
    html! {
        @match value {
            Value::Empty => span.none { "null" },
            Value::List(items) if items.is_empty() => span.none { "none" },
            Value::List(items) => (items.join(", ")),
            Value::Text(text) => (text),
            Value::Flag(flag) => (flag),
            Value::Number(number) if name.ends_with("_usd_micros") => {
                (units::exact(*number)) " (" (units::exact_money(*number)) ")"
            }
            Value::Number(number) => (units::exact(*number)),
            Value::Decimal(number) => (number),
        }
    }
}

pub(super) fn rejections(report: &Report, selection: &Selection) -> Markup {
    html! {
        section #rejections aria-labelledby="rejections-title" {
            h2 #rejections-title { "Rejected events" }
            div.scroll.panel tabindex="0" role="region" aria-labelledby="rejections-caption" id="rejections-scroll" {
                table {
                    caption #rejections-caption {
                        "The last ones, newest first, whatever the filters: an event that is not valid has no dimensions. "
                        (exports("rejections", selection))
                    }
                    thead { tr {
                        th scope="col" { "Received" } th scope="col" { "Event" }
                        th scope="col" { "Reason" }
                    } }
                    tbody {
                        @for it in &report.rejections { (rejection(it)) }
                        @if report.rejections.is_empty() { tr { td.none colspan="3" { "No event was rejected." } } }
                    }
                }
            }
        }
    }
}

fn rejection(it: &Rejection) -> Markup {
    let at = units::at_millis(it.received);
    html! {
        tr {
            th scope="row" { time datetime=(units::rfc3339(at)) { (units::date_time(at)) } }
            td.id {
                @if let Some(id) = it.event_id { (id) } @else { span.none { "no event_id" } }
            }
            td.reason { (it.reason) }
        }
    }
}
