//! Configuration of a collector that other machines reach.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    path::PathBuf,
};

use crate::{CollectorBuilder, access::Access, key_access::KeyAccess, keys::KeyFile};

/// The default of [`CollectorBuilder::rate`]: ten clients that each send a batch of 100 events every two seconds, and
/// twice as much.
const DEFAULT_RATE: NonZeroU32 = NonZeroU32::new(600).unwrap();

pub(crate) struct Network {
    pub(crate) listen: IpAddr,
    pub(crate) keys: Option<PathBuf>,
    rate: Option<NonZeroU32>,
    pub(crate) is_behind_proxy: bool,
}

impl Network {
    pub(crate) const fn new() -> Self {
        let listen = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { listen, keys: None, rate: None, is_behind_proxy: false }
    }

    /// Reads the keys. `None` without a file of keys.
    ///
    /// # Errors
    ///
    /// See [`CollectorBuilder::start`].
    pub(crate) fn access(
        &self,
        has_single_key: bool,
        has_certificate_files: bool,
    ) -> io::Result<Option<Access>> {
        let error = |message: &str| Err(io::Error::new(ErrorKind::InvalidInput, message));
        let is_protected = self.keys.is_some() && (has_certificate_files || self.is_behind_proxy);
        if !self.listen.is_loopback() && !is_protected {
            return error(
                "listening beyond loopback requires keys, and either certificate files (TLS) or a \
                 proxy that serves TLS",
            );
        }
        let Some(file) = &self.keys else {
            if self.is_behind_proxy || self.rate.is_some() {
                return error("a proxy and a rate require keys");
            }
            return Ok(None);
        };
        if has_single_key {
            return error("keys replace the API key and the instance");
        }
        let rate = self.rate.unwrap_or(DEFAULT_RATE);
        let keys = KeyFile::open(file.clone())?;
        Ok(Some(Access::Keys(Box::new(KeyAccess::new(keys, rate, self.is_behind_proxy)))))
    }
}

/// Settings of the feature `keys`.
impl CollectorBuilder {
    /// Listens on this address. The default is 127.0.0.1.
    ///
    /// One beyond loopback requires [`keys`](Self::keys), and either `certificate_files` (feature `tls`) or
    /// [`behind_proxy`](Self::behind_proxy). With an unspecified address, 0.0.0.0 or `::`,
    /// [`Collector::url`](crate::Collector::url) is no URL for clients.
    pub fn listen(mut self, address: IpAddr) -> Self {
        self.network.listen = address;
        self
    }

    /// Accepts events with the keys of this file only, each for its instances and in its time. Replaces
    /// [`api_key`](Self::api_key) and [`instance_id`](Self::instance_id).
    ///
    /// Requests and connections are limited then; see the README for the format and the limits.
    /// [`Collector::reload`](crate::Collector::reload) reads the file again.
    pub fn keys(mut self, file: impl Into<PathBuf>) -> Self {
        self.network.keys = Some(file.into());
        self
    }

    /// Limits the requests a minute of each key whose entry has no `rate`. The default is 600.
    ///
    /// After a pause, the requests of 10 seconds may come at once. Others are answered with 429 and `retry-after`.
    pub fn rate(mut self, per_minute: NonZeroU32) -> Self {
        self.network.rate = Some(per_minute);
        self
    }

    /// Expects all connections from a proxy that serves TLS and adds the address of its client to `x-forwarded-for`.
    ///
    /// The last address of that header, instead of that of the connection, is the one whose requests are limited. A
    /// client that can connect without the proxy can choose it.
    pub fn behind_proxy(mut self) -> Self {
        self.network.is_behind_proxy = true;
        self
    }
}
