//! Figures by model, harness, task type, provider and complexity, and estimates beside actual figures.

use maud::{Markup, html};

use super::{
    charts,
    document::exports,
    export::name_of,
    report::{BREAKDOWN, Report},
    selection::Selection,
    units,
};
use crate::storage::views::{Dimension, Sums};

/// The most rows of a dimension; the exports have all.
const MAX_ROWS: usize = 10;

/// The dimensions of the estimates, as indices into [`BREAKDOWN`].
const ESTIMATED: [usize; 2] = [0, 2];

/// The name of a dimension, and its parameter.
pub(super) const fn name(by: Dimension) -> (&'static str, &'static str) {
    match by {
        Dimension::Model => ("Model", "model"),
        Dimension::Harness => ("Harness", "harness"),
        Dimension::TaskType => ("Task type", "task_type"),
        Dimension::Provider => ("Provider", "provider"),
        Dimension::Complexity => ("Complexity", "complexity"),
        Dimension::Hour | Dimension::Day => ("Time", "from"),
    }
}

pub(super) fn section(report: &Report, selection: &Selection) -> Markup {
    html! {
        section #breakdown aria-labelledby="breakdown-title" {
            h2 #breakdown-title { "Breakdown" }
            div.scroll.panel tabindex="0" role="region" aria-labelledby="breakdown-caption" id="breakdown-scroll" {
                table {
                    caption #breakdown-caption { "By model, harness, task type, provider and complexity, most tasks first. A name filters by it." }
                    thead { tr {
                        th scope="col" { "Name" }
                        th.wide scope="col" { "Tasks" }
                        @for name in ["Success", "Gates passed", "Cost", "Per task", "Input tokens", "Output tokens", "Mean time"] {
                            th.n scope="col" { (name) }
                        }
                    } }
                    @for (by, rows) in BREAKDOWN.into_iter().zip(&report.breakdown) { (group(by, rows, selection)) }
                }
            }
        }
    }
}

fn group(by: Dimension, rows: &[(String, Sums)], selection: &Selection) -> Markup {
    let (title, _) = name(by);
    let most = rows.iter().map(|(_, sums)| sums.tasks).max().unwrap_or_default().max(1);
    html! {
        tbody {
            tr.group { th scope="rowgroup" colspan="9" { (title) " " (exports(name_of(by), selection)) } }
            @for (value, sums) in rows.iter().take(MAX_ROWS) {
                @let per_task = sums.cost_usd_micros.checked_div(sums.tasks.into()).unwrap_or_default();
                @let mean = sums.duration_ms.checked_div(sums.tasks.into()).unwrap_or_default();
                tr {
                    (row_name(by, value, selection))
                    td.wide {
                        span.bar { (charts::meter(&outcomes(sums, most))) span.end { (units::count(sums.tasks.into())) } }
                    }
                    td.n title={ (sums.succeeded) " of " (sums.tasks) } { (units::share(sums.succeeded, sums.tasks)) }
                    td.n title={ (sums.gates_passed) " of " (sums.gated) " that ran a gate" } { (units::share(sums.gates_passed, sums.gated)) }
                    td.n title=(units::exact_money(sums.cost_usd_micros)) { (units::money(sums.cost_usd_micros)) }
                    td.n title=(units::exact_money(per_task)) { (units::money(per_task)) }
                    td.n title=(units::exact(sums.input_tokens)) { (units::count(sums.input_tokens)) }
                    td.n title=(units::exact(sums.output_tokens)) { (units::count(sums.output_tokens)) }
                    td.n title=(units::exact_duration(mean)) { (units::duration(mean)) }
                }
            }
            (more(rows.len()))
        }
    }
}

/// The shares of the outcomes in a bar whose whole width is `most` tasks.
fn outcomes(sums: &Sums, most: u64) -> [(&'static str, f64); 5] {
    let listed = [sums.succeeded, sums.partial, sums.failed, sums.timed_out];
    let other = sums.tasks - listed.iter().sum::<u64>();
    let [ok, partial, fail, late] = listed;
    [("ok", ok), ("partial", partial), ("fail", fail), ("late", late), ("mark", other)]
        .map(|(class, count)| (class, count as f64 / most as f64))
}

fn row_name(by: Dimension, value: &str, selection: &Selection) -> Markup {
    let (_, parameter) = name(by);
    html! {
        th scope="row" {
            a href=(selection.url_with("/", &[(parameter, Some(value))])) title=(value) { (value) }
        }
    }
}

fn more(rows: usize) -> Markup {
    html! {
        @if rows > MAX_ROWS {
            tr.more { td colspan="9" { "and " (units::exact((rows - MAX_ROWS) as u128)) " more in the CSV and JSON" } }
        }
    }
}

pub(super) fn estimates(report: &Report, selection: &Selection) -> Markup {
    let figures = [("input", "Input tokens"), ("output", "Output tokens"), ("cost", "Cost")];
    html! {
        section #estimates aria-labelledby="estimates-title" {
            h2 #estimates-title { "Estimated and actual" }
            div.scroll.panel tabindex="0" role="region" aria-labelledby="estimates-caption" id="estimates-scroll" {
                table {
                    caption #estimates-caption {
                        "Sums over the tasks with an estimate. A bar to the right of its middle is more than estimated, \
                         on a scale from half to double. "
                        (exports("estimates", selection))
                    }
                    thead {
                        tr {
                            th scope="col" rowspan="2" { "Name" }
                            @for (id, name) in figures { th.over-group colspan="3" scope="colgroup" id={ "estimates-" (id) } { (name) } }
                        }
                        tr {
                            @for _ in figures {
                                th.n scope="col" { "Estimated" }
                                th.n scope="col" { "Actual" }
                                th.factor scope="col" { "Actual ÷ estimated" }
                            }
                        }
                    }
                    tbody { tr.group { th scope="row" { "All tasks" } (estimate_cells(&report.all)) } }
                    @for index in ESTIMATED {
                        @let (by, rows) = (BREAKDOWN[index], &report.breakdown[index]);
                        tbody {
                            tr.group { th scope="rowgroup" colspan="10" { (name(by).0) } }
                            @for (value, sums) in rows.iter().take(MAX_ROWS) {
                                tr { (row_name(by, value, selection)) (estimate_cells(sums)) }
                            }
                            (more(rows.len()))
                        }
                    }
                }
            }
        }
    }
}

fn estimate_cells(sums: &Sums) -> Markup {
    type Unit = fn(u128) -> String;
    let figures: [(u128, u128, Unit, Unit); 3] = [
        (sums.estimated_input, sums.actual_of_estimated_input, units::count, units::exact),
        (sums.estimated_output, sums.actual_of_estimated_output, units::count, units::exact),
        (sums.estimated_cost, sums.actual_of_estimated_cost, units::money, units::exact_money),
    ];
    html! {
        @for (estimated, actual, short, exact) in figures {
            @match units::ratio(actual, estimated).zip(units::factor(actual, estimated)) {
                Some((factor, text)) => {
                    td.n title=(exact(estimated)) { (short(estimated)) }
                    td.n title=(exact(actual)) { (short(actual)) }
                    td.factor { span.bar { (charts::deviation(factor)) span.end { (text) } } }
                }
                None => {
                    td.n { (units::NONE) } td.n { (units::NONE) } td.factor.none { "no estimate" }
                }
            }
        }
    }
}
