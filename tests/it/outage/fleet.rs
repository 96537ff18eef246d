//! A simulation in virtual time: many clients, and one server that fails for an hour.
//!
//! Each client is a real [`Submitter`]; server, network and clock are simulated. All randomness comes
//! from one seed, in whole numbers, so a run is the same on every machine.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    mem,
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
use telemetry_tests::{Random, config, now};
use uuid::Uuid;

use super::{report::Report, server::Server, traffic::Traffic};

/// Period in which the clients start, unless they start at once.
pub(super) const STARTS: Duration = Duration::from_secs(30 * 60);
/// Begin of the outage, from the first start.
pub(super) const FROM: Duration = Duration::from_secs(60 * 60);
/// End of the outage.
pub(super) const UNTIL: Duration = Duration::from_secs(2 * 60 * 60);
/// End of the simulation.
pub(super) const END: Duration = Duration::from_secs(3 * 60 * 60);
/// The wall clock at the first start.
pub(super) const WALL: Duration = Duration::from_secs(1_767_225_600);

/// Clients with the default configuration, and the outage that they meet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fleet {
    pub(super) clients: u32,
    /// All start at the same moment, as after a deployment.
    pub(super) starts_at_once: bool,
    pub(super) outage: Outage,
    pub(super) seed: u64,
}

/// The behavior of a server during an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outage {
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
    /// Events tracked, which is the id of the last one.
    tracked: u64,
    /// `tracked` at the end of the outage, until all of that is delivered.
    backlog: Option<u64>,
    /// The server has accepted a batch since then.
    is_back: bool,
    in_flight: Option<(Delivery, Result<Response, TransportError>)>,
    wakes_at: Duration,
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
    /// Time, a unique number that makes the order total, client, and event.
    agenda: BinaryHeap<Reverse<(Duration, u64, u32, What)>>,
    entries: u64,
    random: Random,
    woken: Arc<AtomicBool>,
    report: Report,
}

impl Fleet {
    /// Runs an hour, the outage of an hour, and an hour.
    pub(super) fn run(self) -> Report {
        let config = config("https://example.com").interval_jitter(true).build();
        let config = config.expect("a configuration");
        let mut random = Random(self.seed);
        // The shortest interval that jitter allows.
        let window = config.submit_interval() * 9 / 10;
        let server = Server::new(self.outage, self.clients, window, Random(random.next_u64()));
        let mut run = Run {
            config,
            zero: now(),
            now: Duration::ZERO,
            clients: (0..self.clients).map(|_| None).collect(),
            server,
            agenda: BinaryHeap::new(),
            entries: 0,
            random,
            woken: Arc::default(),
            report: Report::new(self),
        };
        for client in 0..self.clients {
            let is_spread = !self.starts_at_once;
            let at = if is_spread { run.random.within(STARTS) } else { Duration::ZERO };
            run.plan(at, client, What::Start);
        }
        run.plan(UNTIL, 0, What::OutageEnds);
        while let Some(Reverse((now, _, client, what))) = run.agenda.pop()
            && now < END
        {
            run.now = now;
            match what {
                What::Start => run.start(client),
                What::Task => run.task(client),
                What::Wake if run.client(client).wakes_at == now => run.poll(client),
                What::Wake => {}
                What::Answer => run.answer(client),
                What::OutageEnds => run.end_outage(),
            }
        }
        run.finish()
    }
}

impl Run {
    fn plan(&mut self, at: Duration, client: u32, what: What) {
        self.entries += 1;
        self.agenda.push(Reverse((at, self.entries, client, what)));
    }

    fn client(&mut self, id: u32) -> &mut Client {
        self.clients[id as usize].as_mut().expect("it has started")
    }

    fn start(&mut self, id: u32) {
        let start = Start { now: self.zero + self.now, seed: self.random.next_u64() };
        let woken = Arc::clone(&self.woken);
        let wake = move || woken.store(true, Ordering::Relaxed);
        let (submitter, handle) = Submitter::new(&self.config, start, wake);
        let mut traffic = Traffic::new(id, Random(self.random.next_u64()));
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
        let now = self.now;
        let client = self.client(id);
        client.tracked += 1;
        let event = client
            .handle
            .event()
            .event_id(Uuid::from_u64_pair(id.into(), client.tracked))
            .timestamp(OffsetDateTime::UNIX_EPOCH + WALL + now)
            .model("claude-sonnet-4-5-20250929")
            .build();
        client.handle.track(event);
        let next = now + client.traffic.next();
        self.plan(next, id, What::Task);
        if self.woken.swap(false, Ordering::Relaxed) {
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
                if mem::replace(&mut client.wakes_at, until) != until {
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
        let wall = SystemTime::UNIX_EPOCH + WALL + self.now;
        client.submitter.complete(self.zero + self.now, wall, delivery, result);
        if let Some(backlog) = client.backlog
            && is_accepted
        {
            let after = self.now - UNTIL;
            if !mem::replace(&mut client.is_back, true) {
                self.report.first.push(after);
            }
            if self.server.last(id) >= backlog {
                client.backlog = None;
                self.report.drained.push(after);
            }
        }
        self.poll(id);
    }

    fn end_outage(&mut self) {
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
        report.first.sort_unstable();
        report.drained.sort_unstable();
        report.seen = server.seen;
        report
    }
}
