//! Storage of events, and the summaries that the page reads from it.

#[cfg(feature = "page")]
#[expect(dead_code, reason = "the page follows")]
pub(crate) mod views;
