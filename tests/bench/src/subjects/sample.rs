//! What is handed over: real agent runs, as our events and as the fields that any SDK can carry.

use mosaicstack_telemetry::{EventBuilder, TaskCompletionEvent};
use serde::{Serialize, Serializer};

use crate::{
    events::{self, INSTANCE, Run},
    fields::{Value, fields},
};

/// An agent run in the forms in which it is handed over.
#[derive(Debug)]
pub struct Sample {
    run: Run,
    /// The 18 values that an agent knows about its task. Our event has 26; those left out are its
    /// ids, version and time, which the peers have in their envelopes, the estimates, which this
    /// data does not have, and the size of the repository, likewise.
    pub fields: Vec<(&'static str, Value)>,
    /// The fields as a line of JSON.
    pub line: String,
    /// The fields as a timer of statsd with tags.
    pub metric: String,
}

/// All samples. They live as long as the program.
///
/// # Errors
///
/// The data cannot be read.
pub fn samples() -> Result<&'static [Sample], String> {
    let samples: Result<Vec<_>, _> = events::read()?.into_iter().map(Sample::new).collect();
    Ok(samples?.leak())
}

impl Sample {
    fn new(run: Run) -> Result<Self, String> {
        let fields = known(&run.event(EventBuilder::new(INSTANCE)));
        let mut sample = Self { run, fields, line: String::new(), metric: String::new() };
        let mut line = Vec::new();
        sample.write_line(&mut line);
        sample.line = String::from_utf8(line).map_err(|error| error.to_string())?;
        let mut metric = String::new();
        sample.write_metric(&mut metric);
        sample.metric = metric;
        Ok(sample)
    }

    /// Makes our event of it.
    #[must_use]
    pub fn event(&self, builder: EventBuilder) -> TaskCompletionEvent {
        self.run.event(builder)
    }

    /// Replaces `line` by the fields as JSON.
    pub fn write_line(&self, line: &mut Vec<u8>) {
        struct Fields<'a>(&'a [(&'static str, Value)]);
        impl Serialize for Fields<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
            }
        }
        line.clear();
        serde_json::to_writer(&mut *line, &Fields(&self.fields)).expect("a vector takes all");
        line.push(b'\n');
    }

    /// Replaces `metric` by the fields as a timer with tags.
    pub fn write_metric(&self, metric: &mut String) {
        use std::fmt::Write;

        metric.clear();
        for (index, (name, value)) in self.fields.iter().enumerate() {
            let written = match (index, value) {
                // The first one is the duration.
                (0, Value::Count(count)) => write!(metric, "task:{count}|ms"),
                (_, value) => {
                    metric.push_str(if index == 1 { "|#" } else { "," });
                    write!(metric, "{name}:{value}")
                }
            };
            written.expect("a string takes all");
        }
    }
}

/// What an agent knows about its task. A list is one text: it would cost the peers more.
fn known(event: &TaskCompletionEvent) -> Vec<(&'static str, Value)> {
    let known = fields(event).into_iter().filter(|(name, _)| !name.starts_with("estimated_"));
    known.map(|(name, value)| (name, value.flat())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_18_fields_in_each_form() {
        let samples = samples().unwrap();
        assert_eq!(samples.len(), 800);
        for sample in samples {
            assert_eq!(sample.fields.len(), 18);
            let line: serde_json::Value = serde_json::from_str(&sample.line).unwrap();
            assert_eq!(line.as_object().unwrap().len(), 18);
            assert_eq!(line["model"], sample.run.model);
            assert_eq!(sample.metric.matches(',').count(), 16, "{}", sample.metric);
        }
    }
}
