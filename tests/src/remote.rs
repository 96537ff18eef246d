//! A client in a process of its own, so that its memory is its own, and what is ordered of it.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use mosaicstack_telemetry::{RetryPolicy, TelemetryConfig};
use serde::{Deserialize, Serialize};

/// Which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "there are two clients")]
pub enum Kind {
    /// On a thread, with ureq.
    Blocking,
    /// On tokio, with hyper.
    Tokio,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Blocking, Self::Tokio];
}

/// How the client is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by tests")]
pub struct Settings {
    /// Which client.
    pub kind: Kind,
    /// Of the server.
    pub url: String,
    /// `max_queue_size`.
    pub places: usize,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How often a request is tried again in a cycle.
    pub max_retries: u32,
    /// How soon a request is tried again.
    pub initial_backoff: Duration,
    /// How often events are sent.
    pub submit_interval: Duration,
}

impl Settings {
    /// A client that makes one attempt a flush, and none on its own but with a full batch.
    #[must_use]
    pub fn new(kind: Kind, url: &str) -> Self {
        Self {
            kind,
            url: url.into(),
            places: 1_000,
            request_timeout: Duration::from_secs(10),
            max_retries: 0,
            initial_backoff: Duration::from_millis(1),
            submit_interval: Duration::from_secs(300),
        }
    }

    /// The configuration that these are.
    ///
    /// # Panics
    ///
    /// There is none such.
    #[must_use]
    pub fn config(&self) -> TelemetryConfig {
        let Self { max_retries, initial_backoff, .. } = *self;
        let config = crate::config(&self.url)
            .max_queue_size(self.places)
            .request_timeout(self.request_timeout)
            .submit_interval(self.submit_interval)
            .retry_policy(RetryPolicy { max_retries, initial_backoff, ..RetryPolicy::default() })
            .shutdown_timeout(Duration::from_secs(60));
        config.build().expect("a configuration")
    }
}

/// What the client is to do next; it reports when it has been done.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "made by tests")]
pub enum Order {
    /// Record so many events. The id of the first is 1, that of the next 2, and so on.
    Track(u64),
    /// Record so many events a second, for so long after the end of the last such order. None
    /// that records comes in between.
    Pace(u64, Duration),
    /// Flush with this deadline; done if all was delivered.
    Flush(Duration),
    /// Ask for predictions; done if there were some.
    Predict,
    /// Stop.
    Stop,
}

/// What a client says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by the client")]
pub struct Report {
    /// The order could be carried out.
    pub is_done: bool,
    /// How long it took.
    pub took: Duration,
    /// How long the longest request took since the last report.
    pub longest: Duration,
    /// What came of the requests that did not succeed, and how often.
    pub failures: BTreeMap<String, u64>,
    /// As in [`Stats`](mosaicstack_telemetry::Stats), and so on.
    pub tracked: u64,
    #[expect(missing_docs, reason = "as above")]
    pub delivered: u64,
    #[expect(missing_docs, reason = "as above")]
    pub rejected: u64,
    #[expect(missing_docs, reason = "as above")]
    pub evicted: u64,
    #[expect(missing_docs, reason = "as above")]
    pub pending: u64,
    #[expect(missing_docs, reason = "as above")]
    pub requests: u64,
    #[expect(missing_docs, reason = "as above")]
    pub panics: u64,
    /// Whether the books close.
    pub is_balanced: bool,
}

/// What a process takes of the machine.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "made here")]
pub struct Sizes {
    /// Its resident memory, in KiB.
    pub resident: u64,
    /// The most that this has been, in KiB.
    pub peak: u64,
    /// The time that processors have spent on it.
    pub processor: Duration,
}

/// A client in another process, which ends when this is dropped.
#[derive(Debug)]
pub struct Remote {
    process: Child,
    orders: ChildStdin,
    reports: BufReader<ChildStdout>,
}

impl Remote {
    /// Starts `program`, which is `telemetry-remote`.
    ///
    /// # Panics
    ///
    /// It cannot be started.
    #[must_use]
    pub fn start(program: &str, settings: &Settings) -> Self {
        let settings = serde_json::to_string(settings).expect("settings are JSON");
        let mut command = Command::new(program);
        command.arg(settings).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the program can be started");
        let orders = process.stdin.take().expect("its input is a pipe");
        let reports = BufReader::new(process.stdout.take().expect("its output is a pipe"));
        Self { process, orders, reports }
    }

    /// Gives an order and waits until it is carried out.
    ///
    /// # Panics
    ///
    /// The process has ended.
    pub fn order(&mut self, order: Order) -> Report {
        self.begin(order);
        self.report()
    }

    /// Gives an order. Its report is to be waited for before the next.
    ///
    /// # Panics
    ///
    /// The process has ended.
    pub fn begin(&mut self, order: Order) {
        let order = serde_json::to_string(&order).expect("an order is JSON");
        writeln!(self.orders, "{order}").expect("the process reads orders");
    }

    /// Waits for a report.
    ///
    /// # Panics
    ///
    /// The process has ended.
    pub fn report(&mut self) -> Report {
        let mut report = String::new();
        self.reports.read_line(&mut report).expect("the process reports");
        serde_json::from_str(&report).expect("a report; what went wrong is above")
    }

    /// The process's number, with which [`Sizes::of`] can be had.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // Not asked for its end: it may be stuck.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Sizes {
    /// Those of the process with this number; none where there is no `/proc`.
    #[must_use]
    pub fn of(process: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let kib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_ascii_whitespace().next()?.parse().ok()
        };
        // Behind the name, which may have spaces: user and system time are the 12th and 13th.
        let (_, fields) = stat.rsplit_once(')')?;
        let times = fields.split_ascii_whitespace().skip(11).take(2);
        let ticks: u64 = times.filter_map(|field| field.parse::<u64>().ok()).sum();
        Some(Self {
            resident: kib("VmRSS:")?,
            peak: kib("VmHWM:")?,
            processor: Duration::from_millis(10 * ticks),
        })
    }

    /// Has the peak begin anew.
    ///
    /// # Errors
    ///
    /// It cannot, where there is no `/proc`.
    pub fn forget_peak(process: u32) -> io::Result<()> {
        fs::write(format!("/proc/{process}/clear_refs"), "5")
    }
}
