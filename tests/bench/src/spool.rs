//! Section `spool`: events that outlive their process.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{self, Command},
    thread,
    time::{Duration, Instant},
};

use mosaicstack_telemetry::{
    TaskCompletionEvent, TelemetryClient, TelemetryConfig,
    spool::{self, Spool},
};
use rusqlite::Connection;

use crate::{
    Result,
    child::Sink,
    events::{INSTANCE, Runs},
    figures::{Figures, order},
};

const ROUNDS: usize = 5;

/// The parts of a round, in each of which all contenders run: one that ran for seconds would have the noise of those.
const PARTS: usize = 20;

/// The processes of each contender in a part of a round that run alone.
const PROCESSES: usize = 20;

/// The processes of each contender in a part of a round that run with others. More, since their times depend on the
/// scheduler.
const PROCESSES_AT_ONCE: usize = 160;

/// The processes that run at the same time in the second case.
const AT_ONCE: usize = 8;

/// The files that wait in the third case: the most that a spool holds.
const WAITING: usize = 4_096;

/// The length of a field of the events that wait at a start, so that all files have 16 MiB.
const MODEL_BYTES: usize = 3_200;

const HELLO: &str = "hello world";

const ABOVE: &str = "p99 above hello world, ms";

/// The programs, by name.
const HOOKS: [(&str, &str); 4] = [
    (HELLO, "hook_hello"),
    ("mosaicstack-telemetry, put", "hook_put"),
    ("a file for each event, renamed", "hook_file"),
    ("SQLite, WAL", "hook_sqlite"),
];

/// The configuration of a hook.
///
/// # Errors
///
/// The folder is not absolute.
pub fn hook_config(folder: OsString) -> Result<TelemetryConfig> {
    Ok(config(9).spool(Spool::in_dir(folder)).build()?)
}

fn config(port: u16) -> mosaicstack_telemetry::TelemetryConfigBuilder {
    TelemetryConfig::builder()
        .server_url(format!("http://127.0.0.1:{port}"))
        .api_key("a".repeat(64))
        .instance_id(INSTANCE)
}

/// The event of a hook.
#[must_use]
pub fn hook_event() -> TaskCompletionEvent {
    TaskCompletionEvent::builder(INSTANCE).model("claude-sonnet-4-5-20250929").build()
}

/// The database of a hook, which is created if it does not exist.
///
/// # Errors
///
/// It cannot be opened.
pub fn hook_database(folder: &Path) -> Result<Connection> {
    let database = Connection::open(folder.join("events.db"))?;
    database.busy_timeout(Duration::from_secs(10))?;
    database.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
         CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, event BLOB)",
    )?;
    Ok(database)
}

/// A folder that is removed at the end, with all in it: ext4 searches long for an inode if many were freed within
/// the last seconds.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = env::temp_dir().join(format!("telemetry-bench-{}", process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn part(&self, name: &str, round: usize) -> Result<PathBuf> {
        let path = self.0.join(format!("{name}-{round}"));
        fs::create_dir_all(&path)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn measure() -> Result<Figures> {
    let (mut figures, folder) = (Figures::default(), Folder::new()?);
    for (case, at_once, waiting) in [
        ("one event of a process", 1, 0),
        ("eight at once", AT_ONCE, 0),
        ("eight at once, 4,096 files waiting", AT_ONCE, WAITING),
    ] {
        hooks(case, at_once, waiting, &folder, &mut figures)?;
    }
    starts(&folder, &mut figures)?;
    Ok(figures)
}

fn hooks(
    case: &str,
    at_once: usize,
    waiting: usize,
    folder: &Folder,
    figures: &mut Figures,
) -> Result<()> {
    for round in 0..ROUNDS {
        let mut folders = Vec::new();
        for (name, program) in HOOKS {
            let folder = folder.part(&format!("{case}, {program}"), round)?;
            if name != HELLO {
                fill(&folder, program, waiting)?;
            }
            folders.push(folder);
        }
        let mut all_times = HOOKS.map(|_| Vec::new());
        for part in 0..PARTS {
            for index in order(HOOKS.len(), round + part) {
                let times = run(HOOKS[index].1, &folders[index], at_once)?;
                all_times[index].extend(times);
            }
        }
        let mut values = Vec::new();
        for ((name, _), mut times) in HOOKS.into_iter().zip(all_times) {
            times.sort_unstable();
            let at = |part: usize| {
                let time = times.get(times.len() * part / 100).copied().unwrap_or_default();
                time.as_secs_f64() * 1e3
            };
            eprintln!("spool, round {round}: {case}: {name}: {:.2} {:.2}", at(50), at(99));
            values.push((name, at(50), at(99)));
        }
        let hello = values.iter().find(|it| it.0 == HELLO).map_or(f64::NAN, |it| it.2);
        for (name, p50, p99) in values {
            figures.add(case, name, "p50, ms", p50);
            figures.add(case, name, "p99, ms", p99);
            figures.add(case, name, ABOVE, p99 - hello);
        }
    }
    Ok(())
}

/// Creates what a hook finds: a database, and that many files.
fn fill(folder: &Path, program: &str, waiting: usize) -> Result<()> {
    match program {
        "hook_put" => {
            let config = hook_config(folder.into())?;
            (0..waiting).try_for_each(|_| spool::put(&config, hook_event()))?;
        }
        "hook_file" => {
            for number in 0..waiting {
                fs::write(folder.join(number.to_string()), serde_json::to_vec(&hook_event())?)?;
            }
        }
        _ => {
            let database = hook_database(folder)?;
            for _ in 0..waiting {
                let event = serde_json::to_vec(&hook_event())?;
                database.execute("INSERT INTO events (event) VALUES (?1)", [event])?;
            }
        }
    }
    Ok(())
}

/// The times from the start to the end of each process.
fn run(program: &str, folder: &Path, at_once: usize) -> Result<Vec<Duration>> {
    let program = env::current_exe()?.with_file_name(program);
    let processes = if at_once == 1 { PROCESSES } else { PROCESSES_AT_ONCE };
    let run_some = || -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        for _ in 0..processes / at_once {
            let from = Instant::now();
            let status = Command::new(&program).arg(folder).env_clear().status()?;
            times.push(from.elapsed());
            if !status.success() {
                return Err(format!("{} failed: {status}", program.display()).into());
            }
        }
        Ok(times)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(run_some)).collect();
        let times = threads.into_iter().map(|it| it.join().map_err(|_| "a thread panicked")?);
        Ok(times.collect::<Result<Vec<_>>>()?.concat())
    })
}

/// The time from the start of a client until its event is delivered.
fn starts(folder: &Folder, figures: &mut Figures) -> Result<()> {
    let case = "start, track and flush one event, ms";
    let event = || Runs::read().map(|runs| runs.events([0]).next());
    let sink = Sink::start()?;
    for round in 0..ROUNDS {
        let contenders = ["without a spool", "an empty spool", "4,096 files, 16 MiB"];
        for index in order(contenders.len(), round) {
            let folder = folder.part(contenders[index], round)?;
            let mut config = config(sink.port);
            if index > 0 {
                config = config.spool(Spool::in_dir(folder));
            }
            let config = config.build()?;
            if index == 2 {
                let event = TaskCompletionEvent::builder(INSTANCE).model("m".repeat(MODEL_BYTES));
                for _ in 0..WAITING {
                    spool::put(&config, event.clone().build())?;
                }
            }
            let event = event()?.ok_or("there are no runs")?;
            let from = Instant::now();
            let client = TelemetryClient::start(config);
            client.track(event);
            client.flush(Duration::from_secs(60))?;
            let milliseconds = from.elapsed().as_secs_f64() * 1e3;
            client.handle().shutdown(Duration::from_secs(60));
            eprintln!("spool, round {round}: {case}: {}: {milliseconds:.2}", contenders[index]);
            figures.add(case, contenders[index], "ms", milliseconds);
        }
    }
    Ok(())
}
