//! Lines of files that grow.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    mem,
    ops::Range,
    path::Path,
};

use serde::Deserialize;

/// The longest line that is read. Longer ones are passed over.
const MAX_LINE: usize = 64 << 20;

/// Bytes in front of the first line in files of some editors.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The size of a buffer that lines fit in, as a rule.
const BUFFER: usize = 64 << 10;

/// Reads whole lines. A last line without a line break is not read: it may not be complete.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    /// Range of the bytes that have been read and not returned. There is no line break before `searched`.
    rest: Range<usize>,
    searched: usize,
    /// Offset of the rest in the file.
    offset: u64,
    /// The rest continues a line that is too long.
    is_too_long: bool,
    pub(crate) too_long: u64,
}

/// A record in a file. A line can have several, if a line break was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Offset of its line.
    pub(crate) offset: u64,
    /// The number of records before it in its line.
    pub(crate) index: usize,
}

/// Reads the JSON of a line at an offset, without records before a position; false if there is something else in it.
pub(crate) fn records<'a, T: Deserialize<'a>>(
    (offset, line): (u64, &'a [u8]),
    from: Position,
    mut read: impl FnMut(Position, &T),
) -> bool {
    let records = serde_json::Deserializer::from_slice(line).into_iter();
    for (index, record) in records.enumerate() {
        let at = Position { offset, index };
        match record {
            Ok(_) if at < from => {}
            Ok(record) => read(at, &record),
            Err(_) => return false,
        }
    }
    true
}

impl Lines<File> {
    /// Opens a file at this offset.
    pub(crate) fn open(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self::new(file, offset))
    }
}

impl<R: Read> Lines<R> {
    /// Reads from an input that starts at this offset of its file.
    pub(crate) fn new(input: R, offset: u64) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            rest: 0..0,
            searched: 0,
            offset,
            is_too_long: false,
            too_long: 0,
        }
    }

    /// The next line that is not empty, and its offset; without line break, byte order mark and NULs around it.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        loop {
            let unsearched = self.buffer.get(self.searched..self.rest.end).unwrap_or_default();
            let Some(len) = memchr::memchr(b'\n', unsearched) else {
                self.searched = self.rest.end;
                if !self.fill()? {
                    return Ok(None);
                }
                continue;
            };
            let (line, offset) = (self.rest.start..self.searched + len, self.offset);
            self.skip(line.len() + 1);
            if mem::take(&mut self.is_too_long) || line.len() > MAX_LINE {
                self.too_long += 1;
                continue;
            }
            let line = trimmed(&self.buffer, line, offset);
            if !line.is_empty() {
                return Ok(Some((offset, &self.buffer[line])));
            }
        }
    }

    fn skip(&mut self, len: usize) {
        self.rest.start += len;
        self.searched = self.rest.start;
        self.offset += len as u64;
    }

    /// Reads more behind the rest. False at the end of the input.
    fn fill(&mut self) -> io::Result<bool> {
        if self.rest.len() > MAX_LINE || self.is_too_long {
            self.is_too_long = true;
            self.skip(self.rest.len());
        }
        self.buffer.copy_within(self.rest.clone(), 0);
        self.rest = 0..self.rest.len();
        self.searched = self.rest.end;
        if self.rest.end == self.buffer.len() {
            self.buffer.resize((2 * self.buffer.len()).max(BUFFER), 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.rest.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(len) => {
                    self.rest.end += len;
                    return Ok(len > 0);
                }
            }
        }
    }
}

/// The part of a line without byte order mark, blanks and NULs around it.
fn trimmed(buffer: &[u8], line: Range<usize>, offset: u64) -> Range<usize> {
    let bytes = &buffer[line.clone()];
    let is_first = offset == 0 && bytes.starts_with(BYTE_ORDER_MARK);
    let from = if is_first { BYTE_ORDER_MARK.len() } else { 0 };
    let is_blank = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
    let start = bytes[from..].iter().position(|byte| !is_blank(byte));
    let Some(start) = start.map(|it| it + from) else { return line.start..line.start };
    let end = bytes.iter().rposition(|byte| !is_blank(byte)).map_or(start, |at| at + 1);
    line.start + start..line.start + end
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
    fn records_of_a_line_are_read_from_a_position_on() {
        let from = Position { offset: 5, index: 1 };
        for (offset, line, expected, is_understood) in [
            (5, "1 2 3", &[2, 3][..], true),
            (9, "1 2", &[1, 2], true),
            (5, "1", &[], true),
            (9, "1 2 x 3", &[1, 2], false),
            (9, "x", &[], false),
            (9, "", &[], true),
        ] {
            let mut found = Vec::new();
            let read = |at: Position, number: &usize| {
                assert_eq!((at.offset, at.index + 1), (offset, *number));
                found.push(*number);
            };
            assert_eq!(records((offset, line.as_bytes()), from, read), is_understood, "{line}");
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn line_that_is_too_long_is_passed_over_without_being_kept() {
        let mut input = b"a\n".to_vec();
        input.resize(2 + MAX_LINE + 1, b'x');
        input.extend_from_slice(b"\nb\n");
        let mut lines = Lines::new(&input[..], 0);
        assert_eq!(lines.next().unwrap(), Some((0, &b"a"[..])));
        let (offset, line) = lines.next().unwrap().unwrap();
        assert_eq!((offset, line.len(), line[0]), (MAX_LINE as u64 + 4, 1, b'b'));
        assert_eq!(lines.next().unwrap(), None);
        assert_eq!(lines.too_long, 1);
    }
}
