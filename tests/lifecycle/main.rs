//! Whole-process behavior of the clients. Each case is a process with a collector, and runs on its
//! main thread; the parent checks how the process ends, its standard error, and how many events
//! arrive. `cargo test --test lifecycle FILTER` runs some of them.

mod away;
mod ends;
mod exits;
#[cfg(unix)]
mod forks;
mod ownership;
mod repetition;
mod runtimes;
mod support;

use std::{
    env,
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use libtest_mimic::{Arguments, Failed, Trial};
use telemetry_collector::{Collector, ResponseTemplate};

use self::{
    away::Away,
    support::{Resources, Server},
};

/// Names the case that this process is to run; the parent has none.
const CASE: &str = "TELEMETRY_LIFECYCLE_CASE";
/// The URL of its server.
const SERVER: &str = "TELEMETRY_LIFECYCLE_SERVER";

/// Time after which the events of a daemon have arrived.
const PATIENCE: Duration = Duration::from_secs(10);

struct Case {
    name: String,
    run: Box<dyn Fn(&Server) + Send + Sync>,
    /// The server leaves requests unanswered.
    is_silent: bool,
    /// Exit status of the process, as `ExitStatus` displays it.
    ends: &'static str,
    /// Number of events that arrive; `None` if that depends on timing.
    delivers: Option<u64>,
    /// A part of standard error, which is empty otherwise: the clients never print.
    prints: Option<&'static str>,
    /// A client is meant to be alive at the end.
    leaks: bool,
    /// In place of a collector: a server that is away.
    away: Option<Away>,
}

/// Returns from `main`, delivers and prints nothing, leaves no thread and no descriptor.
fn case(name: impl Into<String>, run: impl Fn(&Server) + Send + Sync + 'static) -> Case {
    let (name, run, ends) = (name.into(), Box::new(run), "exit status: 0");
    let (delivers, prints, away) = (Some(0), None, None);
    Case { name, run, is_silent: false, ends, delivers, prints, leaks: false, away }
}

impl Case {
    fn delivers(self, count: impl Into<Option<u64>>) -> Self {
        Self { delivers: count.into(), ..self }
    }

    fn silent(self) -> Self {
        Self { is_silent: true, ..self }
    }

    /// Runs the case in this process.
    fn run_here(&self, server: &Server) {
        support::abort_on_hang();
        // The first runtime of a process opens descriptors for signals that stay open.
        drop(support::current_thread());
        let before = Resources::now();
        (self.run)(server);
        if !self.leaks {
            before.wait_until_restored();
        }
    }

    fn check(&self) -> Result<(), Failed> {
        if let Some(away) = self.away {
            let (url, _server) = away();
            return self.ends_in_time(&url);
        }
        let collector = Collector::start()?;
        if self.is_silent {
            collector.script(vec![ResponseTemplate::hang(); 100]);
        }
        self.run_child(collector.url())?;
        let expected = self.delivers.unwrap_or_default();
        collector.wait_for(PATIENCE, |totals| totals.accepted >= expected);
        let totals = collector.stop();
        let is_exact = self.delivers.is_none() || totals.accepted == expected;
        if !is_exact || totals.duplicates + totals.rejected > 0 {
            return Err(format!("expected {:?} events, found {totals:?}", self.delivers).into());
        }
        Ok(())
    }

    /// Runs the case in a child process, and checks its end and its output.
    fn run_child(&self, url: &str) -> Result<(), Failed> {
        let mut child = Command::new(env::current_exe()?);
        child.env(CASE, &self.name).env(SERVER, url).env_remove("RUST_BACKTRACE");
        let output = child.stdin(Stdio::null()).stdout(Stdio::null()).output()?;
        // Windows has codes where Unix has statuses.
        let ends = output.status.to_string().replace("code", "status");
        let printed = String::from_utf8(output.stderr)?;
        if !ends.starts_with(self.ends) {
            return Err(format!("{ends}, expected {}:\n{printed}", self.ends).into());
        }
        if !self.prints.map_or(printed.is_empty(), |part| printed.contains(part)) {
            return Err(format!("expected {:?} on stderr, found:\n{printed}", self.prints).into());
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    let mut cases: Vec<Case> = [
        repetition::cases(),
        away::cases(),
        ends::cases(),
        exits::cases(),
        ownership::cases(),
        runtimes::cases(),
    ]
    .into_iter()
    .flatten()
    .collect();
    #[cfg(unix)]
    cases.extend(forks::cases());
    if let (Ok(name), Ok(url)) = (env::var(CASE), env::var(SERVER)) {
        let case = cases.iter().find(|case| case.name == name);
        case.expect("the parent names a case").run_here(&Server(url));
        return ExitCode::SUCCESS;
    }
    let trial = |case: Case| Trial::test(case.name.clone(), move || case.check());
    let trials = cases.into_iter().map(trial).chain([exits::documentation()]).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
