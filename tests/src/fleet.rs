//! A simulation in virtual time: many clients, and one server that fails for an hour.
//!
//! Each client is a real [`Submitter`]; server, network and clock are simulated. All randomness comes
//! from one seed, in whole numbers, so a run is the same on every machine.

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
    TelemetryConfig, TelemetryHandle,
    sans_io::{Action, Delivery, Start, Submitter},
    time::OffsetDateTime,
    transport::{Response, Timeout, TransportError},
};
use uuid::Uuid;

pub use self::report::{Load, Report};
use self::{server::Server, traffic::Traffic};
use crate::{random::Random, simulation::instant};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// The period in which the clients start, unless they start at once.
const STARTS: Duration = Duration::from_secs(30 * 60);
/// When the outage begins, from the first start.
const FROM: Duration = Duration::from_secs(60 * 60);
/// When it ends.
const UNTIL: Duration = Duration::from_secs(2 * 60 * 60);
/// When the simulation ends.
const END: Duration = Duration::from_secs(3 * 60 * 60);

/// The wall clock at the first start.
const WALL: Duration = Duration::from_secs(1_767_225_600);

/// Clients with the default configuration, and the outage that they meet.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made by tests")]
pub struct Fleet {
    /// The number of clients.
    pub clients: u32,
    /// When they start.
    pub launch: Launch,
    /// The failure of the server.
    pub outage: Outage,
    /// The seed of all randomness.
    pub seed: u64,
}

/// When the clients of a fleet start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "made by tests")]
pub enum Launch {
    /// At random within half an hour.
    Spread,
    /// At the same moment, as after a deployment.
    AtOnce,
}

/// The behavior of a server during an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "made by tests")]
pub enum Outage {
    /// It answers 503.
    Busy,
    /// It answers 503 with a `Retry-After` of that many seconds.
    BusyFor(Duration),
    /// It answers 503 with a `Retry-After` of the date when the outage ends.
    BusyUntilItEnds,
    /// It refuses connections.
    Refused,
    /// It never answers.
    Silent,
    /// It answers 503. Before and after, it answers 429 with a `Retry-After` of 30 s to all requests
    /// above one a second for each 500 clients.
    Overload,
}

struct Client {
    handle: TelemetryHandle,
    submitter: Submitter,
    traffic: Traffic,
    /// The number of events it has tracked, which is the id of the last one.
    tracked: u64,
    /// `tracked` at the end of the outage, until all of that is delivered.
    backlog: Option<u64>,
    /// Whether the server has accepted a batch since then.
    is_back: bool,
    in_flight: Option<(Delivery, Result<Response, TransportError>)>,
    wakes_at: Duration,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Duration,
    /// Unique, so that the order of entries is total.
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
    /// `None` until the client starts.
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
    /// A submitter is done although it was never closed.
    #[must_use]
    pub fn run(&self) -> Report {
        let config = crate::config("https://example.com").interval_jitter(true).build();
        let config = config.expect("a configuration");
        let mut random = Random(self.seed);
        // The shortest interval that jitter allows.
        let window = config.submit_interval() * 9 / 10;
        let dice = Random(random.next());
        let server = Server::new(self.outage, self.clients, window, dice);
        let mut run = Run {
            config,
            zero: instant(),
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
        let (submitter, handle) = Submitter::new(&self.config, start, wake);
        let mut traffic = Traffic::new(id, Random(self.random.next()));
        let first = self.now + traffic.next();
        self.clients[id as usize] = Some(Client {
            handle,
            submitter,
            traffic,
            tracked: 0,
            backlog: None,
            is_back: false,
            in_flight: None,
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
        if client.in_flight.is_some() {
            return;
        }
        match client.submitter.poll(self.zero + self.now) {
            Action::Send(request, delivery) => {
                let numbers = delivery.events().map(|event| event.event_id.as_u64_pair().1);
                let timeout = Timeout::of(&request);
                let (takes, result) = self.server.handle(self.now, id, numbers, timeout);
                client.in_flight = Some((delivery, result));
                self.plan(self.now + takes, id, What::Answer);
            }
            Action::Wait(until) => {
                let until = until.saturating_duration_since(self.zero);
                if client.wakes_at != until {
                    client.wakes_at = until;
                    self.plan(until, id, What::Wake);
                }
            }
            Action::Done => unreachable!("it was never closed"),
        }
    }

    fn answer(&mut self, id: u32) {
        let client = self.clients[id as usize].as_mut().expect("it has started");
        let (delivery, result) = client.in_flight.take().expect("it is answered once");
        let is_accepted = result.as_ref().is_ok_and(|answer| answer.status().is_success());
        client.submitter.complete(self.zero + self.now, delivery, result);
        if let Some(backlog) = client.backlog
            && is_accepted
        {
            let after = self.now - UNTIL;
            if !std::mem::replace(&mut client.is_back, true) {
                self.report.first.push(after);
            }
            if self.server.last(id) >= backlog {
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
            if let Some((delivery, result)) = client.in_flight
                && result.is_ok_and(|answer| answer.status().is_success())
            {
                report.unanswered += delivery.len() as u64;
            }
            report.add(client.handle.stats(), client.tracked);
        }
        report.close(server)
    }
}
