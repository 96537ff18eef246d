//! Code of others on our threads: transports, wakers, subscribers of the log. It may panic.

use std::{
    any::Any,
    mem,
    panic::{self, AssertUnwindSafe},
};

/// A panic was caught.
#[derive(Debug)]
pub(crate) struct Panicked;

/// Runs it, and catches its panic.
pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    panic::catch_unwind(AssertUnwindSafe(run)).map_err(discard)
}

/// What a panic carries is anything, and may panic in its turn when it is dropped.
fn discard(payload: Box<dyn Any + Send>) -> Panicked {
    if let Err(another) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(another);
    }
    Panicked
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic::resume_unwind(Box::new(Self));
        }
    }

    #[test]
    fn what_a_panic_carries_may_panic_too() {
        assert!(catch(|| panic::resume_unwind(Box::new(Bomb))).is_err());
        assert!(matches!(catch(|| 7), Ok(7)));
    }
}
