//! A place where the log of a test lands.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use tracing::{Dispatch, Level, Subscriber, subscriber::DefaultGuard};
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
