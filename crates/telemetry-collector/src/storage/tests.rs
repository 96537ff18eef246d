//! The behaviour of every store, compared with that of memory.

mod equality;
pub(super) mod removal;

use std::sync::Arc;

use telemetry_model::{EventBuilder, TaskCompletionEvent, time::OffsetDateTime};
use uuid::Uuid;

use super::{Database, Location, Retention};

/// The place of a store for one test.
pub(super) trait Place {
    fn location(&self) -> Location;

    /// Runs statements in the store, which is not open.
    fn execute(&self, sql: &str);

    fn open(&self) -> Arc<dyn Database> {
        self.open_with(Retention::default())
    }

    fn open_with(&self, retention: Retention) -> Arc<dyn Database> {
        self.location().open(retention).expect("the store can be opened")
    }
}

/// A new place of each kind that this machine has.
fn places() -> Vec<Box<dyn Place>> {
    let places = [
        #[cfg(feature = "sqlite")]
        Some(Box::new(super::sqlite::tests::Folder::new()) as Box<dyn Place>),
        #[cfg(all(feature = "postgres", unix))]
        super::postgres::tests::TestDatabase::new().map(|it| Box::new(it) as Box<dyn Place>),
    ];
    places.into_iter().flatten().collect()
}

pub(super) fn event(id: u128) -> TaskCompletionEvent {
    EventBuilder::new(Uuid::from_u128(9))
        .event_id(Uuid::from_u128(id))
        .timestamp(OffsetDateTime::UNIX_EPOCH)
        .build()
}

pub(super) fn events(ids: impl IntoIterator<Item = u128>) -> Vec<TaskCompletionEvent> {
    ids.into_iter().map(event).collect()
}
