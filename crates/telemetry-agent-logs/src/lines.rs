//! Lines of files that grow.

use std::io::{self, BufRead};

/// The longest line that is read. Longer ones are passed over.
const MAX_LINE: usize = 64 << 20;

/// What is in front of the first line in files of some editors.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads whole lines. A last line without a line break is not read: it may not be complete.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: R,
    /// Offset behind the last line.
    offset: u64,
    line: Vec<u8>,
    pub(crate) too_long: u64,
}

impl<R: BufRead> Lines<R> {
    /// Reads from an input that starts at this offset of its file.
    pub(crate) const fn new(input: R, offset: u64) -> Self {
        Self { input, offset, line: Vec::new(), too_long: 0 }
    }

    /// The next line that is not empty, and its offset; without line break, byte order mark and NULs around it.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        loop {
            let start = self.offset;
            let Some(is_too_long) = self.read_line()? else { return Ok(None) };
            if is_too_long {
                self.too_long += 1;
            } else if !trimmed(&self.line, start).is_empty() {
                return Ok(Some((start, trimmed(&self.line, start))));
            }
        }
    }

    /// Reads a line; `None` if there is none, true if it is too long.
    fn read_line(&mut self) -> io::Result<Option<bool>> {
        self.line.clear();
        let mut len = 0;
        loop {
            let available = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            };
            if available.is_empty() {
                return Ok(None);
            }
            let end = memchr::memchr(b'\n', available);
            let part = &available[..end.unwrap_or(available.len())];
            len += part.len();
            if len <= MAX_LINE {
                self.line.extend_from_slice(part);
            } else {
                self.line.clear();
            }
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                self.offset += len as u64 + 1;
                return Ok(Some(len > MAX_LINE));
            }
        }
    }
}

fn trimmed(line: &[u8], offset: u64) -> &[u8] {
    let line = if offset == 0 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
    let is_blank = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
    let start = line.iter().position(|byte| !is_blank(byte)).unwrap_or(line.len());
    let end = line.iter().rposition(|byte| !is_blank(byte)).map_or(start, |at| at + 1);
    &line[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], offset: u64) -> Vec<(u64, String)> {
        let mut lines = Lines::new(input, offset);
        let mut found = Vec::new();
        while let Some((at, line)) = lines.next().unwrap() {
            found.push((at, String::from_utf8_lossy(line).into_owned()));
        }
        found
    }

    #[test]
    fn whole_lines_are_read_with_their_offsets() {
        for (input, expected) in [
            (&b""[..], vec![]),
            (b"a", vec![]),
            (b"a\nb", vec![(0, "a")]),
            (b"\xEF\xBB\xBFa\r\n\r\n\0\0b\0\nc\n", vec![(0, "a"), (8, "b"), (13, "c")]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(at, it)| (at, it.into())).collect();
            assert_eq!(lines(input, 0), expected, "{input:?}");
        }
        assert_eq!(lines(b"b\n", 7), [(7, "b".to_owned())]);
    }

    #[test]
    fn line_that_is_too_long_is_passed_over_without_being_kept() {
        let mut input = b"a\n".to_vec();
        input.resize(MAX_LINE + 3, b'x');
        input.extend_from_slice(b"\nb\n");
        let mut lines = Lines::new(&input[..], 0);
        assert_eq!(lines.next().unwrap(), Some((0, &b"a"[..])));
        assert_eq!(lines.next().unwrap(), Some((MAX_LINE as u64 + 4, &b"b"[..])));
        assert_eq!(lines.next().unwrap(), None);
        assert_eq!(lines.too_long, 1);
    }
}
