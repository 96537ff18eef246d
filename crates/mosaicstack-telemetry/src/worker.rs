//! The background worker of a client, and the calls that wait for it.
//!
//! A worker is a [thread] or a tokio [task]. Its loop asks the [`Driver`] what to do, sends
//! requests and sleeps. Callers hold a [`ClientCore`], which starts flushes and the shutdown; a
//! [`Signal`] carries these requests to the worker and its progress back. Both clients share
//! everything except the two loops and the way in which their callers wait.

#[cfg(feature = "tokio")]
pub(crate) mod attempt;
mod blocking;
mod client_core;
mod driver;
mod left;
#[cfg(feature = "tokio")]
pub(crate) mod runtime;
pub(crate) mod signal;
#[cfg(feature = "tokio")]
pub(crate) mod task;
pub(crate) mod thread;
mod wait;
#[cfg(feature = "spool")]
mod writer;

#[cfg(feature = "tokio")]
pub(crate) use self::client_core::Shutdown;
pub(crate) use self::{
    client_core::ClientCore,
    wait::{Wait, WakerKey, WakerSet, block_on, wake_all},
};

/// The process in which a client was started. A forked child has no worker, and its connections
/// belong to the parent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn current() -> Self {
        Self(std::process::id())
    }

    pub(crate) fn is_forked(self) -> bool {
        std::process::id() != self.0
    }
}
