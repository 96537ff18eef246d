//! A log subscriber for tests.

use std::{
    io, panic,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tracing::{Dispatch, Level, Subscriber, subscriber::DefaultGuard};
use tracing_subscriber::fmt::MakeWriter;

/// Collects the log of this thread, at every level, while it exists.
#[derive(Debug)]
pub struct Log {
    text: Text,
    _guard: DefaultGuard,
}

#[derive(Clone, Debug, Default)]
struct Text(Arc<State>);

#[derive(Debug, Default)]
struct State {
    written: Mutex<Vec<u8>>,
    /// Number of lines.
    count: AtomicUsize,
    /// Lines up to the panic; 0: no panic.
    fuse: AtomicUsize,
}

impl Log {
    /// Begins to collect.
    #[expect(clippy::new_without_default, reason = "collects as a side effect")]
    #[must_use]
    pub fn new() -> Self {
        keep_callsites_on();
        let text = Text::default();
        Self { _guard: tracing::subscriber::set_default(text.clone().into_subscriber()), text }
    }

    /// Lines that contain this level or word.
    #[must_use]
    pub fn lines(&self, word: &str) -> Vec<String> {
        let text = self.text.0.written.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&text);
        text.lines().filter(|line| line.contains(word)).map(|line| line.trim().into()).collect()
    }

    /// Number of lines, with those that panicked.
    #[must_use]
    pub fn count(&self) -> usize {
        self.text.0.count.load(Ordering::Relaxed)
    }

    /// Panics once, at the line with that number from now on (the first is 1); `None`: at none.
    pub fn panic_at(&self, line: Option<usize>) {
        self.text.0.fuse.store(line.unwrap_or(0), Ordering::Relaxed);
    }
}

impl Text {
    fn into_subscriber(self) -> impl Subscriber + Send + Sync {
        tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .without_time()
            .with_ansi(false)
            .with_writer(self)
            .finish()
    }
}

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let State { written, count, fuse } = &*self.0;
        count.fetch_add(1, Ordering::Relaxed);
        let burn = |left: usize| left.checked_sub(1);
        if fuse.fetch_update(Ordering::Relaxed, Ordering::Relaxed, burn) == Ok(1) {
            // Bypasses the panic hook: no message on stderr.
            panic::resume_unwind(Box::new("a log subscriber panics"));
        }
        written.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Text {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Keeps a thread without subscriber from turning a callsite off for all threads.
pub(crate) fn keep_callsites_on() {
    // With fewer than two subscribers, `tracing` caches the answer of the first thread that reaches
    // a callsite.
    static LISTENING: LazyLock<[Dispatch; 2]> =
        LazyLock::new(|| [(); 2].map(|()| Dispatch::new(Text::default().into_subscriber())));
    LazyLock::force(&LISTENING);
}
