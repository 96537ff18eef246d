//! The commands that read the logs.

use std::{
    io::{self, Write},
    sync::Arc,
    thread,
};

use mosaicstack_telemetry::Outcome;
use telemetry_agent_logs::{
    HARNESSES, Task, prices,
    scan::{Options, Scan, State},
};

use crate::{
    cli::{Assumed, Flags, ScanArgs, Selection},
    error::Error,
    files::{self, Folders},
    report, rows,
    settings::Settings,
    when,
};

pub(crate) fn run(arguments: &ScanArgs, flags: &Flags, out: &mut dyn Write) -> Result<(), Error> {
    let selection = &arguments.selection;
    let folders = Folders::new()?;
    let lock = folders.lock();
    let scan = scan(selection, &folders)?;
    drop(lock);
    let now = when::now();
    let tasks: Vec<_> = selected(selection, &scan.tasks, now)
        .map(|task| (task, outcome(selection, task)))
        .collect();
    if arguments.json {
        rows::json(&tasks, out)?;
    } else if arguments.csv {
        rows::csv(&tasks, out)?;
    } else if arguments.events {
        events(&Settings::read(&folders, flags)?, &tasks, out)?;
    } else {
        rows::table(&tasks, out)?;
    }
    out.flush()?;
    let without_outcome = tasks.iter().filter(|(_, outcome)| outcome.is_none()).count();
    summary(selection, &scan, now, without_outcome as u64)
}

/// Scans the logs, and remembers what it has read.
pub(crate) fn scan(selection: &Selection, folders: &Folders) -> Result<Scan, Error> {
    let environment = files::environment(selection.root.as_deref());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let options = Options {
        harnesses: HARNESSES,
        environment: &environment,
        price: &prices::price_of,
        now: when::now(),
        threads,
    };
    if selection.root.is_some() {
        return Ok(telemetry_agent_logs::scan::scan(&options, &mut State::default()));
    }
    let mut state = folders.read_state();
    let scan = telemetry_agent_logs::scan::scan(&options, &mut state);
    if let Err(error) = folders.write_state(&state) {
        writeln!(io::stderr(), "the next scan reads all logs again: {error}")?;
    }
    Ok(scan)
}

/// Remembers that the agent of a session has stopped now.
pub(crate) fn stop(session: &str, folders: &Folders) -> Result<(), Error> {
    let _lock = folders.lock()?;
    let mut state = folders.read_state();
    state.stop(session, when::now());
    folders.write_state(&state)
}

/// The tasks that the arguments name.
pub(crate) fn selected<'a>(
    selection: &Selection,
    tasks: &'a [Arc<Task>],
    now: i64,
) -> impl Iterator<Item = &'a Task> + use<'a> {
    let from = selection.since.map_or(i64::MIN, |it| it.millis(now));
    let to = selection.until.map_or(i64::MAX, |it| it.millis(now));
    let harnesses: Vec<String> =
        selection.harness.iter().map(|it| it.replace('-', "_").to_lowercase()).collect();
    tasks.iter().map(AsRef::as_ref).filter(move |task: &&Task| {
        let is_named = || harnesses.iter().any(|it| it == task.labels.harness.as_str());
        (from..to).contains(&task.ended) && (harnesses.is_empty() || is_named())
    })
}

/// The outcome that the log shows, or the one to assume.
pub(crate) fn outcome(selection: &Selection, task: &Task) -> Option<Outcome> {
    let assumed = selection.assume_outcome.map(|it| match it {
        Assumed::Success => Outcome::Success,
        Assumed::Partial => Outcome::Partial,
        Assumed::Failure => Outcome::Failure,
    });
    task.outcome().or(assumed)
}

fn events(
    settings: &Settings,
    tasks: &rows::Outcomes<'_>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let config = settings.config_to_show()?;
    let mut unpriced = 0;
    for (task, outcome) in tasks {
        let Some(outcome) = outcome else { continue };
        if task.cost().is_none() {
            unpriced += 1;
            continue;
        }
        let mut json = Vec::new();
        report::event(&config, task, outcome.clone()).write_json(&mut json);
        json.push(b'\n');
        out.write_all(&json)?;
    }
    out.flush()?;
    if unpriced > 0 {
        let number = rows::count(unpriced);
        writeln!(io::stderr(), "{number}: tasks with a model without a price, which are not sent")?;
    }
    Ok(())
}

/// Prints to standard error the numbers of selected tasks with restrictions, and of logs and lines that were not read.
pub(crate) fn summary(
    selection: &Selection,
    scan: &Scan,
    now: i64,
    without_outcome: u64,
) -> Result<(), Error> {
    let open = selected(selection, &scan.open, now).count() as u64;
    let (mut undercounted, mut unknown) = (0, 0);
    for task in selected(selection, &scan.tasks, now) {
        undercounted += u64::from(task.notes.is_undercounted);
        unknown += u64::from(task.notes.has_unknown_usage);
    }
    let mut err = io::stderr().lock();
    for (number, text) in [
        (open, "tasks have not ended yet"),
        (
            without_outcome,
            "tasks without a gate, an error or an interruption: their outcome is not known",
        ),
        (undercounted, "tasks of a version that logs less output than it used"),
        (unknown, "tasks with requests whose tokens the log does not state"),
        (scan.without_usage, "turns without a request of their own"),
        (scan.bad_lines, "lines that could not be understood"),
    ] {
        if number > 0 {
            writeln!(err, "{}: {text}", rows::count(number))?;
        }
    }
    for unreadable in &scan.unreadable {
        writeln!(
            err,
            "cannot read {}: {}",
            rows::plain(&unreadable.path.to_string_lossy()),
            unreadable.error
        )?;
    }
    Ok(())
}
