//! A store behind the endpoints: receipts, restarts, faults and full disks.

use std::sync::{Arc, Mutex};

use serde_json::json;
use telemetry_collector::{
    Collector, CollectorBuilder, EVENTS_PATH, FaultRule, ResponseTemplate, Totals,
};
use telemetry_model::{
    Complexity, EventBuilder, PredictionQuery, Provider, TaskCompletionEvent, TaskType, Tokens,
    time::OffsetDateTime,
};
use uuid::Uuid;

use crate::client::{Client, EVENTS, INSTANCE, TIMEOUT, batch, event, ids, report};
#[cfg(all(feature = "postgres", unix))]
use crate::cluster::{Cluster, cluster};

/// A store for one test.
pub(crate) enum Place {
    #[cfg(feature = "sqlite")]
    File(Folder),
    #[cfg(all(feature = "postgres", unix))]
    Database(&'static Cluster, String),
}

/// A folder, removed at the end.
#[cfg(feature = "sqlite")]
pub(crate) struct Folder(std::path::PathBuf);

#[cfg(feature = "sqlite")]
impl Folder {
    pub(crate) fn new() -> Self {
        use std::{env, fs, process, sync::atomic::AtomicU32};

        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = env::temp_dir().join(format!("telemetry-store-{}-{number}", process::id()));
        fs::create_dir(&path).expect("the folder is new");
        Self(path)
    }

    pub(crate) fn file(&self) -> std::path::PathBuf {
        self.0.join("events.db")
    }
}

#[cfg(feature = "sqlite")]
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Place {
    /// A new store of each kind that this machine has.
    pub(crate) fn all() -> Vec<Self> {
        let places = [
            #[cfg(feature = "sqlite")]
            Some(Self::File(Folder::new())),
            #[cfg(all(feature = "postgres", unix))]
            cluster().map(|cluster| Self::Database(cluster, cluster.database())),
        ];
        places.into_iter().flatten().collect()
    }

    /// The option of the program.
    #[cfg(feature = "cli")]
    pub(crate) fn option(&self) -> String {
        match self {
            #[cfg(feature = "sqlite")]
            Self::File(folder) => folder.file().to_str().expect("the path is text").to_owned(),
            #[cfg(all(feature = "postgres", unix))]
            Self::Database(cluster, name) => cluster.url(name),
        }
    }

    pub(crate) fn builder(&self) -> CollectorBuilder {
        match self {
            #[cfg(feature = "sqlite")]
            Self::File(folder) => Collector::builder().store(folder.file()),
            #[cfg(all(feature = "postgres", unix))]
            Self::Database(cluster, name) => Collector::builder().postgres(cluster.url(name)),
        }
    }

    pub(crate) fn start(&self) -> Collector {
        self.builder().start().expect("the store can be opened")
    }

    /// Waits until a collector that was killed has no effect any more: a server may be carrying out its last
    /// statement.
    #[cfg(feature = "cli")]
    pub(crate) fn settle(&self) {
        match self {
            #[cfg(feature = "sqlite")]
            Self::File(_) => {}
            #[cfg(all(feature = "postgres", unix))]
            Self::Database(cluster, name) => {
                let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                              AND pid <> pg_backend_pid()";
                while cluster.execute(name, others) != "0" {}
            }
        }
    }
}

pub(crate) fn task(number: u64) -> TaskCompletionEvent {
    EventBuilder::new(INSTANCE)
        .event_id(Uuid::from_u128(u128::from(number)))
        .timestamp(OffsetDateTime::UNIX_EPOCH)
        .task_type(TaskType::Planning)
        .model("m")
        .provider(Provider::Anthropic)
        .complexity(Complexity::Low)
        .tokens(Tokens { estimated_in: 10, actual_in: number * number, ..Tokens::default() })
        .duration_ms(number % 7)
        .build()
}

fn query(model: &str) -> PredictionQuery {
    PredictionQuery::new(TaskType::Planning, model, Provider::Anthropic, Complexity::Low)
}

#[test]
fn restarted_collector_has_the_events_and_the_predictions_of_memory() {
    for place in Place::all() {
        let memory = Collector::start().unwrap();
        let mut predictions = Vec::new();
        for (run, numbers) in [1..60, 50..150, 150..151].into_iter().enumerate() {
            let collector = place.start();
            let held = collector.totals().held;
            assert_eq!(collector.events(), memory.events());
            assert_eq!(held, memory.totals().held);
            for collector in [&collector, &memory] {
                let receipt = report(collector, numbers.clone().map(task)).json();
                assert_eq!(receipt["accepted"], numbers.clone().count());
            }
            let totals = collector.totals();
            assert_eq!(totals.duplicates, [0, 10, 0][run], "recognized after a restart");
            assert_eq!((totals.accepted + held, totals.evicted), (totals.held, 0));
            for query in [query("m"), query("other")] {
                let body = json!({ "queries": [query] }).to_string();
                let answers = [&collector, &memory].map(|collector| {
                    let path = "POST /v1/predictions/batch";
                    let response = Client::new(collector).request(path, body.as_bytes());
                    assert_eq!(response.status, 200);
                    assert_eq!(response.json()["results"][0], json!(collector.predict(&query)));
                    response.body
                });
                assert_eq!(answers[0], answers[1], "to the digit");
                predictions.push(answers);
            }
            assert!(collector.has_accepted(Uuid::from_u128(1)));
            assert!(!collector.has_accepted(Uuid::from_u128(1_000)));
            collector.stop();
        }
        assert_eq!(predictions.len(), 6);
    }
}

#[test]
fn new_events_are_shown_once_and_rejected_ones_reported() {
    for place in Place::all() {
        let (shown, reports) = (Shared::default(), Shared::default());
        let (on_event, on_batch) = (shown.clone(), reports.clone());
        let collector = place
            .builder()
            .instance_id(INSTANCE)
            .max_events(1)
            .on_event(move |event| on_event.push(event.event_id.as_u128()))
            .on_batch(move |batch| {
                on_batch.push((batch.accepted, batch.duplicates, batch.rejected))
            })
            .start()
            .unwrap();
        let foreign = EventBuilder::new(Uuid::from_u128(7)).event_id(Uuid::from_u128(3)).build();
        let response = report(&collector, [event(1), event(2), foreign, event(1)]).json();
        let words: Vec<_> =
            response["results"].as_array().unwrap().iter().map(|it| it["status"].clone()).collect();
        assert_eq!(words, ["accepted", "accepted", "rejected", "accepted"]);
        report(&collector, [event(2), event(4)]);
        report(&collector, []);
        assert_eq!(shown.all(), [1, 2, 4]);
        assert_eq!(reports.all(), [(2, 1, 1), (1, 1, 0), (0, 0, 0)]);
        let totals = collector.totals();
        assert_eq!((totals.received, totals.accepted, totals.duplicates), (6, 3, 2));
        assert_eq!((totals.rejected, totals.held, totals.evicted), (1, 3, 0));
    }
}

/// Values that callbacks add.
#[derive(Clone)]
struct Shared<T>(Arc<Mutex<Vec<T>>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Shared<T> {
    fn push(&self, value: T) {
        self.0.lock().expect("no panic").push(value);
    }

    fn all(&self) -> Vec<T> {
        self.0.lock().expect("no panic").clone()
    }
}

#[test]
fn faults_apply_in_front_of_a_store() {
    for place in Place::all() {
        let collector = place.start();
        collector.script([
            ResponseTemplate::status(503),
            ResponseTemplate::close_after_processing(),
            ResponseTemplate::close(),
        ]);
        assert_eq!(report(&collector, [event(1)]).status, 503);
        for id in [2, 3] {
            let mut client = Client::new(&collector);
            client.post(id);
            assert!(client.receive().is_err());
        }
        assert!(collector.wait_for(TIMEOUT, |totals| totals.requests == 3));
        assert_eq!(ids(&collector), [2]);
        assert_eq!(collector.totals().faulted, 3);

        let busy = ResponseTemplate::status(429).header("retry-after", "1");
        collector.fault(FaultRule::new(busy).path(EVENTS_PATH).skip(1).times(1));
        let statuses = [4, 5, 6].map(|id| report(&collector, [event(id)]).status);
        assert_eq!((statuses, ids(&collector)), ([200, 429, 200], vec![2, 4, 6]));
    }
}

#[test]
fn batch_of_a_client_that_goes_away_is_stored_and_counted() {
    for place in Place::all() {
        let client = Arc::new(Mutex::new(None));
        let gone = Arc::clone(&client);
        // Closes the connection when the request is read, and before it is processed.
        let builder =
            place.builder().on_request(move |_| drop(gone.lock().expect("no panic").take()));
        let collector = builder.start().unwrap();
        for id in 0..20_u32 {
            let mut client = client.lock().unwrap();
            client.insert(Client::new(&collector)).post(u128::from(id));
            drop(client);
            let is_counted = |totals: &Totals| totals.accepted == u64::from(id) + 1;
            assert!(collector.wait_for(TIMEOUT, is_counted), "{:?}", collector.totals());
        }
        collector.stop();
        assert_eq!(place.start().totals().held, 20);
    }
}

#[test]
fn panic_of_a_callback_costs_one_response_and_no_event() {
    for place in Place::all() {
        let collector = place.builder().on_batch(|_| panic!("on purpose")).start().unwrap();
        let mut client = Client::new(&collector);
        client.post(1);
        assert!(client.receive().is_err());
        assert_eq!(Client::new(&collector).request("GET /", b"").status, 200);
        assert_eq!(collector.stop().accepted, 1);
        assert_eq!(ids(&place.start()), [1]);
    }
}

#[test]
fn connections_at_the_same_time_store_each_event_once() {
    for place in Place::all() {
        let collector = place.start();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let collector = &collector;
                scope.spawn(move || {
                    let mut client = Client::new(collector);
                    for round in 0..20 {
                        // Each id from two threads.
                        let id = u128::from(thread / 2_u32) * 1_000 + round;
                        assert_eq!(client.request(EVENTS, &batch([event(id)])).status, 200);
                        assert!(collector.has_accepted(Uuid::from_u128(id)), "before its receipt");
                    }
                });
            }
        });
        let totals = collector.totals();
        assert_eq!((totals.accepted, totals.duplicates, totals.held), (80, 80, 80));
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn store_that_cannot_be_opened_is_an_error_of_the_start() {
    let place = Place::File(Folder::new());
    let collector = place.start();
    let error = place.builder().start().unwrap_err();
    let inner =
        error.get_ref().and_then(|inner| inner.downcast_ref::<telemetry_collector::StorageError>());
    assert!(inner.is_some_and(|it| it.to_string().contains("another process has it open")));
    drop(collector);
    assert_eq!(place.start().totals().held, 0);
}
