//! The alarm clock of the client on tokio. (tokio itself has another `cfg(loom)`.)

use std::task::{Wake, Waker};

use super::*;
use crate::{
    alarm_clock::AlarmClock,
    clock,
    sync::{Condvar, Mutex},
};

#[derive(Default)]
struct Rings {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Wake for Rings {
    fn wake(self: Arc<Self>) {
        *self.count.lock() += 1;
        self.changed.notify_one();
    }
}

impl Rings {
    fn wait_for(&self, count: usize) {
        let mut rung = self.count.lock();
        while *rung < count {
            self.changed.wait(&mut rung);
        }
    }
}

#[test]
fn every_alarm_rings_though_the_thread_is_about_to_end() {
    check("alarms and a thread that ends", 2, || {
        let (alarms, rings) = (Arc::<AlarmClock>::default(), Arc::<Rings>::default());
        for expected in 1..=2 {
            alarms.set(clock::now(), Waker::from(Arc::clone(&rings)));
            rings.wait_for(expected);
        }
    });
}

#[test]
fn alarms_of_two_threads_ring() {
    check("alarms of two threads", 2, || {
        let (alarms, rings) = (Arc::<AlarmClock>::default(), Arc::<Rings>::default());
        let other = beside({
            let (alarms, waker) = (Arc::clone(&alarms), Waker::from(Arc::clone(&rings)));
            move || {
                let _ = alarms.set(clock::now(), waker);
            }
        });
        alarms.set(clock::now(), Waker::from(Arc::clone(&rings)));
        rings.wait_for(2);
        other.join().unwrap();
    });
}

#[test]
fn the_thread_ends_with_its_last_alarm() {
    check("an alarm that is removed", 3, || {
        let (alarms, rings) = (Arc::<AlarmClock>::default(), Arc::<Rings>::default());
        let later = alarms.set(clock::after(clock::now(), AMPLE), Waker::from(Arc::clone(&rings)));
        // Else its thread waits for ever, since time stands still.
        alarms.remove(later);
        assert!(!alarms.update(later, Waker::noop()));
    });
}
