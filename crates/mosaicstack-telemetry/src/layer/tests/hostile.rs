//! Values and closures that panic, never end, or must not be read.

use std::{
    fmt, panic,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::*;

/// Panics when formatted.
struct Bomb;

impl fmt::Debug for Bomb {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Bypasses the panic hook: no message on stderr.
        panic::resume_unwind(Box::new("formatted"))
    }
}

/// Text without an end, until its writer refuses it.
struct Endless;

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        loop {
            f.write_str("é")?;
        }
    }
}

/// A closure that panics.
fn explode() -> ! {
    panic::resume_unwind(Box::new("in a closure"))
}

/// Counts the closed spans that the layer within it has left its state in.
struct Watch(Arc<AtomicUsize>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Watch {
    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        let is_left = span.extensions().get::<OpenSpan>().is_some();
        self.0.fetch_add(is_left.into(), Ordering::Relaxed);
    }
}

#[test]
fn values_of_other_fields_are_never_formatted() {
    let (handle, mut submitter) = recorder();
    let layer = TelemetryLayer::new(handle.clone());
    tracing::subscriber::with_default(registry().with(layer), || {
        let span = info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "m",
            gen_ai.usage.input_tokens = 7,
            gen_ai.input.messages = debug(Bomb),
            gen_ai.system_instructions = debug(Bomb),
            gen_ai.tool.call.arguments = debug(Bomb),
            gen_ai.response.id = debug(Bomb),
            gen_ai.output.messages = Empty,
            error.type = debug(Bomb),
            error = debug(Bomb),
        );
        span.record("gen_ai.output.messages", debug(Bomb));
        span.in_scope(|| error!(error = debug(Bomb)));
    });
    assert_eq!(handle.stats().panics, 0);
    assert_eq!(reported(&mut submitter).iter().map(tokens).collect::<Vec<_>>(), [(7, 0)]);
}

#[test]
fn long_text_is_cut() {
    let event = only(|| {
        drop(info_span!(
            "chat",
            gen_ai.request.model = display(Endless),
            gen_ai.provider.name = "p".repeat(1 << 20),
            gen_ai.usage.input_tokens = display(Endless),
        ));
    });
    assert_eq!(event.model, "é".repeat(256));
    assert_eq!(event.provider.as_str().len(), 256);
    assert_eq!(event.validate(), Ok(()));
}

#[test]
fn panics_of_foreign_code_cost_their_own_value_only() {
    let (handle, mut submitter) = recorder();
    let layer = TelemetryLayer::new(handle.clone())
        .with_task_spans(|span| if span.name() == "bomb" { explode() } else { true })
        .with_event(move |event, _| if handle.stats().tracked == 0 { explode() } else { event });
    let handle = layer.handle.clone();
    tracing::subscriber::with_default(registry().with(layer), || {
        // Counted: the value, and the closure that completes the event.
        drop(
            info_span!("chat", gen_ai.usage.input_tokens = 7, gen_ai.request.model = debug(Bomb),),
        );
        assert_eq!(handle.stats().panics, 2);
        drop(info_span!("bomb"));
        assert_eq!(handle.stats().panics, 3);
        let span = chat("m");
        span.record("gen_ai.response.model", debug(Bomb));
        span.record("gen_ai.usage.input_tokens", 8);
    });
    let stats = handle.stats();
    assert_eq!((stats.tracked, stats.panics), (2, 4));
    let events = reported(&mut submitter);
    assert_eq!(events.iter().map(tokens).collect::<Vec<_>>(), [(7, 0), (8, 0)]);
    assert_eq!(events[1].model, "m");
}

#[test]
fn task_that_a_panic_ends_is_a_failure() {
    let event = only(|| {
        let program = || {
            let _task = info_span!("task").entered();
            drop(answered("m", 1, 1));
            panic::resume_unwind(Box::new("in the task"))
        };
        assert!(panics::catch::<()>(program).is_err());
    });
    assert_eq!(event.outcome, Outcome::Failure);
}

#[test]
fn closure_that_panics_while_a_panic_ends_the_task_is_caught() {
    let events = traced_with(
        |layer| layer.with_event(|_, _| explode()),
        || {
            let program = || {
                let _span = answered("m", 1, 1).entered();
                panic::resume_unwind(Box::new("in the task"))
            };
            assert!(panics::catch::<()>(program).is_err());
        },
    );
    assert_eq!(events.len(), 1);
}

#[test]
fn requests_on_many_threads_are_added_up() {
    const THREADS: u64 = 8;
    const REQUESTS: u64 = 20;
    let (handle, mut submitter) = recorder();
    let dispatch = Dispatch::new(registry().with(TelemetryLayer::new(handle)));
    let enter = |run: &dyn Fn()| tracing::dispatcher::with_default(&dispatch, run);
    enter(&|| {
        let task = info_span!("task");
        let shared =
            info_span!(parent: &task, "invoke_agent", gen_ai.operation.name = "invoke_agent");
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    enter(&|| {
                        let _shared = shared.enter();
                        (0..REQUESTS).for_each(|_| drop(answered("m", 3, 2)));
                        // A task of this thread.
                        info_span!(parent: None, "task").in_scope(|| drop(answered("m", 1, 0)));
                    });
                });
            }
        });
    });
    let mut tokens: Vec<_> = reported(&mut submitter).iter().map(tokens).collect();
    tokens.sort_unstable();
    assert_eq!(tokens.pop(), Some((3 * THREADS * REQUESTS, 2 * THREADS * REQUESTS)));
    assert_eq!(tokens, [(1, 0); THREADS as usize]);
}

#[test]
fn closed_spans_leave_nothing_behind() {
    let (handle, _submitter) = recorder();
    let left = Arc::new(AtomicUsize::new(0));
    let subscriber = registry().with(TelemetryLayer::new(handle)).with(Watch(Arc::clone(&left)));
    tracing::subscriber::with_default(subscriber, || {
        info_span!("task").in_scope(|| drop([answered("m", 1, 1), failed(), info_span!("inner")]));
    });
    assert_eq!(left.load(Ordering::Relaxed), 0);
}
