//! The SDK beside its peers: what `cargo xtask bench` measures, and how.

pub mod calls;
pub mod carriers;
pub mod child;
pub mod clock;
pub mod delivery;
pub mod encoding;
pub mod events;
pub mod figure;
pub mod hand_over;
pub mod queue;
pub mod rounds;
pub mod sink;
pub mod start_stop;
pub mod subjects;
pub mod usage;

/// Why something could not be measured.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
