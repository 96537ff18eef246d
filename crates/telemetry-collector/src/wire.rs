//! The bytes of a response: their source, framing, pace and end.

use std::{
    fmt::{self, Display, Formatter},
    iter,
    time::Duration,
};

use bytes::Bytes;

/// The most bytes that are generated, and written, at once.
pub(crate) const MAX_PIECE: usize = 64 * 1024;

/// A position in the bytes of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Position {
    /// After half of the head.
    InHead,
    /// After half of the body, not counting chunk headers; after the head if the body is empty.
    InBody,
    /// After this many bytes of the response, the head included.
    After(u64),
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

/// The source of a body.
#[derive(Clone, Debug)]
pub(crate) enum BodySource {
    Bytes(Bytes),
    /// Repeated bytes, each with its count.
    Runs(Vec<(u8, u64)>),
}

impl BodySource {
    /// The length, saturating at `u64::MAX`.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Runs(runs) => runs.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count)),
        }
    }

    /// The body in pieces that are not empty. Those of [`Runs`](Self::Runs) have at most
    /// [`MAX_PIECE`] bytes.
    pub(crate) fn pieces(self) -> Box<dyn Iterator<Item = Bytes> + Send> {
        match self {
            Self::Bytes(bytes) => Box::new(iter::once(bytes).filter(|bytes| !bytes.is_empty())),
            Self::Runs(runs) => Box::new(runs.into_iter().flat_map(|(byte, count)| {
                let piece = Bytes::from(vec![byte; MAX_PIECE.min(saturating_usize(count))]);
                let mut left = count;
                iter::from_fn(move || {
                    let next = piece.slice(..piece.len().min(saturating_usize(left)));
                    left -= next.len() as u64;
                    (!next.is_empty()).then_some(next)
                })
            })),
        }
    }
}

pub(crate) fn saturating_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// The declaration of a body's length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Framing {
    /// The actual length.
    #[default]
    Length,
    /// A length that need not be the actual one.
    Declared(u64),
    Chunked,
}

/// An interval after each `bytes`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) bytes: usize,
    pub(crate) interval: Duration,
}

/// Deviations from the way in which a well-behaved server sends a response.
#[derive(Clone, Debug, Default)]
pub(crate) struct WireBehavior {
    pub(crate) framing: Framing,
    pub(crate) pace: Option<Pace>,
    pub(crate) pause: Option<(Position, Duration)>,
    pub(crate) cut: Option<Position>,
    pub(crate) is_head_endless: bool,
    /// Omits `connection: close` from the head.
    pub(crate) is_close_hidden: bool,
}

impl WireBehavior {
    /// True if there is no deviation.
    pub(crate) const fn is_ordinary(&self) -> bool {
        matches!(self.framing, Framing::Length)
            && self.pace.is_none()
            && self.pause.is_none()
            && self.cut.is_none()
            && !self.is_head_endless
            && !self.is_close_hidden
    }
}

/// Continues the summary of a response template, each deviation after a comma.
impl Display for WireBehavior {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.framing {
            Framing::Length => {}
            Framing::Declared(bytes) => write!(f, ", content-length {bytes}")?,
            Framing::Chunked => f.write_str(", chunked")?,
        }
        if self.is_head_endless {
            f.write_str(", endless head")?;
        }
        if let Some(Pace { bytes, interval }) = self.pace {
            write!(f, ", pace {bytes} per {interval:?}")?;
        }
        if let Some((at, pause)) = self.pause {
            write!(f, ", pause {pause:?} {at}")?;
        }
        if let Some(at) = self.cut {
            write!(f, ", cut {at}")?;
        }
        if self.is_close_hidden {
            f.write_str(", unannounced close")?;
        }
        Ok(())
    }
}
