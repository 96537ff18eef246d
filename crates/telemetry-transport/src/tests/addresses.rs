//! Hosts with several addresses, the first of which does not answer.
//!
//! On Linux only: elsewhere, `127.0.0.2` may not exist, and a full backlog may refuse.
#![cfg(target_os = "linux")]

use std::{
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use tokio::{net::TcpSocket, runtime::Builder};

use super::{
    post_within,
    server::{connect, read_request, respond, server},
};
use crate::Transport;
#[cfg(feature = "hyper")]
use crate::hyper::Resolver;

/// Half of it, or more, passes before the second address is tried.
const TIMEOUT: Duration = Duration::from_secs(2);

const LIVE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const SILENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[cfg(feature = "hyper")]
#[test]
fn hyper_reaches_the_address_after_a_silent_one() {
    next_address_is_reached(|addresses| {
        let addresses: Vec<std::net::SocketAddr> =
            addresses.into_iter().map(|it| (it, 0).into()).collect();
        let resolver = Resolver::new(move |_| Ok(addresses.clone().into_iter()));
        let settings = super::settings(&[], None);
        super::runtime::block_on(crate::HyperTransport::with_resolver(settings, resolver))
    });
}

#[cfg(feature = "ureq")]
#[test]
fn ureq_reaches_the_address_after_a_silent_one() {
    use ureq::{
        Agent, Error,
        config::Config,
        http::Uri,
        unversioned::{
            resolver::{ResolvedSocketAddrs, Resolver},
            transport::{DefaultConnector, NextTimeout},
        },
    };

    #[derive(Debug)]
    struct Addresses(Vec<IpAddr>);

    impl Resolver for Addresses {
        fn resolve(
            &self,
            uri: &Uri,
            _: &Config,
            _: NextTimeout,
        ) -> Result<ResolvedSocketAddrs, Error> {
            let mut addresses = self.empty();
            for address in &self.0 {
                addresses.push((*address, uri.port_u16().unwrap()).into());
            }
            Ok(addresses)
        }
    }

    next_address_is_reached(|addresses| {
        let config = Agent::config_builder().http_status_as_error(false).proxy(None).build();
        let agent = Agent::with_parts(config, DefaultConnector::new(), Addresses(addresses));
        Box::new(crate::UreqTransport::with_agent(agent))
    });
}

fn next_address_is_reached(new: fn(Vec<IpAddr>) -> Box<dyn Transport>) {
    let (v4, v6) = (IpAddr::V4, |address: Ipv4Addr| IpAddr::V6(address.to_ipv6_mapped()));
    let mut cases = vec![
        vec![v4(SILENT), v4(LIVE)],
        vec![v4(SILENT), v4(LIVE), v4(LIVE)],
        vec![v4(LIVE), v4(SILENT), v4(SILENT)],
    ];
    if TcpListener::bind("[::1]:0").is_ok() {
        cases.extend([
            vec![v6(SILENT), v6(LIVE)],
            vec![v6(SILENT), v6(LIVE), v6(LIVE)],
            vec![v6(SILENT), v4(LIVE)],
        ]);
    } else {
        println!("skipped: this system has no IPv6");
    }
    thread::scope(|scope| {
        for addresses in cases {
            scope.spawn(move || {
                let (url, server) = server(1, |mut stream| {
                    let request = read_request(&mut stream).is_some();
                    respond(&mut stream, "200 OK", "");
                    request
                });
                let _silent = silent(&url);
                let shown = format!("{addresses:?}");
                let transport = new(addresses);
                let request = post_within(TIMEOUT, &url.replace("127.0.0.1", "telemetry.invalid"));
                let result = transport.send(request);
                connect(&url);
                assert!(result.is_ok(), "{shown}: {result:?}");
                assert_eq!(server.join().unwrap(), [true], "{shown}");
            });
        }
    });
}

/// A listener on the port of `url` whose backlog is full: the system drops requests to connect, as a
/// firewall does.
fn silent(url: &str) -> (TcpListener, TcpStream) {
    let port = url.trim_end_matches("/v1").rsplit(':').next().unwrap().parse().unwrap();
    let runtime = Builder::new_current_thread().enable_io().build().unwrap();
    let listener = runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((SILENT, port).into()).unwrap();
        socket.listen(0).unwrap().into_std().unwrap()
    });
    // A backlog of 0 has room for one connection.
    let filler = TcpStream::connect((SILENT, port)).unwrap();
    (listener, filler)
}
