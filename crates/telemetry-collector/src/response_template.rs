//! Response templates: the response to a request that is not served as usual.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};

use crate::wire::{BodySource, Framing, Pace, Position, WireBehavior};

/// JSON that ends too early.
const INVALID_JSON: &str = r#"{"accepted":1,"results":[{"event_id":"#;

/// A response in place of the usual one; see [`Collector::script`](crate::Collector::script) and
/// [`FaultRule`](crate::FaultRule).
///
/// The request is always read to its end and recorded first. [`delay`](Self::delay) applies to
/// every template; the other changes have no effect on [`close`](Self::close),
/// [`close_after_processing`](Self::close_after_processing) and [`hang`](Self::hang).
///
/// ```
/// use std::time::Duration;
///
/// use telemetry_collector::{Position, ResponseTemplate};
///
/// let busy = ResponseTemplate::status(429).header("retry-after", "1");
/// let slow = ResponseTemplate::normal().delay(Duration::from_millis(200));
/// let unreadable = ResponseTemplate::normal().body("<html>");
/// let huge = ResponseTemplate::normal().body_size(1 << 30).chunked();
/// let trickle = ResponseTemplate::normal().pace(1, Duration::from_secs(1));
/// let truncated = ResponseTemplate::normal().cut(Position::InBody);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a template has no effect until it is part of a script or a rule"]
pub struct ResponseTemplate {
    pub(crate) behavior: Behavior,
    pub(crate) headers: HeaderMap,
    /// `None` keeps the usual body.
    pub(crate) body: Option<BodySource>,
    pub(crate) delay: Duration,
    pub(crate) wire: WireBehavior,
    redirect_to: Option<Uri>,
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
    /// Processes the request and responds as usual.
    pub fn normal() -> Self {
        Self::with_behavior(Behavior::Normal)
    }

    /// Responds with `status` and the body `{"error": "scripted"}`. The request is not processed:
    /// no event is accepted, whatever the status.
    ///
    /// # Panics
    ///
    /// If `status` is not in `200..=999`, the range of final responses.
    #[track_caller]
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).ok().filter(|status| !status.is_informational());
        Self::with_behavior(Behavior::Status(status.expect("a final status is in 200..=999")))
    }

    /// Responds with `status` and a `location`. The request is not processed.
    ///
    /// The location is `url`, with the path of the request unless `url` has a path.
    ///
    /// # Panics
    ///
    /// If `status` is not in `300..=399`, or if `url` has no scheme or no host.
    #[track_caller]
    pub fn redirect(status: u16, url: impl AsRef<str>) -> Self {
        assert!((300..=399).contains(&status), "a redirect has a status in 300..=399");
        let is_absolute = |url: &Uri| url.scheme().is_some() && url.authority().is_some();
        let url = url.as_ref().parse().ok().filter(is_absolute);
        let redirect_to = Some(url.expect("a URL such as http://127.0.0.1:8001"));
        Self { redirect_to, ..Self::status(status) }
    }

    /// Closes the connection without a response. The request is not processed.
    pub fn close() -> Self {
        Self::with_behavior(Behavior::Close)
    }

    /// Processes the request as usual, then closes the connection without a response. The client
    /// cannot tell whether its events were accepted.
    pub fn close_after_processing() -> Self {
        Self::with_behavior(Behavior::CloseAfterProcessing)
    }

    /// Never responds, and keeps the connection open until the client closes it or the collector
    /// stops. The request is not processed.
    pub fn hang() -> Self {
        Self::with_behavior(Behavior::Hang)
    }

    /// Sets a header, replacing the usual one of that name.
    ///
    /// # Panics
    ///
    /// If the name or the value is invalid, or if the header frames the body (`content-length`,
    /// `transfer-encoding`): use [`content_length`](Self::content_length) and
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

    /// Replaces the body. The content type stays `application/json` unless it is set by
    /// [`header`](Self::header).
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(BodySource::Bytes(body.into()));
        self
    }

    /// Replaces the body by JSON that ends in the middle of a string.
    pub fn invalid_json(self) -> Self {
        self.body(INVALID_JSON)
    }

    /// Replaces the body by `depth` nested JSON arrays, which overflow the stack of a recursive
    /// parser.
    pub fn nested_json(mut self, depth: u64) -> Self {
        self.body = Some(BodySource::Runs(vec![(b'[', depth), (b']', depth)]));
        self
    }

    /// Replaces the body by this many spaces, which a JSON parser skips. The body is generated
    /// while it is sent: 1 GiB takes no more memory than 1 MiB.
    pub fn body_size(mut self, bytes: u64) -> Self {
        self.body = Some(BodySource::Runs(vec![(b' ', bytes)]));
        self
    }

    /// Sends the body chunked instead of declaring its length.
    pub fn chunked(mut self) -> Self {
        self.wire.framing = Framing::Chunked;
        self
    }

    /// Declares this length, whatever the length of the body, and closes the connection after the
    /// body.
    pub fn content_length(mut self, bytes: u64) -> Self {
        self.wire.framing = Framing::Declared(bytes);
        self
    }

    /// Sends headers with distinct names until the client closes the connection or the collector
    /// stops.
    pub fn endless_head(mut self) -> Self {
        self.wire.is_head_endless = true;
        self
    }

    /// Sends the response, its head included, in pieces of `bytes`, and waits for `interval` after
    /// each.
    ///
    /// # Panics
    ///
    /// If `bytes` is 0. Use [`hang`](Self::hang) to send nothing.
    #[track_caller]
    pub fn pace(mut self, bytes: usize, interval: Duration) -> Self {
        assert_ne!(bytes, 0, "a pace of 0 bytes");
        self.wire.pace = Some(Pace { bytes, interval });
        self
    }

    /// Stops sending for `pause` at this position.
    pub fn pause(mut self, at: Position, pause: Duration) -> Self {
        self.wire.pause = Some((at, pause));
        self
    }

    /// Closes the connection at this position.
    pub fn cut(mut self, at: Position) -> Self {
        self.wire.cut = Some(at);
        self
    }

    /// Closes the connection after the response without announcing it (`connection: close`). A
    /// client that pools the connection notices when it reuses it.
    pub fn close_afterwards(mut self) -> Self {
        self.wire.is_close_hidden = true;
        self
    }

    /// Waits between the processing, if there is any, and the response or the close.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    fn with_behavior(behavior: Behavior) -> Self {
        Self {
            behavior,
            headers: HeaderMap::new(),
            body: None,
            delay: Duration::ZERO,
            wire: WireBehavior::default(),
            redirect_to: None,
        }
    }

    /// True if a response is sent.
    pub(crate) const fn has_response(&self) -> bool {
        matches!(self.behavior, Behavior::Normal | Behavior::Status(_))
    }

    /// True if the response is the usual one, unchanged.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.behavior == Behavior::Normal
            && self.headers.is_empty()
            && self.body.is_none()
            && self.delay.is_zero()
            && !self.needs_raw_response()
    }

    /// True if hyper cannot send the response.
    pub(crate) fn needs_raw_response(&self) -> bool {
        !self.wire.is_ordinary() || matches!(self.body, Some(BodySource::Runs(_)))
    }

    /// The `location` for a request for this path and query.
    pub(crate) fn location(&self, path: &str) -> Option<HeaderValue> {
        let url = self.redirect_to.as_ref()?;
        let has_path = url.path() != "/" || url.query().is_some();
        let location = if has_path {
            url.to_string()
        } else {
            format!("{}{path}", url.to_string().trim_end_matches('/'))
        };
        HeaderValue::from_str(&location).ok()
    }
}

/// A summary for logs, such as `status 503, delay 2s`.
impl Display for ResponseTemplate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.behavior {
            Behavior::Normal => f.write_str("normal")?,
            Behavior::Status(status) => write!(f, "status {}", status.as_u16())?,
            Behavior::Close => f.write_str("close")?,
            Behavior::CloseAfterProcessing => f.write_str("close after processing")?,
            Behavior::Hang => f.write_str("hang")?,
        }
        if let Some(url) = &self.redirect_to {
            write!(f, ", redirect to {url}")?;
        }
        if !self.delay.is_zero() {
            write!(f, ", delay {:?}", self.delay)?;
        }
        if !self.has_response() {
            return Ok(());
        }
        for name in self.headers.keys() {
            write!(f, ", {name}")?;
        }
        if let Some(body) = &self.body {
            write!(f, ", body of {} bytes", body.len())?;
        }
        self.wire.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_template_panics_where_it_is_made() {
        for make in [
            (|| ResponseTemplate::status(199)) as fn() -> ResponseTemplate,
            || ResponseTemplate::status(1000),
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
    fn redirect_keeps_the_request_path_unless_its_url_has_one() {
        for (url, expected) in [
            ("http://127.0.0.1:1", "http://127.0.0.1:1/v1/a?b=c"),
            ("http://127.0.0.1:1/", "http://127.0.0.1:1/v1/a?b=c"),
            ("http://127.0.0.1:1/own", "http://127.0.0.1:1/own"),
            ("http://127.0.0.1:1/?q", "http://127.0.0.1:1/?q"),
        ] {
            let location = ResponseTemplate::redirect(308, url).location("/v1/a?b=c");
            assert_eq!(location.unwrap(), expected, "{url}");
        }
    }

    #[test]
    fn display_lists_every_change() {
        let second = Duration::from_secs(1);
        let normal = ResponseTemplate::normal;
        for (template, expected) in [
            (normal(), "normal"),
            (
                ResponseTemplate::status(503).header("retry-after", "3").delay(second),
                "status 503, delay 1s, retry-after",
            ),
            (ResponseTemplate::redirect(307, "http://a:1"), "status 307, redirect to http://a:1/"),
            (ResponseTemplate::close().delay(second).body("no effect"), "close, delay 1s"),
            (ResponseTemplate::close_after_processing(), "close after processing"),
            (ResponseTemplate::hang(), "hang"),
            (
                normal().body_size(9).chunked().pace(1, second),
                "normal, body of 9 bytes, chunked, pace 1 per 1s",
            ),
            (
                normal().content_length(7).pause(Position::InBody, second).cut(Position::After(9)),
                "normal, content-length 7, pause 1s in the body, cut after 9 bytes",
            ),
            (normal().endless_head(), "normal, endless head"),
            (normal().close_afterwards(), "normal, unannounced close"),
        ] {
            assert_eq!(template.to_string(), expected);
            assert_eq!(template.is_unchanged(), expected == "normal");
        }
    }
}
