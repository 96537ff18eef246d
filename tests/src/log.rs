//! Log subscribers for tests: one that collects, one that panics.

use std::{
    io, panic,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};
use tracing_subscriber::fmt::MakeWriter;

/// Collects what this thread logs, at every level, while it exists.
#[derive(Debug)]
pub struct Log {
    text: Text,
    _guard: DefaultGuard,
}

#[derive(Clone, Debug, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Begins to collect.
    #[must_use]
    pub fn new() -> Self {
        keep_callsites_on();
        let text = Text::default();
        Self { _guard: tracing::subscriber::set_default(text.clone().into_subscriber()), text }
    }

    /// Lines that contain this level or word.
    #[must_use]
    pub fn lines(&self, word: &str) -> Vec<String> {
        let text = self.text.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&text);
        text.lines().filter(|line| line.contains(word)).map(|line| line.trim().into()).collect()
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
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

/// Log subscriber of this thread that counts lines while it exists, and panics at one of them.
#[derive(Debug)]
pub struct Fuse {
    state: Arc<FuseState>,
    _guard: DefaultGuard,
}

#[derive(Debug, Default)]
struct FuseState {
    /// Lines up to the panic; 0: no panic.
    left: AtomicUsize,
    heard: AtomicUsize,
}

impl Fuse {
    /// Begins to count.
    #[must_use]
    pub fn new() -> Self {
        keep_callsites_on();
        let state = Arc::<FuseState>::default();
        let guard = tracing::subscriber::set_default(FuseSubscriber(Arc::clone(&state)));
        Self { state, _guard: guard }
    }

    /// Panics once, at the line with that number from now on (the first is 1); `None`: at none.
    pub fn light(&self, line: Option<usize>) {
        self.state.left.store(line.unwrap_or(0), Ordering::Relaxed);
    }

    /// Number of lines so far.
    #[must_use]
    pub fn heard(&self) -> usize {
        self.state.heard.load(Ordering::Relaxed)
    }
}

impl Default for Fuse {
    fn default() -> Self {
        Self::new()
    }
}

struct FuseSubscriber(Arc<FuseState>);

impl Subscriber for FuseSubscriber {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.0.heard.fetch_add(1, Ordering::Relaxed);
        let burn = |left: usize| left.checked_sub(1);
        let left = self.0.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, burn);
        if left == Ok(1) {
            // Bypasses the panic hook: no message on stderr.
            panic::resume_unwind(Box::new("a log subscriber panics"));
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Keeps a thread without subscriber from turning a callsite off for all threads.
pub(crate) fn keep_callsites_on() {
    // With fewer than two subscribers, `tracing` caches the answer of the first thread that reaches
    // a callsite.
    static LISTENING: LazyLock<[Dispatch; 2]> =
        LazyLock::new(|| [(); 2].map(|()| Dispatch::new(Text::default().into_subscriber())));
    LazyLock::force(&LISTENING);
}
