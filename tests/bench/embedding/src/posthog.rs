//! posthog-rs; with its default features, the client is for tokio.

use std::error::Error;

use posthog_rs::{ClientOptions, ClientOptionsBuilder, Event};

fn main() -> Result<(), Box<dyn Error>> {
    let options = ClientOptionsBuilder::default()
        .api_key("phc_hello".to_owned())
        .host("http://127.0.0.1:9")
        .build()?;
    hello(options)
}

fn event() -> Result<Event, posthog_rs::Error> {
    let mut event = Event::new("task", "hello");
    event.insert_prop("model", "hello")?;
    Ok(event)
}

#[cfg(feature = "posthog-usual")]
fn hello(options: ClientOptions) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = posthog_rs::client(options).await;
        client.capture(event()?);
        client.shutdown().await;
        Ok(())
    })
}

#[cfg(not(feature = "posthog-usual"))]
fn hello(options: ClientOptions) -> Result<(), Box<dyn Error>> {
    let client = posthog_rs::client(options);
    client.capture(event()?);
    client.shutdown();
    Ok(())
}
