//! What is measured of the hand-over.

use std::fmt;

use crate::subjects::Room;

/// One case: what is done, into which queue, by how many threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// What is done.
    pub work: Work,
    /// Whether the queue is full.
    pub is_full: bool,
    /// How many threads do it at once.
    pub threads: usize,
}

/// What a measured call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Hands over an event that is there.
    Prebuilt,
    /// Makes an event and hands it over.
    BuildAndTrack,
}

impl Case {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::works().flat_map(|case| [1, 2, 4, 8].map(|threads| Self { threads, ..case }))
    }

    /// Those of one thread.
    pub fn works() -> impl Iterator<Item = Self> {
        let works = [(Work::Prebuilt, false), (Work::Prebuilt, true), (Work::BuildAndTrack, false)];
        works.into_iter().map(|(work, is_full)| Self { work, is_full, threads: 1 })
    }

    /// The case of that name, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|case| case.to_string() == name)
    }

    /// How many calls a thread makes.
    #[must_use]
    pub const fn calls_per_thread(&self) -> usize {
        match (self.is_full, self.threads) {
            (_, 1) => 20_000,
            // Stalls are rare.
            (true, 8) => 30_000,
            (_, threads) => 40_000 / threads,
        }
    }

    /// How much room a queue gets for that many calls.
    #[must_use]
    pub const fn room(&self, calls: usize) -> Room {
        if self.is_full { Room::Full } else { Room::Roomy(calls) }
    }

    pub(super) const fn rounds(&self) -> usize {
        if self.threads == 1 { 7 } else { 5 }
    }

    pub(super) const fn counts_stalls(&self) -> bool {
        self.is_full && self.threads == 8
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let work = match self.work {
            Work::Prebuilt => "prebuilt",
            Work::BuildAndTrack => "build and track",
        };
        let room = if self.is_full { "full" } else { "roomy" };
        let plural = if self.threads == 1 { "" } else { "s" };
        write!(f, "{work}, {room}, {} thread{plural}", self.threads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_known_by_their_names() {
        assert_eq!(Case::all().count(), 12);
        assert!(Case::all().all(|case| Case::named(&case.to_string()) == Some(case)));
        let works: Vec<_> = Case::works().map(|case| case.to_string()).collect();
        let names = ["prebuilt, roomy", "prebuilt, full", "build and track, roomy"];
        assert_eq!(works, names.map(|name| format!("{name}, 1 thread")));
    }
}
