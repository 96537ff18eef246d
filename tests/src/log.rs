//! A place where the log of a test lands.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{Level, subscriber::DefaultGuard};
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
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .without_time()
            .with_ansi(false)
            .with_writer(text.clone())
            .finish();
        Self { text, _guard: tracing::subscriber::set_default(subscriber) }
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
