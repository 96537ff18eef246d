//! Servers that store events, in separate processes.

use std::{
    env, fs,
    io::{self, BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{Result, child};

/// The unit of times in `/proc/PID/stat`, on every architecture that the benchmarks run on.
const TICK: Duration = Duration::from_millis(10);

/// A server, killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// The program `telemetry-collector`, which is beside this one.
    pub(crate) fn collector(file: &Path) -> Result<Self> {
        let program = env::current_exe()?.with_file_name("telemetry-collector");
        let mut command = Command::new(program);
        command.args(["--port", "0", "--store"]).arg(file).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut out = BufReader::new(child.stdout.take().ok_or("it is piped")?);
        let mut line = String::new();
        out.read_line(&mut line)?;
        let url = line.split(' ').find(|it| it.starts_with("http://"));
        let url = url.ok_or_else(|| format!("no URL in {line:?}"))?.to_owned();
        // Its lines are read and dropped, as by a log.
        thread::spawn(move || io::copy(&mut out, &mut io::sink()));
        Ok(Self { child, url })
    }

    /// The handler of [`super::plain`].
    pub(crate) fn plain(file: &Path) -> Result<Self> {
        let file = file.to_str().ok_or("the path is text")?;
        let mut child = child::start(&["collector-child", file])?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("it is piped")?).read_line(&mut line)?;
        Ok(Self { child, url: format!("http://127.0.0.1:{}", line.trim()) })
    }

    /// Sends a batch, all of whose events must be accepted.
    pub(crate) fn post(&self, agent: &ureq::Agent, body: &[u8]) -> Result<()> {
        let url = format!("{}/v1/events/batch", self.url);
        let mut response = agent.post(url).content_type("application/json").send(body)?;
        let receipt: Value = serde_json::from_slice(&response.body_mut().read_to_vec()?)?;
        if receipt["accepted"] == 100 { Ok(()) } else { Err(format!("receipt {receipt}").into()) }
    }

    pub(crate) fn predict(&self, agent: &ureq::Agent, body: &[u8]) -> Result<Value> {
        let url = format!("{}/v1/predictions/batch", self.url);
        let mut response = agent.post(url).content_type("application/json").send(body)?;
        Ok(serde_json::from_slice(&response.body_mut().read_to_vec()?)?)
    }

    /// The number of events stored.
    pub(crate) fn count(&self) -> Result<u64> {
        let mut response = ureq::get(format!("{}/health", self.url)).call()?;
        let health: Value = serde_json::from_slice(&response.body_mut().read_to_vec()?)?;
        Ok(health["totals"]["held"].as_u64().ok_or("no count")?)
    }

    /// The CPU time of all threads of the server since its start.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, in parentheses, may contain blanks.
        let fields = stat.rsplit_once(')').ok_or("no name")?.1.split_whitespace();
        let times = fields.skip(11).take(2).map(str::parse::<u32>);
        Ok(TICK * times.sum::<Result<u32, _>>()?)
    }

    /// The memory that is resident now.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
