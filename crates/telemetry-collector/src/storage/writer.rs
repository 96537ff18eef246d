//! The thread that writes to a database, and its group commit.

use std::{
    io,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use telemetry_model::TaskCompletionEvent;
use tokio::sync::oneshot;

use super::{
    Database, StorageError, StoredCounts,
    views::{Rejection, UnixMillis},
};

/// The events from which on no more batches join a group.
const MAX_GROUP: usize = 1_000;

/// The longest time between two steps of maintenance.
const INTERVAL: Duration = Duration::from_secs(10);

/// A database with its writer.
pub(crate) struct Stored {
    pub(crate) database: Arc<dyn Database>,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    waiting: Mutex<Option<mpsc::Receiver<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The events of a batch, and whether each was new.
pub(crate) type Inserted = (Vec<TaskCompletionEvent>, Vec<bool>);

struct Job {
    events: Vec<TaskCompletionEvent>,
    rejections: Vec<Rejection>,
    done: oneshot::Sender<Result<Inserted, StorageError>>,
}

/// The calls of the writer's thread.
pub(crate) trait WriterEvents: Send + 'static {
    /// The number of events has changed.
    fn counted(&self, counts: StoredCounts);

    /// Maintenance failed, for another reason than before.
    fn failed(&self, error: &StorageError);
}

impl Stored {
    pub(crate) fn new(database: Arc<dyn Database>) -> Self {
        let (jobs, waiting) = mpsc::channel();
        Self {
            database,
            jobs: Mutex::new(Some(jobs)),
            waiting: Mutex::new(Some(waiting)),
            thread: Mutex::default(),
        }
    }

    /// Starts the thread. Has no effect the second time.
    pub(crate) fn start(&self, events: impl WriterEvents) -> io::Result<()> {
        let Some(waiting) = self.waiting.lock().take() else { return Ok(()) };
        let database = Arc::clone(&self.database);
        let thread = thread::Builder::new()
            .name("telemetry-store".into())
            .spawn(move || run(&*database, &waiting, &events))?;
        *self.thread.lock() = Some(thread);
        Ok(())
    }

    /// Stores a batch, together with others that wait. It is durable when this returns.
    pub(crate) async fn insert(
        &self,
        events: Vec<TaskCompletionEvent>,
        rejections: Vec<Rejection>,
    ) -> Result<Inserted, StorageError> {
        let stopped = || StorageError("the store is closed".into());
        let (done, result) = oneshot::channel();
        let job = Job { events, rejections, done };
        let jobs = self.jobs.lock().clone().ok_or_else(stopped)?;
        jobs.send(job).map_err(|_| stopped())?;
        drop(jobs);
        result.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Waits until the batches that were passed to it are stored, and ends the thread.
    pub(crate) fn stop(&self) {
        drop(self.jobs.lock().take());
        if let Some(thread) = self.thread.lock().take() {
            // It has reported its panic, if there was one.
            let _ = thread.join();
        }
    }
}

/// Stores jobs until no more can come.
fn run(database: &dyn Database, waiting: &mpsc::Receiver<Job>, events: &impl WriterEvents) {
    let mut last_error = None;
    let mut has_more = true;
    loop {
        let timeout = if has_more { Duration::ZERO } else { INTERVAL };
        match waiting.recv_timeout(timeout) {
            Ok(job) => store(database, group(job, waiting)),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
        // After the receipts, and one short step at a time.
        let step = database.maintain(now());
        events.counted(database.counts());
        has_more = matches!(step, Ok(true));
        let error = step.err();
        if error != last_error {
            if let Some(error) = &error {
                events.failed(error);
            }
            last_error = error;
        }
    }
}

/// A job, and those that wait behind it.
fn group(first: Job, waiting: &mpsc::Receiver<Job>) -> Vec<Job> {
    let mut events = first.events.len();
    let mut jobs = vec![first];
    while events < MAX_GROUP
        && let Ok(job) = waiting.try_recv()
    {
        events += job.events.len();
        jobs.push(job);
    }
    jobs
}

/// Stores a group in one transaction and answers each of its jobs.
fn store(database: &dyn Database, jobs: Vec<Job>) {
    let received = now();
    let (mut events, mut rejections, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    for mut job in jobs {
        answers.push((job.done, job.events.len()));
        events.append(&mut job.events);
        job.rejections.iter_mut().for_each(|rejection| rejection.received = received);
        rejections.append(&mut job.rejections);
    }
    match database.insert(&events, &rejections, received) {
        Ok(are_new) => {
            let (mut events, mut are_new) = (events.into_iter(), are_new.into_iter());
            for (done, count) in answers {
                let inserted =
                    (events.by_ref().take(count).collect(), are_new.by_ref().take(count).collect());
                // The connection may have ended. Then the client sends the batch again.
                let _ = done.send(Ok(inserted));
            }
        }
        Err(error) => {
            for (done, _) in answers {
                let _ = done.send(Err(error.clone()));
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the time of receipt is that of the real clock")]
fn now() -> UnixMillis {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
