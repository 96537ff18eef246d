//! A build without a crypto provider: the default features of the SDK, and no other crate with TLS.

use std::io;

use mosaicstack_telemetry::{
    bytes::Bytes,
    http,
    transport::{
        AsyncTransport, HyperTransport, Request, Response, Transport, TransportError, UreqTransport,
    },
};
use telemetry_collector::Collector;
use tokio::runtime::Builder;

fn send(url: &str) -> [Result<Response, TransportError>; 2] {
    let request = || -> Request {
        http::Request::get(format!("{url}/health")).body(Bytes::new()).expect("a valid request")
    };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    [
        UreqTransport::new().send(request()),
        runtime.block_on(async { HyperTransport::new().send(request()).await }),
    ]
}

#[test]
fn https_is_an_error_that_names_the_feature() -> io::Result<()> {
    let collector = Collector::start()?;
    for result in send(&collector.url().replace("http:", "https:")) {
        let error = result.expect_err("there is no provider");
        assert!(matches!(error, TransportError::Other(_)), "{error:?}");
        assert!(error.to_string().contains("enable the feature `ring`"), "{error}");
    }
    Ok(())
}

#[test]
fn http_needs_no_provider() -> io::Result<()> {
    let collector = Collector::start()?;
    for result in send(collector.url()) {
        result.expect("the collector responds");
    }
    Ok(())
}
