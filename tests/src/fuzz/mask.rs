//! Other people's words, as they are logged.

use mosaicstack_telemetry::{Response, TransportError};
use serde_json::json;

use super::secret;
use crate::{Log, Next, Simulation, config, track};

/// How many characters of them are logged.
const LONGEST: usize = 200;

/// A server, and a gateway, say this.
pub(super) fn check(input: &[u8]) {
    let text = secret::planted(input);
    let result = json!({ "status": "rejected", "error": text });
    let receipt = json!({ "results": [result] }).to_string();
    check_logged(&text, Ok(Response::new(receipt.into_bytes())));
    check_logged(&text, Err(TransportError::other(text.clone())));
    for _ in 0..2 {
        check_logged(&text, Err(TransportError::network(text.clone())));
    }
}

fn check_logged(text: &str, result: Result<Response, TransportError>) {
    let config = config("https://example.com").max_retries(0).build().expect("a configuration");
    let mut simulation = Simulation::new(&config);
    track(&simulation.handle, 1);
    simulation.submitter.flush(simulation.instant());
    let Next::Sent(delivery) = simulation.step() else { panic!("nothing is sent") };
    // The words alone: a transport says in front of them what happened.
    let prefix = result.as_ref().err().map_or(0, |error| error.to_string().len() - text.len());
    let log = Log::new();
    simulation.complete(delivery, result);
    let lines = log.lines("WARN");
    assert!(lines.len() == 1 || text.is_empty(), "{lines:?}");
    lines.iter().for_each(|line| secret::check(line));
    if is_harmless(text, LONGEST - prefix) {
        assert!(lines[0].contains(text.trim()), "{text:?} is missing in {lines:?}");
    }
}

/// Whether nothing of the text has to be left out or changed.
fn is_harmless(text: &str, longest: usize) -> bool {
    !text.is_empty()
        && text.chars().count() <= longest
        && !text.contains(char::is_control)
        && secret::longest_run(text) < 32
        && !has_other_forms(text)
}

/// Whether there may be a key in groups, or in base64.
fn has_other_forms(text: &str) -> bool {
    let groups = text.split(|c: char| !c.is_ascii_hexdigit()).map(str::len);
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "+/-_".contains(c)));
    groups.filter(|length| *length >= 8).sum::<usize>() >= 32
        || words.map(str::len).any(|length| length >= 64)
}
