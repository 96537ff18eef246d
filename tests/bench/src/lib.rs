//! The SDK beside its peers: what `cargo xtask bench` measures, and how.

use std::{env, path::PathBuf};

pub mod embedding;
pub mod figure;
pub mod report;
pub mod targets;

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    // Asked at run time, as checkouts that share a target directory share this program too.
    let manifest = env::var_os("CARGO_MANIFEST_DIR");
    PathBuf::from(manifest.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into())).join("../..")
}
