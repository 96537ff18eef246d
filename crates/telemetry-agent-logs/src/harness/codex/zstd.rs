//! Decompression of Zstandard.

use std::{
    fmt,
    io::{self, BufRead, Read},
};

use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

/// The text of all frames of an input.
pub(super) struct Frames<R: BufRead>(Frame<R>);

enum Frame<R: BufRead> {
    Between(R),
    Within(Box<StreamingDecoder<R, FrameDecoder>>),
    Broken,
}

impl<R: BufRead> Frames<R> {
    /// `input` is at the start of a frame.
    pub(super) const fn new(input: R) -> Self {
        Self(Frame::Between(input))
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.0, Frame::Broken) {
                Frame::Broken => return Err(io::ErrorKind::InvalidData.into()),
                Frame::Between(mut input) => {
                    if input.fill_buf()?.is_empty() {
                        self.0 = Frame::Between(input);
                        return Ok(0);
                    }
                    let decoder = StreamingDecoder::new(input).map_err(io::Error::other)?;
                    self.0 = Frame::Within(Box::new(decoder));
                }
                Frame::Within(mut decoder) => match decoder.read(buffer)? {
                    0 => self.0 = Frame::Between(decoder.into_inner()),
                    len => {
                        self.0 = Frame::Within(decoder);
                        return Ok(len);
                    }
                },
            }
        }
    }
}

impl<R: BufRead> fmt::Debug for Frames<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Frames")
    }
}
