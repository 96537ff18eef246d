//! Names of files.

/// Identity of a segment: the two parts of its name. Segments are delivered and removed in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentId {
    /// Time of creation in unix milliseconds.
    pub(crate) millis: u64,
    /// A count of 16 bits and a random number of 48, so that those of one process and millisecond are in order.
    pub(crate) random: u64,
}

/// Age in milliseconds from which a temporary file has lost its writer.
const ABANDONED_AFTER: u64 = 60_000;

/// A name further ahead than this, in milliseconds, was given by a wrong clock.
const FUTURE: u64 = 24 * 60 * 60 * 1000;

impl SegmentId {
    pub(crate) fn file_name(self) -> String {
        format!("{}-{:016x}.seg", self.millis, self.random)
    }

    /// Name until the header is written, so that no other process sees a segment without its lock.
    pub(crate) fn temporary_name(self) -> String {
        format!(".new-{}-{:016x}", self.millis, self.random)
    }

    /// Returns whether the name is from the future, seen at `now`.
    pub(crate) fn is_ahead_of(self, now: u64) -> bool {
        self.millis > now.saturating_add(FUTURE)
    }
}

/// A file that may be a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) id: SegmentId,
    pub(crate) is_temporary: bool,
}

impl Entry {
    /// Returns `None` for a name that this crate does not give.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (inner, is_temporary) = match name.strip_prefix(".new-") {
            Some(inner) => (inner, true),
            None => (name.strip_suffix(".seg")?, false),
        };
        let (millis, random) = inner.split_once('-')?;
        let random = u64::from_str_radix(random, 16).ok()?;
        let entry = Self { id: SegmentId { millis: millis.parse().ok()?, random }, is_temporary };
        (entry.file_name() == name).then_some(entry)
    }

    pub(crate) fn file_name(self) -> String {
        if self.is_temporary { self.id.temporary_name() } else { self.id.file_name() }
    }

    /// Returns whether a process other than its writer may take the file, if it gets the lock: a temporary one only
    /// if it is so old that its writer would have locked it.
    pub(crate) fn is_claimable(self, now: u64) -> bool {
        let SegmentId { millis, .. } = self.id;
        !self.is_temporary
            || now.saturating_sub(millis) > ABANDONED_AFTER
            || self.id.is_ahead_of(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_crate_are_parsed() {
        let id = SegmentId { millis: 1_700_000_000_000, random: 0xAB };
        for is_temporary in [false, true] {
            let entry = Entry { id, is_temporary };
            assert_eq!(Entry::parse(&entry.file_name()), Some(entry));
        }
        for name in [
            "",
            "drain.lock",
            "x.seg",
            "1-2.seg",
            "01-00000000000000ab.seg",
            "+1-00000000000000ab.seg",
            "1-00000000000000AB.seg",
            "1-00000000000000ab.seg~",
            ".new-1-00000000000000ab.seg",
            "99999999999999999999-00000000000000ab.seg",
        ] {
            assert_eq!(Entry::parse(name), None, "{name}");
        }
    }

    #[test]
    fn temporary_file_is_claimable_after_a_minute_or_under_a_wrong_clock() {
        for (now, expected) in
            [(0, true), (1_000_000, false), (1_060_000, false), (1_060_001, true)]
        {
            let millis = if now == 0 { FUTURE + 1 } else { 1_000_000 };
            let id = SegmentId { millis, random: 0 };
            assert_eq!(Entry { id, is_temporary: true }.is_claimable(now), expected, "{now}");
            assert!(Entry { id, is_temporary: false }.is_claimable(now));
        }
    }
}
