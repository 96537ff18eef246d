//! A custom transport that appends each batch to a file, for another program to forward. The build
//! contains neither an HTTP client nor TLS.

use std::{
    env,
    error::Error,
    fs::{self, File},
    io::Write,
    process,
};

use mosaicstack_telemetry::{
    Outcome, TelemetryClient, TelemetryConfig,
    transport::{Request, Response, Transport, TransportError},
};

/// Appends the body of each request, which is JSON without line breaks, to a file.
struct Spool(File);

impl Transport for Spool {
    fn send(&self, request: Request) -> Result<Response, TransportError> {
        if request.uri().path() != "/v1/events/batch" {
            return Err(TransportError::other("this transport sends events only"));
        }
        let mut line = Vec::from(request.into_body());
        line.push(b'\n');
        // The client retries network errors, so events survive a full disk.
        (&self.0).write_all(&line).map_err(TransportError::network)?;
        Ok(Response::default()) // 200 without a body: all events are accepted
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::temp_dir().join(format!("own-transport-{}.jsonl", process::id()));
    let spool = Spool(File::options().append(true).create_new(true).open(&path)?);
    // The requests contain URL and key, for transports that need them.
    let config = TelemetryConfig::builder()
        .server_url("https://gateway.example.com")
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc")
        .batch_size(2)
        .build()?;

    let client = TelemetryClient::with_transport(config, spool);
    for model in ["small", "medium", "large"] {
        client.track(client.event().model(model).outcome(Outcome::Success).build());
    }
    let stats = client.stop();
    println!("{stats}, in {} batches", stats.requests);

    let lines = fs::read_to_string(&path)?;
    fs::remove_file(&path)?;
    assert_eq!((stats.tracked, stats.delivered, stats.pending), (3, 3, 0));
    assert!(stats.is_balanced());
    assert_eq!(lines.lines().count() as u64, stats.requests);
    assert!(["small", "medium", "large"].iter().all(|model| lines.contains(model)));
    Ok(())
}
