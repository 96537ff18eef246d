//! Many clients and one server through an outage, in virtual time.
//!
//! Each client is a real [`Submitter`]; server, network and clock are not. All that is random comes
//! from one seed, in whole numbers, so a run is the same on every machine.

mod bounds;
mod page;
mod plot;
mod report;
mod server;
mod traffic;

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use mosaicstack_telemetry::{
    Action, Delivery, Response, Start, Submitter, TelemetryConfig, TelemetryHandle, Timeout,
    TransportError, reexport::time::OffsetDateTime,
};
use uuid::Uuid;

pub use self::{
    page::Page,
    report::{Load, Report},
};
use self::{
    server::Server,
    traffic::{Random, Traffic},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Within this time the clients start, if they do not all start at once.
const STARTS: Duration = Duration::from_secs(30 * 60);
/// When the outage begins, since the first start.
const FROM: Duration = Duration::from_secs(60 * 60);
/// When it ends.
const UNTIL: Duration = Duration::from_secs(2 * 60 * 60);
/// When the simulation does.
const END: Duration = Duration::from_secs(3 * 60 * 60);

/// The time on the calendar when the first client starts.
const WALL: Duration = Duration::from_secs(1_767_225_600);

/// Clients with the default configuration, and an hour that goes wrong.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made by tests")]
pub struct Fleet {
    /// How many.
    pub clients: u32,
    /// When they start.
    pub launch: Launch,
    /// What is wrong in that hour.
    pub outage: Outage,
    /// Decides all that is random.
    pub seed: u64,
}

/// When the clients of a fleet start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "made by tests")]
pub enum Launch {
    /// At random, within half an hour.
    Spread,
    /// All at the same moment, as after a deployment.
    AtOnce,
}

/// What a server does during an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "made by tests")]
pub enum Outage {
    /// It answers 503.
    Busy,
    /// It answers 503 with a `Retry-After` of so many seconds.
    BusyFor(Duration),
    /// It answers 503 with the date when the outage ends: the same moment for all.
    BusyUntilItEnds,
    /// It refuses connections.
    Refused,
    /// It takes requests and does not answer them.
    Silent,
    /// It answers 503; before and after, it answers 429 with a `Retry-After` of 30 s to what is
    /// more than a request a second for each 500 clients.
    Overload,
}

struct Client {
    handle: TelemetryHandle,
    submitter: Submitter,
    traffic: Traffic,
    /// How many events it has tracked; their ids are their numbers.
    tracked: u64,
    /// What it had tracked when the outage ended, if not all of that had been taken.
    backlog: Option<u64>,
    /// Whether the server has taken something since.
    is_back: bool,
    under_way: Option<(Delivery, Result<Response, TransportError>)>,
    wakes_at: Duration,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Duration,
    /// No two are the same.
    number: u64,
    client: u32,
    what: What,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Start,
    Task,
    Wake,
    Answer,
    OutageEnds,
}

struct Run {
    config: TelemetryConfig,
    zero: Instant,
    now: Duration,
    /// None until they start.
    clients: Vec<Option<Client>>,
    server: Server,
    agenda: BinaryHeap<Reverse<Entry>>,
    entries: u64,
    random: Random,
    woken: Arc<AtomicBool>,
    report: Report,
}

impl Fleet {
    /// Runs an hour, the outage of an hour, and an hour.
    ///
    /// # Panics
    ///
    /// A submitter is done though nobody closed it.
    #[must_use]
    pub fn run(&self) -> Report {
        let config = crate::config("https://example.com").interval_jitter(true).build();
        let config = config.expect("a configuration");
        let mut random = Random(self.seed);
        // What the policy promises, for waits that are shortened as much as they may be.
        let window = config.submit_interval() * 9 / 10;
        let dice = Random(random.next());
        let server = Server::new(self.outage, self.clients, (FROM, UNTIL), window, dice);
        let mut run = Run {
            config,
            zero: an_instant(),
            now: Duration::ZERO,
            clients: (0..self.clients).map(|_| None).collect(),
            server,
            agenda: BinaryHeap::new(),
            entries: 0,
            random,
            woken: Arc::default(),
            report: Report::new(*self),
        };
        for client in 0..self.clients {
            let at = match self.launch {
                Launch::Spread => run.random.within(STARTS),
                Launch::AtOnce => Duration::ZERO,
            };
            run.plan(at, client, What::Start);
        }
        run.plan(UNTIL, 0, What::OutageEnds);
        run.go();
        run.finish()
    }
}

#[expect(clippy::disallowed_methods, reason = "an instant can only be had from the clock")]
fn an_instant() -> Instant {
    Instant::now()
}

impl Run {
    fn plan(&mut self, at: Duration, client: u32, what: What) {
        self.entries += 1;
        self.agenda.push(Reverse(Entry { at, number: self.entries, client, what }));
    }

    fn go(&mut self) {
        while let Some(Reverse(entry)) = self.agenda.pop()
            && entry.at < END
        {
            self.now = entry.at;
            match entry.what {
                What::Start => self.start(entry.client),
                What::Task => self.task(entry.client),
                What::Wake => self.wake(entry.client),
                What::Answer => self.answer(entry.client),
                What::OutageEnds => self.outage_ends(),
            }
        }
    }

    fn start(&mut self, id: u32) {
        let wall = SystemTime::UNIX_EPOCH + WALL + self.now;
        let start = Start { now: self.zero + self.now, wall, seed: self.random.next() };
        let woken = Arc::clone(&self.woken);
        let wake = move || woken.store(true, Ordering::Relaxed);
        let (handle, submitter) = TelemetryHandle::with_submitter(&self.config, start, wake);
        let mut traffic = Traffic::new(id, Random(self.random.next()));
        let first = self.now + traffic.next();
        self.clients[id as usize] = Some(Client {
            handle,
            submitter,
            traffic,
            tracked: 0,
            backlog: None,
            is_back: false,
            under_way: None,
            wakes_at: Duration::ZERO,
        });
        self.plan(first, id, What::Task);
        self.poll(id);
    }

    fn task(&mut self, id: u32) {
        let client = self.clients[id as usize].as_mut().expect("it has started");
        client.tracked += 1;
        let event = client
            .handle
            .event()
            .event_id(Uuid::from_u64_pair(id.into(), client.tracked))
            .timestamp(OffsetDateTime::UNIX_EPOCH + WALL + self.now)
            .model("claude-sonnet-4-5-20250929")
            .build();
        client.handle.track(event);
        let next = self.now + client.traffic.next();
        self.plan(next, id, What::Task);
        if self.woken.swap(false, Ordering::Relaxed) {
            self.poll(id);
        }
    }

    fn wake(&mut self, id: u32) {
        if self.clients[id as usize].as_ref().is_some_and(|it| it.wakes_at == self.now) {
            self.poll(id);
        }
    }

    fn poll(&mut self, id: u32) {
        let client = self.clients[id as usize].as_mut().expect("it has started");
        if client.under_way.is_some() {
            return;
        }
        match client.submitter.poll(self.zero + self.now) {
            Action::Send(request, delivery) => {
                let numbers = delivery.events().map(|event| event.event_id.as_u64_pair().1);
                let timeout = Timeout::of(&request);
                let (takes, result) = self.server.take(self.now, id, numbers, timeout);
                client.under_way = Some((delivery, result));
                self.plan(self.now + takes, id, What::Answer);
            }
            Action::Wait(until) => {
                let until = until.saturating_duration_since(self.zero);
                if client.wakes_at != until {
                    client.wakes_at = until;
                    self.plan(until, id, What::Wake);
                }
            }
            Action::Done => unreachable!("nobody closed it"),
        }
    }

    fn answer(&mut self, id: u32) {
        let client = self.clients[id as usize].as_mut().expect("it has started");
        let (delivery, result) = client.under_way.take().expect("it is answered once");
        let is_taken = result.as_ref().is_ok_and(|answer| answer.status().is_success());
        client.submitter.complete(self.zero + self.now, delivery, result);
        if let Some(backlog) = client.backlog
            && is_taken
        {
            let after = self.now - UNTIL;
            if !std::mem::replace(&mut client.is_back, true) {
                self.report.first.push(after);
            }
            if self.server.seen(id).last >= backlog {
                client.backlog = None;
                self.report.drained.push(after);
            }
        }
        self.poll(id);
    }

    fn outage_ends(&mut self) {
        for client in self.clients.iter_mut().flatten() {
            client.backlog = (client.handle.stats().pending > 0).then_some(client.tracked);
            self.report.backlogged += usize::from(client.backlog.is_some());
        }
    }

    fn finish(self) -> Report {
        let Self { mut report, server, .. } = self;
        for client in self.clients.into_iter().flatten() {
            if let Some((delivery, result)) = client.under_way
                && result.is_ok_and(|answer| answer.status().is_success())
            {
                report.unanswered += delivery.len() as u64;
            }
            report.add(client.handle.stats(), client.tracked);
        }
        report.close(server);
        report
    }
}
