//! A worker that ends too early.

use super::*;
use crate::{
    Action, clock,
    lifecycle::Lifecycle,
    wait::{self, Wait},
};

#[test]
fn a_driver_that_is_dropped_leaves_nobody_waiting() {
    check("a driver that is dropped", 3, || {
        let config = config().batch_size(1).build().unwrap();
        let (mut lifecycle, driver) = Lifecycle::new(&config, clock::now, || {});
        let handle = lifecycle.handle.clone();
        handle.track(event("one"));
        let worker = beside(move || {
            let mut driver = driver.unwrap();
            // In the middle of an attempt, whose delivery goes first.
            matches!(driver.next(clock::now()), Action::Send(..))
        });
        let flushed = {
            let mut flush = lifecycle.flush(clock::now(), AMPLE).unwrap().unwrap();
            wait::block_on(|now, cx| flush.poll(now, cx))
        };
        assert_eq!(flushed.unwrap_err().pending, 1);
        let mut closing = lifecycle.close(clock::now()).unwrap();
        wait::block_on(|now, cx| closing.poll(now, cx));
        assert!(worker.join().unwrap());
        let stats = handle.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        assert_eq!((stats.pending, stats.panics), (1, 0));
    });
}

#[test]
fn a_wait_that_is_given_up_takes_nobody_elses_wake_up() {
    check("a flush that is given up beside another", 2, || {
        let config = config().batch_size(1).build().unwrap();
        let (lifecycle, driver) = Lifecycle::new(&config, clock::now, || {});
        lifecycle.handle.track(event("one"));
        let worker = beside(move || {
            let mut driver = driver.unwrap();
            if let Action::Send(_, delivery) = driver.next(clock::now()) {
                driver.complete(clock::now(), delivery, Ok(Response::default()));
            }
            driver
        });
        let mut given_up = lifecycle.flush(clock::now(), AMPLE).ok().flatten();
        if let Some(given_up) = &mut given_up {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            let _: Wait<_> = given_up.poll(clock::now(), &mut cx);
        }
        if let Some(mut flush) = lifecycle.flush(clock::now(), AMPLE).unwrap() {
            drop(given_up);
            assert_eq!(wait::block_on(|now, cx| flush.poll(now, cx)), Ok(()));
        }
        drop(worker.join().unwrap());
        assert_eq!(lifecycle.handle.stats().delivered, 1);
    });
}

#[test]
fn a_flush_does_not_wait_for_the_attempt_after_its_own() {
    check("a flush, and an attempt after its own", 2, || {
        let (token, gate) = (Arc::<Token>::default(), Arc::<Token>::default());
        let wake = {
            let token = Arc::clone(&token);
            move || token.give()
        };
        let config = config().batch_size(1).early_flush(false).build().unwrap();
        let (mut lifecycle, driver) = Lifecycle::new(&config, clock::now, wake);
        let handle = lifecycle.handle.clone();
        handle.track(event("one"));
        let mut flush = lifecycle.flush(clock::now(), AMPLE).unwrap().unwrap();
        handle.track(event("two"));
        let worker = beside({
            let (mut driver, token, gate) = (driver.unwrap(), token, Arc::clone(&gate));
            move || {
                loop {
                    match driver.next(clock::now()) {
                        Action::Send(_, delivery) => {
                            if delivery.events().all(|event| event.model == "two") {
                                gate.take();
                            }
                            driver.complete(clock::now(), delivery, Ok(Response::default()));
                        }
                        Action::Wait(until) if driver.control.may_sleep(until) => token.take(),
                        Action::Wait(_) => {}
                        Action::Done => break,
                    }
                }
            }
        });
        assert_eq!(wait::block_on(|now, cx| flush.poll(now, cx)), Ok(()));
        drop(flush);
        assert!(handle.stats().delivered >= 1);
        gate.give();
        let mut closing = lifecycle.close(clock::now()).unwrap();
        wait::block_on(|now, cx| closing.poll(now, cx));
        worker.join().unwrap();
        let stats = handle.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        assert_eq!((stats.delivered, stats.panics), (2, 0));
    });
}
