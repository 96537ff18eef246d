//! Each way in which a process or thread ends, in each state of a client.

use std::{any::Any, cell::RefCell, io, panic, process, sync::Mutex, thread};

use mosaicstack_telemetry::{
    AsyncTelemetryClient, TelemetryClient,
    transport::{Request, Response, TransportError},
};
use telemetry_tests::{status, track};

use crate::{
    Case, case,
    support::{FOREVER, Server, multi_thread},
};

type Client = Box<dyn Any + Send>;
type Start = fn(&Server) -> Client;
type End = fn(Client);

/// A state, how to reach it, whether the server is silent, and how many events a drop delivers.
const STATES: [(&str, Start, bool, Option<u64>); 4] = [
    ("client_with_events", |server| Box::new(server.client(3)), false, Some(3)),
    ("client_sending", |server| Box::new(server.sending_client()), true, Some(0)),
    (
        "async_client_with_events",
        |server| {
            let runtime = multi_thread();
            Box::new((runtime.block_on(async { server.async_client(3) }), runtime))
        },
        false,
        None,
    ),
    (
        "async_client_sending",
        |server| {
            let runtime = multi_thread();
            Box::new((runtime.block_on(server.sending_async_client()), runtime))
        },
        true,
        Some(0),
    ),
];

/// An end, whether it drops the client, the exit status, and the output on standard error.
const ENDS: [(&str, End, bool, &str, Option<&str>); 8] = [
    ("exit", |_client| process::exit(7), false, EXITED, None),
    ("exit_during_a_drop", exit_during_a_drop, false, EXITED, None),
    ("return_from_main_when_static", keep_in_static, false, "exit status: 0", None),
    ("return_from_main_when_thread_local", keep, true, "exit status: 0", None),
    (
        "end_of_its_thread_when_thread_local",
        |client| thread::spawn(|| keep(client)).join().expect("no panic"),
        true,
        "exit status: 0",
        None,
    ),
    ("panic_of_main", |_client| panic!("boom"), true, "exit status: 101", Some("boom")),
    (
        "panic_of_its_thread",
        |client| {
            let panics = thread::spawn(move || {
                let _client = client;
                panic::resume_unwind(Box::new("boom"));
            });
            panics.join().expect_err("it panics");
        },
        true,
        "exit status: 0",
        None,
    ),
    ("sigterm", terminate, false, "signal: 15", None),
];

const EXITED: &str = "exit status: 7";

thread_local! {
    static CLIENT: RefCell<Option<Client>> = const { RefCell::new(None) };
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("exit_in_the_transport", |server| {
            let exit = |_: Request| -> Result<Response, TransportError> { process::exit(7) };
            flush(&TelemetryClient::with_transport(server.brief(), exit));
        }),
        case("exit_in_the_transport_on_tokio", |server| {
            let exit: fn() -> Result<Response, TransportError> = || process::exit(7);
            multi_thread().block_on(async {
                let transport = move |_: Request| async move { exit() };
                let client = AsyncTelemetryClient::with_transport(server.brief(), transport);
                track(&client.handle(), 3);
                let _ = client.flush(FOREVER).await;
            });
            wait_for_the_end();
        }),
        case("exit_in_the_log_subscriber", |server| {
            tracing_subscriber::fmt().with_writer(|| Exit).init();
            let refuse = |_: Request| -> Result<Response, TransportError> { Ok(status(403)) };
            flush(&TelemetryClient::with_transport(server.brief(), refuse));
        }),
    ];
    cases.iter_mut().for_each(|case| case.ends = EXITED);
    for (state, start, is_silent, drained) in STATES {
        for (end, run, drops, ends, prints) in ENDS {
            let is_local = end.ends_with("thread_local");
            let delivers = match drops {
                // Only Linux waits for destructors of thread-locals before the process ends.
                true if is_local && !cfg!(target_os = "linux") => None,
                true => drained,
                // The drop may have delivered them.
                false if end == "exit_during_a_drop" && !is_silent => None,
                false => Some(0),
            };
            let leaks = end.starts_with("return_from_main");
            let case = case(format!("{state}_at_{end}"), move |server| run(start(server)));
            cases.push(Case { is_silent, ends, delivers, prints, leaks, ..case });
        }
    }
    cases.retain(|case| cfg!(unix) || !case.name.ends_with("sigterm"));
    cases
}

/// Flushes three events, and waits for the end of the process.
fn flush(client: &TelemetryClient) {
    track(&client.handle(), 3);
    let _ = client.flush(FOREVER);
    wait_for_the_end();
}

fn exit_during_a_drop(client: Client) {
    let exiting = thread::spawn(|| process::exit(7));
    drop(client);
    let _ = exiting.join();
}

fn keep(client: Client) {
    CLIENT.with(|kept| *kept.borrow_mut() = Some(client));
}

fn keep_in_static(client: Client) {
    static CLIENT: Mutex<Option<Client>> = Mutex::new(None);
    *CLIENT.lock().expect("not poisoned") = Some(client);
}

fn terminate(_client: Client) {
    send("-TERM");
    wait_for_the_end();
}

/// Sends a signal to this process.
pub(crate) fn send(signal: &str) {
    let kill = process::Command::new("kill").arg(signal).arg(process::id().to_string()).status();
    assert!(kill.is_ok_and(|status| status.success()));
}

pub(crate) fn wait_for_the_end() -> ! {
    loop {
        thread::park();
    }
}

/// A log writer that ends the process.
struct Exit;

impl io::Write for Exit {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        process::exit(7)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
