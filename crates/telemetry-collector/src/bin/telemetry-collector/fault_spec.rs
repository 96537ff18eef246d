//! ValidationErrors in JSON, the values of `--fault`.

use std::{collections::BTreeMap, num::NonZeroUsize, str::FromStr, time::Duration};

use http::{HeaderName, HeaderValue, Uri, header};
use serde::{Deserialize, de::IgnoredAny};
use telemetry_collector::{EVENTS_PATH, FaultRule, Position, ResponseTemplate};

/// The part of `--help` on faults.
pub(crate) const HELP: &str = include_str!("faults.txt");

const EXAMPLE: &str = r#"{"status":503,"retry_after":3,"times":2}"#;

/// Fields that need no response.
const OF_ANY_ACTION: [&str; 4] = ["action", "skip", "times", "probability"];

/// A valid fault. Fields have the names and the meaning of the methods of [`ResponseTemplate`] and
/// [`FaultRule`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FaultSpec {
    action: Action,
    status: Option<u16>,
    /// The target of a redirect; the recorder by default.
    url: Option<String>,
    headers: BTreeMap<String, String>,
    /// Seconds.
    retry_after: Option<u64>,
    body: Option<String>,
    body_size: Option<u64>,
    invalid_json: bool,
    nested_json: Option<u64>,
    chunked: bool,
    content_length: Option<u64>,
    endless_head: bool,
    pace: Option<Pace>,
    pause: Option<Pause>,
    cut: Option<At>,
    close_afterwards: bool,
    delay_ms: u64,
    path: Option<String>,
    skip: u64,
    times: Option<u64>,
    probability: Option<f64>,
    seed: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// Respond with `status`, or as usual.
    #[default]
    Respond,
    Redirect,
    Close,
    CloseAfterProcessing,
    Hang,
    CloseBeforeReading,
    DelayBeforeReading,
}

/// A wait of `ms` after each `bytes`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pace {
    bytes: NonZeroUsize,
    ms: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pause {
    at: At,
    ms: u64,
}

/// A [`Position`]: `"head"`, `"body"` or a number.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged, expecting = "expected \"head\", \"body\" or a number of bytes")]
enum At {
    Middle(Part),
    After(u64),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Head,
    Body,
}

impl FaultSpec {
    /// True if this is a redirect to the recorder.
    pub(crate) fn needs_recorder(&self) -> bool {
        self.action == Action::Redirect && self.url.is_none()
    }

    /// Builds the rule. `recorder` is the URL of a redirect that has none.
    pub(crate) fn to_rule(&self, recorder: &str) -> FaultRule {
        let template = match (self.action, self.status) {
            (Action::CloseBeforeReading, _) => {
                return self.select(FaultRule::close_before_reading());
            }
            (Action::DelayBeforeReading, _) => {
                return self.select(FaultRule::delay_before_reading(ms(self.delay_ms)));
            }
            (Action::Close, _) => ResponseTemplate::close(),
            (Action::CloseAfterProcessing, _) => ResponseTemplate::close_after_processing(),
            (Action::Hang, _) => ResponseTemplate::hang(),
            (Action::Redirect, status) => {
                let url = self.url.as_deref().unwrap_or(recorder);
                ResponseTemplate::redirect(status.unwrap_or(307), url)
            }
            (Action::Respond, Some(status)) => ResponseTemplate::status(status),
            (Action::Respond, None) => ResponseTemplate::normal(),
        };
        self.select(self.change(template).into())
    }

    fn select(&self, rule: FaultRule) -> FaultRule {
        let rule = rule.skip(self.skip).times(self.times.unwrap_or(u64::MAX));
        let rule = rule.probability(self.probability.unwrap_or(1.0)).seed(self.seed);
        match &self.path {
            Some(path) => rule.path(path),
            None => rule,
        }
    }

    fn change(&self, template: ResponseTemplate) -> ResponseTemplate {
        let mut it = template.delay(ms(self.delay_ms));
        for (name, value) in &self.headers {
            it = it.header(name, value);
        }
        it =
            with(it, self.retry_after, |it, seconds| it.header("retry-after", seconds.to_string()));
        it = with(it, self.body.clone(), |it, body| it.body(body));
        it = with(it, self.body_size, ResponseTemplate::body_size);
        it = with(it, self.invalid_json.then_some(()), |it, ()| it.invalid_json());
        it = with(it, self.nested_json, ResponseTemplate::nested_json);
        it = with(it, self.chunked.then_some(()), |it, ()| it.chunked());
        it = with(it, self.content_length, ResponseTemplate::content_length);
        it = with(it, self.endless_head.then_some(()), |it, ()| it.endless_head());
        it = with(it, self.pace, |it, pace| it.pace(pace.bytes.get(), ms(pace.ms)));
        it = with(it, self.pause, |it, pause| it.pause(pause.at.position(), ms(pause.ms)));
        it = with(it, self.cut, |it, at| it.cut(at.position()));
        with(it, self.close_afterwards.then_some(()), |it, ()| it.close_afterwards())
    }

    /// The errors of a fault with these fields, each with the correction.
    fn errors(&self, fields: &BTreeMap<String, IgnoredAny>) -> Vec<String> {
        let mut errors: Vec<_> =
            fields.keys().filter_map(|it| self.misplaced(it, fields)).collect();
        let mut check = |field: &str, is_valid: bool, error: String| {
            if !is_valid {
                errors.push(format!("{field}: expected {error}"));
            }
        };
        let statuses = if self.action == Action::Redirect { 300..=399 } else { 200..=999 };
        let (first, last) = (statuses.start(), statuses.end());
        if let Some(status) = self.status {
            let error = format!("a number from {first} to {last}, found {status}");
            check("status", statuses.contains(&status), error);
        }
        for (name, value) in &self.headers {
            let error = format!("a valid header that does not frame the body, found {name:?}");
            check("headers", is_header(name, value), error);
        }
        if let Some(url) = &self.url {
            let error = format!("a URL such as http://127.0.0.1:8001, found {url:?}");
            check("url", is_url(url), error);
        }
        if let Some(path) = &self.path {
            let error = format!("a path such as {EVENTS_PATH}, found {path:?}");
            check("path", path.starts_with('/'), error);
        }
        if let Some(probability) = self.probability {
            let error = format!("a number from 0 to 1, found {probability}");
            check("probability", (0.0..=1.0).contains(&probability), error);
        }
        let bodies = ["body", "body_size", "invalid_json", "nested_json"];
        let given = bodies.iter().filter(|body| fields.contains_key(**body)).count();
        check("body", given <= 1, format!("at most one of {}", bodies.join(", ")));
        let is_framed_twice = self.chunked && self.content_length.is_some();
        check("chunked", !is_framed_twice, "either chunked or content_length".into());
        let is_delayed = self.action != Action::DelayBeforeReading || self.delay_ms > 0;
        check("delay_ms", is_delayed, "a delay for this action".into());
        errors
    }

    /// The error of a field that would have no effect.
    fn misplaced(&self, field: &str, fields: &BTreeMap<String, IgnoredAny>) -> Option<String> {
        let is_of_connections =
            matches!(self.action, Action::CloseBeforeReading | Action::DelayBeforeReading);
        let has_response = matches!(self.action, Action::Respond | Action::Redirect);
        let (is_misplaced, needs) = match field {
            "url" => (self.action != Action::Redirect, "the action redirect"),
            "seed" => (!fields.contains_key("probability"), "a probability"),
            "path" => (is_of_connections, "a fault of requests"),
            "delay_ms" => (self.action == Action::CloseBeforeReading, "another action"),
            _ => (!has_response && !OF_ANY_ACTION.contains(&field), "a fault with a response"),
        };
        is_misplaced.then(|| format!("{field}: has no effect without {needs}"))
    }
}

impl FromStr for FaultSpec {
    type Err = Vec<String>;

    fn from_str(json: &str) -> Result<Self, Self::Err> {
        let invalid =
            |error: serde_json::Error| vec![format!("expected JSON such as {EXAMPLE}: {error}")];
        let spec: Self = serde_json::from_str(json).map_err(invalid)?;
        // Once more for the names of the given fields.
        let errors = spec.errors(&serde_json::from_str(json).map_err(invalid)?);
        if errors.is_empty() { Ok(spec) } else { Err(errors) }
    }
}

impl At {
    const fn position(self) -> Position {
        match self {
            Self::Middle(Part::Head) => Position::InHead,
            Self::Middle(Part::Body) => Position::InBody,
            Self::After(bytes) => Position::After(bytes),
        }
    }
}

fn with<T>(
    template: ResponseTemplate,
    value: Option<T>,
    change: impl FnOnce(ResponseTemplate, T) -> ResponseTemplate,
) -> ResponseTemplate {
    match value {
        Some(value) => change(template, value),
        None => template,
    }
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn is_url(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|url| url.scheme().is_some() && url.authority().is_some())
}

fn is_header(name: &str, value: &str) -> bool {
    let framing = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    name.parse::<HeaderName>().is_ok_and(|name| !framing.contains(&name))
        && HeaderValue::from_str(value).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDER: &str = "http://127.0.0.1:9";

    /// The rule's `Debug`, which shows every field.
    fn rule(json: &str) -> String {
        let spec: FaultSpec = json.parse().unwrap_or_else(|errors| panic!("{json}: {errors:?}"));
        format!("{:?}", spec.to_rule(RECORDER))
    }

    #[test]
    fn every_action_and_field_sets_its_part_of_the_rule() {
        let second = Duration::from_secs(1);
        let normal = ResponseTemplate::normal;
        let status = ResponseTemplate::status;
        let rules: [(&str, FaultRule); 25] = [
            ("{}", normal().into()),
            (r#"{"action":"respond"}"#, normal().into()),
            (r#"{"status":503}"#, status(503).into()),
            (r#"{"action":"close"}"#, ResponseTemplate::close().into()),
            (
                r#"{"action":"close_after_processing","delay_ms":1000}"#,
                ResponseTemplate::close_after_processing().delay(second).into(),
            ),
            (r#"{"action":"hang"}"#, ResponseTemplate::hang().into()),
            (r#"{"action":"redirect"}"#, ResponseTemplate::redirect(307, RECORDER).into()),
            (
                r#"{"action":"redirect","status":308,"url":"http://a:1/b"}"#,
                ResponseTemplate::redirect(308, "http://a:1/b").into(),
            ),
            (r#"{"action":"close_before_reading"}"#, FaultRule::close_before_reading()),
            (
                r#"{"action":"delay_before_reading","delay_ms":1000}"#,
                FaultRule::delay_before_reading(second),
            ),
            (r#"{"headers":{"x-a":"b"}}"#, normal().header("x-a", "b").into()),
            (r#"{"retry_after":3}"#, normal().header("retry-after", "3").into()),
            (r#"{"body":"a,b"}"#, normal().body("a,b").into()),
            (r#"{"body_size":9,"chunked":true}"#, normal().body_size(9).chunked().into()),
            (r#"{"invalid_json":true}"#, normal().invalid_json().into()),
            (r#"{"nested_json":9}"#, normal().nested_json(9).into()),
            (r#"{"content_length":9}"#, normal().content_length(9).into()),
            (r#"{"endless_head":true}"#, normal().endless_head().into()),
            (r#"{"pace":{"bytes":2,"ms":1000}}"#, normal().pace(2, second).into()),
            (
                r#"{"pause":{"at":"body","ms":1000}}"#,
                normal().pause(Position::InBody, second).into(),
            ),
            (r#"{"cut":"head"}"#, normal().cut(Position::InHead).into()),
            (r#"{"cut":7}"#, normal().cut(Position::After(7)).into()),
            (r#"{"close_afterwards":true}"#, normal().close_afterwards().into()),
            (
                r#"{"skip":1,"times":4,"path":"/a"}"#,
                FaultRule::new(normal()).skip(1).times(4).path("/a"),
            ),
            (
                r#"{"probability":0.25,"seed":7}"#,
                FaultRule::new(normal()).probability(0.25).seed(7),
            ),
        ];
        for (json, expected) in rules {
            assert_eq!(rule(json), format!("{expected:?}"), "{json}");
        }
    }

    #[test]
    fn only_a_redirect_without_url_needs_the_recorder() {
        for (json, expected) in [
            (r#"{"action":"redirect"}"#, true),
            (r#"{"action":"redirect","url":"http://a"}"#, false),
            (r#"{"status":307}"#, false),
        ] {
            assert_eq!(json.parse::<FaultSpec>().unwrap().needs_recorder(), expected, "{json}");
        }
    }

    #[test]
    fn help_has_every_field_and_valid_examples() {
        let error = r#"{"unknown":1}"#.parse::<FaultSpec>().unwrap_err().concat();
        let fields = error.split("expected one of ").nth(1).unwrap();
        for field in fields.split('`').skip(1).step_by(2) {
            assert!(HELP.contains(field), "{field}");
        }
        let is_example = |line: &&str| line.trim_start().starts_with(['{', '"']);
        let examples: String = HELP.lines().filter(is_example).collect();
        let examples = examples.replace("}, {", "} {");
        let examples = serde_json::Deserializer::from_str(&examples);
        let examples: Vec<_> =
            examples.into_iter::<serde_json::Value>().collect::<Result<_, _>>().unwrap();
        assert_eq!(examples.len(), 11);
        for example in examples {
            rule(&example.to_string());
        }
    }

    #[test]
    fn invalid_fault_is_reported_with_the_correction() {
        for (json, expected) in [
            ("", "expected JSON such as {\"status\":503,"),
            ("[1", "expected JSON such as"),
            (r#"{"retry":1}"#, "unknown field `retry`, expected one of `action`, `status`,"),
            (r#"{"status":503,"status":500}"#, "duplicate field `status`"),
            (r#"{"action":"sideways"}"#, "unknown variant `sideways`, expected one of `respond`,"),
            (r#"{"status":199}"#, "status: expected a number from 200 to 999, found 199"),
            (r#"{"status":1000}"#, "status: expected"),
            (r#"{"action":"redirect","status":200}"#, "status: expected a number from 300 to 399"),
            (r#"{"action":"redirect","url":"127.0.0.1:1"}"#, "url: expected a URL such as"),
            (r#"{"url":"http://a"}"#, "url: has no effect without the action redirect"),
            (r#"{"action":"delay_before_reading"}"#, "delay_ms: expected a delay"),
            (r#"{"action":"close_before_reading","delay_ms":1}"#, "delay_ms: has no effect"),
            (r#"{"action":"close_before_reading","path":"/"}"#, "path: has no effect without a"),
            (r#"{"action":"close","headers":{}}"#, "headers: has no effect without a fault with"),
            (r#"{"headers":{"a b":"c"}}"#, "headers: expected a valid header"),
            (r#"{"headers":{"a":"b\nc"}}"#, "headers: expected a valid header"),
            (r#"{"headers":{"Content-Length":"1"}}"#, "headers: expected a valid header"),
            (
                r#"{"body":"a","invalid_json":true}"#,
                "body: expected at most one of body, body_size",
            ),
            (r#"{"chunked":true,"content_length":3}"#, "chunked: expected either chunked or"),
            (r#"{"pace":{"bytes":0,"ms":1}}"#, "nonzero"),
            (r#"{"pace":{"bytes":1}}"#, "missing field `ms`"),
            (r#"{"cut":"tail"}"#, "expected \"head\", \"body\" or a number of bytes"),
            (r#"{"path":"v1"}"#, "path: expected a path such as /v1/events/batch"),
            (r#"{"probability":1.5}"#, "probability: expected a number from 0 to 1, found 1.5"),
            (r#"{"seed":7}"#, "seed: has no effect without a probability"),
        ] {
            let errors = json.parse::<FaultSpec>().expect_err(json);
            assert!(errors.len() == 1 && errors[0].contains(expected), "{json}: {errors:?}");
        }
    }
}
