//! Guarantees of the Python SDK's integration guide, in modules named after its sections, except those
//! that tests of one crate or of its examples show.

mod configuration;
mod disabling_telemetry;
mod error_handling;
mod querying_predictions;
mod usage;

pub(crate) use self::querying_predictions::guide_queries;

const API_KEY: &str = "MOSAIC_TELEMETRY_API_KEY";
const INSTANCE_ID: &str = "MOSAIC_TELEMETRY_INSTANCE_ID";
const ENABLED: &str = "MOSAIC_TELEMETRY_ENABLED";
