//! Signals that stop the program or reload its files.

use std::io;
#[cfg(unix)]
use std::task::Poll;

/// The meaning of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C or SIGTERM.
    Stop,
    /// SIGHUP.
    #[cfg(unix)]
    Reload,
}

/// The signals of the process.
#[cfg(unix)]
pub(crate) struct Signals(Vec<(tokio::signal::unix::Signal, Signal)>);

#[cfg(unix)]
impl Signals {
    /// Catches signals from now on. SIGHUP is caught if there are files to reload; else it ends the program, as when
    /// its terminal is closed.
    pub(crate) fn catch(reloads: bool) -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let mut kinds =
            vec![(SignalKind::interrupt(), Signal::Stop), (SignalKind::terminate(), Signal::Stop)];
        kinds.extend(reloads.then_some((SignalKind::hangup(), Signal::Reload)));
        let signals = kinds.into_iter().map(|(kind, meaning)| Ok((signal(kind)?, meaning)));
        signals.collect::<io::Result<_>>().map(Self)
    }

    /// Waits for the next signal. A stop comes first.
    pub(crate) async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            // Polled in their order until one is ready; the next call polls the others.
            let mut signals = self.0.iter_mut();
            let ready = signals.find_map(|(signal, meaning)| {
                signal.poll_recv(context).is_ready().then_some(*meaning)
            });
            ready.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// The signals of the process.
#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) const fn catch(_: bool) -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for Ctrl-C.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::signal::ctrl_c().await.unwrap_or_default();
        Signal::Stop
    }
}
