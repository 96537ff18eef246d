//! Ends of a program × clients: the table of `docs/reliability.md`.

use std::{error::Error, fmt, future::pending, panic, process, sync::Mutex, thread};

use libtest_mimic::{Failed, Trial};
use mosaicstack_telemetry::{Stats, global};
use tokio::runtime::Runtime;

use crate::{
    Case, case,
    ends::{send, wait_for_the_end},
    support::{BRIEF, FOREVER, Server, current_thread, multi_thread},
};

/// Events that were tracked before the end.
const EVENTS: usize = 3;

#[derive(Clone, Copy)]
enum Fate {
    Delivered,
    Lost,
    /// Depends on the threads of the runtime.
    Chance,
}

use Fate::{Chance, Delivered, Lost};

/// A line of the table, and a program for each of its cells.
struct Row {
    end: &'static str,
    /// Exit status, and the output on standard error.
    ends: (&'static str, Option<&'static str>),
    thread: (Fate, fn(&Server)),
    tokio: (Fate, fn(&Server, Runtime)),
    global: (Fate, fn(&Server)),
}

const RETURNED: (&str, Option<&str>) = ("exit status: 0", None);
const EXITED: (&str, Option<&str>) = ("exit status: 7", None);

const ROWS: [Row; 12] = [
    Row {
        end: "return from `main`",
        ends: RETURNED,
        thread: (Delivered, |server| drop(server.client(EVENTS))),
        tokio: (Chance, |server, runtime| {
            runtime.block_on(async { drop(server.async_client(EVENTS)) });
        }),
        global: (Delivered, |server| drop(server.global(EVENTS))),
    },
    Row {
        end: "`?` in `main`",
        ends: RETURNED,
        thread: (Delivered, |server| drop(fails(server.client(EVENTS)))),
        tokio: (Chance, |server, runtime| {
            runtime.block_on(async { drop(fails(server.async_client(EVENTS))) });
        }),
        global: (Delivered, |server| drop(fails(server.global(EVENTS)))),
    },
    Row {
        end: "panic of `main`",
        ends: ("exit status: 101", Some("boom")),
        thread: (Delivered, |server| {
            let _client = server.client(EVENTS);
            panic!("boom");
        }),
        tokio: (Chance, |server, runtime| {
            runtime.block_on(async {
                let _client = server.async_client(EVENTS);
                panic!("boom");
            });
        }),
        global: (Delivered, |server| {
            let _guard = server.global(EVENTS);
            panic!("boom");
        }),
    },
    Row {
        end: "panic hook that calls `shutdown` and exits",
        ends: ("exit status: 7", Some("boom")),
        thread: (Delivered, |server| {
            let client = server.client(EVENTS);
            let handle = client.handle();
            on_panic(move || handle.shutdown(FOREVER));
            panic!("boom");
        }),
        tokio: (Chance, |server, runtime| {
            runtime.block_on(async {
                let client = server.async_client(EVENTS);
                let handle = client.handle();
                on_panic(move || handle.shutdown(BRIEF));
                panic!("boom");
            });
        }),
        global: (Delivered, |server| {
            let _guard = server.global(EVENTS);
            on_panic(|| global::shutdown(FOREVER));
            panic!("boom");
        }),
    },
    Row {
        end: "`process::exit`",
        ends: EXITED,
        thread: (Lost, |server| {
            let _client = server.client(EVENTS);
            process::exit(7);
        }),
        tokio: (Lost, |server, runtime| {
            runtime.block_on(async {
                let _client = server.async_client(EVENTS);
                process::exit(7);
            });
        }),
        global: (Lost, |server| {
            let _guard = server.global(EVENTS);
            process::exit(7);
        }),
    },
    Row {
        end: "`process::exit` after `shutdown`, on tokio after `stop`",
        ends: EXITED,
        thread: (Delivered, |server| {
            server.client(EVENTS).handle().shutdown(FOREVER);
            process::exit(7);
        }),
        tokio: (Delivered, |server, runtime| {
            runtime.block_on(async {
                server.async_client(EVENTS).stop().await;
                process::exit(7);
            });
        }),
        global: (Delivered, |server| {
            let _guard = server.global(EVENTS);
            global::shutdown(FOREVER);
            process::exit(7);
        }),
    },
    Row {
        end: "return from `main`, client in a `static`",
        ends: RETURNED,
        thread: (Lost, |server| keep(server.client(EVENTS))),
        tokio: (Lost, |server, runtime| {
            keep(runtime.block_on(async { server.async_client(EVENTS) }));
        }),
        global: (Delivered, |server| drop(server.global(EVENTS))),
    },
    Row {
        end: "the same after `shutdown` on a thread outside the runtime",
        ends: RETURNED,
        thread: (Delivered, |server| {
            let client = server.client(EVENTS);
            let handle = client.handle();
            keep(client);
            handle.shutdown(FOREVER);
        }),
        tokio: (Delivered, |server, runtime| {
            let client = runtime.block_on(async { server.async_client(EVENTS) });
            let handle = client.handle();
            keep(client);
            thread::spawn(move || runtime.block_on(pending::<()>()));
            handle.shutdown(FOREVER);
        }),
        global: (Delivered, |server| {
            let _guard = server.global(EVENTS);
            global::shutdown(FOREVER);
        }),
    },
    Row {
        end: "SIGTERM, handled: `main` returns, on tokio after `stop`",
        ends: RETURNED,
        thread: (Delivered, |server| {
            let _client = server.client(EVENTS);
            handle_sigterm();
        }),
        tokio: (Delivered, |server, runtime| {
            runtime.block_on(async {
                let client = server.async_client(EVENTS);
                handle_sigterm();
                client.stop().await;
            });
        }),
        global: (Delivered, |server| {
            let _guard = server.global(EVENTS);
            handle_sigterm();
        }),
    },
    Row {
        end: "SIGTERM or Ctrl-C, not handled",
        ends: ("signal: 15", None),
        thread: (Lost, |server| end_by("-TERM", server.client(EVENTS))),
        tokio: (Lost, |server, runtime| {
            runtime.block_on(async { end_by("-TERM", server.async_client(EVENTS)) });
        }),
        global: (Lost, |server| end_by("-TERM", server.global(EVENTS))),
    },
    Row {
        end: "SIGKILL",
        ends: ("signal: 9", None),
        thread: (Lost, |server| end_by("-KILL", server.client(EVENTS))),
        tokio: (Lost, |server, runtime| {
            runtime.block_on(async { end_by("-KILL", server.async_client(EVENTS)) });
        }),
        global: (Lost, |server| end_by("-KILL", server.global(EVENTS))),
    },
    Row {
        end: "`process::abort`",
        ends: ("signal: 6", None),
        thread: (Lost, |server| {
            let _client = server.client(EVENTS);
            process::abort();
        }),
        tokio: (Lost, |server, runtime| {
            runtime.block_on(async {
                let _client = server.async_client(EVENTS);
                process::abort();
            });
        }),
        global: (Lost, |server| {
            let _guard = server.global(EVENTS);
            process::abort();
        }),
    },
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for Row { end, ends, thread, tokio, global } in ROWS {
        if !cfg!(unix) && ends.0.starts_with("signal") {
            continue;
        }
        let mut add = |client: &str, fate, run: Box<dyn Fn(&Server) + Send + Sync>| {
            let name = format!("{end} {client}").replace("::", " ");
            let name = name.replace(['`', ',', ':'], "").replace(' ', "_");
            let delivers = match fate {
                Delivered => Some(EVENTS as u64),
                Lost => Some(0),
                Chance => None,
            };
            let (ends, prints) = ends;
            let leaks = end.contains("static") || end.contains("the same");
            cases.push(Case { ends, delivers, prints, leaks, ..case(name, run) });
        };
        add("client", thread.0, Box::new(thread.1));
        for (runtime, start) in
            [("current_thread", current_thread as fn() -> Runtime), ("multi_thread", multi_thread)]
        {
            let (fate, run) = tokio;
            add(&format!("async client on {runtime}"), fate, Box::new(move |it| run(it, start())));
            let (fate, run) = global;
            let inside = move |server: &Server| start().block_on(async { run(server) });
            add(&format!("global in {runtime}"), fate, Box::new(inside));
        }
        add("global", global.0, Box::new(global.1));
    }
    cases
}

/// The table in the documentation has the same lines.
pub(crate) fn documentation() -> Trial {
    Trial::test("exits_are_documented", || {
        let text = include_str!("../../docs/reliability.md");
        for Row { end, thread, tokio, global, .. } in ROWS {
            let line = format!("| {end} | {} | {} | {} |", thread.0, tokio.0, global.0);
            if !text.contains(&line) {
                return Err(Failed::from(format!("missing in docs/reliability.md: {line}")));
            }
        }
        Ok(())
    })
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Delivered => "delivered",
            Lost => "lost",
            Chance => "may be lost",
        })
    }
}

fn fails<T>(client: T) -> Result<(), Box<dyn Error>> {
    Err("it fails")?;
    drop(client);
    Ok(())
}

fn on_panic(shut_down: impl Fn() -> Stats + Send + Sync + 'static) {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        report(panic);
        shut_down();
        process::exit(7);
    }));
}

fn keep(client: impl Send + 'static) {
    static CLIENT: Mutex<Option<Box<dyn Send>>> = Mutex::new(None);
    *CLIENT.lock().expect("not poisoned") = Some(Box::new(client));
}

/// Returns after a SIGTERM to this process.
fn handle_sigterm() {
    #[cfg(unix)]
    let waiting = thread::spawn(|| {
        current_thread().block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let mut signals = signal(SignalKind::terminate()).expect("it can be handled");
            send("-TERM");
            signals.recv().await;
        });
    });
    #[cfg(unix)]
    waiting.join().expect("no panic");
}

fn end_by<T>(signal: &str, _client: T) {
    send(signal);
    wait_for_the_end();
}
