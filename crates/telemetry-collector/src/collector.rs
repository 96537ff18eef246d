//! The running collector.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, mpsc},
    thread::{self, ThreadId},
    time::Duration,
};

use parking_lot::Mutex;
use telemetry_model::{PredictionQuery, PredictionResponse, TaskCompletionEvent};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    Answer, BatchSeen, Fault, FaultSeen, PredictionsSeen, Received, Refusal, Totals, server,
    shared::{Hooks, Shared},
    store::Store,
};

/// The most events held, unless [`CollectorBuilder::max_events`] says otherwise.
const DEFAULT_MAX_EVENTS: usize = 100_000;

/// How long stopping waits for the collector's thread. Only a hook that does not return makes it
/// wait at all.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A running collector: API v1 on 127.0.0.1, served by a thread of its own.
///
/// Every method may be called from any thread, also from one that runs a tokio runtime. Dropping
/// it stops it as [`stop`](Self::stop) does.
///
/// ```
/// let collector = telemetry_collector::Collector::start()?;
/// assert!(collector.url().starts_with("http://127.0.0.1:"));
/// assert_eq!(collector.stop().requests, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "a collector stops when it is dropped"]
pub struct Collector {
    url: String,
    addr: SocketAddr,
    shared: Arc<Shared>,
    thread: ThreadId,
    /// Dropped to stop the thread.
    running: Option<oneshot::Sender<()>>,
    /// Disconnected when the thread has ended.
    ended: Mutex<mpsc::Receiver<()>>,
}

impl Collector {
    /// Starts a collector on a free port that takes events of any instance, with any key or none.
    ///
    /// # Errors
    ///
    /// As for [`CollectorBuilder::start`].
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Starts from the defaults: a free port, any key, any instance, 100,000 events.
    pub fn builder() -> CollectorBuilder {
        CollectorBuilder {
            port: 0,
            api_key: None,
            instance_id: None,
            max_events: DEFAULT_MAX_EVENTS,
            remembered_ids: None,
            faults: Vec::new(),
            hooks: Hooks::default(),
        }
    }

    /// What a client is configured with: `http://127.0.0.1:` and the port, no slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address it listens on.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What has been counted so far. A request is counted before it is answered.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.shared.read(Store::totals)
    }

    /// The events held, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<TaskCompletionEvent> {
        self.shared.read(|store| store.events().cloned().collect())
    }

    /// The last requests, oldest first: at most 1,000, and at most 16 MiB of them.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.shared.read(|store| store.log.to_vec())
    }

    /// Answers one query from the events held, as the endpoint does.
    #[must_use]
    pub fn predict(&self, query: &PredictionQuery) -> PredictionResponse {
        self.shared.predict(query)
    }

    /// Adds to the script: the next requests, to whatever path, get these answers in order. When
    /// the script is at its end, all is as usual again.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        // Collected first: the iterator may call the collector.
        let answers: Vec<_> = answers.into_iter().collect();
        self.shared.update(|store| store.script.extend(answers));
    }

    /// Adds a fault, or an [`Answer`] that every request is to get. A request for which there is a
    /// scripted answer gets that one; else what the fault says that was added first among those
    /// that apply; else all is as usual.
    pub fn fault(&self, fault: impl Into<Fault>) {
        let fault = fault.into();
        self.shared.update(|store| store.faults.add(fault));
    }

    /// Forgets all faults and what is left of the script: from now on, all is as usual. What is
    /// under way goes on.
    pub fn clear_faults(&self) {
        self.shared.update(|store| {
            store.faults.clear();
            store.script.clear();
        });
    }

    /// Whether an event with this id was taken. Events that are forgotten are known for as long as
    /// their ids are: see [`CollectorBuilder::remember_ids`].
    #[must_use]
    pub fn has_taken(&self, event_id: Uuid) -> bool {
        self.shared.read(|store| store.has_taken(&event_id))
    }

    /// Waits until `reached` holds of the totals, at most for `timeout`. Returns whether it does.
    ///
    /// `reached` is called at once and after every change. It may call the collector.
    pub fn wait_for(&self, timeout: Duration, reached: impl FnMut(&Totals) -> bool) -> bool {
        self.shared.wait_for(timeout, reached)
    }

    /// Ends the open connections, answered or not, frees the port, and returns the final totals.
    ///
    /// Waits until that is done. The exception is a hook that is still running: it is waited for
    /// up to 5 seconds, or not at all if it is the caller.
    pub fn stop(mut self) -> Totals {
        self.end();
        self.totals()
    }

    fn end(&mut self) {
        drop(self.running.take());
        if thread::current().id() != self.thread {
            // Nothing is ever sent: the answer is that the other side is gone, or a time-out.
            let _ = self.ended.get_mut().recv_timeout(STOP_TIMEOUT);
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector")
            .field("url", &self.url)
            .field("totals", &self.totals())
            .finish_non_exhaustive()
    }
}

/// How a [`Collector`] is to be.
///
/// The hooks run on the collector's thread, one at a time, before the request is answered; as long
/// as one runs, nothing else is served. One that panics costs its request the answer.
#[must_use = "a builder makes a collector when `start` is called"]
pub struct CollectorBuilder {
    port: u16,
    api_key: Option<String>,
    instance_id: Option<Uuid>,
    max_events: usize,
    remembered_ids: Option<usize>,
    faults: Vec<Fault>,
    hooks: Hooks,
}

impl CollectorBuilder {
    /// The port on 127.0.0.1; 0, the default, is a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The key that reporting events takes. By default, none does.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// The instance whose events are taken. By default, any is.
    pub fn instance_id(mut self, id: Uuid) -> Self {
        self.instance_id = Some(id);
        self
    }

    /// The most events held: the oldest are forgotten first. By default 100,000.
    ///
    /// As many forgotten ones are still known by their id, so that they are not taken again, unless
    /// [`remember_ids`](Self::remember_ids) says otherwise.
    pub fn max_events(mut self, max: usize) -> Self {
        self.max_events = max;
        self
    }

    /// The most forgotten events that are still known by their id. One takes about 50 bytes.
    ///
    /// With as many as a test sends in all, `accepted` is the number of different events that
    /// arrived, whatever was sent twice, and [`Collector::has_taken`] tells which, while few
    /// events are held.
    pub fn remember_ids(mut self, max: usize) -> Self {
        self.remembered_ids = Some(max);
        self
    }

    /// Adds a fault that applies from the first connection on; see [`Collector::fault`].
    pub fn fault(mut self, fault: impl Into<Fault>) -> Self {
        self.faults.push(fault.into());
        self
    }

    /// Is called for each batch whose events were looked at one by one.
    pub fn on_batch(mut self, hook: impl Fn(&BatchSeen) + Send + Sync + 'static) -> Self {
        self.hooks.batch = Some(Box::new(hook));
        self
    }

    /// Is called for each predictions request that was answered.
    pub fn on_predictions(
        mut self,
        hook: impl Fn(&PredictionsSeen) + Send + Sync + 'static,
    ) -> Self {
        self.hooks.predictions = Some(Box::new(hook));
        self
    }

    /// Is called for each request for which the answer is not a 2xx.
    pub fn on_refusal(mut self, hook: impl Fn(&Refusal) + Send + Sync + 'static) -> Self {
        self.hooks.refusal = Some(Box::new(hook));
        self
    }

    /// Is called for each request that arrived in full, before any other hook.
    pub fn on_request(mut self, hook: impl Fn(&Received) + Send + Sync + 'static) -> Self {
        self.hooks.request = Some(Box::new(hook));
        self
    }

    /// Is called for each request and each connection for which a script or a fault changes
    /// something.
    pub fn on_fault(mut self, hook: impl Fn(&FaultSeen) + Send + Sync + 'static) -> Self {
        self.hooks.fault = Some(Box::new(hook));
        self
    }

    /// Starts the collector; when this returns, it listens.
    ///
    /// # Errors
    ///
    /// The port is in use or not permitted, or there is no room for a socket or a thread.
    pub fn start(self) -> io::Result<Collector> {
        let Self { port, api_key, instance_id, max_events, remembered_ids, faults, hooks } = self;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let mut store = Store::new(max_events, remembered_ids.unwrap_or(max_events));
        faults.into_iter().for_each(|fault| store.faults.add(fault));
        let shared = Arc::new(Shared::new(api_key, instance_id, hooks, store));

        let (running, stopped) = oneshot::channel();
        let (started, starting) = mpsc::sync_channel(1);
        let (alive, ended) = mpsc::sync_channel(0);
        let thread = thread::Builder::new().name("telemetry-collector".into()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                let _alive = alive;
                server::run(listener, shared, &started, stopped);
            }
        })?;
        starting.recv().map_err(|_| io::Error::other("the collector's thread died"))??;
        Ok(Collector {
            url: format!("http://{addr}"),
            addr,
            shared,
            thread: thread.thread().id(),
            running: Some(running),
            ended: Mutex::new(ended),
        })
    }
}

impl fmt::Debug for CollectorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectorBuilder")
            .field("port", &self.port)
            .field("api_key", &self.api_key.as_ref().map(|_| "…"))
            .field("instance_id", &self.instance_id)
            .field("max_events", &self.max_events)
            .field("remembered_ids", &self.remembered_ids)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}
