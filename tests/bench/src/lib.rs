//! The SDK beside its peers: what `cargo xtask bench` measures, and how.

pub mod figure;
