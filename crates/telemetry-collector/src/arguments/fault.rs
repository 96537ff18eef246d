//! A fault, as the command line spells it.

use telemetry_collector::{EVENTS_PATH, FaultRule, PREDICTIONS_PATH, ResponseTemplate};

use super::{
    excerpt,
    values::{PLACE, SIZE, TIME, is_header, is_url, place, size, time},
};

/// What may happen.
const KINDS: &str = "a status from 200 to 999, normal, redirect, close, close-after-taking, never, \
                     close-before-reading or delay-before-reading=TIME";

const NOTHING: &str = "no value";

/// Where an option has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// Where there is an answer.
    ResponseTemplate,
    /// Where a request was read.
    Request,
    Redirect,
    Any,
}

struct Parameter {
    name: &'static str,
    scope: Scope,
    /// Of those with the same number there can be one, other than 0.
    choice: u8,
    expected: &'static str,
}

const fn parameter(
    name: &'static str,
    scope: Scope,
    choice: u8,
    expected: &'static str,
) -> Parameter {
    Parameter { name, scope, choice, expected }
}

const PARAMETERS: [Parameter; 20] = [
    parameter(
        "header",
        Scope::ResponseTemplate,
        0,
        "NAME:VALUE, of a header that does not frame the answer",
    ),
    parameter("body", Scope::ResponseTemplate, 1, "text"),
    parameter("body-size", Scope::ResponseTemplate, 1, SIZE),
    parameter("invalid-json", Scope::ResponseTemplate, 1, NOTHING),
    parameter("nested-json", Scope::ResponseTemplate, 1, "a depth such as 100000"),
    parameter("chunked", Scope::ResponseTemplate, 2, NOTHING),
    parameter("content-length", Scope::ResponseTemplate, 2, SIZE),
    parameter("endless-head", Scope::ResponseTemplate, 0, NOTHING),
    parameter("delay", Scope::Request, 0, TIME),
    parameter("pace", Scope::ResponseTemplate, 0, "BYTES/TIME such as 1/1s"),
    parameter("pause", Scope::ResponseTemplate, 0, "PLACE:TIME such as body:2s or 100:2s"),
    parameter("cut", Scope::ResponseTemplate, 0, PLACE),
    parameter("close-afterwards", Scope::ResponseTemplate, 0, NOTHING),
    parameter("url", Scope::Redirect, 0, "a URL such as http://127.0.0.1:8001"),
    parameter("path", Scope::Request, 0, "events, predictions or a path such as /health"),
    parameter("nth", Scope::Any, 0, "a number from 1 on"),
    parameter("from", Scope::Any, 0, "a number from 1, not above `to`"),
    parameter("to", Scope::Any, 0, "a number from 1, not below `from`"),
    parameter("probability", Scope::Any, 0, "a number from 0 to 1"),
    parameter("seed", Scope::Any, 0, "a number from 0 on"),
];

/// A fault that was read.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) fault: FaultRule,
    /// Whether it sends clients to the recorder.
    pub(crate) is_to_recorder: bool,
}

/// Reads a fault; `recorder` is where a redirect goes that names no URL.
///
/// # Errors
///
/// All that is wrong with it, and what is expected instead.
pub(crate) fn parse(spec: &str, recorder: &str) -> Result<Parsed, Vec<String>> {
    let words = words(spec);
    let mut words = words.iter().map(|word| match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word.as_str(), None),
    });
    let (kind, value) = words.next().unwrap_or_default();
    let given: Vec<_> = words.collect();
    let url = given.iter().find(|(name, _)| *name == "url").and_then(|(_, url)| *url);

    let mut faults = Vec::new();
    let kind = Kind::parse(kind, value, url.unwrap_or(recorder));
    let mut draft =
        Draft::of(kind.as_ref().map_or_else(|_| ResponseTemplate::normal(), Kind::answer));
    match &kind {
        Ok(kind) => faults.extend(misplaced(kind, &given)),
        Err(fault) => faults.push(fault.clone()),
    }
    for (index, &(name, value)) in given.iter().enumerate() {
        let Some(parameter) = PARAMETERS.iter().find(|it| it.name == name) else {
            let all: Vec<_> = PARAMETERS.iter().map(|it| it.name).collect();
            faults.push(format!("{}: no such option; there are {}", excerpt(name), all.join(", ")));
            continue;
        };
        let earlier = &given[..index];
        if name != "header" && earlier.iter().any(|(earlier, _)| *earlier == name) {
            faults.push(format!("{name}: expected once, found again"));
        } else if let Some(other) = parameter.other(earlier) {
            faults.push(format!("{name}: expected {other} or {name}, found both"));
        } else if draft.set(name, value).is_none() {
            let found = value.map_or_else(|| "no value".into(), excerpt);
            faults.push(format!("{name}: expected {}, found {found}", parameter.expected));
        }
    }
    match (kind, faults.is_empty()) {
        (Ok(kind), true) => {
            let is_to_recorder = matches!(kind, Kind::Redirect(_)) && url.is_none();
            Ok(Parsed { fault: draft.finish(&kind), is_to_recorder })
        }
        _ => Err(faults),
    }
}

/// What has no effect, and why.
fn misplaced(kind: &Kind, given: &[(&str, Option<&str>)]) -> Vec<String> {
    let has = |wanted| given.iter().any(|(name, _)| *name == wanted);
    let mut faults = Vec::new();
    for Parameter { name, scope, .. } in PARAMETERS.iter().filter(|it| has(it.name)) {
        let needs = match scope {
            Scope::ResponseTemplate if !kind.is_answer() => "an answer",
            Scope::Request if matches!(kind, Kind::Connection(_)) => "a request",
            Scope::Redirect if !matches!(kind, Kind::Redirect(_)) => "a redirect",
            _ => continue,
        };
        faults.push(format!("{name}: expected with {needs} only"));
    }
    if has("seed") && !has("probability") {
        faults.push("seed: expected with a probability only".into());
    }
    if has("nth") && (has("from") || has("to")) {
        faults.push("nth: expected nth, or from and to, found both".into());
    }
    faults
}

impl Parameter {
    /// The name of an earlier parameter that excludes this one.
    fn other(&self, earlier: &[(&str, Option<&str>)]) -> Option<&'static str> {
        let mut others =
            PARAMETERS.iter().filter(|it| self.choice != 0 && it.choice == self.choice);
        others.find(|it| earlier.iter().any(|(name, _)| *name == it.name)).map(|it| it.name)
    }
}

/// The parts between commas; `\,` is a comma.
fn words(spec: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut chars = spec.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            ',' => words.push(String::new()),
            '\\' if chars.next_if_eq(&',').is_some() => push(&mut words, ','),
            char => push(&mut words, char),
        }
    }
    words
}

fn push(words: &mut [String], char: char) {
    if let Some(word) = words.last_mut() {
        word.push(char);
    }
}

enum Kind {
    /// There is an answer.
    ResponseTemplate(ResponseTemplate),
    Redirect(ResponseTemplate),
    /// There is none.
    Silence(ResponseTemplate),
    Connection(FaultRule),
}

impl Kind {
    fn parse(name: &str, value: Option<&str>, url: &str) -> Result<Self, String> {
        let unknown = || format!("{}: expected {KINDS}", excerpt(name));
        Ok(match (name, value) {
            ("normal", None) => Self::ResponseTemplate(ResponseTemplate::normal()),
            ("redirect", status) => {
                let status = status.map_or(Ok(307), str::parse).unwrap_or_default();
                if !(300..=399).contains(&status) {
                    let found = excerpt(value.unwrap_or_default());
                    let message =
                        format!("redirect: expected a status from 300 to 399, found {found}");
                    return Err(message);
                }
                // What is wrong with the URL is told where it stands.
                let url = if is_url(url) { url } else { "http://127.0.0.1:1" };
                Self::Redirect(ResponseTemplate::redirect(status, url))
            }
            ("close", None) => Self::Silence(ResponseTemplate::close()),
            ("close-after-taking", None) => {
                Self::Silence(ResponseTemplate::close_after_processing())
            }
            ("never", None) => Self::Silence(ResponseTemplate::hang()),
            ("close-before-reading", None) => Self::Connection(FaultRule::close_before_reading()),
            ("delay-before-reading", value) => {
                let delay = value.and_then(time).ok_or_else(|| {
                    let found = value.map_or_else(|| "no value".into(), excerpt);
                    format!("delay-before-reading: expected {TIME}, found {found}")
                })?;
                Self::Connection(FaultRule::delay_before_reading(delay))
            }
            (status, None) => match status.parse() {
                Ok(status @ 200..=999) => Self::ResponseTemplate(ResponseTemplate::status(status)),
                _ => return Err(unknown()),
            },
            _ => return Err(unknown()),
        })
    }

    const fn is_answer(&self) -> bool {
        matches!(self, Self::ResponseTemplate(_) | Self::Redirect(_))
    }

    /// What is to be changed; for a connection, anything will do.
    fn answer(&self) -> ResponseTemplate {
        match self {
            Self::ResponseTemplate(answer) | Self::Redirect(answer) | Self::Silence(answer) => {
                answer.clone()
            }
            Self::Connection(_) => ResponseTemplate::normal(),
        }
    }
}

/// A fault in the making.
struct Draft {
    answer: ResponseTemplate,
    path: Option<String>,
    first: u64,
    last: u64,
    probability: f64,
    seed: u64,
}

impl Draft {
    const fn of(answer: ResponseTemplate) -> Self {
        Self { answer, path: None, first: 1, last: u64::MAX, probability: 1.0, seed: 0 }
    }

    /// Sets an option; none if the value is not as expected.
    fn set(&mut self, name: &str, value: Option<&str>) -> Option<()> {
        let answer = self.answer.clone();
        self.answer = match (name, value) {
            ("invalid-json", None) => answer.invalid_json(),
            ("chunked", None) => answer.chunked(),
            ("endless-head", None) => answer.endless_head(),
            ("close-afterwards", None) => answer.close_afterwards(),
            ("header", Some(value)) => {
                let (name, value) = value.split_once(':').filter(|it| is_header(it.0, it.1))?;
                answer.header(name, value.trim())
            }
            ("body", Some(value)) => answer.body(value.to_owned()),
            ("body-size", Some(value)) => answer.body_size(size(value)?),
            ("nested-json", Some(value)) => answer.nested_json(value.parse().ok()?),
            ("content-length", Some(value)) => answer.content_length(size(value)?),
            ("delay", Some(value)) => answer.delay(time(value)?),
            ("pace", Some(value)) => {
                let (bytes, interval) = value.split_once('/')?;
                let bytes = usize::try_from(size(bytes)?).ok().filter(|bytes| *bytes > 0)?;
                answer.pace(bytes, time(interval)?)
            }
            ("pause", Some(value)) => {
                let (at, pause) = value.split_once(':')?;
                answer.pause(place(at)?, time(pause)?)
            }
            ("cut", Some(value)) => answer.cut(place(value)?),
            (_, Some(value)) => return self.choose(name, value),
            _ => return None,
        };
        Some(())
    }

    /// Sets an option that says what the fault applies to.
    fn choose(&mut self, name: &str, value: &str) -> Option<()> {
        let number = || value.parse().ok().filter(|number| *number > 0);
        match name {
            "url" => return is_url(value).then_some(()),
            "path" => {
                let own = Some(value).filter(|path| path.starts_with('/'));
                let path = match value {
                    "events" => Some(EVENTS_PATH),
                    "predictions" => Some(PREDICTIONS_PATH),
                    _ => own,
                };
                self.path = Some(path?.to_owned());
            }
            "nth" => (self.first, self.last) = (number()?, number()?),
            "from" => self.first = number().filter(|first| *first <= self.last)?,
            "to" => self.last = number().filter(|last| *last >= self.first)?,
            "probability" => {
                let all = 0.0..=1.0;
                self.probability = value.parse().ok().filter(|it| all.contains(it))?;
            }
            "seed" => self.seed = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }

    fn finish(self, kind: &Kind) -> FaultRule {
        let fault = match kind {
            Kind::Connection(fault) => fault.clone(),
            _ => FaultRule::new(self.answer),
        };
        let fault = fault.range(self.first..=self.last);
        let fault = fault.probability(self.probability).seed(self.seed);
        match self.path {
            Some(path) => fault.path(path),
            None => fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDER: &str = "http://127.0.0.1:9";

    fn told(spec: &str) -> String {
        parse(spec, RECORDER)
            .unwrap_or_else(|faults| panic!("{spec}: {faults:?}"))
            .fault
            .to_string()
    }

    fn faults(spec: &str) -> Vec<String> {
        parse(spec, RECORDER).expect_err(spec)
    }

    #[test]
    fn every_kind_and_option_is_read() {
        for (spec, expected) in [
            ("503", "status 503, for all requests"),
            ("normal", "the usual answer, for all requests"),
            ("close", "closed without an answer, for all requests"),
            ("close-after-taking", "closed after taking, for all requests"),
            ("never,nth=3", "no answer, for request 3"),
            ("redirect", "status 307 to http://127.0.0.1:9/, for all requests"),
            ("redirect=308,url=http://a:1/b", "status 308 to http://a:1/b, for all requests"),
            ("close-before-reading,from=2", "closed before reading, for connections from 2 on"),
            (
                "delay-before-reading=2m,to=3",
                "delayed by 120s before reading, for connections 1 to 3",
            ),
            (
                "503,header=retry-after: 3,header=x-a:b:c,body=a\\,b,from=1,to=5,path=events",
                "status 503, with retry-after, x-a, body of 3 bytes, for requests 1 to 5 to \
                 /v1/events/batch",
            ),
            (
                "normal,body-size=1GiB,chunked,delay=150ms,path=predictions",
                "the usual answer, delayed by 150ms, body of 1073741824 bytes, in chunks, for all \
                 requests to /v1/predictions/batch",
            ),
            (
                "200,nested-json=100000,content-length=1KiB,path=/a",
                "status 200, body of 200000 bytes, declared as 1024 bytes, for all requests to /a",
            ),
            ("200,invalid-json", "status 200, body of 37 bytes, for all requests"),
            (
                "normal,endless-head,pace=1/1s,probability=0.25,seed=7",
                "the usual answer, with an endless head, 1 byte each 1s, for all requests, with \
                 probability 0.25 and seed 7",
            ),
            (
                "normal,pause=body:2s,cut=1MiB",
                "the usual answer, paused for 2s in the body, cut after 1048576 bytes, for all \
                 requests",
            ),
            (
                "normal,pause=7:2s,cut=head,close-afterwards",
                "the usual answer, paused for 2s after 7 bytes, cut in the head, then closed, for \
                 all requests",
            ),
        ] {
            assert_eq!(told(spec), expected);
        }
        for name in PARAMETERS.map(|it| it.name) {
            assert!(super::super::HELP.contains(name), "{name} is in the help");
        }
    }

    #[test]
    fn a_redirect_without_a_url_goes_to_the_recorder() {
        let is_to_recorder = |spec| parse(spec, RECORDER).unwrap().is_to_recorder;
        assert!(is_to_recorder("redirect") && is_to_recorder("redirect=301,nth=1"));
        assert!(!is_to_recorder("redirect,url=http://a") && !is_to_recorder("307"));
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        assert_eq!(
            faults("sideways,retry=3,delay=2,nth=0,nth=1,seed=1,cut"),
            [
                format!("\"sideways\": expected {KINDS}"),
                "\"retry\": no such option; there are header, body, body-size, invalid-json, \
                 nested-json, chunked, content-length, endless-head, delay, pace, pause, cut, \
                 close-afterwards, url, path, nth, from, to, probability, seed"
                    .into(),
                "delay: expected a time such as 150ms, 2s or 5m, found \"2\"".into(),
                "nth: expected a number from 1 on, found \"0\"".into(),
                "nth: expected once, found again".into(),
                "cut: expected head, body or a number of bytes, found no value".into(),
            ]
        );
    }

    #[test]
    fn what_would_have_no_effect_is_a_fault() {
        for (spec, told) in [
            ("close,header=a:b", "header: expected with an answer only"),
            ("never,pace=1/1s", "pace: expected with an answer only"),
            ("close-before-reading,delay=1s", "delay: expected with a request only"),
            ("close-before-reading,path=events", "path: expected with a request only"),
            ("503,url=http://a", "url: expected with a redirect only"),
            ("503,seed=7", "seed: expected with a probability only"),
            ("503,nth=3,to=7", "nth: expected nth, or from and to, found both"),
            ("503,body=a,invalid-json", "invalid-json: expected body or invalid-json, found both"),
            (
                "503,chunked,content-length=3",
                "content-length: expected chunked or content-length, found both",
            ),
        ] {
            assert_eq!(faults(spec), [told], "{spec}");
        }
        assert_eq!(
            told("close,delay=1s"),
            "closed without an answer, delayed by 1s, for all requests"
        );
    }

    #[test]
    fn values_that_cannot_be_are_faults() {
        for spec in [
            "",
            "199",
            "1000",
            "503=1",
            "close=1",
            "redirect=200",
            "redirect=",
            "redirect,url=/a",
            "redirect,url=127.0.0.1:1",
            "delay-before-reading",
            "delay-before-reading=1",
            "close-before-reading=1s",
            "503,",
            "503,header=a",
            "503,header=a b:c",
            "503,header=a:b\nc",
            "503,header=Content-Length:1",
            "503,body-size=1KB",
            "503,body-size=99999999999999999999",
            "503,body-size=18446744073709551615KiB",
            "503,nested-json=-1",
            "503,chunked=yes",
            "503,pace=0/1s",
            "503,pace=1",
            "503,pause=2s",
            "503,cut=-1",
            "503,from=5,to=3",
            "503,to=3,from=5",
            "503,path=v1",
            "503,probability=1.5",
            "503,probability=NaN",
            "503,probability=0.5,seed=-1",
        ] {
            assert_eq!(faults(spec).len(), 1, "{spec:?}: {:?}", faults(spec));
        }
    }
}
