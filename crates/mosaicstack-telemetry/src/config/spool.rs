//! Settings of the spool.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::Serialize;
use telemetry_model::SchemaVersion;
use telemetry_spool::{Error, SpoolOptions, SyncPolicy};
use uuid::Uuid;

use super::TelemetryConfig;

/// Settings of the files that keep events until they are delivered; see [`spool`](crate::spool).
#[derive(Clone, Debug)]
#[must_use]
pub struct Spool {
    pub(super) dir: PathBuf,
    options: SpoolOptions,
}

impl Spool {
    /// Keeps events below this folder, which is created with its parents if it does not exist. An absolute path.
    ///
    /// Any number of programs may use the same folder, also for several servers and instances. Choose one that
    /// outlives the program and that only its user can write, for example below `$XDG_STATE_HOME`.
    pub fn in_dir(path: impl Into<PathBuf>) -> Self {
        Self { dir: path.into(), options: SpoolOptions::default() }
    }

    /// Maximum size of all files of one server and instance, 16 MiB by default. The oldest files go first; their
    /// events are counted as `expired`. All programs that share the folder should set the same bounds.
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.options.max_bytes = bytes;
        self
    }

    /// Maximum number of files, as [`max_bytes`](Self::max_bytes); 4,096 by default.
    pub const fn max_files(mut self, files: u64) -> Self {
        self.options.max_files = files;
        self
    }

    /// Age at which events are removed instead of delivered, 30 days by default.
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.options.max_age = age;
        self
    }

    /// When to wait until events are on the disk; never by default. That matters for a power loss, not for the end of
    /// the process.
    pub const fn sync(mut self, policy: SyncPolicy) -> Self {
        self.options.sync = policy;
        self
    }

    pub(super) fn checked(self) -> Result<Self, String> {
        if self.dir.is_absolute() {
            return Ok(self);
        }
        // A relative one would be another folder in each working directory. Not shown: it may be a secret in the
        // wrong place.
        Err("expected an absolute path of a folder, found another".into())
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// A spool and the destination of its events.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    spool: Spool,
    name: String,
    header: Vec<u8>,
}

/// Stored at the start of each file: its events must not reach another server.
#[derive(Serialize)]
struct Header<'a> {
    url: &'a str,
    instance_id: Uuid,
    schema: SchemaVersion,
}

impl Destination {
    /// `None` without a spool, and if events are not sent.
    pub(crate) fn of(config: &TelemetryConfig) -> Option<Self> {
        let (server, spool) = (config.server.as_ref()?, config.spool.clone()?);
        if config.dry_run {
            return None;
        }
        let (url, instance_id) = (server.url.as_str(), config.instance_id);
        let header = Header { url, instance_id, schema: SchemaVersion::default() };
        // Infallible: it consists of text, and the writer is memory.
        let header = serde_json::to_vec(&header).unwrap_or_default();
        // For people who look at the folder; the checksum makes the difference.
        let authority = url.split('/').nth(2).unwrap_or_default();
        let is_plain = |it: char| it.is_ascii_alphanumeric() || it == '.';
        let host = authority.chars().map(|it| if is_plain(it) { it } else { '-' });
        let host: String = host.take(100).collect();
        let name = format!("{instance_id}@{host}-{:08x}", crc32fast::hash(url.as_bytes()));
        Some(Self { spool, name, header })
    }

    pub(crate) fn open(&self) -> Result<telemetry_spool::Spool, Error> {
        let options = self.spool.options.clone();
        telemetry_spool::Spool::open(&self.spool.dir, &self.name, &self.header, options)
    }
}

/// Time in unix milliseconds.
pub(crate) fn unix_millis(wall: SystemTime) -> u64 {
    let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::config::validate::tests::{INSTANCE, KEY, URL, issues, vars};

    #[test]
    fn code_takes_precedence_over_the_environment_and_this_over_a_file() {
        let file = serde_json::json!({
            "server_url": URL, "api_key": KEY, "instance_id": INSTANCE, "spool_dir": "/file",
        });
        for (from_code, from_env, expected) in [
            (None, None, "/file"),
            (None, Some("/env"), "/env"),
            (Some("/code"), Some("/env"), "/code"),
            (Some("/code"), None, "/code"),
        ] {
            let mut builder: crate::TelemetryConfigBuilder =
                serde_json::from_value(file.clone()).unwrap();
            if let Some(dir) = from_code {
                builder = builder.spool(Spool::in_dir(dir));
            }
            // An empty variable counts as unset.
            let variable = ("MOSAIC_TELEMETRY_SPOOL_DIR", from_env.unwrap_or_default());
            let config = builder.with_vars(vars([variable])).build().unwrap();
            assert_eq!(config.spool().unwrap().dir(), Path::new(expected));
        }
    }

    #[test]
    fn relative_path_is_an_issue() {
        let builder =
            || TelemetryConfig::builder().server_url(URL).api_key(KEY).instance_id(INSTANCE);
        let relative = "~/telemetry";
        let variable = ("MOSAIC_TELEMETRY_SPOOL_DIR", relative);
        let expected = "expected an absolute path of a folder, found another";
        let from_env = "(in MOSAIC_TELEMETRY_SPOOL_DIR)";
        for (builder, expected) in [
            (builder().spool(Spool::in_dir(relative)), format!("spool: {expected}")),
            (builder().with_vars(vars([variable])), format!("spool_dir: {expected} {from_env}")),
        ] {
            assert_eq!(issues(builder), [expected]);
        }
    }

    #[test]
    fn servers_and_instances_have_different_names() {
        let name = |url: &str, instance: u128| {
            let config = TelemetryConfig::builder()
                .server_url(url)
                .api_key(KEY)
                .instance_id(Uuid::from_u128(instance))
                .spool(Spool::in_dir("/spool"));
            Destination::of(&config.build().unwrap()).unwrap().name
        };
        let names = [
            name("https://example.com", 1),
            name("https://example.com", 2),
            name("https://example.com/base", 1),
            name("https://example.com:8443", 1),
            name("http://[::1]:80", 1),
        ];
        let expected = "00000000-0000-0000-0000-000000000001@example.com-";
        assert!(names[0].starts_with(expected), "{names:?}");
        assert!(names[4].contains("@---1--80-"), "{names:?}");
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }
}
