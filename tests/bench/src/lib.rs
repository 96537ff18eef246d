//! The SDK beside its peers: what `cargo xtask bench` measures, and how.

pub mod calls;
pub mod clock;
pub mod figure;
pub mod hand_over;
pub mod queue;
pub mod rounds;
pub mod steps;
pub mod subjects;
