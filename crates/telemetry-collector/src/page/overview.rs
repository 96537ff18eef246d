//! Tasks, success, cost and tokens over time.

use maud::{Markup, html};
use telemetry_model::time::OffsetDateTime;

use super::{
    charts::{self, Bar},
    document::exports,
    report::{Report, Timeline},
    selection::Selection,
    units,
};
use crate::storage::views::Sums;

/// The colors of outcomes, and their names.
const OUTCOMES: [(&str, &str); 4] =
    [("ok", "success"), ("partial", "partial"), ("fail", "failure"), ("late", "timeout")];

/// The height of the edge of a bar, in percent of the chart.
const EDGE: f64 = 3.0;

pub(super) fn section(report: &Report, selection: &Selection) -> Markup {
    let Report { all, timeline, .. } = report;
    html! {
        section #time aria-labelledby="time-title" {
            h2 #time-title .hidden { "Over time" }
            div.cards { (tasks(all, timeline)) (success(all, timeline)) (cost(all, timeline)) (tokens(all, timeline)) }
            (strip(all))
            details #time-details {
                summary { "Table by " (timeline.unit()) }
                (table(timeline, selection))
            }
        }
    }
}

fn tasks(all: &Sums, timeline: &Timeline) -> Markup {
    let bars = timeline.bars(|sums| {
        let counts = [sums.succeeded, sums.partial, sums.failed, sums.timed_out];
        let other = sums.tasks - counts.iter().sum::<u64>();
        let named = OUTCOMES.iter().zip(counts).filter(|(_, count)| *count > 0);
        let list: Vec<_> = named.map(|((_, name), count)| format!("{count} {name}")).collect();
        let title = format!("{} tasks\n{}", units::exact(sums.tasks.into()), list.join(", "));
        let parts = OUTCOMES.iter().zip(counts).map(|((class, _), count)| (*class, count as f64));
        (title, parts.chain([("track", other as f64)]).collect())
    });
    let legend = html! {
        @for (class, name) in OUTCOMES { span.key { (swatch(class)) (name) } }
    };
    let figure = html! { span title={ (units::exact(all.tasks.into())) " tasks" } { (units::count(all.tasks.into())) } };
    let max = max(timeline, |sums| sums.tasks as f64).max(4.0);
    card(
        "Tasks",
        &figure,
        &legend,
        &chart(timeline, "Tasks by outcome", &bars, max, |it| units::count(it as u128)),
    )
}

fn success(all: &Sums, timeline: &Timeline) -> Markup {
    let bars = timeline.bars(|sums| {
        let share =
            if sums.tasks == 0 { 0.0 } else { sums.succeeded as f64 / sums.tasks as f64 * 100.0 };
        let title = format!(
            "{} succeeded\n{} of {} tasks",
            units::share(sums.succeeded, sums.tasks),
            sums.succeeded,
            sums.tasks
        );
        // A solid edge on a pale bar.
        (title, vec![("pale", share - EDGE), ("ok", share.min(EDGE))])
    });
    let figure = html! {
        span title={ (units::exact(all.succeeded.into())) " of " (units::exact(all.tasks.into())) " tasks" } {
            (units::share(all.succeeded, all.tasks))
        }
    };
    let note = html! {
        @for (count, name) in [(all.failed, "failed"), (all.partial, "partial"), (all.timed_out, "timed out")] {
            @if count > 0 { span { (units::count(count.into())) " " (name) } }
        }
    };
    card(
        "Success",
        &figure,
        &note,
        &chart(timeline, "Share of successful tasks", &bars, 100.0, |it| format!("{it:.0} %")),
    )
}

fn cost(all: &Sums, timeline: &Timeline) -> Markup {
    let bars = timeline.bars(|sums| {
        let title = format!("{}\n{} tasks", units::exact_money(sums.cost_usd_micros), sums.tasks);
        (title, vec![("first", sums.cost_usd_micros as f64)])
    });
    let figure = html! { span title=(units::exact_money(all.cost_usd_micros)) { (units::money(all.cost_usd_micros)) } };
    let note = html! {
        @if let Some(mean) = all.cost_usd_micros.checked_div(all.tasks.into()) {
            span { (units::money(mean)) " per task" }
        }
    };
    let max = max(timeline, |sums| sums.cost_usd_micros as f64);
    card(
        "Cost",
        &figure,
        &note,
        &chart(timeline, "Cost", &bars, max, |it| units::money(it as u128)),
    )
}

fn tokens(all: &Sums, timeline: &Timeline) -> Markup {
    let bars = timeline.bars(|sums| {
        let [input, output] = [sums.input_tokens, sums.output_tokens];
        let title =
            format!("{} input tokens\n{} output tokens", units::exact(input), units::exact(output));
        (title, vec![("first", input as f64), ("second", output as f64)])
    });
    let sum = all.input_tokens + all.output_tokens;
    let figure = html! { span title={ (units::exact(sum)) " tokens" } { (units::count(sum)) } };
    let legend = html! {
        span.key title={ (units::exact(all.input_tokens)) " tokens" } { (swatch("first")) "input " (units::count(all.input_tokens)) }
        span.key title={ (units::exact(all.output_tokens)) " tokens" } { (swatch("second")) "output " (units::count(all.output_tokens)) }
    };
    let max = max(timeline, |sums| (sums.input_tokens + sums.output_tokens) as f64);
    card(
        "Tokens",
        &figure,
        &legend,
        &chart(timeline, "Tokens", &bars, max, |it| units::count(it as u128)),
    )
}

/// Figures without a chart.
fn strip(all: &Sums) -> Markup {
    let mean = all.duration_ms.checked_div(all.tasks.into()).unwrap_or_default();
    let estimate = units::factor(all.actual_of_estimated_cost, all.estimated_cost);
    let figures = [
        ("Time of tasks", units::duration(all.duration_ms), units::exact_duration(all.duration_ms)),
        ("Mean time", units::duration(mean), units::exact_duration(mean)),
        (
            "Quality gates passed",
            units::share(all.gates_passed, all.gated),
            format!(
                "{} of {} tasks that ran a gate",
                units::exact(all.gates_passed.into()),
                units::exact(all.gated.into())
            ),
        ),
        ("Retries", units::count(all.retries), units::exact(all.retries)),
        (
            "Actual ÷ estimated cost",
            estimate.unwrap_or_else(|| units::NONE.into()),
            format!(
                "{} for an estimate of {}",
                units::exact_money(all.actual_of_estimated_cost),
                units::exact_money(all.estimated_cost)
            ),
        ),
    ];
    html! {
        dl.strip {
            @for (name, figure, exact) in figures {
                div { dt { (name) } dd title=(exact) { (figure) } }
            }
        }
    }
}

pub(super) fn swatch(class: &str) -> Markup {
    html! { svg.swatch aria-hidden="true" viewBox="0 0 10 10" { rect class=(class) width="10" height="10" rx="2" {} } }
}

fn card(title: &str, figure: &Markup, note: &Markup, chart: &Markup) -> Markup {
    html! {
        div.card {
            h3 { (title) }
            p.figure { (figure) }
            p.note { (note) }
            (chart)
        }
    }
}

/// The bars with the value of their top and the times of their ends.
fn chart(
    timeline: &Timeline,
    label: &str,
    bars: &[Bar],
    max: f64,
    value: impl Fn(f64) -> String,
) -> Markup {
    let max = if max == 100.0 { max } else { charts::ceiling(max) };
    let label = format!("{label} by {}; the table below has the figures", timeline.unit());
    let start = |index: usize| {
        timeline.spans.get(index).map(|(hour, _)| timeline.label(units::at_hour(*hour)))
    };
    html! {
        div.plot {
            span.top { (value(max)) }
            (charts::bars(&label, bars, max))
            p.axis {
                span { (start(0).unwrap_or_default()) }
                @if timeline.spans.len() > 2 { span { (start(timeline.spans.len() / 2).unwrap_or_default()) } }
                span { (start(timeline.spans.len().saturating_sub(1)).unwrap_or_default()) }
            }
        }
    }
}

fn max(timeline: &Timeline, value: impl Fn(&Sums) -> f64) -> f64 {
    timeline.spans.iter().map(|(_, sums)| value(sums)).fold(0.0, f64::max)
}

impl Timeline {
    fn unit(&self) -> String {
        match self.width {
            1 => "hour".into(),
            24 => "day".into(),
            168 => "week".into(),
            width => format!("{} weeks", width / 168),
        }
    }

    /// A short name of a span in a chart.
    fn label(&self, at: OffsetDateTime) -> String {
        match self.width {
            1 => format!("{} {:02}:00", units::day_and_month(at), at.hour()),
            24 => units::day_and_month(at),
            _ => units::date(at),
        }
    }

    /// A bar for each span, by the exact figures and the parts that `bar` returns.
    fn bars(&self, bar: impl Fn(&Sums) -> (String, Vec<(&'static str, f64)>)) -> Vec<Bar> {
        let bars = self.spans.iter().map(|(hour, sums)| {
            let (title, parts) = bar(sums);
            let at = units::at_hour(*hour);
            let name = if self.width == 1 { units::local(at) } else { units::date(at) };
            Bar { title: format!("{name}\n{title}"), parts }
        });
        bars.collect()
    }
}

/// The spans with tasks, the last one first.
fn table(timeline: &Timeline, selection: &Selection) -> Markup {
    let rows = timeline.spans.iter().rev().filter(|(_, sums)| sums.tasks > 0);
    html! {
        div.scroll tabindex="0" role="region" aria-labelledby="time-caption" id="time-scroll" {
            table {
                caption #time-caption {
                    "Tasks, cost and tokens by " (timeline.unit()) " (UTC), latest first; those without tasks are left out "
                    (exports("time", selection))
                }
                thead { tr {
                    th scope="col" { "Start" }
                    @for name in ["Tasks", "Success", "Partial", "Failed", "Timed out", "Cost", "Input tokens", "Output tokens", "Time"] {
                        th.n scope="col" { (name) }
                    }
                } }
                tbody {
                    @for (hour, sums) in rows {
                        @let [from, to] = [*hour, hour + timeline.width].map(|it| units::local(units::at_hour(it)));
                        tr {
                            th scope="row" {
                                a href=(selection.url_with("/", &[("from", Some(&from)), ("to", Some(&to))])) {
                                    @if timeline.width == 1 { (from.replace('T', " ")) } @else { (units::date(units::at_hour(*hour))) }
                                }
                            }
                            @for count in [sums.tasks, sums.succeeded, sums.partial, sums.failed, sums.timed_out] {
                                td.n { (units::exact(count.into())) }
                            }
                            td.n title=(units::exact_money(sums.cost_usd_micros)) { (units::money(sums.cost_usd_micros)) }
                            td.n { (units::exact(sums.input_tokens)) }
                            td.n { (units::exact(sums.output_tokens)) }
                            td.n title=(units::exact_duration(sums.duration_ms)) { (units::duration(sums.duration_ms)) }
                        }
                    }
                }
            }
        }
    }
}
