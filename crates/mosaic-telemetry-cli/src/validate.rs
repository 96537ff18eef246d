//! Checks of events.

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

use mosaicstack_telemetry::{
    TaskCompletionEvent,
    model::{EventBatch, ValidationErrors},
};
use serde_json::value::RawValue;

use crate::{cli::ValidateArgs, error::Error, rows::count};

pub(crate) fn run(arguments: &ValidateArgs, out: &mut dyn Write) -> Result<(), Error> {
    let (mut valid, mut faults) = (0, 0);
    let mut check = |name: &str, json: &[u8], out: &mut dyn Write| -> Result<(), Error> {
        for (line, (events, errors)) in documents(json) {
            valid += events;
            faults += errors.len();
            for error in errors {
                writeln!(out, "{name}:{line}: {error}")?;
            }
        }
        Ok(())
    };
    if arguments.files.is_empty() {
        let mut json = Vec::new();
        let result = io::stdin().read_to_end(&mut json);
        result.map_err(|error| Error::file("read", Path::new("standard input"), &error))?;
        check("-", &json, out)?;
    }
    for path in &arguments.files {
        let json = fs::read(path).map_err(|error| Error::file("read", path, &error))?;
        check(&path.display().to_string(), &json, out)?;
    }
    out.flush()?;
    if faults > 0 {
        return Err(Error::Message(format!("{} faults", count(faults as u64))));
    }
    Ok(writeln!(out, "{} events are valid", count(valid as u64))?)
}

/// The number of valid events, and the faults of the others.
type Checked = (usize, Vec<String>);

/// The line of each document, and what is in it.
fn documents(json: &[u8]) -> Vec<(usize, Checked)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = json.get(at..).filter(|rest| !rest.trim_ascii_start().is_empty()) {
        at += rest.len() - rest.trim_ascii_start().len();
        let rest = rest.trim_ascii_start();
        let line = 1 + json.iter().take(at).filter(|it| **it == b'\n').count();
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<&RawValue>();
        match values.next() {
            Some(Ok(value)) => {
                found.push((line, checked(value.get())));
                at += values.byte_offset();
            }
            Some(Err(error)) => {
                let line = line + error.line().saturating_sub(1);
                found.push((line, (0, vec![format!("no JSON: {error}")])));
                // The next line may be an event again.
                let end = rest.iter().position(|it| *it == b'\n').unwrap_or(rest.len());
                at += end.max(1);
            }
            None => break,
        }
    }
    found
}

/// The number of valid events in an event or a batch, and the faults of the others.
fn checked(json: &str) -> Checked {
    let events = if serde_json::from_str::<Batch<'_>>(json).is_ok() {
        EventBatch::from_json(json.as_bytes())
    } else {
        Ok(vec![TaskCompletionEvent::from_json(json.as_bytes())])
    };
    let events = events.unwrap_or_else(|errors| vec![Err(errors)]);
    let valid = events.iter().filter(|it| it.is_ok()).count();
    let errors = events.iter().filter_map(|it| it.as_ref().err());
    (valid, errors.flat_map(ValidationErrors::iter).map(ToString::to_string).collect())
}

/// The key that only a batch has.
#[derive(serde::Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    #[expect(dead_code, reason = "only its presence counts")]
    events: &'a RawValue,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_document_has_its_line() {
        let event = TaskCompletionEvent::builder(mosaicstack_telemetry::uuid::Uuid::from_u128(7));
        let event = serde_json::to_string(&event.model("m").build()).unwrap();
        let pretty: serde_json::Value = serde_json::from_str(&event).unwrap();
        let pretty = serde_json::to_string_pretty(&pretty).unwrap();
        let text =
            format!("\n{event}\n{{\n}}\n{event} {{\"events\":[{event},{event}]}}\nno\n{pretty}");
        let found = documents(text.as_bytes());
        let valid: Vec<_> = found.iter().map(|(line, (valid, _))| (*line, *valid)).collect();
        assert_eq!(valid, [(2, 1), (3, 0), (5, 1), (5, 2), (6, 0), (7, 1)]);
        let faults: Vec<_> = found.iter().map(|(_, (_, faults))| faults.len()).collect();
        assert!(faults[1] > 3 && faults[4] == 1, "{found:?}");
        assert_eq!(documents(b" \n"), []);
    }
}
