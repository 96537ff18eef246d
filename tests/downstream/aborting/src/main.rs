//! A program that is built with `panic = "abort"`: whatever panics in it ends it, caught or not.
//!
//! Without arguments it runs each case of [`CASES`] in a process of its own, and exits with 0 if all
//! end as they should. `aborting CASE` runs one.

use std::{
    collections::HashMap,
    env,
    error::Error,
    future,
    process::{Command, ExitCode, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{AsyncTelemetryClient, Complexity, Outcome, PredictionQuery, Provider, TaskType, TelemetryClient, TelemetryConfig, TelemetryHandle, transport::{Request, Response, TransportError}};
use tokio::runtime::{Builder, Handle, Runtime};

type Case = (&'static str, fn(), Ends);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Well,
    /// As a panic ends such a program.
    Aborted,
}

const CASES: [Case; 9] = [
    ("what is tracked is delivered", delivers, Ends::Well),
    ("so it is on tokio", delivers_on_tokio, Ends::Well),
    ("a transport that does not return is not waited for", stuck, Ends::Well),
    ("nor is one on tokio", stuck_on_tokio, Ends::Well),
    ("there is no runtime", no_runtime, Ends::Well),
    ("the runtime is dropped first", runtime_first, Ends::Well),
    ("the runtime ends beside those who wait on it", runtime_ends_beside, Ends::Well),
    ("a panic of the transport ends the program", transport_panics, Ends::Aborted),
    ("a panic of the application ends the program", application_panics, Ends::Aborted),
];

/// After this long, a case hangs.
const AMPLE: Duration = Duration::from_secs(30);

const BRIEF: Duration = Duration::from_millis(50);

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if !cfg!(panic = "abort") {
        return Err("built with another panic strategy, it says nothing".into());
    }
    if let Some(name) = env::args().nth(1) {
        let (_, run, _) = CASES.iter().find(|(case, ..)| *case == name).ok_or("no such case")?;
        run();
        return Ok(ExitCode::SUCCESS);
    }
    let mut passed = true;
    for (name, _, ends) in CASES {
        let ended = run(name)?;
        let is_right = match ends {
            Ends::Well => ended.success(),
            Ends::Aborted => is_aborted(ended),
        };
        passed &= is_right;
        println!("{name}: {}", if is_right { "ok".into() } else { format!("FAILED, {ended}") });
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs a case in a process of its own, which ends at once if it hangs.
fn run(name: &str) -> Result<ExitStatus, Box<dyn Error>> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(name).env_remove("RUST_BACKTRACE").stdin(Stdio::null()).stderr(Stdio::null());
    Ok(command.status()?)
}

#[cfg(unix)]
fn is_aborted(status: ExitStatus) -> bool {
    const ABORT: i32 = 6;
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(ABORT)
}

#[cfg(not(unix))]
fn is_aborted(status: ExitStatus) -> bool {
    !status.success()
}

/// Fails if `call` does not return.
fn returned<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(call()));
    receiver.recv_timeout(AMPLE).expect("it returns")
}

fn config(shutdown_timeout: Duration) -> TelemetryConfig {
    let config = TelemetryConfig::builder()
        .server_url("https://gateway.example.com")
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc");
    let config = config.request_timeout(10 * BRIEF).shutdown_timeout(shutdown_timeout);
    config.build().expect("a configuration")
}

fn track(handle: &TelemetryHandle, count: usize) {
    for _ in 0..count {
        handle.begin(handle.event()).finish(Outcome::Success);
    }
}

fn query() -> PredictionQuery {
    PredictionQuery::new(TaskType::Testing, "m", Provider::Ollama, Complexity::Low)
}

fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread(), Builder::new_multi_thread()]
        .map(|mut builder| builder.enable_all().build().expect("a runtime"))
}

async fn silent(_: Request) -> Result<Response, TransportError> {
    future::pending().await
}

fn delivers() {
    // Every other attempt fails, with an error.
    let fails = AtomicBool::new(true);
    let transport = move |_: Request| match fails.fetch_not(Ordering::Relaxed) {
        true => Err(TransportError::network("gone")),
        false => Ok(Response::default()),
    };
    let stats = returned(|| {
        let client = TelemetryClient::with_transport(config(AMPLE), transport);
        track(&client.handle(), 250);
        client.predictions().refresh(&[query()]).expect_err("the answer has no predictions");
        client.flush(AMPLE).expect("the second attempt succeeds");
        track(&client.handle(), 1);
        client.stop()
    });
    assert_eq!((stats.tracked, stats.delivered, stats.panics), (251, 251, 0));
    assert!(stats.is_balanced());
}

fn delivers_on_tokio() {
    for runtime in runtimes() {
        let stats = returned(move || {
            runtime.block_on(async {
                let accept = |_: Request| async { Ok::<_, TransportError>(Response::default()) };
                let client = AsyncTelemetryClient::with_transport(config(AMPLE), accept);
                track(&client.handle(), 250);
                client
                    .predictions()
                    .get(&query())
                    .await
                    .expect_err("the answer has no predictions");
                client.flush(AMPLE).await.expect("the transport accepts");
                track(&client.handle(), 1);
                client.stop().await
            })
        });
        assert_eq!((stats.tracked, stats.delivered, stats.panics), (251, 251, 0));
        assert!(stats.is_balanced());
    }
}

fn stuck() {
    let stats = returned(|| {
        let forever = |_: Request| -> Result<Response, TransportError> {
            loop {
                thread::park();
            }
        };
        let client = TelemetryClient::with_transport(config(BRIEF), forever);
        track(&client.handle(), 250);
        client.flush(BRIEF).expect_err("nobody answers");
        client.stop()
    });
    assert_eq!((stats.pending, stats.delivered), (250, 0));
}

fn stuck_on_tokio() {
    for runtime in runtimes() {
        let stats = returned(move || {
            runtime.block_on(async {
                let client = AsyncTelemetryClient::with_transport(config(BRIEF), silent);
                track(&client.handle(), 250);
                client.flush(BRIEF).await.expect_err("nobody answers");
                client.stop().await
            })
        });
        assert_eq!((stats.pending, stats.delivered), (250, 0));
    }
}

fn no_runtime() {
    let client = AsyncTelemetryClient::with_transport(config(AMPLE), silent);
    track(&client.handle(), 250);
    // A runtime without timers, which is not the client's.
    let elsewhere = Builder::new_current_thread().build().expect("a runtime");
    let stats = returned(move || {
        elsewhere.block_on(async {
            client.flush(AMPLE).await.expect_err("there is no task");
            client.stop().await
        })
    });
    assert_eq!((stats.pending, stats.delivered), (250, 0));
}

fn runtime_first() {
    for runtime in runtimes() {
        let client =
            runtime.block_on(async { AsyncTelemetryClient::with_transport(config(AMPLE), silent) });
        track(&client.handle(), 250);
        drop(runtime);
        let [elsewhere, _] = runtimes();
        let stats = returned(move || {
            elsewhere.block_on(async {
                client.flush(AMPLE).await.expect_err("there is no task");
                client.stop().await
            })
        });
        assert_eq!((stats.pending, stats.delivered), (250, 0));
    }
}

fn runtime_ends_beside() {
    for runtime in runtimes() {
        let (handle, config) = (runtime.handle().clone(), config(BRIEF));
        let client = runtime.block_on(async {
            let client = AsyncTelemetryClient::with_transport(config, silent);
            tokio::task::yield_now().await;
            client
        });
        let predictor = client.predictions().clone();
        let (asks, home) = (predictor.clone(), handle.clone());
        let asking =
            thread::spawn(move || home.block_on(async { asks.predictions().get(&query()).await }));
        let waits = wait_on(handle, client);
        runtime.shutdown_background();
        returned(move || waits.join().expect("it does not panic"));
        returned(move || asking.join().expect("it does not panic").expect_err("nobody answers"));
        drop(predictor);
    }
}

fn wait_on(home: Handle, client: AsyncTelemetryClient) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        home.block_on(async {
            track(&client.handle(), 3);
            client.flush(AMPLE).await.expect_err("nobody answers");
            assert_eq!(client.stop().await.delivered, 0);
        });
    })
}

fn transport_panics() {
    let boom = |_: Request| -> Result<Response, TransportError> { panic!("boom") };
    let client = TelemetryClient::with_transport(config(AMPLE), boom);
    track(&client.handle(), 3);
    client.stop();
}

fn application_panics() {
    let client = TelemetryClient::with_transport(config(AMPLE), |_: Request| {
        Ok::<_, TransportError>(Response::default())
    });
    let _task = client.begin(client.event());
    let counts: HashMap<&str, u8> = HashMap::new();
    let _ = counts["boom"];
}
