//! The section of `docs/reliability.md`, and its plot.

use std::{fmt::Write as _, time::Duration};

use super::{
    Fleet, Launch, Load, Outage, Report, SECOND,
    bounds::{LAUNCHES, OUTAGES},
    plot,
};

const BEGIN: &str = "<!-- outage:begin -->\n";
const END: &str = "<!-- outage:end -->\n";
const SEED: u64 = 4;

/// What the runs have to say.
#[derive(Debug)]
pub struct Page {
    reports: Vec<Report>,
}

impl Page {
    /// Runs 1,000 clients through every outage, and 100,000 through the one that goes on with little
    /// capacity.
    #[must_use]
    pub fn run() -> Self {
        let fleet = |clients, launch, outage| Fleet { clients, launch, outage, seed: SEED };
        let small = OUTAGES.into_iter().flat_map(|outage| {
            LAUNCHES.into_iter().map(move |launch| fleet(1_000, launch, outage))
        });
        let large = fleet(100_000, Launch::AtOnce, Outage::Overload);
        Self { reports: small.chain([large]).map(|fleet| fleet.run()).collect() }
    }

    /// What is not as promised.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.reports.iter().flat_map(Report::faults).collect()
    }

    /// What was tried, in a line.
    #[must_use]
    pub fn tried(&self) -> String {
        let sum = |count: fn(&Report) -> u64| self.reports.iter().map(count).sum::<u64>();
        let busiest = self.reports.iter().map(|it| it.busiest).max().unwrap_or(0);
        format!(
            "{} outages, {} clients, {} requests, {} answers with Retry-After and {} requests before \
             it was over, {} events, {} twice; at most {busiest} requests of a client in a cycle",
            self.reports.len(),
            grouped(sum(|it| it.fleet.clients.into())),
            grouped(sum(|it| it.stats.requests)),
            grouped(sum(|it| it.asked_to_wait)),
            sum(|it| it.early),
            grouped(sum(|it| it.stats.tracked)),
            sum(|it| it.again),
        )
    }

    /// The page with the section rewritten; fails if it has no place for it.
    ///
    /// # Errors
    ///
    /// The markers are not there.
    pub fn written_into(&self, page: &str) -> Result<String, String> {
        let lacks = || format!("expected {BEGIN}…{END}").replace('\n', " ");
        let (before, rest) = page.split_once(BEGIN).ok_or_else(lacks)?;
        let (_, after) = rest.split_once(END).ok_or_else(lacks)?;
        Ok(format!("{before}{BEGIN}{}{END}{after}", self.section()))
    }

    /// The plot of the first outage, for either way to start.
    #[must_use]
    pub fn plot(&self) -> String {
        let [spread, at_once, ..] = self.reports.as_slice() else { return String::new() };
        let title = "1,000 clients and a server that answers 503 for an hour";
        plot::plot(title, [("started within 30 minutes", spread), ("started at once", at_once)])
    }

    fn section(&self) -> String {
        let mut text = format!("{TEXT}{TABLE}");
        for report in &self.reports {
            text.push_str(&row(report));
        }
        let _ = write!(text, "\nTogether: {}.\n", self.tried());
        wrapped(&text)
    }
}

const TEXT: &str = "\
## An outage of an hour

![Requests a minute over three hours, in the second of which the server fails.](outage.svg)

Each client is a real submitter in its default configuration; server, network and clock are \
simulated. One client in 100 is a service that reports a task each 3 s on average; the others are \
people, whose tasks take as long as those of the tour and who pause for up to 10 minutes. They start \
at a random moment within half an hour, or all at once. After an hour, the server fails for an \
hour. The figures are of the half hour before, of that hour, and of the hour after.

- The load during the outage is bounded: whatever the server answers, a client makes one attempt and \
three retries a cycle, and a cycle begins every 270 s at the most.
- The fleet does not come back as a herd: the first wait of each client is a random part of the \
interval, each later one up to a tenth shorter than it (`interval_jitter`), and after a `Retry-After` \
a random time passes, up to a tenth of it.
- Nobody asks before `Retry-After` says, nothing is delivered twice, and every client's books \
balance. What is evicted are the oldest events of services, whose queues hold less than an hour.

\"Overload\" is a server that answers 503 for that hour, and before and after it 429 with \
`Retry-After: 30` to what is more than a request a second for each 500 clients. \"Back\" is the time \
until so many of the clients with a backlog have had their first success; then comes the time until \
all of the backlog was delivered. `cargo xtask outage` runs all of this and writes this section; the \
bounds are held by `tests/it/outage.rs`.

";

const TABLE: &str = "\
| clients | start | server | requests a minute: before, during, after | busiest second | back: 50, 95, \
100 % | all delivered | evicted |
|---|---|---|---|---|---|---|---|
";

fn row(report: &Report) -> String {
    let Fleet { clients, launch, outage, .. } = report.fleet;
    let start = match launch {
        Launch::Spread => "spread",
        Launch::AtOnce => "at once",
    };
    let server = match outage {
        Outage::Busy => "503".into(),
        Outage::BusyFor(wait) => format!("503, `Retry-After: {}`", wait.as_secs()),
        Outage::BusyUntilItEnds => "503, `Retry-After` with the date of its end".into(),
        Outage::Refused => "refuses connections".into(),
        Outage::Silent => "never answers".into(),
        Outage::Overload => "overload".into(),
    };
    let loads = [report.before(), report.during(), report.after()];
    let three = |figure: fn(Load) -> u64| loads.map(|load| grouped(figure(load))).join(", ");
    format!(
        "| {} | {start} | {server} | {} | {} | {} | {} | {} of {} |\n",
        grouped(clients.into()),
        three(|load| load.a_minute),
        three(|load| load.peak.into()),
        [50, 95, 100].map(|percent| minutes(report.back(percent))).join(", "),
        minutes(report.done()),
        grouped(report.stats.evicted),
        grouped(report.stats.tracked),
    )
}

/// Minutes and seconds, rounded up: `2:07`.
fn minutes(time: Option<Duration>) -> String {
    let Some(time) = time else { return "never".into() };
    let seconds = time.as_millis().div_ceil(SECOND.as_millis());
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// A number with a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Breaks lines of prose at 110 characters, as the other pages do; tables stay.
fn wrapped(text: &str) -> String {
    let mut wrapped = String::new();
    for line in text.lines() {
        let indent = if line.starts_with("- ") { "  " } else { "" };
        let mut length = 0;
        for (index, word) in line.split(' ').enumerate() {
            let is_over = length + 1 + word.chars().count() > 110 && !line.starts_with('|');
            let before = match index {
                0 => String::new(),
                _ if is_over => format!("\n{indent}"),
                _ => " ".into(),
            };
            length = if is_over { indent.len() } else { length + before.len() };
            length += word.chars().count();
            wrapped.push_str(&before);
            wrapped.push_str(word);
        }
        wrapped.push('\n');
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_legible() {
        let numbers = [0, 999, 1_000, 1_234_567];
        assert_eq!(numbers.map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(minutes(Some(Duration::from_millis(127_001))), "2:08");
        assert_eq!(minutes(None), "never");
    }

    #[test]
    fn prose_is_broken_and_tables_are_not() {
        let word = "x".repeat(60);
        let text = format!("- {word} {word}\n| {word} {word} |\n");
        assert_eq!(wrapped(&text), format!("- {word}\n  {word}\n| {word} {word} |\n"));
    }

    #[test]
    fn the_section_replaces_what_is_between_the_markers_and_nothing_else() {
        let page = Page { reports: Vec::new() };
        let old = format!("before\n{BEGIN}outdated\n{END}after\n");
        let new = page.written_into(&old).unwrap();
        assert!(
            new.starts_with("before\n") && new.ends_with("after\n") && !new.contains("outdated")
        );
        assert_eq!(page.written_into(&new).unwrap(), new);
        assert!(page.written_into("nothing").is_err());
    }
}
