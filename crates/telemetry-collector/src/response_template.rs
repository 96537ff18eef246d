//! Answers on request: what a server does on a bad day.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};

use crate::wire::{BodySource, Framing, Pace, Position, WireBehavior};

/// JSON that ends too early.
const INVALID_JSON: &str = r#"{"accepted":1,"results":[{"event_id":"#;

/// What happens to one request, instead of the usual; see
/// [`Collector::script`](crate::Collector::script) and [`FaultRule`](crate::FaultRule).
///
/// Every request is read to its end and logged first. Where there is an answer, it can be changed:
/// what it says, and how its bytes go out. `delay` applies to all; the other changes have no
/// effect where there is no answer.
///
/// ```
/// use std::time::Duration;
///
/// use telemetry_collector::{ResponseTemplate, Position};
///
/// let busy = ResponseTemplate::status(429).header("retry-after", "1");
/// let slow = ResponseTemplate::normal().delay(Duration::from_millis(200));
/// let unreadable = ResponseTemplate::normal().body("<html>");
/// let huge = ResponseTemplate::normal().body_size(1 << 30).chunked();
/// let slower = ResponseTemplate::normal().pace(1, Duration::from_secs(1));
/// let torn = ResponseTemplate::normal().cut(Position::InBody);
/// ```
#[derive(Clone, Debug)]
#[must_use = "an answer is given when it is part of a script or of a fault"]
pub struct ResponseTemplate {
    pub(crate) behavior: Behavior,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Option<BodySource>,
    pub(crate) delay: Duration,
    pub(crate) manner: WireBehavior,
    location: Option<Uri>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behavior {
    Normal,
    Status(StatusCode),
    Close,
    CloseAfterProcessing,
    Hang,
}

impl ResponseTemplate {
    /// The usual processing and the usual answer.
    pub fn normal() -> Self {
        Self::of(Behavior::Normal)
    }

    /// This status, with `{"error": …}` unless [`body`](Self::body) says otherwise. The request is
    /// not processed: no event is taken, whatever the status.
    ///
    /// # Panics
    ///
    /// `status` is not in 200..=999, where the final answers of HTTP are.
    #[track_caller]
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).ok().filter(|status| !status.is_informational());
        Self::of(Behavior::Status(status.expect("a final status is in 200..=999")))
    }

    /// Sends the client elsewhere: `status` with a `location`. The request is not processed.
    ///
    /// The location is `url` with the path of the request; just `url` if that has a path.
    ///
    /// # Panics
    ///
    /// `status` is not in 300..=399, or `url` is none with a scheme and a host.
    #[track_caller]
    pub fn redirect(status: u16, url: impl AsRef<str>) -> Self {
        assert!((300..=399).contains(&status), "a redirect has a status in 300..=399");
        let is_whole = |url: &Uri| url.scheme().is_some() && url.authority().is_some();
        let url = url.as_ref().parse().ok().filter(is_whole);
        let location = Some(url.expect("a URL such as http://127.0.0.1:8001"));
        Self { location, ..Self::status(status) }
    }

    /// The connection is closed without an answer, and the request is not processed.
    pub fn close() -> Self {
        Self::of(Behavior::Close)
    }

    /// The request is processed as usual, then the connection is closed without an answer: the
    /// client cannot know whether its events were taken.
    pub fn close_after_processing() -> Self {
        Self::of(Behavior::CloseAfterProcessing)
    }

    /// No answer, and the request is not processed. The connection stays open until the client or
    /// the collector goes.
    pub fn hang() -> Self {
        Self::of(Behavior::Hang)
    }

    /// Sets a header of the answer, in place of the one of that name.
    ///
    /// # Panics
    ///
    /// The name or the value cannot be in a header, or the header is one that frames the answer
    /// (`content-length`, `transfer-encoding`): see [`content_length`](Self::content_length) and
    /// [`chunked`](Self::chunked).
    #[track_caller]
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let name: HeaderName = name.as_ref().parse().expect("a valid header name");
        let framing = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
        assert!(!framing.contains(&name), "{name} is set by the server");
        let value = HeaderValue::from_str(value.as_ref()).expect("a valid header value");
        self.headers.insert(name, value);
        self
    }

    /// Replaces the answer's body. The content type stays `application/json` unless a header says
    /// otherwise.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.content = Some(BodySource::Bytes(body.into()));
        self
    }

    /// Replaces the answer's body by one that is cut off in the middle of a JSON document.
    pub fn invalid_json(self) -> Self {
        self.body(INVALID_JSON)
    }

    /// Replaces the answer's body by arrays within arrays: valid JSON, and the end of a parser
    /// that recurses.
    pub fn nested_json(mut self, depth: u64) -> Self {
        self.content = Some(BodySource::Runs(vec![(b'[', depth), (b']', depth)]));
        self
    }

    /// Replaces the answer's body by one of this size, which is made while it is sent. It is all
    /// spaces, so that a parser of JSON has no reason to stop.
    ///
    /// Its length is declared in the head unless it is sent in [chunks](Self::chunked).
    pub fn body_size(mut self, bytes: u64) -> Self {
        self.content = Some(BodySource::Runs(vec![(b' ', bytes)]));
        self
    }

    /// Sends the body in chunks, so that its length is not known before its end.
    pub fn chunked(mut self) -> Self {
        self.manner.framing = Framing::Chunked;
        self
    }

    /// Declares this length, whatever the body has. Then the connection is closed, so a client
    /// that expects more sees a broken body.
    pub fn content_length(mut self, bytes: u64) -> Self {
        self.manner.framing = Framing::Declared(bytes);
        self
    }

    /// The head does not end: header follows header, each with another name, until the client
    /// or the collector goes.
    pub fn endless_head(mut self) -> Self {
        self.manner.is_head_endless = true;
        self
    }

    /// Sends the answer, its head included, in pieces of so many bytes, with this time after each.
    ///
    /// # Panics
    ///
    /// `bytes` is 0: see [`never`](Self::hang).
    #[track_caller]
    pub fn pace(mut self, bytes: usize, interval: Duration) -> Self {
        assert_ne!(bytes, 0, "a pace of no bytes");
        self.manner.pace = Some(Pace { bytes, interval });
        self
    }

    /// Stops sending at this place, for so long, then goes on.
    pub fn pause(mut self, place: Position, pause: Duration) -> Self {
        self.manner.pause = Some((place, pause));
        self
    }

    /// Closes the connection at this place of the answer.
    pub fn cut(mut self, place: Position) -> Self {
        self.manner.cut = Some(place);
        self
    }

    /// Closes the connection after the answer, which does not announce it: a client that keeps
    /// the connection finds out when it uses it again.
    pub fn close_afterwards(mut self) -> Self {
        self.manner.is_end_hidden = true;
        self
    }

    /// Waits between the processing, if there is any, and the answer or the close.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    fn of(behavior: Behavior) -> Self {
        Self {
            behavior,
            headers: HeaderMap::new(),
            content: None,
            delay: Duration::ZERO,
            manner: WireBehavior::default(),
            location: None,
        }
    }

    /// Whether there is an answer at all.
    pub(crate) const fn is_given(&self) -> bool {
        matches!(self.behavior, Behavior::Normal | Behavior::Status(_))
    }

    /// Whether nothing is changed.
    pub(crate) fn is_usual(&self) -> bool {
        self.behavior == Behavior::Normal
            && self.headers.is_empty()
            && self.content.is_none()
            && self.delay.is_zero()
            && !self.is_by_hand()
    }

    /// Whether hyper cannot send it.
    pub(crate) fn is_by_hand(&self) -> bool {
        !self.manner.is_usual() || matches!(self.content, Some(BodySource::Runs(_)))
    }

    /// Where a request for this path and query is sent.
    pub(crate) fn location(&self, path: &str) -> Option<HeaderValue> {
        let url = self.location.as_ref()?;
        let has_path = url.path() != "/" || url.query().is_some();
        let location = if has_path {
            url.to_string()
        } else {
            format!("{}{path}", url.to_string().trim_end_matches('/'))
        };
        HeaderValue::from_str(&location).ok()
    }
}

/// What is changed, for a person: `status 503, delayed by 2s`.
impl Display for ResponseTemplate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.behavior {
            Behavior::Normal => f.write_str("the usual answer")?,
            Behavior::Status(status) => match &self.location {
                Some(url) => write!(f, "status {} to {url}", status.as_u16())?,
                None => write!(f, "status {}", status.as_u16())?,
            },
            Behavior::Close => f.write_str("closed without an answer")?,
            Behavior::CloseAfterProcessing => f.write_str("closed after taking")?,
            Behavior::Hang => f.write_str("no answer")?,
        }
        if !self.delay.is_zero() {
            write!(f, ", delayed by {:?}", self.delay)?;
        }
        if !self.is_given() {
            return Ok(());
        }
        if !self.headers.is_empty() {
            let names: Vec<_> = self.headers.keys().map(HeaderName::as_str).collect();
            write!(f, ", with {}", names.join(", "))?;
        }
        if let Some(content) = &self.content {
            write!(f, ", body of {} bytes", content.len())?;
        }
        self.manner.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_http_cannot_carry_is_refused_where_it_is_made() {
        for make in [
            (|| ResponseTemplate::status(100)) as fn() -> ResponseTemplate,
            || ResponseTemplate::status(1000),
            || ResponseTemplate::status(0),
            || ResponseTemplate::normal().header("a b", "c"),
            || ResponseTemplate::normal().header("a", "b\r\nc: d"),
            || ResponseTemplate::normal().header("Content-Length", "7"),
            || ResponseTemplate::normal().pace(0, Duration::ZERO),
            || ResponseTemplate::redirect(200, "http://127.0.0.1:1"),
            || ResponseTemplate::redirect(307, "/elsewhere"),
            || ResponseTemplate::redirect(307, "127.0.0.1:1"),
            || ResponseTemplate::redirect(307, "http://a b"),
        ] {
            assert!(std::panic::catch_unwind(make).is_err());
        }
    }

    #[test]
    fn a_redirect_keeps_the_path_unless_it_has_its_own() {
        let to = |url| ResponseTemplate::redirect(308, url).location("/v1/a?b=c").unwrap();
        assert_eq!(to("http://127.0.0.1:1"), "http://127.0.0.1:1/v1/a?b=c");
        assert_eq!(to("http://127.0.0.1:1/"), "http://127.0.0.1:1/v1/a?b=c");
        assert_eq!(to("http://127.0.0.1:1/own"), "http://127.0.0.1:1/own");
        assert_eq!(to("http://127.0.0.1:1/?q"), "http://127.0.0.1:1/?q");
        assert!(ResponseTemplate::status(307).location("/").is_none());
    }

    #[test]
    fn what_is_changed_is_told() {
        let second = Duration::from_secs(1);
        for (answer, told) in [
            (ResponseTemplate::normal(), "the usual answer"),
            (
                ResponseTemplate::status(503).header("retry-after", "3").delay(second),
                "status 503, delayed by 1s, with retry-after",
            ),
            (ResponseTemplate::redirect(307, "http://a:1"), "status 307 to http://a:1/"),
            (
                ResponseTemplate::close().delay(second).body("no effect"),
                "closed without an answer, delayed by 1s",
            ),
            (ResponseTemplate::close_after_processing(), "closed after taking"),
            (ResponseTemplate::hang(), "no answer"),
            (
                ResponseTemplate::normal().body_size(9).chunked().pace(1, second),
                "the usual answer, body of 9 bytes, in chunks, 1 byte each 1s",
            ),
            (
                ResponseTemplate::normal()
                    .content_length(7)
                    .pause(Position::InBody, second)
                    .cut(Position::After(9)),
                "the usual answer, declared as 7 bytes, paused for 1s in the body, \
                 cut after 9 bytes",
            ),
            (ResponseTemplate::normal().endless_head(), "the usual answer, with an endless head"),
            (ResponseTemplate::normal().close_afterwards(), "the usual answer, then closed"),
        ] {
            assert_eq!(answer.to_string(), told);
            assert_eq!(answer.is_usual(), told == "the usual answer");
        }
    }
}
