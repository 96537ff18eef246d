//! The SDK beside its peers: what `cargo xtask bench` measures, and how.

use std::{env, path::PathBuf};

pub mod calls;
pub mod carriers;
pub mod child;
pub mod delivery;
pub mod embedding;
pub mod encoding;
pub mod events;
pub mod fields;
pub mod figure;
pub mod hand_over;
pub mod queue;
pub mod report;
pub mod rounds;
pub mod sink;
pub mod start_stop;
pub mod subjects;
pub mod targets;
pub mod usage;

/// Why something could not be measured.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    // Asked at run time, as checkouts that share a target directory share this program too.
    let manifest = env::var_os("CARGO_MANIFEST_DIR");
    PathBuf::from(manifest.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into())).join("../..")
}
