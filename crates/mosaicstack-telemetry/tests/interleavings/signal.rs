//! Flush requests, progress and wakers, without events.

use std::task::{Context, Waker};

use loom::sync::atomic::AtomicU64;

use super::*;
use crate::{
    clock,
    worker::{
        Process, Wait,
        signal::{FlushRequest, Signal},
    },
};

fn flush_to(target: u64) -> FlushRequest {
    FlushRequest { number: 1, target, deadline: clock::after(clock::now(), LONG) }
}

#[test]
fn removed_waker_is_neither_woken_nor_kept() {
    check(3, || {
        let signal = Arc::new(Signal::new(Process::current(), || {}));
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(Arc::clone(&woken));
        let mut key = None;
        let cx = Context::from_waker(&waker);
        let poll = signal.poll_flush(clock::now(), &cx, &mut key, flush_to(1), || 0);
        assert!(matches!(poll, Wait::Until(_)));
        drop(waker);
        let worker = thread::spawn({
            let signal = Arc::clone(&signal);
            move || signal.notify_progress(|| 1)
        });
        signal.remove_waker(key);
        let times = woken.times();
        worker.join().unwrap();
        assert_eq!(woken.times(), times, "woken after its removal");
        assert_eq!(Arc::strong_count(&woken), 1, "a waker is kept");
        signal.notify_progress(|| 1);
        assert_eq!(woken.times(), times);
    });
}

#[test]
fn progress_during_poll_is_not_missed() {
    check(3, || {
        let signal = Arc::new(Signal::new(Process::current(), || {}));
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(Arc::clone(&woken));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let worker = thread::spawn({
            let (signal, acknowledged) = (Arc::clone(&signal), Arc::clone(&acknowledged));
            move || {
                for events in 1..=2 {
                    acknowledged.store(events, Ordering::Release);
                    signal.notify_progress(|| events);
                }
            }
        });
        let mut key = None;
        let cx = Context::from_waker(&waker);
        let poll = signal.poll_flush(clock::now(), &cx, &mut key, flush_to(2), || {
            acknowledged.load(Ordering::Acquire)
        });
        worker.join().unwrap();
        match poll {
            Wait::Ready(is_flushed) => assert!(is_flushed),
            Wait::Until(_) => assert_eq!(woken.times(), 1),
        }
        signal.remove_waker(key);
    });
}

#[test]
fn each_of_two_flushes_is_woken_at_its_own_target() {
    check(3, || {
        let signal = Arc::new(Signal::new(Process::current(), || {}));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let [one, both] = [1, 2].map(|target| (flush_to(target), Arc::<Woken>::default()));
        let poll = |(request, woken): &(FlushRequest, Arc<Woken>), key: &mut _| {
            let waker = Waker::from(Arc::clone(woken));
            let cx = Context::from_waker(&waker);
            let acknowledged = || acknowledged.load(Ordering::Acquire);
            signal.poll_flush(clock::now(), &cx, key, *request, acknowledged)
        };
        let worker = thread::spawn({
            let (signal, acknowledged) = (Arc::clone(&signal), Arc::clone(&acknowledged));
            move || {
                acknowledged.store(1, Ordering::Release);
                signal.notify_progress(|| 1);
            }
        });
        let mut keys = [None, None];
        assert!(matches!(poll(&both, &mut keys[1]), Wait::Until(_)));
        let waits = matches!(poll(&one, &mut keys[0]), Wait::Until(_));
        worker.join().unwrap();
        assert!(!waits || one.1.times() == 1, "its event is acknowledged");
        signal.remove_waker(keys[0]);
        // A flush that was woken below its target polls again.
        assert!(matches!(poll(&both, &mut keys[1]), Wait::Until(_)));
        let before = both.1.times();
        acknowledged.store(2, Ordering::Release);
        signal.notify_progress(|| 2);
        assert_eq!(both.1.times(), before + 1);
        signal.remove_waker(keys[1]);
    });
}
