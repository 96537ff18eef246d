//! Responses that hyper cannot send, written to the connection byte by byte.
//!
//! hyper reads the request; then the connection is taken from it, and closed after the response.

use std::{
    future::{self, Future},
    io, iter,
    pin::pin,
    task::Poll,
};

use bytes::Bytes;
use http::{HeaderName, Method, StatusCode, header, response};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::sleep,
};

use crate::wire::{BodySource, Framing, MAX_PIECE, Position, WireBehavior, saturating_usize};

/// Headers generated at once for an endless head, since each piece is a system call.
const HEADERS_PER_PIECE: u64 = 500;

/// A response that is ready to be written.
#[derive(Debug)]
pub(crate) struct RawResponse {
    head: Bytes,
    body: BodySource,
    is_chunked: bool,
    wire: WireBehavior,
}

impl RawResponse {
    /// The response to a request with this method.
    pub(crate) fn new(
        method: &Method,
        parts: &response::Parts,
        body: BodySource,
        wire: WireBehavior,
    ) -> Self {
        let is_bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
        let has_body = *method != Method::HEAD && !is_bodiless.contains(&parts.status);
        let reason = parts.status.canonical_reason().unwrap_or_default();
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", parts.status.as_u16()).into_bytes();
        for (name, value) in &parts.headers {
            push_header(&mut head, name, value.as_bytes());
        }
        let is_chunked = has_body && wire.framing == Framing::Chunked;
        let length = match wire.framing {
            Framing::Declared(bytes) => Some(bytes),
            // RFC 9110, 8.6: allowed in the response to HEAD, forbidden with a 204.
            _ => (!is_chunked && (has_body || *method == Method::HEAD)).then_some(body.len()),
        };
        if is_chunked {
            push_header(&mut head, &header::TRANSFER_ENCODING, b"chunked");
        }
        if let Some(length) = length {
            push_header(&mut head, &header::CONTENT_LENGTH, length.to_string().as_bytes());
        }
        if !wire.is_close_hidden && !parts.headers.contains_key(header::CONNECTION) {
            push_header(&mut head, &header::CONNECTION, b"close");
        }
        if !wire.is_head_endless {
            head.extend_from_slice(b"\r\n");
        }
        let body = if has_body { body } else { BodySource::Runs(Vec::new()) };
        Self { head: head.into(), body, is_chunked, wire }
    }

    /// Writes the response and closes the connection. Returns early if the client closes it.
    pub(crate) async fn send<S: AsyncRead + AsyncWrite>(self, stream: S) {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut sending = pin!(self.write(&mut writer));
        let mut client_closes = pin!(async {
            // Not requests: the connection is about to close.
            let mut ignored = vec![0; 16 * 1024];
            while reader.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
        });
        future::poll_fn(|context| {
            // An error means that the client has gone, which ends the connection as well.
            if sending.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            client_closes.as_mut().poll(context)
        })
        .await;
    }

    /// Writes the pieces in parts that end at the pause, at the cut and at each interval of the
    /// pace.
    async fn write(self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let head = self.head.len() as u64;
        let offset = |position| match position {
            Position::InHead => head / 2,
            Position::InBody => head.saturating_add(self.body.len() / 2),
            Position::After(bytes) => bytes,
        };
        let cut = self.wire.cut.map_or(u64::MAX, offset);
        let mut pause = self.wire.pause.map(|(at, length)| (offset(at), length));
        let pace = self.wire.pace;

        let mut sent = 0;
        let mut until_interval = pace.map_or(MAX_PIECE, |pace| pace.bytes);
        for mut piece in self.pieces() {
            while !piece.is_empty() {
                if let Some((_, length)) = pause.take_if(|(at, _)| *at == sent) {
                    sleep(length).await;
                }
                if sent == cut {
                    return Ok(());
                }
                let stop = pause.map_or(cut, |(at, _)| cut.min(at));
                let most = until_interval.min(saturating_usize(stop - sent));
                let next = piece.split_to(piece.len().min(most));
                writer.write_all(&next).await?;
                writer.flush().await?;
                sent += next.len() as u64;
                if let Some(pace) = pace {
                    until_interval -= next.len();
                    if until_interval == 0 {
                        sleep(pace.interval).await;
                        until_interval = pace.bytes;
                    }
                }
            }
        }
        if let Some((_, length)) = pause.filter(|(at, _)| *at == sent) {
            sleep(length).await;
        }
        // Under TLS, a shutdown tells a complete response from a truncated one.
        if sent == cut { Ok(()) } else { writer.shutdown().await }
    }

    /// The bytes of the response, chunk headers included.
    fn pieces(&self) -> Box<dyn Iterator<Item = Bytes> + Send> {
        let head = iter::once(self.head.clone());
        if self.wire.is_head_endless {
            return Box::new(head.chain((0..).map(endless_headers)));
        }
        let body = self.body.clone().pieces();
        if !self.is_chunked {
            return Box::new(head.chain(body));
        }
        let chunk = |data: Bytes| {
            let size = format!("{:x}\r\n", data.len());
            [size.into(), data, Bytes::from_static(b"\r\n")]
        };
        let end = iter::once(Bytes::from_static(b"0\r\n\r\n"));
        Box::new(head.chain(body.flat_map(chunk)).chain(end))
    }
}

fn endless_headers(piece: u64) -> Bytes {
    let first = piece * HEADERS_PER_PIECE;
    let header = |number| format!("x-endless-{number}: {}\r\n", "x".repeat(80));
    (first..first + HEADERS_PER_PIECE).map(header).collect::<String>().into()
}

fn push_header(head: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Response;
    use proptest::prelude::*;
    use tokio::{
        io::DuplexStream,
        runtime::Builder,
        time::{Instant, timeout},
    };

    use super::*;
    use crate::wire::Pace;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Runs `client` on the other end of a connection to which the response is sent. The clock is
    /// paused: it advances when both sides wait.
    fn exchange<F: Future>(
        body: BodySource,
        wire: WireBehavior,
        client: impl FnOnce(DuplexStream) -> F,
    ) -> F::Output {
        let (parts, ()) = Response::new(()).into_parts();
        let response = RawResponse::new(&Method::GET, &parts, body, wire);
        let mut runtime = Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(async {
            let (stream, server) = tokio::io::duplex(100);
            tokio::spawn(response.send(server));
            client(stream).await
        })
    }

    /// The bytes that a client reads of this response.
    fn sent(body: BodySource, wire: WireBehavior) -> Vec<u8> {
        exchange(body, wire, async |mut stream: DuplexStream| {
            let mut sent = Vec::new();
            stream.read_to_end(&mut sent).await.unwrap();
            sent
        })
    }

    /// The length of the response before its first wait, and the total time of its waits.
    fn timing(body: &'static str, wire: WireBehavior) -> (usize, Duration) {
        exchange(BodySource::Bytes(body.into()), wire, async |mut stream: DuplexStream| {
            let (mut sent, start) = (Vec::new(), Instant::now());
            let read = timeout(HOUR / 2, stream.read_to_end(&mut sent)).await;
            let before_wait = sent.len();
            if read.is_err() {
                stream.read_to_end(&mut sent).await.unwrap();
            }
            (before_wait, start.elapsed())
        })
    }

    fn length(body: &'static str, wire: WireBehavior) -> usize {
        sent(BodySource::Bytes(body.into()), wire).len()
    }

    #[test]
    fn pause_is_at_its_position_and_pace_after_each_piece() {
        let pause = |at| WireBehavior { pause: Some((at, HOUR)), ..WireBehavior::default() };
        let pace = |bytes| WireBehavior {
            pace: Some(Pace { bytes, interval: HOUR }),
            ..WireBehavior::default()
        };
        let whole = length("0123456789", WireBehavior::default());
        let empty = length("", WireBehavior::default());
        let head = whole - 10;
        for (body, wire, expected) in [
            ("0123456789", WireBehavior::default(), (whole, Duration::ZERO)),
            ("0123456789", pause(Position::InHead), (head / 2, HOUR)),
            ("0123456789", pause(Position::InBody), (head + 5, HOUR)),
            ("0123456789", pause(Position::After(3)), (3, HOUR)),
            ("", pause(Position::InBody), (empty, HOUR)),
            ("0123456789", pace(1), (1, HOUR * whole as u32)),
            ("0123456789", pace(7), (7, HOUR * (whole / 7) as u32)),
        ] {
            let case = format!("{wire:?}");
            assert_eq!(timing(body, wire), expected, "{case}");
        }
    }

    fn body() -> impl Strategy<Value = BodySource> {
        let bytes = prop::collection::vec(any::<u8>(), 0..300);
        let runs = prop::collection::vec((any::<u8>(), 0..300_u64), 0..4);
        prop_oneof![
            bytes.prop_map(|bytes| BodySource::Bytes(bytes.into())),
            runs.prop_map(BodySource::Runs)
        ]
    }

    fn position() -> impl Strategy<Value = Position> {
        let after = (0..500_u64).prop_map(Position::After);
        prop_oneof![Just(Position::InHead), Just(Position::InBody), after]
    }

    proptest! {
        #[test]
        fn pace_and_pause_keep_the_bytes_and_cut_truncates_them(
            body in body(),
            is_chunked in any::<bool>(),
            pace in prop::option::of(1..200_usize),
            pause in prop::option::of(position()),
            cut in prop::option::of(position()),
        ) {
            let interval = Duration::ZERO;
            let framing = if is_chunked { Framing::Chunked } else { Framing::Length };
            let plain = WireBehavior { framing, ..WireBehavior::default() };
            let whole = sent(body.clone(), plain.clone());
            let wire = WireBehavior {
                pace: pace.map(|bytes| Pace { bytes, interval }),
                pause: pause.map(|at| (at, interval)),
                cut,
                ..plain
            };
            let body_len = body.len() as usize;
            let part = sent(body, wire);
            let head_len = whole.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
            let expected = match cut {
                None => whole.len(),
                Some(Position::InHead) => head_len / 2,
                Some(Position::InBody) => head_len + body_len / 2,
                Some(Position::After(bytes)) => whole.len().min(bytes as usize),
            };
            prop_assert_eq!(part, &whole[..expected]);
            if !is_chunked {
                prop_assert_eq!(whole.len(), head_len + body_len);
            }
        }
    }
}
