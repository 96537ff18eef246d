//! The API keys of a file.

mod new_key;
mod parse;

use std::{fs, io, num::NonZeroU32, path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;
use telemetry_model::time::OffsetDateTime;
use uuid::Uuid;

pub use new_key::NewKey;

use crate::{access::Denial, limiter::Bucket};

/// A key of the file, as its hash.
///
/// A key has 256 random bits, so a hash that is fast to compute does not help to find it.
pub(crate) struct Key {
    pub(crate) name: String,
    sha256: [u8; 32],
    /// The instances that it may report events of; empty for any.
    pub(crate) instances: Vec<Uuid>,
    /// The time from which it is valid.
    from: Option<OffsetDateTime>,
    /// The time from which it is no longer valid.
    until: Option<OffsetDateTime>,
    /// `None` for the limit of all keys.
    pub(crate) per_minute: Option<NonZeroU32>,
    pub(crate) bucket: Mutex<Bucket>,
}

/// The file, and the keys that were last read from it.
pub(crate) struct KeyFile {
    path: PathBuf,
    keys: Mutex<Vec<Arc<Key>>>,
}

impl KeyFile {
    /// # Errors
    ///
    /// See [`reload`](Self::reload).
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let file = Self { path, keys: Mutex::default() };
        file.reload()?;
        Ok(file)
    }

    /// Reads the file again. Each key may then send a burst again.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is invalid ([`io::ErrorKind::InvalidData`]). The previous keys stay valid. The
    /// message has a line for each fault and contains no value of the file.
    pub(crate) fn reload(&self) -> io::Result<()> {
        let path = self.path.display();
        let text = fs::read_to_string(&self.path)
            .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?;
        let keys = parse::keys(&text).map_err(|faults| {
            let lines: Vec<_> = faults.iter().map(|fault| format!("{path}:{fault}")).collect();
            io::Error::new(io::ErrorKind::InvalidData, lines.join("\n"))
        })?;
        *self.keys.lock() = keys.into_iter().map(Arc::new).collect();
        Ok(())
    }

    /// The key that was presented, if it is valid at this time.
    ///
    /// # Errors
    ///
    /// [`Denial::Invalid`] if there is no such key, else the period of its validity. Only a holder of the key
    /// receives the latter, so it helps no guess, and saves a search for the cause.
    pub(crate) fn find(&self, presented: &[u8], now: OffsetDateTime) -> Result<Arc<Key>, Denial> {
        let sha256 = digest(&SHA256, presented);
        let mut found = None;
        // All entries are compared as a whole, whichever matches.
        for key in &*self.keys.lock() {
            if key.sha256.ct_eq(sha256.as_ref()).into() {
                found = Some(Arc::clone(key));
            }
        }
        let key = found.ok_or(Denial::Invalid)?;
        if key.from.is_some_and(|from| now < from) {
            return Err(Denial::NotYetValid(key.name.clone()));
        }
        if key.until.is_some_and(|until| now >= until) {
            return Err(Denial::Expired(key.name.clone()));
        }
        Ok(key)
    }
}

/// True for a name of a key: short enough not to be a key itself, since names are displayed.
fn is_name(name: &str) -> bool {
    let is_part = |char: char| char.is_ascii_alphanumeric() || ".-_".contains(char);
    (1..=parse::MAX_NAME_CHARS).contains(&name.len()) && name.chars().all(is_part)
}

#[cfg(test)]
impl KeyFile {
    /// The keys of a file with this text.
    pub(crate) fn of(text: &str) -> Self {
        let keys = parse::keys(text).expect("a valid file").into_iter().map(Arc::new).collect();
        Self { path: PathBuf::new(), keys: Mutex::new(keys) }
    }
}
