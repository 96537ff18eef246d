//! Asynchronous transports over reqwest.

use std::io;

use tokio::{runtime::Handle, time::Instant};

use crate::{
    AsyncTransport, Idempotent, Request, Response, ResponseFuture, Timeout, TransportError, body,
    causes::{self, DynError},
};

/// Defines a transport over one version of reqwest. All versions have the same API and the same rules.
macro_rules! define_transport {
    ($transport:ident, $reqwest:ident, $version:literal) => {
        #[doc = concat!(
            "An asynchronous transport over a client of [reqwest](https://docs.rs/reqwest/", $version,
            ") ", $version, " that the program has."
        )]
        ///
        /// - Sends with the settings of the client: proxies, TLS, version of HTTP, and so on. Its default
        ///   headers do not replace those of a request.
        /// - The [`Timeout`] of a request replaces the timeout of the client. Those of connecting and of
        ///   reading apply as well.
        /// - A request that may have arrived is sent once more only if it is [idempotent](Idempotent). A
        ///   retry policy of the client does not apply.
        /// - Build the client with `redirect::Policy::none()`. [reqwest](crate#reqwest) describes clients that
        ///   follow redirects, and other differences from the other transports.
        ///
        /// Without a tokio runtime, requests are errors; tokio panics on a runtime without I/O or time.
        ///
        /// ```no_run
        #[doc = concat!("# use ", stringify!($reqwest), " as reqwest;")]
        #[doc = concat!("use telemetry_transport::", stringify!($transport), ";")]
        ///
        /// # fn main() -> Result<(), reqwest::Error> {
        /// let client = reqwest::Client::builder()
        ///     .redirect(reqwest::redirect::Policy::none())
        ///     .build()?;
        #[doc = concat!("let transport = ", stringify!($transport), "::new(client);")]
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Logging
        ///
        /// **With `connection_verbose` of the client's builder, reqwest logs whole requests at level `TRACE`,
        /// including the `Authorization` header with the API key.** Otherwise its log contains neither
        /// headers nor bodies.
        #[derive(Clone)]
        pub struct $transport {
            client: $reqwest::Client,
        }

        impl $transport {
            /// Creates a transport that shares the connections of `client`.
            #[must_use]
            pub const fn new(client: $reqwest::Client) -> Self {
                Self { client }
            }

            async fn exchange(
                &self,
                url: $reqwest::Url,
                request: Request,
            ) -> Result<$reqwest::Response, $reqwest::Error> {
                let timeout = Timeout::of(&request);
                let (head, body) = request.into_parts();
                let mut request = $reqwest::Request::new(head.method, url);
                *request.headers_mut() = head.headers;
                // As a stream, which reqwest cannot send again, neither to the target of a redirect nor by
                // its retry policy.
                *request.body_mut() = Some($reqwest::Body::wrap($reqwest::Body::from(body)));
                *request.timeout_mut() = Some(timeout);
                self.client.execute(request).await
            }
        }

        impl AsyncTransport for $transport {
            fn send(&self, request: Request) -> ResponseFuture<'_> {
                Box::pin(async move {
                    Handle::try_current().map_err(TransportError::other)?;
                    let url = $reqwest::Url::parse(&request.uri().to_string());
                    let url = url.map_err(TransportError::other)?;
                    let (start, timeout) = (Instant::now(), Timeout::of(&request));
                    let again = Idempotent::copy(&request);
                    let mut result = self.exchange(url.clone(), request).await;
                    if let (Err(error), Some(mut request)) = (&result, again)
                        && !error.is_connect()
                        && causes::is_disconnect(error)
                    {
                        let left = timeout.saturating_sub(start.elapsed());
                        request.extensions_mut().insert(Timeout(left));
                        result = self.exchange(url.clone(), request).await;
                    }
                    let response = result.map_err(|error| {
                        if error.is_timeout() {
                            return TransportError::Timeout;
                        }
                        let is_unusable = error.is_builder() || error.is_redirect();
                        causes::transport_error(&error.without_url(), |cause| {
                            is_unusable || is_permanent_cause(cause)
                        })
                    })?;
                    if *response.url() != url {
                        return Err(redirected(&response.url().origin().ascii_serialization()));
                    }
                    let (parts, body) = http::Response::from(response).into_parts();
                    let mut bytes = Vec::new();
                    body::read(body, &mut bytes).await;
                    Ok(Response::from_parts(parts, bytes))
                })
            }
        }

        impl std::fmt::Debug for $transport {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // Without the client, whose default headers can contain keys of other servers.
                f.debug_struct(stringify!($transport)).finish_non_exhaustive()
            }
        }
    };
}

#[cfg(feature = "reqwest")]
define_transport!(ReqwestTransport, reqwest, "0.13");
#[cfg(feature = "reqwest012")]
define_transport!(Reqwest012Transport, reqwest012, "0.12");

/// Messages of permanent failures: a refused certificate, a failed handshake of OpenSSL, status 407.
const PERMANENT: [&str; 3] = ["certificate", "SSL routines", "proxy authorization required"];

/// Returns whether the same request would fail again. The TLS of the client is not known here: rustls of
/// some version, or that of the system.
fn is_permanent_cause(cause: DynError<'_>) -> bool {
    let message = cause.to_string();
    // rustls reports a failed handshake as invalid data.
    cause.downcast_ref().map(io::Error::kind) == Some(io::ErrorKind::InvalidData)
        || PERMANENT.iter().any(|it| message.contains(it))
}

/// The target without its path, which can contain secrets.
fn redirected(target: &str) -> TransportError {
    TransportError::other(format!(
        "reqwest followed a redirect to {target} without the body of the request: correct the URL of the \
         server, and build the client with `redirect::Policy::none()`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_handshake_of_any_tls_is_permanent() {
        for (message, expected) in [
            ("certificate verify failed", true),
            ("error:0A00010B:SSL routines:ssl3_get_record:wrong version number", true),
            ("The certificate was not trusted.", true),
            ("unexpected EOF during handshake", false),
        ] {
            let error = TransportError::network(message);
            let error = causes::transport_error(&error, is_permanent_cause);
            assert_eq!(matches!(error, TransportError::Other(_)), expected, "{message}");
        }
        // rustls' error inside that of hyper-rustls.
        let inner = io::Error::new(io::ErrorKind::InvalidData, "corrupt message");
        let error = causes::transport_error(&io::Error::other(inner), is_permanent_cause);
        assert!(matches!(error, TransportError::Other(_)), "{error:?}");
    }
}
