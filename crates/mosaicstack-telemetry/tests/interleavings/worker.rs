//! Callers and a driver, which may be dropped too early.

use super::*;
use crate::{
    clock,
    sans_io::Action,
    worker::{ClientCore, Wait, block_on},
};

#[test]
fn dropped_driver_ends_flush_and_shutdown() {
    check(3, || {
        let config = config().batch_size(1).build().unwrap();
        let (core, driver) = ClientCore::new(&config, clock::now, || {});
        let handle = core.handle.clone();
        handle.track(event("one"));
        let worker = thread::spawn(move || {
            let mut driver = driver.unwrap();
            // During an attempt: its delivery is dropped first.
            matches!(driver.next(clock::now()), Action::Send(..))
        });
        let flushed = {
            let mut flush = core.flush(clock::now(), LONG).unwrap().unwrap();
            block_on(|now, cx| flush.poll(now, cx))
        };
        assert_eq!(flushed.unwrap_err().pending, 1);
        let mut shutdown = core.shut_down(clock::now(), LONG).unwrap();
        block_on(|now, cx| shutdown.poll(now, cx));
        assert!(worker.join().unwrap());
        let stats = handle.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        assert_eq!((stats.pending, stats.panics), (1, 0));
    });
}

#[test]
fn cancelled_flush_takes_no_wake_up_from_another() {
    check(2, || {
        let config = config().batch_size(1).build().unwrap();
        let (core, driver) = ClientCore::new(&config, clock::now, || {});
        core.handle.track(event("one"));
        let worker = thread::spawn(move || {
            let mut driver = driver.unwrap();
            if let Action::Send(_, delivery) = driver.next(clock::now()) {
                driver.complete(clock::now(), delivery, Ok(Response::default()));
            }
            driver
        });
        let mut cancelled = core.flush(clock::now(), LONG).ok().flatten();
        if let Some(cancelled) = &mut cancelled {
            let cx = std::task::Context::from_waker(std::task::Waker::noop());
            let _: Wait<_> = cancelled.poll(clock::now(), &cx);
        }
        if let Some(mut flush) = core.flush(clock::now(), LONG).unwrap() {
            drop(cancelled);
            assert_eq!(block_on(|now, cx| flush.poll(now, cx)), Ok(()));
        }
        drop(worker.join().unwrap());
        assert_eq!(core.handle.stats().delivered, 1);
    });
}

#[test]
fn flush_does_not_wait_for_the_attempt_after_its_own() {
    check(2, || {
        let (token, second_attempt) = (Arc::<Token>::default(), Arc::<Token>::default());
        let wake = {
            let token = Arc::clone(&token);
            move || token.give()
        };
        let config = config().batch_size(1).early_flush(false).build().unwrap();
        let (core, driver) = ClientCore::new(&config, clock::now, wake);
        let handle = core.handle.clone();
        handle.track(event("one"));
        let mut flush = core.flush(clock::now(), LONG).unwrap().unwrap();
        handle.track(event("two"));
        let worker = thread::spawn({
            let (mut driver, second_attempt) = (driver.unwrap(), Arc::clone(&second_attempt));
            move || {
                loop {
                    match driver.next(clock::now()) {
                        Action::Send(_, delivery) => {
                            if delivery.events().all(|event| event.model == "two") {
                                second_attempt.take();
                            }
                            driver.complete(clock::now(), delivery, Ok(Response::default()));
                        }
                        Action::Wait(until) if driver.try_sleep(until) => token.take(),
                        Action::Wait(_) => {}
                        Action::Done => break,
                    }
                }
            }
        });
        assert_eq!(block_on(|now, cx| flush.poll(now, cx)), Ok(()));
        drop(flush);
        assert!(handle.stats().delivered >= 1);
        second_attempt.give();
        let mut shutdown = core.shut_down(clock::now(), LONG).unwrap();
        block_on(|now, cx| shutdown.poll(now, cx));
        worker.join().unwrap();
        let stats = handle.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        assert_eq!((stats.delivered, stats.panics), (2, 0));
    });
}
