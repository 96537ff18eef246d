//! Answers that are written by hand: those that a well-behaved server does not give.
//!
//! The request is read by hyper; then the connection is taken from it. It is closed after the
//! answer.

use std::{
    fmt::{self, Display, Formatter},
    future::{self, Future},
    io, iter,
    pin::pin,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, StatusCode, header, response};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::sleep,
};

/// The most bytes that are made, and sent, at once.
const PIECE: usize = 64 * 1024;

/// A place in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Position {
    /// After half of the head.
    InHead,
    /// After about half of the body; after the head if there is no body.
    InBody,
    /// After so many bytes of the answer, the head included.
    After(u64),
}

/// What a body consists of.
#[derive(Clone, Debug)]
pub(crate) enum BodySource {
    Bytes(Bytes),
    /// Each a byte and how often it is repeated.
    Runs(Vec<(u8, u64)>),
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Framing {
    #[default]
    Length,
    Declared(u64),
    Chunked,
}

/// So many bytes, then the interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) bytes: usize,
    pub(crate) interval: Duration,
}

/// How the bytes of an answer go out.
#[derive(Clone, Debug, Default)]
pub(crate) struct WireBehavior {
    pub(crate) framing: Framing,
    pub(crate) pace: Option<Pace>,
    pub(crate) pause: Option<(Position, Duration)>,
    pub(crate) cut: Option<Position>,
    pub(crate) is_head_endless: bool,
    pub(crate) is_end_hidden: bool,
}

impl BodySource {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Runs(runs) => runs.iter().fold(0, |all, (_, len)| all.saturating_add(*len)),
        }
    }

    /// In pieces that fit into memory.
    fn pieces(self) -> Box<dyn Iterator<Item = Bytes> + Send> {
        match self {
            Self::Bytes(bytes) => Box::new(iter::once(bytes).filter(|bytes| !bytes.is_empty())),
            Self::Runs(runs) => Box::new(runs.into_iter().flat_map(|(byte, len)| {
                let piece = Bytes::from(vec![byte; PIECE.min(saturated(len))]);
                let mut left = len;
                iter::from_fn(move || {
                    let next = piece.slice(..piece.len().min(saturated(left)));
                    left -= next.len() as u64;
                    (!next.is_empty()).then_some(next)
                })
            })),
        }
    }
}

fn saturated(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

impl WireBehavior {
    /// Whether a well-behaved server could send it so.
    pub(crate) const fn is_usual(&self) -> bool {
        matches!(self.framing, Framing::Length)
            && self.pace.is_none()
            && self.pause.is_none()
            && self.cut.is_none()
            && !self.is_head_endless
            && !self.is_end_hidden
    }
}

impl Display for Position {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::InHead => f.write_str("in the head"),
            Self::InBody => f.write_str("in the body"),
            Self::After(bytes) => write!(f, "after {bytes} bytes"),
        }
    }
}

/// Continues a sentence.
impl Display for WireBehavior {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.framing {
            Framing::Length => {}
            Framing::Declared(bytes) => write!(f, ", declared as {bytes} bytes")?,
            Framing::Chunked => f.write_str(", in chunks")?,
        }
        if self.is_head_endless {
            f.write_str(", with an endless head")?;
        }
        if let Some(Pace { bytes, interval }) = self.pace {
            let noun = if bytes == 1 { "byte" } else { "bytes" };
            write!(f, ", {bytes} {noun} each {interval:?}")?;
        }
        if let Some((place, pause)) = self.pause {
            write!(f, ", paused for {pause:?} {place}")?;
        }
        if let Some(place) = self.cut {
            write!(f, ", cut {place}")?;
        }
        if self.is_end_hidden {
            f.write_str(", then closed")?;
        }
        Ok(())
    }
}

/// An answer that is to be written by hand.
#[derive(Debug)]
pub(crate) struct RawResponse {
    head: Bytes,
    content: BodySource,
    is_chunked: bool,
    manner: WireBehavior,
}

impl RawResponse {
    pub(crate) fn new(
        method: &Method,
        parts: &response::Parts,
        content: BodySource,
        manner: WireBehavior,
    ) -> Self {
        let has_body = *method != Method::HEAD
            && ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&parts.status);
        let reason = parts.status.canonical_reason().unwrap_or_default();
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", parts.status.as_u16()).into_bytes();
        for (name, value) in &parts.headers {
            push_header(&mut head, name, value.as_bytes());
        }
        let is_chunked = has_body && manner.framing == Framing::Chunked;
        match manner.framing {
            Framing::Chunked if is_chunked => {
                push_header(&mut head, &header::TRANSFER_ENCODING, b"chunked");
            }
            Framing::Declared(bytes) => {
                push_header(&mut head, &header::CONTENT_LENGTH, bytes.to_string().as_bytes());
            }
            // Without a body, a length would be a declaration as well.
            _ if !has_body && *method != Method::HEAD => {}
            _ => {
                let len = content.len().to_string();
                push_header(&mut head, &header::CONTENT_LENGTH, len.as_bytes());
            }
        }
        if !manner.is_end_hidden && !parts.headers.contains_key(header::CONNECTION) {
            push_header(&mut head, &header::CONNECTION, b"close");
        }
        if !manner.is_head_endless {
            head.extend_from_slice(b"\r\n");
        }
        let content = if has_body { content } else { BodySource::Runs(Vec::new()) };
        Self { head: head.into(), content, is_chunked, manner }
    }

    /// Sends it and closes the connection; ends sooner if the client goes.
    pub(crate) async fn send<S: AsyncRead + AsyncWrite>(self, stream: S) {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut sending = pin!(self.write(&mut writer));
        let mut leaving = pin!(async {
            // What it sends meanwhile is no request any more.
            let mut ignored = vec![0; 16 * 1024];
            while reader.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
        });
        future::poll_fn(|context| {
            // A connection that breaks is one that the client has left.
            if sending.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            leaving.as_mut().poll(context)
        })
        .await;
    }

    async fn write(self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let head = self.head.len() as u64;
        let place = |place: Position| match place {
            Position::InHead => head / 2,
            Position::InBody => head.saturating_add(self.content.len() / 2),
            Position::After(bytes) => bytes,
        };
        let cut = self.manner.cut.map_or(u64::MAX, place);
        let mut pause = self.manner.pause.map(|(at, pause)| (place(at), pause));
        let pace = self.manner.pace;

        let mut sent = 0;
        let mut until_interval = pace.map_or(PIECE, |pace| pace.bytes);
        for mut piece in self.pieces() {
            while !piece.is_empty() {
                if let Some((_, length)) = pause.take_if(|(at, _)| *at == sent) {
                    sleep(length).await;
                }
                if sent == cut {
                    return Ok(());
                }
                let stop = pause.map_or(cut, |(at, _)| cut.min(at));
                let most = until_interval.min(saturated(stop - sent));
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
        // Says that this was all, where that can be said.
        if sent == cut { Ok(()) } else { writer.shutdown().await }
    }

    /// The whole answer.
    fn pieces(&self) -> Box<dyn Iterator<Item = Bytes> + Send> {
        let head = iter::once(self.head.clone());
        if self.manner.is_head_endless {
            let value = "x".repeat(80);
            let line = move |line| format!("x-endless-{line}: {value}\r\n");
            // Many at once, since each piece is a system call.
            let lines =
                (0_u64..).map(move |piece| (0..500).map(|n| line(piece * 500 + n)).collect());
            return Box::new(head.chain(lines.map(|lines: String| lines.into())));
        }
        let body = self.content.clone().pieces();
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

fn push_header(head: &mut Vec<u8>, name: &header::HeaderName, value: &[u8]) {
    for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use http::Response;
    use proptest::prelude::*;

    use super::*;

    /// What a client reads of this answer.
    fn sent(content: BodySource, manner: WireBehavior) -> Vec<u8> {
        let (parts, ()) = Response::new(()).into_parts();
        let answer = RawResponse::new(&Method::GET, &parts, content, manner);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(100);
            let sending = tokio::spawn(answer.send(server));
            let mut sent = Vec::new();
            client.read_to_end(&mut sent).await.unwrap();
            sending.await.unwrap();
            sent
        })
    }

    fn content() -> impl Strategy<Value = BodySource> {
        let bytes = prop::collection::vec(any::<u8>(), 0..300);
        let runs = prop::collection::vec((any::<u8>(), 0..300_u64), 0..4);
        prop_oneof![
            bytes.prop_map(|bytes| BodySource::Bytes(bytes.into())),
            runs.prop_map(BodySource::Runs)
        ]
    }

    fn place() -> impl Strategy<Value = Position> {
        prop_oneof![
            Just(Position::InHead),
            Just(Position::InBody),
            (0..500_u64).prop_map(Position::After)
        ]
    }

    proptest! {
        #[test]
        fn neither_pace_nor_pause_nor_cut_changes_what_is_sent(
            content in content(),
            is_chunked in any::<bool>(),
            pace in prop::option::of(1..200_usize),
            pause in prop::option::of(place()),
            cut in prop::option::of(place()),
        ) {
            let interval = Duration::ZERO;
            let framing = if is_chunked { Framing::Chunked } else { Framing::Length };
            let plain = WireBehavior { framing, ..WireBehavior::default() };
            let whole = sent(content.clone(), plain.clone());
            let manner = WireBehavior {
                pace: pace.map(|bytes| Pace { bytes, interval }),
                pause: pause.map(|place| (place, interval)),
                cut,
                ..plain
            };
            let body = content.len() as usize;
            let part = sent(content, manner);
            let head = whole.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
            let expected = match cut {
                None => whole.len(),
                Some(Position::InHead) => head / 2,
                Some(Position::InBody) => head + body / 2,
                Some(Position::After(bytes)) => whole.len().min(bytes as usize),
            };
            prop_assert_eq!(part, &whole[..expected]);
            if !is_chunked {
                prop_assert_eq!(whole.len(), head + body);
            }
        }
    }
}
