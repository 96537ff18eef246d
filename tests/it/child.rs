//! Programs that tests start.

/// The other end of [`telemetry_tests::Remote`].
pub(crate) const CLIENT: &str = env!("CARGO_BIN_EXE_telemetry-remote");
