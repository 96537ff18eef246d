//! Sending tasks.

use std::{
    fs,
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use mosaicstack_telemetry::{Outcome, TaskCompletionEvent, TelemetryConfig, spool};
use telemetry_agent_logs::Task;

use crate::{
    cli::{Flags, FlushArgs, ReportArgs},
    error::Error,
    files::Folders,
    ledger::Ledger,
    progress::{self, Progress},
    rows::count,
    scan,
    settings::Settings,
    when,
};

/// The tasks that are written before they are sent. The spool holds more, so that none is evicted.
const AT_ONCE: usize = 1_000;

/// Seconds that a report of a hook waits for the server.
const UNATTENDED_TIMEOUT: u64 = 20;

/// Name of the file whose time is that of the last delivery.
const DELIVERED: &str = "delivered";

/// The model of tasks whose model has no price: it can be a private name.
const OTHER: &str = "other";

pub(crate) fn run(arguments: &ReportArgs, flags: &Flags, out: &mut dyn Write) -> Result<(), Error> {
    let folders = Folders::new()?;
    let settings = Settings::read(&folders, flags)?;
    let progress = Progress::on_terminal();
    let config =
        settings.config_with(|it| progress.iter().fold(it, |it, progress| progress.watch(it)))?;
    if !config.is_enabled() {
        writeln!(out, "telemetry is off: nothing is sent")?;
        return Ok(());
    }
    let draw = |text| progress.iter().for_each(|_| progress::draw(text));
    let _lock = folders.lock()?;
    let now = when::now();
    let mut ledger = Ledger::open(folders.ledger(), now)?;
    draw("reading the logs");
    let found = scan::scan(&arguments.selection, &folders);
    draw("");
    let found = found?;
    let plan = plan(arguments, &found.tasks, &ledger, now);
    if arguments.dry_run || config.is_dry_run() {
        writeln!(out, "would send: {}", count(plan.send.len() as u64))?;
    } else {
        progress.iter().for_each(|it| it.start(plan.send.len() as u64));
        let to = Server { config: &config, folders: &folders, timeout: arguments.flush.timeout };
        let sent = to.send(&plan.send, &mut ledger);
        draw("");
        sent?.print(out)?;
    }
    print(plan.known, "sent before", out)?;
    print(plan.unpriced, "not sent, since a model has no price (--unpriced sends them)", out)?;
    out.flush()?;
    if ledger.is_new && arguments.selection.since.is_none() {
        writeln!(
            io::stderr(),
            "first report: what ends from now on is sent; --since 30d sends what is there"
        )?;
    }
    scan::summary(&arguments.selection, &found, now, plan.without_outcome)
}

/// Writes the tasks that have ended since the first report to the spool, and sends them if `is_flush_due`, which is asked
/// only if there is something to send.
pub(crate) fn run_unattended(
    folders: &Folders,
    flags: &Flags,
    is_flush_due: impl FnOnce() -> bool,
) -> Result<(), Error> {
    let config = Settings::read(folders, flags)?.config()?;
    if !config.is_enabled() || config.is_dry_run() {
        return Ok(());
    }
    let _lock = folders.lock()?;
    let now = when::now();
    let arguments = ReportArgs::default();
    let mut ledger = Ledger::open(folders.ledger(), now)?;
    let found = scan::scan(&arguments.selection, folders)?;
    let plan = plan(&arguments, &found.tasks, &ledger, now);
    let waiting = spool::usage(&config)?.records;
    if (!plan.send.is_empty() || waiting > 0) && is_flush_due() {
        let to = Server { config: &config, folders, timeout: UNATTENDED_TIMEOUT };
        return to.send(&plan.send, &mut ledger).map(drop);
    }
    // The others wait for a call that sends: a spool is bounded, and evicts the oldest.
    if waiting >= AT_ONCE as u64 {
        return Ok(());
    }
    let some = plan.send.get(..AT_ONCE).unwrap_or(&plan.send);
    put(&config, some, &mut ledger)
}

/// Sends what earlier calls have left.
pub(crate) fn run_flush(
    arguments: &FlushArgs,
    flags: &Flags,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let folders = Folders::new()?;
    let config = Settings::read(&folders, flags)?.config()?;
    let _lock = folders.lock()?;
    let to = Server { config: &config, folders: &folders, timeout: arguments.timeout };
    to.flush()?.print(out)
}

fn print(number: u64, what: &str, out: &mut dyn Write) -> Result<(), Error> {
    if number > 0 {
        writeln!(out, "{what}: {}", count(number))?;
    }
    Ok(())
}

/// The tasks to send, and the numbers of the others.
#[derive(Debug, Default)]
struct Plan<'a> {
    send: Vec<(&'a Task, Outcome)>,
    known: u64,
    without_outcome: u64,
    unpriced: u64,
}

fn plan<'a>(arguments: &ReportArgs, tasks: &'a [Arc<Task>], ledger: &Ledger, now: i64) -> Plan<'a> {
    let selection = &arguments.selection;
    let mut plan = Plan::default();
    for task in scan::selected(selection, tasks, now) {
        if ledger.has(task) {
            plan.known += 1;
        } else if selection.since.is_none() && task.ended < ledger.since {
            // Ended before the first report.
        } else if let Some(outcome) = scan::outcome(selection, task) {
            if task.cost().is_none() && !arguments.unpriced {
                plan.unpriced += 1;
            } else {
                plan.send.push((task, outcome));
            }
        } else {
            plan.without_outcome += 1;
        }
    }
    plan
}

#[derive(Debug, Default)]
struct Sent {
    delivered: u64,
    rejected: u64,
    spooled: u64,
}

impl Sent {
    fn print(&self, out: &mut dyn Write) -> Result<(), Error> {
        writeln!(out, "sent: {}", count(self.delivered))?;
        print(self.rejected, "rejected by the server", out)?;
        print(self.spooled, "not sent yet, since the server could not be reached", out)
    }
}

/// The server, and the folder that remembers deliveries.
struct Server<'a> {
    config: &'a TelemetryConfig,
    folders: &'a Folders,
    /// Seconds to wait for it.
    timeout: u64,
}

impl Server<'_> {
    /// Sends what an earlier call has left, and then these tasks. An event is in the spool before its task is in the
    /// ledger: a process that is killed in between sends it again, with the same id.
    fn send(&self, tasks: &[(&Task, Outcome)], ledger: &mut Ledger) -> Result<Sent, Error> {
        ledger.add([].into_iter())?; // The first report begins it, whether or not there is a task.
        let mut sent = self.flush()?;
        for some in tasks.chunks(AT_ONCE) {
            if sent.spooled > 0 {
                break; // The server cannot be reached, and the spool is bounded.
            }
            put(self.config, some, ledger)?;
            let flushed = self.flush()?;
            sent.delivered += flushed.delivered;
            sent.rejected += flushed.rejected;
            sent.spooled = flushed.spooled;
        }
        Ok(sent)
    }

    fn flush(&self) -> Result<Sent, Error> {
        let stats = spool::flush(self.config, Duration::from_secs(self.timeout))?;
        if stats.delivered > 0 {
            // The time of the file is all of it. Without it, the status shows less.
            let _ = fs::write(self.folders.state.join(DELIVERED), "");
        }
        Ok(Sent { delivered: stats.delivered, rejected: stats.rejected, spooled: stats.spooled })
    }
}

/// Unix milliseconds of the last call that delivered an event.
pub(crate) fn last_delivery(folders: &Folders) -> Option<i64> {
    let metadata = fs::metadata(folders.state.join(DELIVERED)).ok()?;
    metadata.modified().ok().map(when::unix_millis)
}

/// The event as it is sent.
pub(crate) fn event(
    config: &TelemetryConfig,
    task: &Task,
    outcome: Outcome,
) -> TaskCompletionEvent {
    let event = task.event(config.instance_id(), outcome);
    if task.cost().is_some() { event.build() } else { event.model(OTHER).build() }
}

fn put(
    config: &TelemetryConfig,
    tasks: &[(&Task, Outcome)],
    ledger: &mut Ledger,
) -> Result<(), Error> {
    for (task, outcome) in tasks {
        spool::put(config, event(config, task, outcome.clone()))?;
    }
    ledger.add(tasks.iter().map(|(task, _)| *task))
}
