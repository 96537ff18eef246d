//! Validates the body of `POST /v1/events/batch` as a server does: accepts the valid events, and
//! reports the errors of the others with their positions.
//!
//! ```text
//! validator           # a built-in body
//! validator FILE      # the body in a file; `-` is the standard input
//! ```
//!
//! Exits with 0 if the body is a batch, even with invalid events, 1 if it is not, 2 if it cannot be read.

use std::{
    env, fs,
    io::{self, Read},
    process::ExitCode,
};

use telemetry_model::{BatchReceipt, EventBatch, EventResult, ValidationErrors};

fn main() -> ExitCode {
    let body = match read() {
        Ok(body) => body,
        Err(error) => {
            eprintln!("cannot read the body: {error}");
            return ExitCode::from(2);
        }
    };
    match answer(&body) {
        Ok(receipt) => {
            for result in &receipt.results {
                let id = result.event_id.map_or("without id".into(), |id| id.to_string());
                println!("{id}: {}", result.status);
                result.error.iter().flat_map(|it| it.lines()).for_each(|it| println!("  {it}"));
            }
            println!("200 {}", serde_json::json!(receipt));
            ExitCode::SUCCESS
        }
        Err(faults) => {
            println!("422 {}", serde_json::json!({ "faults": faults.iter().collect::<Vec<_>>() }));
            ExitCode::FAILURE
        }
    }
}

/// The receipt of a batch, or the errors of a body that is not a batch.
fn answer(body: &[u8]) -> Result<BatchReceipt, ValidationErrors> {
    let results = EventBatch::from_json(body)?.into_iter().map(|event| match event {
        Ok(event) => EventResult::accepted(event.event_id), // a server would store it here
        Err(faults) => EventResult::rejected(faults.event_id(), faults.to_string()),
    });
    Ok(BatchReceipt::new(results.collect()))
}

fn read() -> io::Result<Vec<u8>> {
    match env::args().nth(1).as_deref() {
        None => Ok(include_bytes!("../batch.json").into()),
        Some("-") => {
            let mut body = Vec::new();
            io::stdin().read_to_end(&mut body).map(|_| body)
        }
        Some(path) => fs::read(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_their_positions() {
        let receipt = answer(include_bytes!("../batch.json")).unwrap();
        assert_eq!((receipt.accepted, receipt.rejected), (Some(1), Some(2)));
        let faults = receipt.results.iter().filter_map(|result| result.error.as_deref());
        let pointers = faults.flat_map(str::lines).filter_map(|line| line.split(':').next());
        assert_eq!(
            pointers.collect::<Vec<_>>(),
            [
                "/events/1/modle",
                "/events/1/model",
                "/events/1/actual_input_tokens",
                "/events/1/context_utilization_final",
                "/events/2",
            ]
        );
    }

    #[test]
    fn body_that_is_not_a_batch_is_rejected() {
        assert_eq!(answer(b"{\"events\": 7}").unwrap_err().len(), 1);
    }
}
