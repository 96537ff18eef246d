//! The SDK as a task of tokio, with a custom transport.

use std::error::Error;

use mosaicstack_telemetry::{
    AsyncTelemetryClient, Outcome, TelemetryConfig,
    transport::{Request, Response},
};
use tokio::runtime::Builder;

fn main() -> Result<(), Box<dyn Error>> {
    let config = TelemetryConfig::builder()
        .server_url("http://127.0.0.1:9")
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc")
        .build()?;
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let client = AsyncTelemetryClient::with_transport(config, async |request: Request| {
            println!("{} bytes", request.body().len());
            Ok(Response::default())
        });
        client.track(client.event().model("hello").outcome(Outcome::Success).build());
        println!("{}", client.stop().await);
    });
    Ok(())
}
