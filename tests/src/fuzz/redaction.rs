//! Texts of servers and transports in the log: the key is redacted, harmless text is not.

use mosaicstack_telemetry::transport::{Response, TransportError};
use serde_json::json;

use super::{assert_no_key, longest_run, with_key};
use crate::{Log, Next, Simulation, config, track};

/// Characters that are logged.
const LONGEST: usize = 200;

/// A server and a transport fail with this text.
pub(super) fn check(input: &[u8]) {
    let text = with_key(input);
    let result = json!({ "status": "rejected", "error": text });
    let receipt = json!({ "results": [result] }).to_string();
    check_logged(&text, Ok(Response::new(receipt.into_bytes())));
    check_logged(&text, Err(TransportError::other(text.clone())));
    check_logged(&text, Err(TransportError::network(text.clone())));
}

fn check_logged(text: &str, result: Result<Response, TransportError>) {
    let config = config("https://example.com").max_retries(0).build().expect("a configuration");
    let mut simulation = Simulation::new(&config);
    track(&simulation.handle, 1);
    simulation.submitter.flush(simulation.instant());
    let Next::Sent(delivery) = simulation.step() else { panic!("nothing is sent") };
    // The transport's own words stand before the text.
    let prefix = result.as_ref().err().map_or(0, |error| error.to_string().len() - text.len());
    let log = Log::new();
    simulation.complete(delivery, result);
    let lines = log.lines("WARN");
    assert!(lines.len() == 1 || text.is_empty(), "{lines:?}");
    lines.iter().for_each(|line| assert_no_key(line));
    if is_harmless(text, LONGEST - prefix) {
        assert!(
            lines[0].contains(&text.split_whitespace().collect::<Vec<_>>().join(" ")),
            "{text:?} is missing in {lines:?}"
        );
    }
}

/// True if the text is logged unchanged: no part has to be cut, escaped, or redacted as a key in one
/// piece, in groups or in base64.
fn is_harmless(text: &str, longest: usize) -> bool {
    let groups = text.split(|c: char| !c.is_ascii_hexdigit()).map(str::len);
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "+/-_".contains(c)));
    !text.is_empty()
        && text.chars().count() <= longest
        && !text.contains(is_spacing)
        && longest_run(text) < 32
        && groups.filter(|length| *length >= 8).sum::<usize>() < 32
        && words.map(str::len).all(|length| length < 64)
}

/// True for a character that may be shown as a space: all that is neither ASCII nor a letter, and control
/// characters.
fn is_spacing(c: char) -> bool {
    c.is_control() || (!c.is_ascii() && !c.is_alphanumeric())
}
