#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod batch;
mod builder;
mod count;
mod errors;
mod event;
mod field;
mod ids;
mod prediction;
mod price;
#[cfg(feature = "prices")]
pub mod prices;
mod reader;
#[cfg(feature = "schemars")]
pub mod schema;
mod spelling;
mod text;
mod timestamp;
mod usage;
mod usd;
mod validate;
mod vocabulary;

pub use batch::{BatchReceipt, EventBatch, EventResult, TooManyEvents};
pub use builder::{ContextWindow, Cost, EventBuilder, IntoOptional, Quality, Tokens};
pub use errors::{ValidationError, ValidationErrors};
pub use event::TaskCompletionEvent;
pub use prediction::{
    CorrectionFactors, Estimate, FallbackLevel, MAX_PREDICTIONS_BYTES, Percentiles, PredictionData,
    PredictionMetadata, PredictionQuery, PredictionRequest, PredictionResponse, PredictionResults,
    QualityPrediction, TokenDistribution,
};
pub use price::Price;
#[cfg(feature = "schemars")]
pub use schemars;
pub use spelling::model_vendor;
pub use text::{MAX_ITEMS, MAX_TEXT_CHARS};
pub use timestamp::Timestamp;
pub use usage::Usage;
pub use validate::{MAX_BATCH_BYTES, MAX_EVENT_BYTES};
pub use vocabulary::{
    Complexity, Confidence, Harness, Outcome, Provider, QualityGate, RepoSizeCategory,
    SchemaVersion, TaskType, Unlisted,
};
pub use {time, uuid};
