//! What is generated of `docs/benchmarks.md`, and the plots beside it.

use super::{
    Figures, Machine, SECTIONS, bars::Bars, curves::Curves, reference, table::table, verdicts,
};

const THREADS: [&str; 4] = ["1", "2", "4", "8"];
/// What is drawn over the number of threads.
struct Across {
    section: &'static str,
    /// What the names of the cases begin with.
    cases: &'static str,
    title: &'static str,
    /// Of whom a curve is drawn, in this order.
    subjects: &'static [&'static str],
}

const CALLS: Across = Across {
    section: "hand-over",
    cases: "prebuilt, full",
    title: "Handing an event over, queue full",
    subjects: &[
        "mosaicstack-telemetry",
        "mosaicstack-telemetry, early flush",
        "posthog-rs",
        "opentelemetry",
        "sentry",
        "sentry, logs",
    ],
};

const PUSHES: Across = Across {
    section: "queue",
    cases: "full",
    title: "A push onto a full queue",
    subjects: &[
        "telemetry-queue",
        "crossbeam ArrayQueue",
        "concurrent-queue",
        "std Mutex<VecDeque>",
        "parking_lot Mutex<VecDeque>",
    ],
};

/// The page with everything between its markers rewritten.
///
/// Fails if there is a pair of markers too few.
pub(super) fn written_into(page: &str, figures: &Figures) -> Result<String, String> {
    let mut page = between(page, "machine", &machines(figures))?;
    page = between(&page, "targets", &verdicts::section(figures))?;
    for section in SECTIONS {
        page = between(&page, section, &generated(section, figures))?;
    }
    Ok(page)
}

/// The plots for which there are figures, by the names of their files in `docs/`.
pub(super) fn plots(figures: &Figures) -> Vec<(String, String)> {
    let curves = [(CALLS, "p50"), (CALLS, "p99.9"), (PUSHES, "p99.9")]
        .map(|(across, metric)| (curves_of(&across, metric), curves(figures, &across, metric)));
    let bars = [
        ("benchmarks-delivery.svg".into(), delivery(figures)),
        ("benchmarks-embedding.svg".into(), embedding(figures)),
    ];
    curves.into_iter().chain(bars).filter_map(|(name, plot)| Some((name, plot?))).collect()
}

fn generated(section: &str, figures: &Figures) -> String {
    let Some(run) = figures.run(section) else {
        return format!("No figures yet: `cargo xtask bench {section}`.\n");
    };
    let mut text = String::new();
    for (name, _) in plots(figures).iter().filter(|(name, _)| name.contains(section)) {
        text += &format!("![{}]({name})\n\n", described(section));
    }
    text + &table(run, figures)
}

fn described(section: &str) -> &'static str {
    match section {
        "embedding" => "Crates, seconds of a clean build and size for each SDK.",
        "delivery" => "Time of the processor and memory that each client takes to deliver events.",
        _ => "The time that a call takes on a full queue, for 1, 2, 4 and 8 threads.",
    }
}

fn curves_of(Across { section, .. }: &Across, metric: &str) -> String {
    format!("benchmarks-{section}-{metric}.svg")
}

fn curves(figures: &Figures, across: &Across, metric: &str) -> Option<String> {
    let Across { section, cases, title, subjects } = across;
    let cases = THREADS
        .map(|count| format!("{cases}, {count} thread{}", if count == "1" { "" } else { "s" }));
    let median = |subject, case| figures.find(section, case, subject, metric).map(|it| it.value());
    let curve = |&subject| (subject, cases.iter().map(|case| median(subject, case)).collect());
    let curves: Vec<(_, Vec<_>)> = subjects.iter().map(curve).collect();
    let curves = curves.into_iter().filter(|(_, values)| values.iter().any(Option::is_some));
    Curves {
        title: &format!("{title}: {metric} of a call"),
        metric: "nanoseconds",
        axis: "threads",
        across: &THREADS,
        curves: curves.collect(),
    }
    .draw()
}

fn delivery(figures: &Figures) -> Option<String> {
    let run = figures.run("delivery")?;
    let mut rows = Vec::new();
    for figure in run.figures.iter().filter(|it| it.metric == "CPU") {
        let (case, subject) = (figure.case.as_str(), figure.subject.as_str());
        let median = |metric| figures.find("delivery", case, subject, metric).map(|it| it.value());
        let values = ["CPU", "peak memory"].map(median).to_vec();
        rows.push((subject.into(), subject.starts_with("mosaicstack-telemetry"), values));
    }
    let metrics = &["CPU, ms per 1,000 events", "peak memory, KiB"];
    Bars { title: "Delivering 100,000 events", metrics, rows }.draw()
}

fn embedding(figures: &Figures) -> Option<String> {
    let run = figures.run("embedding")?;
    let ours = reference("embedding").1;
    let mut rows = Vec::new();
    for figure in run.figures.iter().filter(|it| it.metric == "crates") {
        let (case, subject) = (figure.case.as_str(), figure.subject.as_str());
        let is_drawn = subject == ours || matches!(case, "usual" | "smallest" | "bare");
        let median = |metric| figures.find("embedding", case, subject, metric).map(|it| it.value());
        let values = ["crates", "build", "binary"].map(median);
        if is_drawn {
            let name = subject.strip_prefix("floor: ").unwrap_or(subject);
            let of_ours = subject.starts_with("mosaicstack-telemetry");
            let name =
                if of_ours || case == "bare" { name.into() } else { format!("{name}, {case}") };
            rows.push((name, of_ours, values.to_vec()));
        }
    }
    let metrics = &["crates", "clean build, s", "size, KiB"];
    Bars { title: "What an SDK adds to a program", metrics, rows }.draw()
}

/// The machines, one if all sections were measured on it.
fn machines(figures: &Figures) -> String {
    let runs: Vec<(&str, &Machine)> =
        SECTIONS.iter().filter_map(|it| Some((*it, &figures.run(it)?.machine))).collect();
    match runs.as_slice() {
        [] => "Nowhere yet.\n".into(),
        [(_, first), rest @ ..] if rest.iter().all(|(_, it)| it == first) => {
            format!("Measured on {first}.\n")
        }
        runs => {
            runs.iter().map(|(section, it)| format!("- {section}: measured on {it}.\n")).collect()
        }
    }
}

/// The page with `text` between the markers of that name, in lines of their own.
fn between(page: &str, name: &str, text: &str) -> Result<String, String> {
    let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->\n"));
    let lacks = || format!("expected {begin}…{end}").replace('\n', " ");
    let (before, rest) = page.split_once(&begin).ok_or_else(lacks)?;
    let (_, after) = rest.split_once(&end).ok_or_else(lacks)?;
    Ok(format!("{before}{begin}{text}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{figure::Figure, report::Run};

    fn figure(section: &str, case: &str, subject: &str, metric: &str) -> Figure {
        Figure::new(section, case, subject, metric, "ns", vec![40.0, 30.0])
    }

    fn page() -> String {
        let names = ["machine", "targets"].into_iter().chain(SECTIONS);
        let places =
            names.map(|it| format!("## {it}\n\n<!-- {it}:begin -->\nold\n<!-- {it}:end -->\n"));
        places.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_between_the_markers_is_replaced_and_nothing_else() {
        let figures = Figures::of([
            figure("hand-over", "prebuilt, full, 8 threads", "mosaicstack-telemetry", "p50"),
            figure("hand-over", "prebuilt, full, 8 threads", "sentry", "p50"),
        ]);
        let new = written_into(&page(), &figures).unwrap();
        assert_eq!(new.matches("\n## ").count(), SECTIONS.len() + 1);
        assert!(!new.contains("\nold\n"));
        let table = "(benchmarks-hand-over-p50.svg)\n\n| case | subject | p50, ns |\n";
        assert!(new.contains(table), "{new}");
        assert!(new.contains("No figures yet: `cargo xtask bench queue`.\n"));
        assert_eq!(written_into(&new, &figures).unwrap(), new);
        let error = written_into("nothing", &figures).unwrap_err();
        assert_eq!(error, "expected <!-- machine:begin --> …<!-- machine:end --> ");
    }

    #[test]
    fn the_page_in_the_tree_has_a_place_for_everything() {
        let page = std::fs::read_to_string(crate::root().join("docs/benchmarks.md")).unwrap();
        written_into(&page, &Figures::default()).unwrap();
    }

    #[test]
    fn there_are_plots_of_what_there_are_figures_of() {
        assert!(plots(&Figures::default()).is_empty());
        let embedding = ["crates", "build", "binary"]
            .map(|metric| figure("embedding", "usual", "mosaicstack-telemetry, default", metric));
        let call = figure("hand-over", "prebuilt, full, 1 thread", "sentry", "p99.9");
        let plots = plots(&Figures::of(embedding.into_iter().chain([call])));
        let names: Vec<_> = plots.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["benchmarks-hand-over-p99.9.svg", "benchmarks-embedding.svg"]);
        assert!(plots[1].1.contains(">mosaicstack-telemetry, default</text>"));
    }

    #[test]
    fn one_machine_is_named_once() {
        let mut figures =
            Figures::of([figure("queue", "", "", ""), figure("delivery", "", "", "")]);
        assert_eq!(machines(&figures).lines().count(), 1);
        let machine = Machine { cores: 64, ..Machine::default() };
        figures.replace("queue", Run { machine, figures: vec![figure("queue", "", "", "")] });
        assert_eq!(machines(&figures).lines().count(), 2);
        assert!(machines(&figures).starts_with("- queue: measured on 64 cores"));
    }
}
