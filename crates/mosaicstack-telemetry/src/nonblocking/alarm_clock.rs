//! Timers for those who wait where there may be none.

use std::{collections::BTreeMap, fmt, mem, sync::Arc, task::Waker, time::Instant};

use crate::{
    clock,
    sync::{Condvar, Mutex, thread},
    wait,
};

/// Wakes tasks in time, all from one thread, which lives for as long as one is to be woken.
#[derive(Default)]
pub(super) struct AlarmClock {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    alarms: BTreeMap<Key, Waker>,
    set: u64,
    is_running: bool,
}

/// When, and which of those that are set to the same time.
pub(super) type Key = (Instant, u64);

impl AlarmClock {
    pub(super) fn set(self: &Arc<Self>, at: Instant, waker: Waker) -> Key {
        let mut state = self.state.lock();
        state.set += 1;
        let key = (at, state.set);
        state.alarms.insert(key, waker);
        if !state.is_running {
            let clock = Arc::clone(self);
            let named = thread::Builder::new().name("telemetry-alarms".into());
            // Without a thread, whatever else wakes the task has to do.
            state.is_running = named.spawn(move || clock.run()).is_ok();
        }
        self.changed.notify_one();
        key
    }

    /// Sees to it that it wakes this one; false if it has rung.
    pub(super) fn update(&self, key: Key, waker: &Waker) -> bool {
        let mut waker = waker.clone();
        let mut state = self.state.lock();
        let set = state.alarms.get_mut(&key);
        let is_set = set.map(|set| mem::swap(set, &mut waker)).is_some();
        // Not under the lock: the last waker of a task drops the task, and its alarms with it.
        drop(state);
        drop(waker);
        is_set
    }

    pub(super) fn remove(&self, key: Key) {
        let removed = self.state.lock().alarms.remove(&key);
        if removed.is_some() {
            self.changed.notify_one();
        }
        drop(removed);
    }

    fn run(&self) {
        let mut state = self.state.lock();
        while let Some(first) = state.alarms.first_entry() {
            let (at, _) = *first.key();
            if at <= clock::now() {
                let waker = first.remove();
                drop(state);
                wait::wake(waker);
                state = self.state.lock();
            } else {
                self.changed.wait_until(&mut state, at);
            }
        }
        state.is_running = false;
    }
}

impl fmt::Debug for AlarmClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlarmClock").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{
        sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
        task::Wake,
        time::Duration,
    };

    use super::*;

    const AMPLE: Duration = Duration::from_secs(30);

    struct Ring(u32, Mutex<Sender<u32>>);

    impl Wake for Ring {
        fn wake(self: Arc<Self>) {
            let _ = self.1.lock().send(self.0);
        }
    }

    /// Wakers that say which of them was woken; the receiver is disconnected when none is left.
    fn wakers<const N: usize>() -> ([Waker; N], Receiver<u32>) {
        let (sender, rings) = mpsc::channel();
        let mut number = 0;
        let waker = || {
            number += 1;
            Waker::from(Arc::new(Ring(number, Mutex::new(sender.clone()))))
        };
        (
            std::iter::repeat_with(waker).take(N).collect::<Vec<_>>().try_into().expect("as many"),
            rings,
        )
    }

    #[test]
    fn alarms_ring_in_their_order_and_then_the_thread_ends() {
        let clock = Arc::<AlarmClock>::default();
        let ([one, two, three, four, five], rings) = wakers();
        let start = clock::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        clock.set(at(20), two);
        clock.set(at(10), one);
        let removed = clock.set(at(15), three);
        clock.remove(removed);
        let updated = clock.set(at(30), five);
        assert!(clock.update(updated, &four));
        drop(four);
        assert_eq!([(); 3].map(|()| rings.recv_timeout(AMPLE).unwrap()), [1, 2, 4]);
        assert!(clock::now() >= at(30));
        assert_eq!(rings.recv_timeout(AMPLE), Err(RecvTimeoutError::Disconnected));
        assert!(!clock.update(updated, Waker::noop()));
        ends(&clock);
    }

    #[test]
    fn the_thread_ends_when_the_last_alarm_is_removed_and_another_begins() {
        let clock = Arc::<AlarmClock>::default();
        let ([one], rings) = wakers();
        let far = clock.set(clock::now() + AMPLE * 100, one.clone());
        clock.remove(far);
        ends(&clock);
        clock.set(clock::now(), one);
        assert_eq!(rings.recv_timeout(AMPLE), Ok(1));
        ends(&clock);
    }

    #[test]
    fn what_a_replaced_waker_takes_along_may_use_the_clock() {
        struct Last(Arc<AlarmClock>, Mutex<Option<Key>>);
        impl Wake for Last {
            fn wake(self: Arc<Self>) {}
        }
        impl Drop for Last {
            fn drop(&mut self) {
                if let Some(key) = self.1.get_mut().take() {
                    self.0.remove(key);
                }
            }
        }
        let (sender, done) = mpsc::channel();
        thread::spawn(move || {
            let clock = Arc::<AlarmClock>::default();
            let last = Arc::new(Last(Arc::clone(&clock), Mutex::default()));
            let other = clock.set(clock::now() + AMPLE, Waker::noop().clone());
            *last.1.lock() = Some(other);
            let key = clock.set(clock::now() + AMPLE, Waker::from(last));
            assert!(clock.update(key, Waker::noop()));
            clock.remove(key);
            sender.send(clock.update(other, Waker::noop()))
        });
        assert_eq!(done.recv_timeout(AMPLE), Ok(false));
    }

    /// Waits until the thread has given its share of the clock back.
    fn ends(clock: &Arc<AlarmClock>) {
        let deadline = clock::now() + AMPLE;
        while Arc::strong_count(clock) > 1 {
            assert!(clock::now() < deadline, "the thread does not end");
            thread::yield_now();
        }
    }
}
