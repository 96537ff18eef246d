#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod blocking;
#[cfg(any(feature = "hyper", feature = "reqwest", feature = "reqwest012"))]
mod body;
#[cfg(any(feature = "hyper", feature = "reqwest", feature = "reqwest012"))]
mod causes;
#[cfg(any(feature = "hyper", feature = "ureq"))]
mod crypto;
mod error;
#[cfg(feature = "hyper")]
mod hyper;
mod nonblocking;
#[cfg(any(feature = "hyper", feature = "ureq"))]
mod proxy;
mod request;
#[cfg(any(feature = "reqwest", feature = "reqwest012"))]
mod reqwest;
#[cfg(any(feature = "hyper", feature = "ureq"))]
mod roots;
#[cfg(any(feature = "hyper", feature = "ureq"))]
mod settings;
#[cfg(feature = "ureq")]
mod ureq;

#[cfg(test)]
mod tests;

pub use blocking::Transport;
pub use bytes;
pub use error::TransportError;
pub use http;
pub use nonblocking::{AsyncTransport, ResponseFuture};
pub use request::{Idempotent, MAX_RESPONSE_BYTES, Request, Response, Timeout, is_loopback};

#[cfg(feature = "hyper")]
pub use self::hyper::HyperTransport;
#[cfg(any(feature = "hyper", feature = "ureq"))]
pub use self::proxy::{Proxy, ProxyError};
#[cfg(feature = "reqwest012")]
pub use self::reqwest::Reqwest012Transport;
#[cfg(feature = "reqwest")]
pub use self::reqwest::ReqwestTransport;
#[cfg(any(feature = "hyper", feature = "ureq"))]
pub use self::roots::RootCertificateError;
#[cfg(feature = "ureq")]
pub use self::ureq::UreqTransport;
