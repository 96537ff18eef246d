//! Where clients live and who drops them: threads that end, statics, the client's own worker.

use std::{
    cell::RefCell,
    sync::{Arc, LazyLock, Mutex, OnceLock, mpsc},
    thread,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Outcome, Request, Response, TaskGuard, TelemetryClient, TelemetryHandle,
    TransportError,
};

use super::{
    Case, Setting,
    setting::{AMPLE, all_delivered, built, current_thread, multi_thread, park_on, settled},
};
use crate::{status, track};

thread_local! {
    static CLIENT: RefCell<Option<TelemetryClient>> = const { RefCell::new(None) };
    static ON_TOKIO: RefCell<Option<AsyncTelemetryClient>> = const { RefCell::new(None) };
    static GUARD: RefCell<Option<TaskGuard>> = const { RefCell::new(None) };
    static REPORTS: RefCell<Option<Reports>> = const { RefCell::new(None) };
}

/// Tracks when it is dropped.
struct Reports(TelemetryHandle);

impl Drop for Reports {
    fn drop(&mut self) {
        track(&self.0, 1);
        self.0.begin(self.0.event()).finish(Outcome::Success);
    }
}

pub(super) const CASES: [Case; 16] = [
    Case::new("a thread-local client of a thread", |it| {
        let setting = it.clone();
        let ends = thread::spawn(move || keep(setting.client()));
        ends.join().expect("it does not panic");
    })
    .delivers_on_linux(3),
    // Its destructor runs when `main` has returned.
    Case::new("a thread-local client of the main thread", |it| keep(it.client()))
        .delivers_on_linux(3)
        .lives_on(),
    Case::new("a thread-local client in the middle of an attempt", |it| {
        let setting = it.clone();
        let ends = thread::spawn(move || {
            CLIENT.with(|client| *client.borrow_mut() = Some(setting.client_in_attempt()));
        });
        ends.join().expect("it does not panic");
    })
    .silent(),
    Case::new("a thread-local client on tokio of a thread", |it| {
        let (setting, runtime) = (it.clone(), multi_thread());
        let home = runtime.handle().clone();
        let ends = thread::spawn(move || {
            let _runtime = home.enter();
            let client = setting.tokio_client();
            let handle = client.handle();
            track(&handle, 3);
            ON_TOKIO.with(|kept| *kept.borrow_mut() = Some(client));
            handle
        });
        let handle = ends.join().expect("it does not panic");
        runtime.block_on(settled(&handle));
    })
    .delivers(3),
    Case::new("a thread-local client on tokio of a runtime's thread", |it| {
        let (setting, runtime) = (it.clone(), multi_thread());
        let kept = runtime.spawn(async move {
            ON_TOKIO.with(|kept| *kept.borrow_mut() = Some(setting.tokio_client()));
        });
        runtime.block_on(kept).expect("it does not panic");
    }),
    Case::new("a thread-local guard reports when its thread ends", |it| {
        let client = it.client();
        reports_at_the_end(&client.handle());
        all_delivered(&client.stop());
    })
    .delivers(4),
    Case::new("the same on tokio", |it| {
        let runtime = multi_thread();
        let client = runtime.block_on(async { it.tokio_client() });
        reports_at_the_end(&client.handle());
        all_delivered(&park_on(client.stop()));
    })
    .delivers(4),
    Case::new("what the end of the main thread tracks is too late", |it| {
        let client = it.client();
        let handle = client.handle();
        REPORTS.with(|kept| *kept.borrow_mut() = Some(Reports(handle.clone())));
        track(&handle, 1);
        all_delivered(&client.stop());
    })
    .delivers(1),
    Case::new("a client in a OnceLock, used by threads", |it| {
        static CLIENT: OnceLock<TelemetryClient> = OnceLock::new();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| track(&CLIENT.get_or_init(|| it.client()).handle(), 3));
            }
        });
        CLIENT.get().expect("it was made").flush(AMPLE).expect("the server takes them");
    })
    .delivers(12)
    .lives_on(),
    Case::new("a client in a LazyLock, taken out to be stopped", |it| {
        static URL: OnceLock<Setting> = OnceLock::new();
        static CLIENT: LazyLock<Mutex<Option<TelemetryClient>>> =
            LazyLock::new(|| Mutex::new(URL.get().map(Setting::client)));
        URL.get_or_init(|| it.clone());
        let client = CLIENT.lock().expect("nobody panics").take().expect("it was made");
        track(&client.handle(), 3);
        all_delivered(&client.stop());
    })
    .delivers(3),
    Case::new("a client that is dropped on another thread", |it| {
        let client = it.client();
        track(&client.handle(), 3);
        thread::spawn(move || drop(client)).join().expect("it does not panic");
    })
    .delivers(3),
    Case::new("handles outlive their client", |it| {
        let client = it.client();
        let handle = client.handle();
        track(&handle, 3);
        drop(client);
        track(&handle, 4);
        drop(handle.begin(handle.event()));
        let stats = handle.stats();
        assert_eq!((stats.delivered, stats.dropped.closed), (3, 5));
        assert!(stats.is_balanced());
    })
    .delivers(3),
    Case::new("the last share of a client is the transport's, which drops it", |it| {
        let (held, ends) = owned_by_its_worker(it, drop);
        drop(held);
        ends.recv_timeout(AMPLE).expect("the transport returns");
    }),
    Case::new("a client is stopped by its own transport", |it| {
        let (held, ends) = owned_by_its_worker(it, |client| {
            let client = Arc::into_inner(client).expect("it is the last share");
            assert!(client.stop().is_balanced());
        });
        drop(held);
        ends.recv_timeout(AMPLE).expect("the transport returns");
    }),
    Case::new("a client flushes, asks and tracks in its own transport", |it| {
        let (held, ends) = owned_by_its_worker(it, |client| {
            track(&client.handle(), 1);
            client.flush(AMPLE).expect_err("it cannot wait for itself");
            drop(client);
        });
        drop(held);
        ends.recv_timeout(AMPLE).expect("the transport returns");
    }),
    Case::new("a client on tokio is dropped by its own transport", |it| {
        let slot = Arc::new(Mutex::new(None::<AsyncTelemetryClient>));
        let (ended, ends) = mpsc::channel();
        let inner = Arc::clone(&slot);
        let transport = move |_: Request| {
            let own = inner.lock().expect("nobody panics").take();
            drop(own);
            let ended = ended.clone();
            async move {
                let _ = ended.send(());
                Ok::<Response, TransportError>(status(200))
            }
        };
        let runtime = current_thread();
        let client =
            runtime.block_on(async { AsyncTelemetryClient::with_transport(it.brief(), transport) });
        let handle = client.handle();
        *slot.lock().expect("nobody panics") = Some(client);
        track(&handle, 100);
        runtime.block_on(settled(&handle));
        ends.recv_timeout(AMPLE).expect("the transport was called");
    }),
];

fn keep(client: TelemetryClient) {
    track(&client.handle(), 3);
    CLIENT.with(|kept| *kept.borrow_mut() = Some(client));
}

/// Reports four events on a thread, three of them when its thread-local values are dropped.
fn reports_at_the_end(handle: &TelemetryHandle) {
    let handle = handle.clone();
    let ends = thread::spawn(move || {
        // Kept before anything is built: they are dropped in the opposite order, so what building
        // keeps for the thread is gone when they report.
        REPORTS.with(|kept| *kept.borrow_mut() = Some(Reports(handle.clone())));
        GUARD.with(|kept| *kept.borrow_mut() = Some(handle.begin(handle.event())));
        track(&handle, 1);
    });
    ends.join().expect("it does not panic");
}

type Shared = Arc<TelemetryClient>;

/// A client that is sending, with a transport that waits until the returned sender is dropped and
/// then calls `end` with a share of the client, which is the last one. Then the receiver receives.
fn owned_by_its_worker(
    setting: &Setting,
    end: fn(Shared),
) -> (mpsc::Sender<Shared>, mpsc::Receiver<()>) {
    let (shares, share) = mpsc::channel::<Shared>();
    let (ended, ends) = mpsc::channel();
    let share = Mutex::new(share);
    let transport = move |_: Request| {
        let own = share.lock().expect("nobody panics").recv_timeout(AMPLE);
        if let Ok(client) = own {
            end(client);
            let _ = ended.send(());
        }
        Ok(status(200))
    };
    // A client that waited for itself would do so for long.
    let config = built(setting.config().shutdown_timeout(2 * AMPLE));
    let client = Arc::new(TelemetryClient::with_transport(config, transport));
    track(&client.handle(), 100);
    shares.send(client).expect("the transport receives it");
    (shares, ends)
}
