//! A program with a client of reqwest, which also sends its events. The build contains no other HTTP client, and
//! TLS only if the program enables that of reqwest.

use std::error::Error;

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Outcome, TelemetryConfig, transport::ReqwestTransport,
};
use reqwest::{Client, redirect::Policy};
use telemetry_collector::Collector;
use tokio::runtime::Builder;

fn main() -> Result<(), Box<dyn Error>> {
    let collector = Collector::start()?; // instead of a server
    let config = TelemetryConfig::builder()
        .server_url(collector.url())
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc")
        .build()?;
    // No proxy, since the collector is on loopback.
    let http = Client::builder().redirect(Policy::none()).no_proxy().build()?;

    let stats = Builder::new_current_thread().enable_all().build()?.block_on(async {
        let client =
            AsyncTelemetryClient::with_transport(config, ReqwestTransport::new(http.clone()));
        for model in ["small", "medium", "large"] {
            client.track(client.event().model(model).outcome(Outcome::Success).build());
        }
        client.stop().await
    });
    println!("{stats}");

    assert_eq!((stats.tracked, stats.delivered, stats.pending), (3, 3, 0));
    assert_eq!(collector.events().len(), 3);
    Ok(())
}
