//! Reads the fields of spans that follow the GenAI conventions. Other values are not looked at.

use std::fmt::{self, Write};

use telemetry_model::{MAX_TEXT_CHARS, Usage};
use tracing::{
    Level, Metadata,
    field::{Field, Visit},
};

/// Values of the fields that were recorded for a span.
#[derive(Debug, Default)]
pub(super) struct Fields {
    operation: Option<String>,
    provider: Option<String>,
    request_model: Option<String>,
    response_model: Option<String>,
    /// The conventions' totals, with cached and reasoning tokens.
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    reasoning: Option<u64>,
    status_code: Option<String>,
    has_error: bool,
    /// The span declares fields for an answer.
    expects_answer: bool,
    /// A field of an answer was recorded.
    is_answered: bool,
    /// Any of the above was recorded.
    is_recorded: bool,
}

/// Returns `true` for spans that follow the conventions.
pub(super) fn is_gen_ai(span: &Metadata<'_>) -> bool {
    declares(span, |name| name.starts_with("gen_ai."))
}

/// Returns `true` for log records of `#[instrument(err)]`, which have this field alone and no message.
pub(super) fn is_returned_error(event: &Metadata<'_>) -> bool {
    let fields = event.fields();
    *event.level() == Level::ERROR && fields.len() == 1 && fields.field("error").is_some()
}

fn declares(metadata: &Metadata<'_>, matches: impl Fn(&str) -> bool) -> bool {
    metadata.fields().iter().any(|field| matches(field.name()))
}

fn is_answer(name: &str) -> bool {
    name.starts_with("gen_ai.response.") || name.starts_with("gen_ai.usage.")
}

/// A field whose value is read.
enum Slot<'a> {
    Text(&'a mut Option<String>),
    Count(&'a mut Option<u64>),
}

impl Fields {
    /// Of a span without any value.
    pub(super) fn new(span: &Metadata<'_>) -> Self {
        Self { expects_answer: declares(span, is_answer), ..Self::default() }
    }

    pub(super) const fn is_empty(&self) -> bool {
        !self.is_recorded
    }

    pub(super) const fn set_error(&mut self) {
        (self.has_error, self.is_recorded) = (true, true);
    }

    /// Takes the values that were recorded later.
    pub(super) fn update(&mut self, later: Self) {
        fn set<T>(value: &mut Option<T>, later: Option<T>) {
            if later.is_some() {
                *value = later;
            }
        }
        set(&mut self.operation, later.operation);
        set(&mut self.provider, later.provider);
        set(&mut self.request_model, later.request_model);
        set(&mut self.response_model, later.response_model);
        set(&mut self.input, later.input);
        set(&mut self.output, later.output);
        set(&mut self.cache_read, later.cache_read);
        set(&mut self.cache_write, later.cache_write);
        set(&mut self.reasoning, later.reasoning);
        set(&mut self.status_code, later.status_code);
        self.has_error |= later.has_error;
        self.is_answered |= later.is_answered;
        self.is_recorded |= later.is_recorded;
    }

    /// The result of the span; `None` if it records none.
    pub(super) fn failed(&self) -> Option<bool> {
        let is_code =
            |code| self.status_code.as_ref().is_some_and(|it| it.eq_ignore_ascii_case(code));
        if is_code("ok") {
            Some(false)
        } else {
            (self.has_error || is_code("error")).then_some(true)
        }
    }

    /// Returns `true` if an answer was expected and never recorded. An agent's answers are those of its requests.
    pub(super) fn is_unanswered(&self) -> bool {
        let is_agent =
            matches!(self.operation.as_deref(), Some("invoke_agent" | "invoke_workflow"));
        self.expects_answer && !self.is_answered && !is_agent
    }

    /// Returns `true` for requests to a model, and for agents, whose requests may have no spans.
    pub(super) fn calls_model(&self) -> bool {
        match self.operation.as_deref() {
            Some(name) => !matches!(name, "create_agent" | "execute_tool" | "retrieval"),
            None => self.request_model.is_some() || self.is_answered,
        }
    }

    /// Name of the model, and of its provider.
    pub(super) fn model(self) -> Option<(String, Option<String>)> {
        let name = self.response_model.or(self.request_model)?;
        Some((name, self.provider))
    }

    /// `None` if the span has no numbers.
    pub(super) fn usage(&self) -> Option<Usage> {
        let counts = [self.input, self.cache_read, self.cache_write, self.output, self.reasoning];
        counts.iter().any(Option::is_some).then(|| {
            let [input, cache_read, cache_write, output, reasoning] =
                counts.map(Option::unwrap_or_default);
            let input = total(input, cache_read.saturating_add(cache_write));
            let output = total(output, reasoning);
            Usage::of_totals(input, cache_read, cache_write, output, reasoning)
        })
    }

    fn slot(&mut self, name: &str) -> Option<Slot<'_>> {
        // Some with their names in older versions of the conventions.
        Some(match name {
            "gen_ai.operation.name" => Slot::Text(&mut self.operation),
            "gen_ai.provider.name" | "gen_ai.system" => Slot::Text(&mut self.provider),
            "gen_ai.request.model" => Slot::Text(&mut self.request_model),
            "gen_ai.response.model" => Slot::Text(&mut self.response_model),
            "gen_ai.usage.input_tokens" | "gen_ai.usage.prompt_tokens" => {
                Slot::Count(&mut self.input)
            }
            "gen_ai.usage.output_tokens" | "gen_ai.usage.completion_tokens" => {
                Slot::Count(&mut self.output)
            }
            "gen_ai.usage.cache_read.input_tokens" | "gen_ai.usage.cache_read_input_tokens" => {
                Slot::Count(&mut self.cache_read)
            }
            "gen_ai.usage.cache_creation.input_tokens"
            | "gen_ai.usage.cache_creation_input_tokens" => Slot::Count(&mut self.cache_write),
            "gen_ai.usage.reasoning.output_tokens" | "gen_ai.usage.reasoning_tokens" => {
                Slot::Count(&mut self.reasoning)
            }
            "otel.status_code" => Slot::Text(&mut self.status_code),
            _ => return None,
        })
    }

    fn note(&mut self, name: &str) {
        self.is_answered |= is_answer(name);
        self.has_error |= name == "error.type";
        self.is_recorded |= self.is_answered || self.has_error;
    }
}

/// A total with its parts. One that is smaller than these does not contain them: so count Anthropic's API for
/// the cache and Gemini's for reasoning, and some crates record their numbers as they are.
const fn total(count: u64, parts: u64) -> u64 {
    if count < parts { count.saturating_add(parts) } else { count }
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.note(field.name());
        if let Some(Slot::Count(count)) = self.slot(field.name()) {
            *count = Some(value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record_u64(field, u64::try_from(value).unwrap_or_default());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(field.name());
        match self.slot(field.name()) {
            Some(Slot::Text(text)) => *text = Some(read(value)),
            Some(Slot::Count(count)) => *count = read(value).parse().ok(),
            None => return,
        }
        self.is_recorded = true;
    }
}

/// The start of a text, without the quotes that `Debug` adds.
fn read(value: &dyn fmt::Debug) -> String {
    let mut text = Text(String::new());
    // An error ends a text that is too long.
    let _ = write!(text, "{value:?}");
    text.0.trim_matches('"').to_owned()
}

/// Text of limited length.
struct Text(String);

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            // The builder of events counts characters.
            if self.0.len() >= 4 * MAX_TEXT_CHARS {
                return Err(fmt::Error);
            }
            self.0.push(char);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_taken_out_of_the_totals_that_contain_them() {
        for ([input, cache_read, cache_write, output, reasoning], expected) in [
            ([Some(1_000), Some(700), Some(200), Some(50), Some(30)], [100, 700, 200, 20, 30]),
            ([Some(900), Some(700), Some(200), Some(30), Some(30)], [0, 700, 200, 0, 30]),
            // Totals that cannot contain their parts.
            ([Some(899), Some(700), Some(200), Some(29), Some(30)], [899, 700, 200, 29, 30]),
            ([Some(1), Some(u64::MAX), Some(u64::MAX), None, None], [0, u64::MAX, 0, 0, 0]),
            ([None, None, None, Some(5), None], [0, 0, 0, 5, 0]),
            ([None, Some(5), None, None, None], [0, 5, 0, 0, 0]),
        ] {
            let fields =
                Fields { input, output, cache_read, cache_write, reasoning, ..Fields::default() };
            let [input, cache_read, cache_write, output, reasoning] = expected;
            let expected = Usage { input, cache_read, cache_write, output, reasoning };
            assert_eq!(fields.usage(), Some(expected));
        }
        assert_eq!(Fields::default().usage(), None);
    }
}
