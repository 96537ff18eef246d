//! Answers on request: what a server does on a bad day.

use std::{convert::Infallible, error::Error, fmt, future, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

/// What happens to one request, instead of the usual; see
/// [`Collector::script`](crate::Collector::script).
///
/// Every request is read to its end and logged first. `header` and `body` change an answer that is
/// given and have no effect where none is. `delay` applies to all.
///
/// ```
/// use std::time::Duration;
///
/// use telemetry_collector::Answer;
///
/// let busy = Answer::status(429).header("retry-after", "1");
/// let slow = Answer::normal().delay(Duration::from_millis(200));
/// let unreadable = Answer::normal().body("<html>");
/// ```
#[derive(Clone, Debug)]
#[must_use = "an answer is given when it is part of a script"]
pub struct Answer {
    pub(crate) behavior: Behavior,
    headers: HeaderMap,
    body: Option<Bytes>,
    delay: Duration,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Behavior {
    Normal,
    Status(StatusCode),
    Close,
    CloseAfterTaking,
    Never,
}

impl Answer {
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

    /// The connection is closed without an answer, and the request is not processed.
    pub fn close() -> Self {
        Self::of(Behavior::Close)
    }

    /// The request is processed as usual, then the connection is closed without an answer: the
    /// client cannot know whether its events were taken.
    pub fn close_after_taking() -> Self {
        Self::of(Behavior::CloseAfterTaking)
    }

    /// No answer, and the request is not processed. The connection stays open until the client or
    /// the collector goes.
    pub fn never() -> Self {
        Self::of(Behavior::Never)
    }

    /// Sets a header of the answer, in place of the one of that name.
    ///
    /// # Panics
    ///
    /// The name or the value cannot be in a header, or the header is one that frames the answer
    /// (`content-length`, `transfer-encoding`).
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
        self.body = Some(body.into());
        self
    }

    /// Waits between the processing, if there is any, and the answer or the close.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    fn of(behavior: Behavior) -> Self {
        Self { behavior, headers: HeaderMap::new(), body: None, delay: Duration::ZERO }
    }

    /// Whether there is an answer at all.
    pub(crate) const fn is_given(&self) -> bool {
        matches!(self.behavior, Behavior::Normal | Behavior::Status(_))
    }

    /// Does what it says, given the answer that was worked out.
    pub(crate) async fn give(
        self,
        mut response: Response<Full<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, Closed> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        match self.behavior {
            Behavior::Close | Behavior::CloseAfterTaking => return Err(Closed),
            Behavior::Never => match future::pending::<Infallible>().await {},
            Behavior::Normal | Behavior::Status(_) => {}
        }
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        if let Some(body) = self.body {
            *response.body_mut() = Full::new(body);
        }
        Ok(response)
    }
}

/// Makes hyper close the connection without an answer.
#[derive(Debug)]
pub(crate) struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed without an answer")
    }
}

impl Error for Closed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_http_cannot_carry_is_refused_where_it_is_made() {
        for make in [
            (|| Answer::status(100)) as fn() -> Answer,
            || Answer::status(1000),
            || Answer::status(0),
            || Answer::normal().header("a b", "c"),
            || Answer::normal().header("a", "b\r\nc: d"),
            || Answer::normal().header("Content-Length", "7"),
        ] {
            assert!(std::panic::catch_unwind(make).is_err());
        }
    }
}
