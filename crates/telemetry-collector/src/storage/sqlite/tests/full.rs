//! A store without room for more.

use telemetry_model::{Complexity, PredictionQuery, Provider, TaskType};

use super::{Folder, Sqlite, events};
use crate::storage::{Database, Storage, views::Views};

impl Sqlite {
    /// Leaves room for `more` pages, as a disk does that is almost full.
    pub(crate) fn limit_pages(&self, more: u64) {
        let writer = self.writer.lock();
        let pages: u64 = writer
            .connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .expect("a number");
        let sql = format!("PRAGMA max_page_count = {}", pages + more);
        writer.connection.execute_batch(&sql).expect("a valid statement");
    }
}

#[test]
fn full_store_takes_nothing_of_a_batch_and_recovers() {
    let folder = Folder::new();
    let database = folder.open();
    database.insert(&events(0..100), &[], 0).unwrap();
    database.limit_pages(20);
    let batch = events(100..1_000);
    for _ in 0..2 {
        let error = database.insert(&batch, &[], 0).unwrap_err().to_string();
        assert!(error.contains("events.db: there is no room for more events"), "{error}");
        assert_eq!(database.counts().held, 100);
        assert_eq!(database.events().unwrap(), events(0..100));
        assert_eq!(database.values(crate::storage::views::Dimension::Model).unwrap().len(), 1);
    }
    let query =
        PredictionQuery::new(TaskType::Unknown, "unknown", Provider::Unknown, Complexity::Medium);
    assert_eq!(database.summary(&query).unwrap().tasks, 100);

    database.limit_pages(10_000);
    assert_eq!(database.insert(&batch, &[], 0).unwrap(), [true; 900]);
    drop(database);
    let database = folder.open();
    assert_eq!(database.events().unwrap(), events(0..1_000));
    assert_eq!(database.summary(&query).unwrap().tasks, 1_000);
}
