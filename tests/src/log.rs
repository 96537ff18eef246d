//! A place where the log of a test lands.

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

/// Everything that is logged on this thread while it exists, at every level.
#[derive(Debug)]
pub struct Log {
    text: Text,
    _guard: DefaultGuard,
}

#[derive(Clone, Debug, Default)]
struct Text {
    written: Arc<Mutex<Vec<u8>>>,
    panics: bool,
}

impl Log {
    /// Begins to collect.
    #[must_use]
    pub fn new() -> Self {
        Self::into_text(Text::default())
    }

    /// Panics at whatever is logged on this thread while it exists.
    #[must_use]
    pub fn that_panics() -> Self {
        Self::into_text(Text { panics: true, ..Text::default() })
    }

    fn into_text(text: Text) -> Self {
        keep_callsites_on();
        Self { _guard: tracing::subscriber::set_default(text.clone().into_subscriber()), text }
    }

    /// What has been logged with that level or word in it, a line each.
    #[must_use]
    pub fn lines(&self, word: &str) -> Vec<String> {
        let text = self.text.written.lock().unwrap_or_else(PoisonError::into_inner);
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

/// What listens to the log of this thread while it exists, and panics when it is lit.
#[derive(Debug)]
pub struct Fuse {
    state: Arc<FuseState>,
    _guard: DefaultGuard,
}

#[derive(Debug, Default)]
struct FuseState {
    /// How many lines are left; 0 if it is not lit.
    left: AtomicUsize,
    heard: AtomicUsize,
}

impl Fuse {
    /// Listens, and does nothing yet.
    #[must_use]
    pub fn new() -> Self {
        keep_callsites_on();
        let state = Arc::<FuseState>::default();
        let guard = tracing::subscriber::set_default(FuseListener(Arc::clone(&state)));
        Self { state, _guard: guard }
    }

    /// From now on, it panics at the line with that number, from 1 on, and then no more.
    pub fn light(&self, line: Option<usize>) {
        self.state.left.store(line.unwrap_or(0), Ordering::Relaxed);
    }

    /// From now on, it does not panic.
    pub fn put_out(&self) {
        self.light(None);
    }

    /// How many lines have been logged.
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

struct FuseListener(Arc<FuseState>);

impl Subscriber for FuseListener {
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
            // Without the message that a panic prints.
            panic::resume_unwind(Box::new("whoever listens to the log is in trouble"));
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Makes sure that no thread turns a line of the log off for all others.
///
/// Of fewer than two subscribers, `tracing` asks the one of the thread that comes first to a line. If
/// that thread has none, the line is off, also for a [`Log`] on another thread.
pub(crate) fn keep_callsites_on() {
    static LISTENING: LazyLock<[Dispatch; 2]> =
        LazyLock::new(|| [(); 2].map(|()| Dispatch::new(Text::default().into_subscriber())));
    LazyLock::force(&LISTENING);
}

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(!self.panics, "whoever listens to the log is in trouble");
        self.written.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
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
