//! Server-sent events that tell a page that something has changed.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};

/// The most pages that receive changes at once.
pub(super) const MAX_LISTENERS: usize = 32;

/// The shortest time between two messages to a page.
const INTERVAL: Duration = Duration::from_secs(1);

/// The time after which a comment is sent, so that proxies and clients keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The most pages that are rendered at once.
const MAX_RENDERED: usize = 2;

/// Announces changes of the stored events, and limits the pages that listen or are rendered.
#[derive(Debug)]
pub(crate) struct Live {
    /// Distinguishes the collectors that have the same address one after the other.
    started: i64,
    changes: watch::Sender<u64>,
    listeners: Arc<Semaphore>,
    pub(super) renders: Semaphore,
}

impl Live {
    /// `started` is the time in milliseconds since the Unix epoch.
    pub(crate) fn new(started: i64) -> Self {
        Self {
            started,
            changes: watch::Sender::new(0),
            listeners: Arc::new(Semaphore::new(MAX_LISTENERS)),
            renders: Semaphore::new(MAX_RENDERED),
        }
    }

    /// Announces that events were stored or rejected.
    pub(crate) fn announce(&self) {
        self.changes.send_modify(|version| *version += 1);
    }

    /// The version of the events. To be read before the events are, so that a page that is too old is never taken
    /// for a current one.
    pub(super) fn version(&self) -> String {
        format!("{}-{}", self.started, *self.changes.borrow())
    }

    /// `None` if there are [`MAX_LISTENERS`].
    pub(super) fn listen(&self) -> Option<Messages> {
        let permit = Arc::clone(&self.listeners).try_acquire_owned().ok()?;
        let changes = self.changes.subscribe();
        let listener = Listener { started: self.started, changes, _permit: permit };
        Some(Messages { next: Box::pin(async { (listener.message(), listener) }) })
    }
}

/// An endless body: the version at once, and again after each change.
pub(crate) struct Messages {
    next: Pin<Box<dyn Future<Output = (Bytes, Listener)> + Send>>,
}

struct Listener {
    started: i64,
    changes: watch::Receiver<u64>,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    fn message(&self) -> Bytes {
        // Not yet seen, so that a change meanwhile is announced again.
        format!("data: {}-{}\n\n", self.started, *self.changes.borrow()).into()
    }

    async fn next(mut self) -> (Bytes, Self) {
        sleep(INTERVAL).await;
        match timeout(KEEP_ALIVE, self.changes.changed()).await {
            Ok(Ok(())) => (self.message(), self),
            Ok(Err(_)) | Err(_) => (Bytes::from_static(b":\n\n"), self),
        }
    }
}

impl Body for Messages {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (message, listener) = ready!(self.next.as_mut().poll(context));
        self.next = Box::pin(listener.next());
        Poll::Ready(Some(Ok(Frame::data(message))))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::time::Instant;

    use super::*;

    async fn receive(messages: &mut Messages) -> String {
        let frame = messages.frame().await.unwrap().unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    }

    /// Runs in virtual time.
    fn block_on(test: impl Future<Output = ()>) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap().block_on(test);
    }

    #[test]
    fn changes_are_announced_at_most_once_a_second() {
        block_on(async {
            let live = Live::new(7);
            live.announce();
            let mut messages = live.listen().unwrap();
            let start = Instant::now();
            assert_eq!(receive(&mut messages).await, "data: 7-1\n\n");
            assert_eq!(start.elapsed(), Duration::ZERO);
            (0..100).for_each(|_| live.announce());
            assert_eq!(receive(&mut messages).await, "data: 7-101\n\n");
            assert_eq!(start.elapsed().as_secs(), 1);
            assert_eq!(live.version(), "7-101");
            // Nothing has changed since.
            assert_eq!(receive(&mut messages).await, ":\n\n");
            assert_eq!(start.elapsed().as_secs(), 1 + 1 + 15);
        });
    }

    #[test]
    fn listeners_are_limited_until_one_has_gone() {
        let live = Live::new(0);
        let mut listeners: Vec<_> = (0..MAX_LISTENERS).map(|_| live.listen().unwrap()).collect();
        assert!(live.listen().is_none());
        listeners.pop();
        assert!(live.listen().is_some());
    }
}
