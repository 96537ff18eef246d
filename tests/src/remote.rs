//! A client in its own process, so that its memory can be measured, and the orders that it follows.

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

/// Configuration of the client.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by tests")]
#[expect(missing_docs, reason = "parameters of the configuration")]
pub struct Settings {
    pub kind: Kind,
    pub server_url: String,
    pub max_queue_size: usize,
    pub request_timeout: Duration,
    pub max_retries: u32,
    pub submit_interval: Duration,
}

impl Settings {
    /// A client that makes one attempt for each flush, and otherwise sends full batches only.
    #[must_use]
    pub fn new(kind: Kind, server_url: &str) -> Self {
        Self {
            kind,
            server_url: server_url.into(),
            max_queue_size: 1_000,
            request_timeout: Duration::from_secs(10),
            max_retries: 0,
            submit_interval: Duration::from_secs(300),
        }
    }

    /// The configuration with these settings.
    ///
    /// # Panics
    ///
    /// The settings are invalid.
    #[must_use]
    pub fn config(&self) -> TelemetryConfig {
        let (max_retries, initial_backoff) = (self.max_retries, Duration::from_millis(1));
        let config = crate::config(&self.server_url)
            .max_queue_size(self.max_queue_size)
            .request_timeout(self.request_timeout)
            .submit_interval(self.submit_interval)
            .retry_policy(RetryPolicy { max_retries, initial_backoff, ..RetryPolicy::default() })
            .shutdown_timeout(Duration::from_secs(60));
        config.build().expect("a configuration")
    }
}

/// A call of the client; it reports when the call is over.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "made by tests")]
pub enum Order {
    /// Tracks this many events, whose ids count from 1.
    Track(u64),
    /// Tracks this many events a second, for this long after the end of the previous such order,
    /// with no other `Track` in between.
    Pace(u64, Duration),
    /// Flushes with this deadline; done if all events were delivered.
    Flush(Duration),
    /// Asks for predictions; done if there were some.
    Predict,
    /// Stops the client.
    Stop,
}

/// The result of an order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by the client")]
#[expect(missing_docs, reason = "the last fields are those of `Stats`")]
pub struct Report {
    /// Whether the order succeeded.
    pub is_done: bool,
    /// How long it took.
    pub took: Duration,
    /// The longest request since the previous report.
    pub longest: Duration,
    /// How often requests failed, by status or kind of error.
    pub failures: BTreeMap<String, u64>,
    pub tracked: u64,
    pub delivered: u64,
    pub rejected: u64,
    pub evicted: u64,
    pub pending: u64,
    pub requests: u64,
    pub panics: u64,
    pub is_balanced: bool,
}

/// Resources of a process.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "made here")]
pub struct Sizes {
    /// Resident memory, in KiB.
    pub resident: u64,
    /// Peak of it, in KiB.
    pub peak: u64,
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

    /// Gives an order and waits for the report.
    ///
    /// # Panics
    ///
    /// The process has ended.
    pub fn order(&mut self, order: Order) -> Report {
        let order = serde_json::to_string(&order).expect("an order is JSON");
        writeln!(self.orders, "{order}").expect("the process reads orders");
        let mut report = String::new();
        self.reports.read_line(&mut report).expect("the process reports");
        serde_json::from_str(&report).expect("a report; its error is printed above")
    }

    /// The resources of the process; `None` without `/proc`.
    #[must_use]
    pub fn sizes(&self) -> Option<Sizes> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let kib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_ascii_whitespace().next()?.parse().ok()
        };
        Some(Sizes { resident: kib("VmRSS:")?, peak: kib("VmHWM:")? })
    }

    /// Resets the peak to the present size.
    ///
    /// # Errors
    ///
    /// There is no `/proc`.
    pub fn reset_peak(&self) -> io::Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5")
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
