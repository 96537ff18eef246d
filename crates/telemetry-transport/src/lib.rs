#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
extern crate self as telemetry_transport;

mod blocking;
mod error;
#[cfg(feature = "hyper")]
mod hyper;
mod nonblocking;
#[cfg(any(feature = "hyper", feature = "ureq"))]
mod proxy;
mod request;
#[cfg(all(feature = "rustls", any(feature = "hyper", feature = "ureq")))]
mod roots;
#[cfg(feature = "ureq")]
mod ureq;

pub use blocking::Transport;
pub use error::TransportError;
pub use nonblocking::{AsyncTransport, ResponseFuture};
pub use request::{MAX_RESPONSE_BYTES, Request, Response, Timeout, is_loopback};

#[cfg(feature = "hyper")]
pub use self::hyper::HyperTransport;
#[cfg(all(feature = "rustls", any(feature = "hyper", feature = "ureq")))]
pub use self::roots::RootCertificateError;
#[cfg(feature = "ureq")]
pub use self::ureq::UreqTransport;

/// The crate whose types requests and answers are. In a module, so that a glob import does not hide
/// one's own.
pub mod reexport {
    pub use http;
}
