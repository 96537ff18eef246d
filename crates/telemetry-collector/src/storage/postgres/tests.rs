//! Opening, several collectors, lost connections, and the size.

mod opening;
mod outage;
mod proxy;
mod sharing;
#[cfg(feature = "tls")]
mod tls;

use std::path::PathBuf;

use super::Postgres;
use crate::storage::{Location, Retention, tests::Place};

#[path = "../../../tests/it/cluster.rs"]
mod cluster;

use cluster::{Cluster, cluster};

/// A new database.
pub(in crate::storage) struct TestDatabase {
    cluster: &'static Cluster,
    name: String,
}

impl TestDatabase {
    /// `None` on a machine without PostgreSQL.
    pub(in crate::storage) fn new() -> Option<Self> {
        let cluster = cluster()?;
        Some(Self { cluster, name: cluster.database() })
    }

    fn url(&self) -> String {
        self.cluster.url(&self.name)
    }

    fn open(&self) -> Postgres {
        self.open_with(Retention::default())
    }

    fn open_with(&self, retention: Retention) -> Postgres {
        Postgres::open(&self.url(), retention).expect("the store can be opened")
    }

    fn socket(&self) -> PathBuf {
        self.cluster.folder.join(".s.PGSQL.5432")
    }

    fn query(&self, sql: &str) -> String {
        self.cluster.execute(&self.name, sql)
    }
}

impl Place for TestDatabase {
    fn location(&self) -> Location {
        Location::Url(self.url())
    }

    fn execute(&self, sql: &str) {
        self.query(&format!("SET search_path = telemetry_collector; {sql}"));
    }
}
