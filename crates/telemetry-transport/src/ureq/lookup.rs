//! Looks names up when a connection is made, not for each request.
//!
//! ureq asks its resolver before it looks for an open connection, and the default one starts a thread
//! for each request that has a time-out, for an address as for a name.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use http::Uri;
use ureq::{
    Error,
    config::Config,
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::{ConnectionDetails, Connector, DefaultConnector, NextTimeout, time::Instant},
    },
};

/// Resolves no name; leaves that to [`Connecting`].
#[derive(Debug)]
pub(super) struct Later;

impl Resolver for Later {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        if let Some(address) = address(uri) {
            addresses.push(address);
        }
        Ok(addresses)
    }
}

/// The default connector, behind what looks up the name of whom it connects to.
#[derive(Debug)]
pub(super) struct Connecting<R> {
    inner: DefaultConnector,
    names: R,
}

impl<R: Resolver> Connecting<R> {
    pub(super) fn new(names: R) -> Self {
        Self { inner: DefaultConnector::new(), names }
    }
}

impl<R: Resolver> Connector<()> for Connecting<R> {
    type Out = <DefaultConnector as Connector<()>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        // What is reached through a proxy is looked up by the proxy. The proxy itself comes this way as
        // well, without one.
        if !details.addrs.is_empty() || details.config.proxy().is_some() {
            return self.inner.connect(details, chained);
        }
        let addrs = self.names.resolve(details.uri, details.config, details.timeout)?;
        let now = (details.current_time)();
        let details = ConnectionDetails {
            uri: details.uri,
            addrs,
            config: details.config,
            request_level: details.request_level,
            resolver: details.resolver,
            now,
            timeout: left(details.timeout, details.now, now)?,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        self.inner.connect(&details, chained)
    }
}

/// The address that needs no look-up.
fn address(uri: &Uri) -> Option<SocketAddr> {
    let host = uri.host()?;
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host: IpAddr = inside.unwrap_or(host).parse().ok()?;
    let port = uri.port_u16().or_else(|| match uri.scheme_str() {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    })?;
    Some(SocketAddr::new(host, port))
}

/// What the look-up left of the time.
fn left(timeout: NextTimeout, start: Instant, now: Instant) -> Result<NextTimeout, Error> {
    if timeout.after.is_not_happening() {
        return Ok(timeout);
    }
    let passed = match (start, now) {
        (Instant::Exact(start), Instant::Exact(now)) => now.saturating_duration_since(start),
        _ => Duration::ZERO,
    };
    let left = timeout.after.saturating_sub(passed);
    if left.is_zero() {
        return Err(Error::Timeout(timeout.reason));
    }
    Ok(NextTimeout { after: left.into(), ..timeout })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Read, Write},
        net::{Ipv4Addr, TcpListener},
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
    };

    use super::*;
    use crate::{
        Request, Transport, TransportError, UreqTransport, proxy::Environment, ureq::mozilla,
    };

    /// Finds everybody at one port of loopback, and counts how often it is asked.
    #[derive(Debug)]
    struct Counting {
        port: u16,
        asked: Arc<AtomicUsize>,
    }

    impl Resolver for Counting {
        fn resolve(
            &self,
            uri: &Uri,
            _: &Config,
            timeout: NextTimeout,
        ) -> Result<ResolvedSocketAddrs, Error> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if uri.host() == Some("slow.test") {
                return Err(Error::Timeout(timeout.reason));
            }
            let mut addresses = self.empty();
            addresses.push((Ipv4Addr::LOCALHOST, self.port).into());
            Ok(addresses)
        }
    }

    fn transport(port: u16) -> (UreqTransport, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let names = Counting { port, asked: Arc::clone(&asked) };
        let environment = Environment::read(|_| None, crate::ureq::parse_proxy);
        (UreqTransport::with_names(environment, mozilla(), names), asked)
    }

    fn request(url: &str) -> Request {
        http::Request::post(url).body(b"{}".to_vec()).unwrap()
    }

    /// Answers two requests a connection, on two connections.
    fn two_and_two(listener: TcpListener) {
        for _ in 0..2 {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            for connection in ["keep-alive", "close"] {
                let mut length = 0;
                let mut line = String::new();
                while stream.read_line(&mut line).unwrap() > 2 {
                    if let Some(value) = line.strip_prefix("content-length: ") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                stream.read_exact(&mut vec![0; length]).unwrap();
                let answer = format!(
                    "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: {connection}\r\n\r\n"
                );
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        }
    }

    #[test]
    fn a_name_is_looked_up_for_a_connection_and_an_address_never() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(|| two_and_two(listener));
        let (transport, asked) = transport(port);
        let mut counts = Vec::new();
        for host in ["telemetry.test", "telemetry.test", "127.0.0.1", "127.0.0.1"] {
            let answer = transport.send(request(&format!("http://{host}:{port}/")));
            assert_eq!(answer.unwrap().status(), 202);
            counts.push(asked.load(Ordering::Relaxed));
        }
        assert_eq!(counts, [1, 1, 1, 1]);
        server.join().unwrap();
    }

    #[test]
    fn a_look_up_that_takes_too_long_is_a_time_out() {
        let (transport, _) = transport(1);
        let error = transport.send(request("http://slow.test/")).unwrap_err();
        assert!(matches!(error, TransportError::Timeout), "{error:?}");
    }

    #[test]
    fn addresses_are_those_of_the_uri() {
        let address = |uri: &'static str| address(&Uri::from_static(uri)).map(|it| it.to_string());
        assert_eq!(address("http://127.0.0.1:81/").unwrap(), "127.0.0.1:81");
        assert_eq!(address("http://127.0.0.1/").unwrap(), "127.0.0.1:80");
        assert_eq!(address("https://[::1]/").unwrap(), "[::1]:443");
        assert_eq!(address("http://localhost:81/"), None);
        assert_eq!(address("/path"), None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an instant can only be had from the clock")]
    fn what_a_look_up_took_is_gone() {
        let start = std::time::Instant::now();
        let after = |seconds| Instant::Exact(start + Duration::from_secs(seconds));
        let timeout =
            NextTimeout { after: Duration::from_secs(10).into(), ..NextTimeout::default() };
        let left = |timeout, now| left(timeout, Instant::Exact(start), now).map(|it| it.after);
        assert_eq!(left(timeout, after(3)).unwrap(), Duration::from_secs(7).into());
        assert!(matches!(left(timeout, after(10)), Err(Error::Timeout(_))));
        let none = NextTimeout::default();
        assert!(left(none, after(3)).unwrap().is_not_happening());
    }
}
