//! Runtimes: none, each kind, several, and runtimes that end before the client.

use std::{future::pending, sync::mpsc, thread};

use mosaicstack_telemetry::{
    AsyncTelemetryClient,
    transport::{Request, Response, TransportError},
};
use telemetry_tests::track;
use tokio::{
    runtime::{Builder, Runtime},
    task,
};

use crate::{
    Case, case,
    support::{
        BRIEF, FOREVER, Server, all_delivered, all_pending, current_thread, elsewhere,
        multi_thread, query,
    },
};

type Start = fn() -> Runtime;

const RUNTIMES: [Start; 2] = [current_thread, multi_thread];

/// Ways in which a runtime ends.
const ENDS: [(Start, fn(Runtime)); 5] = [
    (current_thread, drop),
    (multi_thread, drop),
    (multi_thread, |runtime| runtime.shutdown_timeout(BRIEF)),
    (current_thread, Runtime::shutdown_background),
    (multi_thread, Runtime::shutdown_background),
];

pub(crate) fn cases() -> Vec<Case> {
    let without_timers = case("async_client_on_a_runtime_without_timers_keeps_events", |server| {
        let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
        let client = runtime.block_on(async {
            let client = server.async_client(3);
            task::yield_now().await;
            client
        });
        gives_up(client);
    });
    vec![
        // tokio panics; the client catches it, after the panic hook has printed.
        Case { prints: Some("timers are disabled"), ..without_timers },
        case("client_in_any_context_delivers", |server| {
            let (first, second, runtime) = (server.clone(), server.clone(), multi_thread());
            use_client(server);
            current_thread().block_on(async { use_client(server) });
            let task = runtime.spawn(async move { use_client(&first) });
            runtime.block_on(task).expect("no panic");
            let task = runtime.spawn_blocking(move || use_client(&second));
            runtime.block_on(task).expect("no panic");
        })
        .delivers(12),
        case("client_dropped_in_another_context_delivers", |server| {
            drop(current_thread().block_on(async { server.client(3) }));
            let client = server.client(3);
            multi_thread().block_on(async { drop(client) });
            let client = server.client(3);
            thread::spawn(|| drop(client)).join().expect("no panic");
            let client = server.client(3);
            multi_thread().spawn(async { keep_until_dropped(client).await });
        })
        .delivers(12),
        case("async_client_on_each_runtime_delivers", |server| {
            for runtime in RUNTIMES {
                runtime().block_on(async {
                    let client = server.async_client(3);
                    client.flush(FOREVER).await.expect("the server accepts");
                    client.predictions().get(&query()).await.expect("the server answers");
                    // Blocks this thread: it must not need the runtime.
                    use_client(server);
                    all_delivered(&client.stop().await);
                });
            }
        })
        .delivers(12),
        case("async_client_started_outside_a_runtime_keeps_events", |server| {
            gives_up(server.async_client(3));
            let client = server.async_client(3);
            let handle = client.handle();
            multi_thread().block_on(async { drop(client) });
            all_pending(&handle.stats());
        }),
        case("async_client_used_on_other_runtimes_delivers", |server| {
            let (home, other) = (multi_thread(), multi_thread());
            let client = home.block_on(async { server.async_client(3) });
            let moved = async move { client.flush(FOREVER).await.map(|()| client) };
            let client = other.block_on(other.spawn(moved)).expect("no panic");
            let client = client.expect("the server accepts");
            drop(other);
            track(&client.handle(), 4);
            all_delivered(&elsewhere(client.stop()));
        })
        .delivers(7),
        case("async_client_on_a_runtime_at_rest_stops_at_its_deadline", |server| {
            let home = current_thread();
            let client = home.block_on(async { AsyncTelemetryClient::start(server.brief()) });
            track(&client.handle(), 3);
            all_pending(&elsewhere(client.stop()));
        }),
        case("async_client_idle_when_its_runtime_ends_keeps_events", |server| {
            for (runtime, end) in ENDS {
                let runtime = runtime();
                let client = runtime.block_on(async {
                    let client = server.async_client(0);
                    task::yield_now().await;
                    client
                });
                end(runtime);
                track(&client.handle(), 3);
                elsewhere(client.predictions().get(&query()))
                    .expect("requests run where they are awaited");
                gives_up(client);
            }
        }),
        case("async_client_sending_when_its_runtime_ends_keeps_events", |server| {
            for (runtime, end) in ENDS {
                let runtime = runtime();
                let client = runtime.block_on(server.sending_async_client());
                end(runtime);
                gives_up(client);
            }
        })
        .silent(),
        case("async_client_dropped_by_a_runtime_that_ends_is_balanced", |server| {
            let runtime = multi_thread();
            let client = runtime.block_on(async { server.async_client(3) });
            let (handle, (alive, ended)) = (client.handle(), mpsc::channel::<()>());
            runtime.spawn(async { keep_until_dropped((client, alive)).await });
            drop(runtime);
            ended.recv_timeout(FOREVER).expect_err("it is dropped");
            assert!(handle.stats().is_balanced());
        })
        .delivers(None),
        case("async_stop_elsewhere_returns_when_the_clients_runtime_ends", |server| {
            let runtime = multi_thread();
            let client = runtime.block_on(server.sending_async_client());
            let stopping = thread::spawn(move || elsewhere(client.stop()));
            runtime.shutdown_background();
            all_pending(&stopping.join().expect("no panic"));
        })
        .silent(),
        case("async_calls_awaited_on_a_runtime_that_ends_return", |server| {
            RUNTIMES.into_iter().for_each(|runtime| runtime_ends_during_calls(server, runtime()));
        }),
    ]
}

fn use_client(server: &Server) {
    let client = server.client(3);
    client.flush(FOREVER).expect("the server accepts");
    let predictions = client.predictions().clone();
    all_delivered(&client.stop());
    predictions.get(&query()).expect("predictions outlive their client");
}

/// Without a worker, calls return at once, however far their deadline is.
fn gives_up(client: AsyncTelemetryClient) {
    elsewhere(client.flush(FOREVER)).expect_err("there is no worker task");
    all_pending(&elsewhere(client.stop()));
}

async fn keep_until_dropped<T>(value: T) {
    pending::<()>().await;
    drop(value);
}

fn runtime_ends_during_calls(server: &Server, runtime: Runtime) {
    // hyper's timers panic when the runtime ends, so this transport uses none.
    let silent = |_: Request| pending::<Result<Response, TransportError>>();
    let client =
        runtime.block_on(async { AsyncTelemetryClient::with_transport(server.brief(), silent) });
    track(&client.handle(), 100);
    let (predictions, asks, home) =
        (client.predictions().clone(), runtime.handle().clone(), runtime.handle().clone());
    let asking = thread::spawn(move || asks.block_on(async { predictions.get(&query()).await }));
    let stopping = thread::spawn(move || {
        home.block_on(async {
            client.flush(FOREVER).await.expect_err("the transport never answers");
            client.stop().await
        })
    });
    runtime.shutdown_background();
    all_pending(&stopping.join().expect("no panic"));
    asking.join().expect("no panic").expect_err("the transport never answers");
}
