//! The SDK on a thread, with a custom transport.

use mosaicstack_telemetry::{
    ConfigError, Outcome, TelemetryClient, TelemetryConfig,
    transport::{Request, Response},
};

fn main() -> Result<(), ConfigError> {
    let config = TelemetryConfig::builder()
        .server_url("http://127.0.0.1:9")
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc")
        .build()?;
    let client = TelemetryClient::with_transport(config, |request: Request| {
        println!("{} bytes", request.body().len());
        Ok(Response::default())
    });
    client.track(client.event().model("hello").outcome(Outcome::Success).build());
    println!("{}", client.stop());
    Ok(())
}
