//! Generation of API keys.

use std::{
    fmt::{self, Write as _},
    io,
};

use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};

use super::{is_name, parse::NAME};

/// A generated API key, and its entry for the file of [`CollectorBuilder::keys`](crate::CollectorBuilder::keys).
///
/// ```
/// let new = telemetry_collector::NewKey::generate("ci")?;
/// assert_eq!(new.key().len(), 64);
/// assert!(new.entry().starts_with("[[key]]\nname = \"ci\"\nsha256 = \""));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct NewKey {
    key: String,
    entry: String,
}

impl NewKey {
    /// Generates a key from 256 bits of the system's random source.
    ///
    /// # Errors
    ///
    /// The name is invalid ([`io::ErrorKind::InvalidInput`]): it has 1 to 32 characters, ASCII letters, digits,
    /// `.`, `-` and `_`. Or the system has no random source.
    pub fn generate(name: &str) -> io::Result<Self> {
        if !is_name(name) {
            let error = format!("expected {NAME} as the name of a key");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        let mut bits = [0; 32];
        SystemRandom::new()
            .fill(&mut bits)
            .map_err(|_| io::Error::other("the system's random source failed"))?;
        let key = hex(&bits);
        let sha256 = hex(digest(&SHA256, key.as_bytes()).as_ref());
        let entry = format!("[[key]]\nname = \"{name}\"\nsha256 = \"{sha256}\"\n");
        Ok(Self { key, entry })
    }

    /// The key, 64 hexadecimal characters.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The entry in TOML, with the hash of the key. Valid for any instance and without end, unless fields are added.
    #[must_use]
    pub fn entry(&self) -> &str {
        &self.entry
    }
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey").finish_non_exhaustive()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Infallible: a string grows.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
