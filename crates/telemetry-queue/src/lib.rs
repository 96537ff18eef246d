#![doc = include_str!("../README.md")]

mod batch;
mod cells;
mod queue;
mod ring;
mod sync;

pub use batch::Batch;
pub use queue::EvictingQueue;
