//! Processes that end with a client alive.

use std::{
    io, mem, process,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

#[cfg(unix)]
use fork::Fork;
use mosaicstack_telemetry::{
    AsyncTelemetryClient, Request, Response, TelemetryClient, TransportError,
};
use tokio::runtime::Runtime;

use super::{
    Case,
    setting::{AMPLE, all_delivered, current_thread, multi_thread},
};
use crate::track;

pub(super) const CASES: [Case; 16] = [
    Case::new("exit with a live client", |it| {
        let _client = it.client();
        process::exit(7);
    })
    .exits(7),
    Case::new("exit with events queued", |it| {
        let client = it.client();
        track(&client.handle(), 99);
        process::exit(7);
    })
    .exits(7),
    Case::new("exit in the middle of an attempt", |it| {
        let _client = it.client_in_attempt();
        process::exit(7);
    })
    .silent()
    .exits(7),
    Case::new("exit on another thread while main stops the client", |it| {
        let client = it.client_in_attempt();
        let exiting = thread::spawn(|| process::exit(7));
        client.stop();
        // Whichever is first.
        drop(exiting.join());
        process::exit(7);
    })
    .silent()
    .exits(7),
    Case::new("exit in the transport", |it| {
        let exit = |_: Request| -> Result<Response, TransportError> { process::exit(7) };
        let client = TelemetryClient::with_transport(it.brief(), exit);
        track(&client.handle(), 3);
        // It waits for the worker, which does not come back.
        let _ = client.flush(AMPLE);
        wait_for_the_end();
    })
    .exits(7),
    Case::new("exit in a log subscriber, on the client's thread", |it| {
        tracing_subscriber::fmt().with_writer(|| Exit).init();
        let refuse = |_: Request| -> Result<Response, TransportError> { Ok(crate::status(403)) };
        let client = TelemetryClient::with_transport(it.brief(), refuse);
        track(&client.handle(), 3);
        let _ = client.flush(AMPLE);
        wait_for_the_end();
    })
    .exits(7),
    Case::new("exit with a live client on tokio", |it| {
        let runtime = multi_thread();
        let client = runtime.block_on(async { it.tokio_client() });
        track(&client.handle(), 3);
        process::exit(7);
    })
    .exits(7),
    Case::new("exit in the middle of an attempt on tokio", |it| {
        let runtime = multi_thread();
        let _client = runtime.block_on(it.tokio_client_in_attempt());
        process::exit(7);
    })
    .silent()
    .exits(7),
    Case::new("exit in the transport on tokio", |it| {
        let exit = |_: Request| async {
            let exits: fn() -> Result<Response, TransportError> = || process::exit(7);
            exits()
        };
        let runtime = multi_thread();
        let client =
            runtime.block_on(async { AsyncTelemetryClient::with_transport(it.brief(), exit) });
        track(&client.handle(), 3);
        let _ = runtime.block_on(client.flush(AMPLE));
        wait_for_the_end();
    })
    .exits(7),
    Case::new("main returns with a live client in a static", |it| {
        static CLIENT: OnceLock<TelemetryClient> = OnceLock::new();
        let client = CLIENT.get_or_init(|| it.client());
        track(&client.handle(), 3);
        client.flush(AMPLE).expect("the server takes them");
        track(&client.handle(), 3);
    })
    .delivers(3)
    .lives_on(),
    Case::new("main returns with a static client in the middle of an attempt", |it| {
        static CLIENT: Mutex<Option<TelemetryClient>> = Mutex::new(None);
        let client = it.client_in_attempt();
        *CLIENT.lock().expect("nobody panics") = Some(client);
    })
    .silent()
    .lives_on(),
    Case::new("main returns with a leaked client", |it| {
        let client = it.client();
        track(&client.handle(), 3);
        mem::forget(client);
    })
    .lives_on(),
    Case::new("main returns while another thread keeps tracking", |it| {
        let client = it.client();
        keep_tracking(&client);
        all_but_the_last(client);
    })
    .delivers_any()
    .lives_on(),
    Case::new("main returns with client and runtime in statics", |it| {
        static CLIENT: OnceLock<(Runtime, AsyncTelemetryClient)> = OnceLock::new();
        let (runtime, client) = CLIENT.get_or_init(|| {
            let runtime = multi_thread();
            let client = runtime.block_on(async { it.tokio_client() });
            (runtime, client)
        });
        track(&client.handle(), 3);
        runtime.block_on(client.flush(AMPLE)).expect("the server takes them");
        track(&client.handle(), 3);
    })
    .delivers(3)
    .lives_on(),
    Case::new("main returns with client and runtime leaked", |it| {
        let runtime = current_thread();
        let client = runtime.block_on(async { it.tokio_client() });
        track(&client.handle(), 3);
        mem::forget((runtime, client));
    })
    .lives_on(),
    Case::new("what is tracked while the client stops is sent or counted", |it| {
        let client = it.client();
        let (handle, goes_on) = (client.handle(), AtomicBool::new(true));
        thread::scope(|scope| {
            scope.spawn(|| {
                while goes_on.load(Ordering::Relaxed) {
                    track(&handle, 1);
                }
            });
            while handle.stats().delivered == 0 {
                thread::yield_now();
            }
            client.stop();
            goes_on.store(false, Ordering::Relaxed);
        });
        let stats = handle.stats();
        assert!(stats.is_balanced(), "{stats:?}");
    })
    .delivers_any(),
];

#[cfg(unix)]
const TERM: i32 = 15;

#[cfg(unix)]
pub(super) const UNIX_CASES: [Case; 6] = [
    Case::new("SIGTERM with a live client", |it| {
        let client = it.client();
        track(&client.handle(), 3);
        terminate();
    })
    .dies(TERM),
    Case::new("SIGTERM in the middle of an attempt", |it| {
        let _client = it.client_in_attempt();
        terminate();
    })
    .silent()
    .dies(TERM),
    Case::new("SIGTERM while main stops the client", |it| {
        let client = it.client_in_attempt();
        thread::spawn(terminate);
        client.stop();
        wait_for_the_end();
    })
    .silent()
    .dies(TERM),
    Case::new("standard input and output are closed", |it| {
        fork::close_fd().expect("they can be closed");
        let client = it.client();
        track(&client.handle(), 3);
        all_delivered(&client.stop());
        let runtime = current_thread();
        let client = runtime.block_on(async { it.tokio_client() });
        track(&client.handle(), 4);
        all_delivered(&runtime.block_on(client.stop()));
    })
    .delivers(7),
    Case::new("standard input and output are closed, and the transport panics", |it| {
        fork::close_fd().expect("they can be closed");
        let boom = |_: Request| -> Result<Response, TransportError> { panic!("boom") };
        let client = TelemetryClient::with_transport(it.brief(), boom);
        track(&client.handle(), 3);
        let stats = client.stop();
        assert!(stats.panics > 0 && stats.is_balanced(), "{stats:?}");
    }),
    Case::new("a daemon that starts its client when it has become one", |it| {
        // The process that is watched ends here.
        let daemon = fork::daemon(false, false).expect("it can be forked");
        assert!(matches!(daemon, Fork::Child));
        let client = it.client();
        track(&client.handle(), 3);
        all_delivered(&client.stop());
    })
    .delivers(3),
];

/// Sends this process the signal that asks it to end, and waits for that.
#[cfg(unix)]
fn terminate() {
    let kill = process::Command::new("kill").arg("-TERM").arg(process::id().to_string()).status();
    assert!(kill.is_ok_and(|status| status.success()));
    wait_for_the_end();
}

fn wait_for_the_end() -> ! {
    loop {
        thread::park();
    }
}

/// A writer for the log that ends the process.
struct Exit;

impl io::Write for Exit {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        process::exit(7);
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tracks on a thread that never ends.
fn keep_tracking(client: &TelemetryClient) {
    let handle = client.handle();
    thread::spawn(move || {
        loop {
            track(&handle, 1);
        }
    });
}

/// Waits until something has been delivered, and leaves the client to the end of the process.
fn all_but_the_last(client: TelemetryClient) {
    while client.stats().delivered == 0 {
        thread::yield_now();
    }
    mem::forget(client);
}
