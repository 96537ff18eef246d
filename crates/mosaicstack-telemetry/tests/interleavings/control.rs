//! Orders, places and wake-ups, without events.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Wake, Waker},
};

use super::*;
use crate::{
    clock,
    control::{Control, Order},
    sync::thread as modelled,
    sync::thread::Builder,
    wait::{self, Wait},
};

/// A waker that counts. The counter is not loom's: it is read when all is over.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A flush of so many events, with time enough.
fn flush_of(mark: u64) -> Order {
    Order { number: 1, mark, deadline: clock::after(clock::now(), AMPLE) }
}

impl Woken {
    fn times(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn no_order_is_missed_by_a_worker_that_falls_asleep() {
    check("orders and a worker that falls asleep", 3, || {
        let thread = Arc::new(std::sync::OnceLock::<modelled::Thread>::new());
        let wake = {
            let thread = Arc::clone(&thread);
            move || thread.get().unwrap().unpark()
        };
        let control = Arc::new(Control::new(wake));
        let flushes = Arc::new(AtomicUsize::new(0));
        let run = {
            let (control, flushes) = (Arc::clone(&control), Arc::clone(&flushes));
            move || {
                loop {
                    let orders = control.take_orders();
                    flushes.fetch_add(usize::from(orders.flush), Ordering::Relaxed);
                    if orders.close_by.is_some() {
                        break;
                    }
                    let later = clock::after(clock::now(), AMPLE);
                    if control.may_sleep(later) {
                        modelled::park_timeout(AMPLE);
                    }
                }
                control.done();
            }
        };
        let spawned = Builder::new().spawn(run).unwrap();
        thread.set(spawned.thread().clone()).unwrap();
        let number = control.ask_flush();
        assert_eq!(number, 1);
        control.ask_close(clock::now());
        let mut place = None;
        wait::block_on(|_, cx| {
            if control.poll_done(&mut place, cx) {
                Wait::Ready(())
            } else {
                Wait::Until(clock::after(clock::now(), AMPLE))
            }
        });
        control.leave(place);
        assert_eq!(flushes.load(Ordering::Relaxed), 1, "a flush is done once");
    });
}

#[test]
fn whoever_waits_is_woken_once_or_has_left() {
    check("leaving and progress", 3, || {
        let control = Arc::new(Control::new(|| {}));
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(Arc::clone(&woken));
        let mut place = None;
        let cx = Context::from_waker(&waker);
        let look = control.poll_flush(clock::now(), &cx, &mut place, flush_of(1), || 0);
        assert!(matches!(look, Wait::Until(_)));
        drop(waker);
        let worker = beside({
            let control = Arc::clone(&control);
            move || control.progress(|| 1)
        });
        control.leave(place);
        let left = woken.times();
        worker.join().unwrap();
        assert_eq!(woken.times(), left, "woken after it has left");
        assert_eq!(Arc::strong_count(&woken), 1, "a waker is kept");
        control.progress(|| 1);
        assert_eq!(woken.times(), left);
    });
}

#[test]
fn progress_between_two_looks_is_not_missed() {
    check("a look, and progress", 3, || {
        let control = Arc::new(Control::new(|| {}));
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(Arc::clone(&woken));
        let settled = Arc::new(loom::sync::atomic::AtomicU64::new(0));
        let worker = beside({
            let (control, settled) = (Arc::clone(&control), Arc::clone(&settled));
            move || {
                for events in 1..=2 {
                    settled.store(events, Ordering::Release);
                    control.progress(|| events);
                }
            }
        });
        let mut place = None;
        let cx = Context::from_waker(&waker);
        let look = control.poll_flush(clock::now(), &cx, &mut place, flush_of(2), || {
            settled.load(Ordering::Acquire)
        });
        worker.join().unwrap();
        match look {
            Wait::Ready(is_settled) => assert!(is_settled),
            Wait::Until(_) => assert_eq!(woken.times(), 1, "when all was settled, after the look"),
        }
        control.leave(place);
    });
}

#[test]
fn of_two_flushes_each_is_woken_when_its_own_events_are_settled() {
    check("two flushes, and progress", 3, || {
        let control = Arc::new(Control::new(|| {}));
        let settled = Arc::new(loom::sync::atomic::AtomicU64::new(0));
        let [one, both] = [1, 2].map(|mark| (flush_of(mark), Arc::<Woken>::default()));
        let look = |(order, woken): &(Order, Arc<Woken>), place: &mut _| {
            let waker = Waker::from(Arc::clone(woken));
            let cx = Context::from_waker(&waker);
            control.poll_flush(clock::now(), &cx, place, *order, || settled.load(Ordering::Acquire))
        };
        let worker = beside({
            let (control, settled) = (Arc::clone(&control), Arc::clone(&settled));
            move || {
                settled.store(1, Ordering::Release);
                control.progress(|| 1);
            }
        });
        let mut places = [None, None];
        assert!(matches!(look(&both, &mut places[1]), Wait::Until(_)));
        let waits = matches!(look(&one, &mut places[0]), Wait::Until(_));
        worker.join().unwrap();
        assert!(!waits || one.1.times() == 1, "its event is settled");
        control.leave(places[0]);
        // Whoever was woken for less looks again.
        assert!(matches!(look(&both, &mut places[1]), Wait::Until(_)));
        let before = both.1.times();
        settled.store(2, Ordering::Release);
        control.progress(|| 2);
        assert_eq!(both.1.times(), before + 1);
        control.leave(places[1]);
    });
}
