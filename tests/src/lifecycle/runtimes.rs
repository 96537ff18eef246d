//! Runtimes: none, of each kind, several, and such that end first.

use std::{sync::mpsc, thread};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Request, Response, TelemetryClient, TransportError,
};
use tokio::runtime::{Builder, Runtime};

use super::{
    Case, Setting,
    setting::{
        AMPLE, BRIEF, all_delivered, all_pending, current_thread, multi_thread, park_on, query,
        settled,
    },
};
use crate::track;

const NO_TIMERS: &str = "timers are disabled";

pub(super) const CASES: [Case; 32] = [
    Case::new("blocking, no runtime", blocking).delivers(3),
    Case::new("blocking, within a current-thread runtime", |it| {
        current_thread().block_on(async { blocking(it) });
    })
    .delivers(3),
    Case::new("blocking, within a task of a multi-thread runtime", |it| {
        let (it, runtime) = (it.clone(), multi_thread());
        runtime.block_on(runtime.spawn(async move { blocking(&it) })).expect("it does not panic");
    })
    .delivers(3),
    Case::new("blocking, within spawn_blocking", |it| {
        let (it, runtime) = (it.clone(), current_thread());
        let task = runtime.spawn_blocking(move || blocking(&it));
        runtime.block_on(task).expect("it does not panic");
    })
    .delivers(3),
    Case::new("blocking, made within a runtime and dropped outside", |it| {
        let client = current_thread().block_on(async { tracked(it.client()) });
        drop(client);
    })
    .delivers(3),
    Case::new("blocking, made outside and dropped within a runtime", |it| {
        let client = tracked(it.client());
        multi_thread().block_on(async { drop(client) });
    })
    .delivers(3),
    Case::new("blocking, dropped by a runtime that ends", |it| {
        let (client, runtime) = (tracked(it.client()), multi_thread());
        runtime.spawn(async move {
            let _client = client;
            std::future::pending::<()>().await;
        });
    })
    .delivers(3),
    Case::new("tokio, no runtime", |it| {
        let client = tracked_on_tokio(it.tokio_client());
        park_on(client.flush(AMPLE)).expect_err("nobody sends");
        park_on(client.predict(&query())).expect_err("nobody asks");
        all_pending(&park_on(client.stop()));
    }),
    Case::new("tokio, on a current-thread runtime", |it| on_tokio(it, &current_thread()))
        .delivers(3),
    Case::new("tokio, on a multi-thread runtime", |it| on_tokio(it, &multi_thread())).delivers(3),
    Case::new("tokio, made on a current-thread runtime and dropped outside", |it| {
        dropped_outside(it, &current_thread());
    })
    .delivers(3),
    Case::new("tokio, made on a multi-thread runtime and dropped outside", |it| {
        dropped_outside(it, &multi_thread());
    })
    .delivers(3),
    Case::new("tokio, made outside and dropped within a runtime", |it| {
        let client = tracked_on_tokio(it.tokio_client());
        let handle = client.handle();
        multi_thread().block_on(async { drop(client) });
        all_pending(&handle.stats());
    }),
    Case::new("tokio, stopped on another runtime", |it| {
        let (home, other) = (multi_thread(), current_thread());
        let client = home.block_on(async { it.tokio_client() });
        track(&client.handle(), 3);
        other.block_on(client.flush(AMPLE)).expect("the server takes them");
        all_delivered(&other.block_on(client.stop()));
    })
    .delivers(3),
    Case::new("tokio, moved between runtimes and back", |it| {
        let (home, other) = (multi_thread(), multi_thread());
        let client = home.block_on(async { it.tokio_client() });
        let moved = async move {
            track(&client.handle(), 3);
            client.flush(AMPLE).await.map(|()| client)
        };
        let client = other.block_on(other.spawn(moved)).expect("it does not panic");
        let client = client.expect("the server takes them");
        drop(other);
        track(&client.handle(), 4);
        all_delivered(&home.block_on(client.stop()));
    })
    .delivers(7),
    Case::new("tokio, stopped beside a runtime that stands still", |it| {
        let home = current_thread();
        let client = home.block_on(async { AsyncTelemetryClient::start(it.brief()) });
        track(&client.handle(), 3);
        all_pending(&multi_thread().block_on(client.stop()));
    }),
    Case::new("tokio, the current-thread runtime is dropped first", |it| {
        let runtime = current_thread();
        first(it, runtime, drop);
    }),
    Case::new("tokio, the multi-thread runtime is dropped first", |it| {
        first(it, multi_thread(), drop);
    }),
    Case::new("tokio, shutdown_timeout first", |it| {
        first(it, multi_thread(), |runtime| runtime.shutdown_timeout(BRIEF));
    }),
    Case::new("tokio, shutdown_background of a current-thread runtime first", |it| {
        first(it, current_thread(), Runtime::shutdown_background);
    }),
    Case::new("tokio, shutdown_background of a multi-thread runtime first", |it| {
        first(it, multi_thread(), Runtime::shutdown_background);
    }),
    Case::new("tokio, the runtime is dropped in the middle of an attempt", |it| {
        in_attempt(it, current_thread(), drop);
    })
    .silent(),
    Case::new("tokio, shutdown_timeout in the middle of an attempt", |it| {
        in_attempt(it, multi_thread(), |runtime| runtime.shutdown_timeout(BRIEF));
    })
    .silent(),
    Case::new("tokio, shutdown_background in the middle of an attempt", |it| {
        in_attempt(it, multi_thread(), Runtime::shutdown_background);
    })
    .silent(),
    Case::new("tokio, dropped by a runtime that ends", |it| {
        let runtime = multi_thread();
        let client = tracked_on_tokio(runtime.block_on(async { it.tokio_client() }));
        let (handle, (alive, ended)) = (client.handle(), mpsc::channel::<()>());
        runtime.spawn(async move {
            let _held = (client, alive);
            std::future::pending::<()>().await;
        });
        drop(runtime);
        ended.recv_timeout(AMPLE).expect_err("it is dropped");
        assert!(handle.stats().is_balanced());
    })
    .delivers_any(),
    Case::new("tokio, the runtime ends beside a stop elsewhere", |it| {
        let runtime = multi_thread();
        let client = runtime.block_on(it.tokio_client_in_attempt());
        let stopping = thread::spawn(move || park_on(client.stop()));
        runtime.shutdown_background();
        all_pending(&stopping.join().expect("it does not panic"));
    })
    .silent(),
    Case::new("tokio, a current-thread runtime ends beside those who wait on it", |it| {
        ends_beside(it, current_thread());
    }),
    Case::new("tokio, a multi-thread runtime ends beside those who wait on it", |it| {
        ends_beside(it, multi_thread());
    }),
    Case::new("tokio, predictions on a runtime that has ended", |it| {
        let runtime = multi_thread();
        let predictor = runtime.block_on(async { it.tokio_client() }).predictor();
        drop(runtime);
        park_on(predictor.refresh(&[query()])).expect_err("nobody asks");
    }),
    Case::new("tokio, a runtime without timers", |it| {
        let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
        runtime.block_on(async {
            let client = tracked_on_tokio(it.tokio_client());
            client.flush(AMPLE).await.expect_err("there is no task");
            all_pending(&client.stop().await);
        });
    })
    .says(NO_TIMERS),
    Case::new("both clients beside each other on one runtime", |it| {
        current_thread().block_on(async {
            let (blocking, tokio) = (it.client(), it.tokio_client());
            track(&blocking.handle(), 2);
            track(&tokio.handle(), 3);
            all_delivered(&blocking.stop());
            all_delivered(&tokio.stop().await);
        });
    })
    .delivers(5),
    Case::new("predictors outlive their clients", |it| {
        let runtime = multi_thread();
        let (blocking, tokio) = runtime.block_on(async { (it.client(), it.tokio_client()) });
        let (asks, awaits) = (blocking.predictor(), tokio.predictor());
        drop((blocking, tokio));
        asks.predict(&query()).expect("the server answers");
        runtime.block_on(awaits.predict(&query())).expect("the server answers");
    }),
];

fn tracked(client: TelemetryClient) -> TelemetryClient {
    track(&client.handle(), 3);
    client
}

fn tracked_on_tokio(client: AsyncTelemetryClient) -> AsyncTelemetryClient {
    track(&client.handle(), 3);
    client
}

fn blocking(setting: &Setting) {
    let client = tracked(setting.client());
    client.flush(AMPLE).expect("the server takes them");
    client.predict(&query()).expect("the server answers");
    all_delivered(&client.stop());
}

fn on_tokio(setting: &Setting, runtime: &Runtime) {
    runtime.block_on(async {
        let client = tracked_on_tokio(setting.tokio_client());
        client.flush(AMPLE).await.expect("the server takes them");
        client.predict(&query()).await.expect("the server answers");
        all_delivered(&client.stop().await);
    });
}

fn dropped_outside(setting: &Setting, runtime: &Runtime) {
    let client = tracked_on_tokio(runtime.block_on(async { setting.tokio_client() }));
    let handle = client.handle();
    drop(client);
    // The drain goes on for as long as the runtime lives.
    runtime.block_on(settled(&handle));
    all_delivered(&handle.stats());
}

/// The runtime ends before the client, which is idle.
fn first(setting: &Setting, runtime: Runtime, end: impl FnOnce(Runtime)) {
    let client = runtime.block_on(async {
        let client = setting.tokio_client();
        tokio::task::yield_now().await;
        client
    });
    end(runtime);
    let client = tracked_on_tokio(client);
    park_on(client.flush(AMPLE)).expect_err("nobody sends");
    all_pending(&park_on(client.stop()));
}

/// The same, but the client is sending.
fn in_attempt(setting: &Setting, runtime: Runtime, end: impl FnOnce(Runtime)) {
    let client = runtime.block_on(setting.tokio_client_in_attempt());
    end(runtime);
    park_on(client.flush(AMPLE)).expect_err("nobody sends");
    all_pending(&park_on(client.stop()));
}

/// The runtime ends while threads that are on it by a handle wait for the client.
fn ends_beside(setting: &Setting, runtime: Runtime) {
    // A transport that needs nothing of the runtime: hyper's timers panic when it ends.
    let silent = |_: Request| std::future::pending::<Result<Response, TransportError>>();
    let client =
        runtime.block_on(async { AsyncTelemetryClient::with_transport(setting.brief(), silent) });
    track(&client.handle(), 100);
    let (predictor, home) = (client.predictor(), runtime.handle().clone());
    let asking = {
        let home = home.clone();
        thread::spawn(move || home.block_on(async { predictor.predict(&query()).await }))
    };
    let stopping = thread::spawn(move || {
        home.block_on(async {
            client.flush(AMPLE).await.expect_err("nobody answers");
            client.stop().await
        })
    });
    runtime.shutdown_background();
    all_pending(&stopping.join().expect("it does not panic"));
    asking.join().expect("it does not panic").expect_err("nobody answers");
}
