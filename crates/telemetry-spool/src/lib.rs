#![doc = include_str!("../README.md")]

mod bounds;
mod disk;
mod drain;
mod error;
mod folder;
mod format;
mod name;
mod options;
mod segment;
mod shared;
mod spool;
mod stats;
#[cfg(test)]
mod tests;
mod writer;

pub use drain::Drain;
pub use error::{AppendError, Error};
pub use format::{MAX_HEADER_BYTES, MAX_RECORD_BYTES};
pub use options::{SpoolOptions, SyncPolicy};
pub use segment::SEGMENT_BYTES;
pub use spool::Spool;
pub use stats::{Stats, Usage};
pub use writer::Writer;
