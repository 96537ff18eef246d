//! Calls that block a thread of the runtime: in a synchronous function that a task calls, for example.

use std::{
    future::pending,
    pin::pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use crate::{
    client::{current_thread, multi_thread},
    support::{AMPLE, eager, query, returned},
};
use mosaicstack_telemetry::{
    AsyncTelemetryClient,
    transport::{Request, Response, TransportError},
};
use telemetry_tests::{config, status, track};

const URL: &str = "https://example.com";
const BRIEF: Duration = Duration::from_millis(50);

/// Blocks the thread until the future is ready, as executors without timers do.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn deadlines_are_kept_in_a_task_that_blocks_its_thread() {
    returned(|| {
        let runtime = multi_thread();
        let blocking = runtime.spawn(async {
            let silent = |_: Request| pending::<Result<Response, TransportError>>();
            let config = config(URL).request_timeout(BRIEF).shutdown_timeout(BRIEF);
            let client = AsyncTelemetryClient::with_transport(config.build().unwrap(), silent);
            track(&client.handle(), 1);
            block_on(client.flush(BRIEF)).unwrap_err();
            block_on(client.predictions().get(&query(0))).unwrap_err();
            block_on(client.stop())
        });
        assert_eq!(runtime.block_on(blocking).unwrap().pending, 1);
    });
}

#[test]
fn wait_ends_with_the_runtime_of_the_task_that_began_it() {
    returned(|| {
        let (own, first) = (multi_thread(), multi_thread());
        let client = own.block_on(async {
            let silent = |_: Request| pending::<Result<Response, TransportError>>();
            let config = config(URL).shutdown_timeout(BRIEF).build().unwrap();
            AsyncTelemetryClient::with_transport(config, silent)
        });
        track(&client.handle(), 1);
        let mut flush = Box::pin(async move { client.flush(Duration::MAX).await });
        let begun = first.spawn(async move {
            let poll = flush.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            (flush, poll.is_pending())
        });
        let (flush, is_pending) = first.block_on(begun).unwrap();
        assert!(is_pending);
        drop(first);
        block_on(flush).unwrap_err();
    });
}

#[test]
fn callback_may_flush_and_stop_its_client() {
    for runtime in [current_thread(), multi_thread()] {
        let place = Arc::new(Mutex::new(None::<AsyncTelemetryClient>));
        let (sender, stopped) = mpsc::channel();
        let callback = {
            let place = Arc::clone(&place);
            move |_: &_| {
                let Some(client) = place.lock().unwrap().take() else { return };
                block_on(client.flush(AMPLE)).unwrap_err();
                sender.send(block_on(client.stop())).unwrap();
            }
        };
        let config = eager(URL).batch_size(1).on_notification(callback).build().unwrap();
        returned(move || {
            runtime.block_on(async {
                let accept = |_: Request| async { Ok::<_, TransportError>(status(200)) };
                let client = AsyncTelemetryClient::with_transport(config, accept);
                let handle = client.handle();
                {
                    // The callback waits until both are tracked.
                    let mut place = place.lock().unwrap();
                    track(&handle, 2);
                    *place = Some(client);
                }
                while handle.stats().pending > 0 {
                    tokio::task::yield_now().await;
                }
            });
        });
        assert_eq!(stopped.recv_timeout(AMPLE).unwrap().tracked, 2);
    }
}
