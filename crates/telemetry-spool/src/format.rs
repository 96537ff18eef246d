//! Format of a segment: a version, then records, each with a head of 24 bytes.
//!
//! ```text
//! "MSTSPL01"  record*
//! record:     FF B5 | kind u8 | 0 | length u32 | number u64 | CRC32 of the head | CRC32 of the body | body
//! ```
//!
//! Integers are little-endian. Neither byte of the magic occurs in UTF-8. The checksum of a head starts with that of the
//! destination's header, so that each record belongs to one destination, even if the record of the header is damaged.
//! Records are numbered from 1 on in each segment: a gap tells how many of them damage has cost.

use std::ops::Range;

use crate::Error;

/// The largest length of a record in bytes, 1 MiB.
pub const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// The largest length of the header of a destination in bytes, 64 KiB.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;

const FORMAT: &[u8; 6] = b"MSTSPL";
const VERSION: &[u8; 2] = b"01";
const MAGIC: [u8; 2] = [0xFF, 0xB5];

/// Length of the head of a record.
pub(crate) const HEAD: usize = 24;

/// Kinds of records. Readers skip others. They differ in two bits or more, for `is_acknowledgement`.
const HEADER: u8 = b'H';
const RECORD: u8 = b'R';
const ACKNOWLEDGED: u8 = b'A';

/// Opaque bytes that identify where records are to be delivered.
#[derive(Debug)]
pub(crate) struct Destination {
    header: Box<[u8]>,
    checksum: u32,
}

impl Destination {
    pub(crate) fn new(header: &[u8]) -> Result<Self, Error> {
        check_length(header.len(), MAX_HEADER_BYTES)?;
        Ok(Self { header: header.into(), checksum: crc32fast::hash(header) })
    }

    /// The first bytes of a segment.
    pub(crate) fn write_start(&self, out: &mut Vec<u8>) {
        out.extend(FORMAT);
        out.extend(VERSION);
        write(out, 0, HEADER, 0, &self.header);
    }

    /// Appends a record with its number in the segment, from 1 on.
    pub(crate) fn write_record(&self, out: &mut Vec<u8>, sequence: u64, body: &[u8]) {
        write(out, self.checksum, RECORD, sequence, body);
    }

    /// Appends the information that records up to `through` are done with.
    pub(crate) fn write_acknowledged(&self, out: &mut Vec<u8>, through: u64) {
        write(out, self.checksum, ACKNOWLEDGED, through, &[]);
    }
}

pub(crate) fn check_length(len: usize, max: usize) -> Result<(), Error> {
    if len > max { Err(Error::TooLarge { len, max }) } else { Ok(()) }
}

fn write(out: &mut Vec<u8>, checksum: u32, kind: u8, sequence: u64, body: &[u8]) {
    let start = out.len();
    out.extend(MAGIC);
    out.extend([kind, 0]);
    // Bodies are at most 1 MiB.
    out.extend(u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(sequence.to_le_bytes());
    let head = crc(checksum, out.get(start..).unwrap_or_default());
    out.extend(head.to_le_bytes());
    out.extend(crc32fast::hash(body).to_le_bytes());
    out.extend(body);
}

fn crc(initial: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(initial);
    hasher.update(bytes);
    hasher.finalize()
}

/// Contents of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) origin: Origin,
    /// Number and place of each intact record that is not acknowledged, in order.
    pub(crate) records: Vec<(u64, Range<usize>)>,
    /// Number of records that damage has cost.
    pub(crate) damaged: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Written for this destination, or damaged beyond knowledge.
    Own,
    /// Written for another destination, whose records are listed.
    Foreign,
    /// Written in another version of the format.
    UnknownVersion,
}

/// Reads a segment, whatever it contains.
pub(crate) fn parse(bytes: &[u8], destination: &Destination) -> Contents {
    let (format, rest) = bytes.split_at_checked(FORMAT.len()).unwrap_or_default();
    let version = rest.get(..VERSION.len());
    if format == FORMAT && version.is_some_and(|it| it != VERSION) {
        return Contents { origin: Origin::UnknownVersion, records: Vec::new(), damaged: 0 };
    }
    let start = FORMAT.len() + VERSION.len();
    let header = Head::read(bytes, start, 0)
        .filter(|it| it.kind == HEADER)
        .and_then(|it| Some((it.body(bytes)?, it.end())));
    let (origin, checksum, start) = match header {
        Some((header, end)) if *header == *destination.header => {
            (Origin::Own, destination.checksum, end)
        }
        Some((header, end)) => (Origin::Foreign, crc32fast::hash(header), end),
        None => (Origin::Own, destination.checksum, 0),
    };
    let mut scan = Scan { has_header: header.is_some(), ..Scan::default() };
    scan.run(bytes, start, checksum);
    let (records, damaged) = scan.finish();
    Contents { origin, records, damaged }
}

struct Head {
    kind: u8,
    length: usize,
    sequence: u64,
    body_checksum: u32,
    /// Start of the body.
    start: usize,
}

impl Head {
    /// Returns `None` if there is no intact head at `at`.
    fn read(bytes: &[u8], at: usize, checksum: u32) -> Option<Self> {
        let start = at.checked_add(HEAD)?;
        let head = bytes.get(at..start)?;
        let (signed, _) = head.split_at_checked(16)?;
        let int = |at| Some(u32::from_le_bytes(*head.get(at..)?.first_chunk()?));
        if !head.starts_with(&MAGIC) || int(16)? != crc(checksum, signed) {
            return None;
        }
        Some(Self {
            kind: *head.get(2)?,
            length: usize::try_from(int(4)?).ok()?,
            sequence: u64::from_le_bytes(*head.get(8..)?.first_chunk()?),
            body_checksum: int(20)?,
            start,
        })
    }

    fn end(&self) -> usize {
        self.start.saturating_add(self.length)
    }

    /// Returns `None` if the body is incomplete or damaged.
    fn body<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let body = bytes.get(self.start..self.end())?;
        (crc32fast::hash(body) == self.body_checksum).then_some(body)
    }
}

#[derive(Default)]
struct Scan {
    has_header: bool,
    /// Number, place, and whether the body is intact, of each record with an intact head.
    records: Vec<(u64, Range<usize>, bool)>,
    acknowledged: u64,
    /// Set if bytes after the last of `records` may have been another one.
    has_tail: bool,
}

impl Scan {
    fn run(&mut self, bytes: &[u8], start: usize, checksum: u32) {
        let (mut at, mut explained) = (start, start);
        while at < bytes.len() {
            let head = Head::read(bytes, at, checksum);
            let is_intact = head.as_ref().is_some_and(|it| it.body(bytes).is_some());
            match &head {
                Some(head) if head.kind == RECORD => {
                    self.records.push((head.sequence, head.start..head.end(), is_intact));
                    self.has_tail = false;
                    explained = explained.max(head.end());
                }
                Some(head) if head.kind == ACKNOWLEDGED && is_intact => {
                    self.acknowledged = self.acknowledged.max(head.sequence);
                }
                Some(_) => {}
                None if at >= explained && is_acknowledgement(bytes, at) => explained = at + HEAD,
                None if at >= explained => self.has_tail = true,
                None => {}
            }
            at = match head {
                Some(head) if is_intact => head.end(),
                // Not behind the body: a torn record may be followed by an acknowledgement.
                _ => next_magic(bytes, at + 1),
            };
        }
    }

    fn finish(self) -> (Vec<(u64, Range<usize>)>, u64) {
        let (mut records, mut damaged) = (Vec::new(), u64::from(self.has_tail));
        let (mut next, mut end) = (self.acknowledged.saturating_add(1), 0);
        let (is_empty, known) = (self.records.is_empty(), self.records.into_iter());
        for (sequence, place, is_intact) in known.filter(|it| it.0 > self.acknowledged) {
            if sequence < next {
                continue;
            }
            // No more than would fit, if the numbers are not to be trusted.
            let room = place.start.saturating_sub(end) / HEAD;
            damaged += (sequence - next).min(room as u64) + u64::from(!is_intact);
            (next, end) = (sequence.saturating_add(1), place.end);
            if is_intact {
                records.push((sequence, place));
            }
        }
        if is_empty && !self.has_header && self.acknowledged == 0 {
            damaged = 1;
        }
        (records, damaged)
    }
}

/// Returns whether a damaged or torn head was that of an acknowledgement, whose loss costs no record.
fn is_acknowledgement(bytes: &[u8], at: usize) -> bool {
    let [first, second] = MAGIC;
    bytes.get(at..).is_some_and(|rest| rest.starts_with(&[first, second, ACKNOWLEDGED]))
}

fn next_magic(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.windows(MAGIC.len()).position(|it| it == MAGIC).map_or(bytes.len(), |it| from + it)
}
