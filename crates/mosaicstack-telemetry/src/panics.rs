//! Catches panics of foreign code on our threads: transports, wakers, callbacks, log subscribers.

use std::{
    any::Any,
    mem,
    panic::{self, AssertUnwindSafe},
};

/// A panic was caught.
#[derive(Debug)]
pub(crate) struct Panicked;

/// Calls `run` and catches its panic.
pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    panic::catch_unwind(AssertUnwindSafe(run)).map_err(discard)
}

/// Drops the payload of a panic. Its destructor may panic as well: leak it then.
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
    fn catch_survives_payload_that_panics_when_dropped() {
        assert!(catch(|| panic::resume_unwind(Box::new(Bomb))).is_err());
        assert!(matches!(catch(|| 7), Ok(7)));
    }
}
