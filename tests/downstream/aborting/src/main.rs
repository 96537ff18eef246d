//! A program built with `panic = "abort"`, in which a caught panic would end the process as well.
//!
//! Without arguments it runs each case in a child process, and fails if one does not end as expected.
//! `aborting CASE` runs one.

use std::{
    env,
    error::Error,
    future, panic,
    process::{self, Command, ExitCode, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Complexity, PredictionQuery, Provider, TaskType, TelemetryClient,
    TelemetryConfig,
    transport::{Request, Response, TransportError},
};
use tokio::runtime::{Builder, Runtime};

/// Each case, and whether it is expected to abort.
const CASES: [(&str, fn(), bool); 7] = [
    ("events_are_delivered", events_are_delivered, false),
    ("events_are_delivered_on_tokio", events_are_delivered_on_tokio, false),
    ("client_without_runtime", client_without_runtime, false),
    ("runtime_ends_before_client", runtime_ends_before_client, false),
    ("runtime_ends_while_calls_wait", runtime_ends_while_calls_wait, false),
    ("transport_panics", transport_panics, true),
    ("panic_hook_delivers", panic_hook_delivers, false),
];

/// A case that takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(60);

const BRIEF: Duration = Duration::from_millis(50);

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if !cfg!(panic = "abort") {
        return Err("not built with `panic = \"abort\"`: use `--profile aborting`".into());
    }
    if let Some(name) = env::args().nth(1) {
        let (_, case, _) = CASES.iter().find(|(it, ..)| *it == name).ok_or("no such case")?;
        let (done, result) = mpsc::channel();
        thread::spawn(move || {
            case();
            done.send(())
        });
        result.recv_timeout(TIMEOUT)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut code = ExitCode::SUCCESS;
    for (name, _, aborts) in CASES {
        let mut child = Command::new(env::current_exe()?);
        let status = child.arg(name).stdin(Stdio::null()).stderr(Stdio::null()).status()?;
        // An aborted process is ended by a signal on Unix; 1 is the exit code of an error.
        let aborted = !matches!(status.code(), Some(0 | 1));
        let is_expected = if aborts { aborted } else { status.success() };
        println!("{name}: {status}{}", if is_expected { "" } else { ", which is not expected" });
        if !is_expected {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn config(shutdown_timeout: Duration) -> TelemetryConfig {
    TelemetryConfig::builder()
        .server_url("https://gateway.example.com")
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc")
        .shutdown_timeout(shutdown_timeout)
        .build()
        .expect("the configuration is valid")
}

fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread(), Builder::new_multi_thread()]
        .map(|mut builder| builder.enable_all().build().expect("the runtime starts"))
}

async fn accepting(_: Request) -> Result<Response, TransportError> {
    Ok(Response::default())
}

async fn silent(_: Request) -> Result<Response, TransportError> {
    future::pending().await
}

fn events_are_delivered() {
    // Every other attempt fails, so that events are retried.
    let fails = AtomicBool::new(true);
    let transport = move |_: Request| match fails.fetch_not(Ordering::Relaxed) {
        true => Err(TransportError::network("connection reset")),
        false => Ok(Response::default()),
    };
    let client = TelemetryClient::with_transport(config(TIMEOUT), transport);
    for _ in 0..250 {
        client.track(client.event().build());
    }
    client.flush(TIMEOUT).expect("the second attempt succeeds");
    assert_eq!(client.stop().delivered, 250);
}

fn events_are_delivered_on_tokio() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let client = AsyncTelemetryClient::with_transport(config(TIMEOUT), accepting);
            for _ in 0..250 {
                client.track(client.event().build());
            }
            client.flush(TIMEOUT).await.expect("the transport accepts every batch");
            assert_eq!(client.stop().await.delivered, 250);
        });
    }
}

fn client_without_runtime() {
    let client = AsyncTelemetryClient::with_transport(config(TIMEOUT), accepting);
    client.track(client.event().build());
    let [runtime, _] = runtimes();
    runtime.block_on(stop_undelivered(client));
}

fn runtime_ends_before_client() {
    for runtime in runtimes() {
        let client = runtime
            .block_on(async { AsyncTelemetryClient::with_transport(config(TIMEOUT), accepting) });
        drop(runtime);
        client.track(client.event().build());
        let [other, _] = runtimes();
        other.block_on(stop_undelivered(client));
    }
}

/// The calls return, though no task delivers events.
async fn stop_undelivered(client: AsyncTelemetryClient) {
    client.flush(TIMEOUT).await.expect_err("there is no task");
    assert_eq!(client.stop().await.pending, 1);
}

fn runtime_ends_while_calls_wait() {
    for runtime in runtimes() {
        let client =
            runtime.block_on(async { AsyncTelemetryClient::with_transport(config(BRIEF), silent) });
        let (handle, predictions) = (runtime.handle().clone(), client.predictions().clone());
        let query = PredictionQuery::new(TaskType::Testing, "m", Provider::Ollama, Complexity::Low);
        let lookup = thread::spawn({
            let handle = handle.clone();
            move || handle.block_on(predictions.get(&query)).map(drop)
        });
        let stop = thread::spawn(move || {
            client.track(client.event().build());
            handle.block_on(async {
                client.flush(TIMEOUT).await.expect_err("the server is silent");
                client.stop().await
            })
        });
        runtime.shutdown_background();
        lookup.join().expect("no panic").expect_err("the server is silent");
        assert_eq!(stop.join().expect("no panic").delivered, 0);
    }
}

fn transport_panics() {
    let transport = |_: Request| -> Result<Response, TransportError> { panic!("a bug") };
    let client = TelemetryClient::with_transport(config(TIMEOUT), transport);
    client.track(client.event().build());
    client.stop();
}

/// A panic drops nothing, but its hook runs.
fn panic_hook_delivers() {
    let transport = |_: Request| Ok::<_, TransportError>(Response::default());
    let client = TelemetryClient::with_transport(config(TIMEOUT), transport);
    client.track(client.event().build());
    let handle = client.handle();
    panic::set_hook(Box::new(move |_| {
        let stats = handle.shutdown(TIMEOUT);
        process::exit(i32::from(stats.delivered != 1));
    }));
    panic!("a bug");
}
