//! The model without a client: validates a batch, as a server does.

use std::{
    error::Error,
    io::{self, Read},
};

use telemetry_model::EventBatch;

fn main() -> Result<(), Box<dyn Error>> {
    let mut body = Vec::new();
    io::stdin().read_to_end(&mut body)?;
    for event in EventBatch::from_json(&body)? {
        match event {
            Ok(event) => println!("{}", event.event_id),
            Err(errors) => println!("{errors}"),
        }
    }
    Ok(())
}
