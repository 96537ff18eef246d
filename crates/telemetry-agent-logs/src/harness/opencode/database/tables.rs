//! Tables of the database, their sessions, and what tells that one has changed.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

/// Changes whenever a message of the session does.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    messages: i64,
    /// Unix milliseconds.
    newest: i64,
}

pub(super) struct SessionRow {
    pub(super) id: String,
    pub(super) parent: Option<String>,
    pub(super) directory: Option<String>,
    created: i64,
}

/// The tables that there are.
pub(super) struct Tables {
    names: BTreeSet<String>,
}

impl Tables {
    pub(super) fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement =
            connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?;
        let names = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        Ok(Self { names })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    pub(super) fn versions(
        &self,
        connection: &Connection,
    ) -> rusqlite::Result<BTreeMap<String, Version>> {
        let mut versions = BTreeMap::<_, Version>::new();
        for table in ["message", "session_message"].into_iter().filter(|table| self.has(table)) {
            let query = format!(
                "SELECT session_id, COUNT(*), MAX(time_updated) FROM {table} GROUP BY session_id"
            );
            let mut statement = connection.prepare(&query)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let version = versions.entry(row.get(0)?).or_default();
                version.messages = version.messages.saturating_add(row.get(1)?);
                version.newest = version.newest.max(row.get(2)?);
            }
        }
        Ok(versions)
    }

    /// The sessions in the order of their creation. A migration copies them to the second table under their ids.
    pub(super) fn sessions(&self, connection: &Connection) -> rusqlite::Result<Vec<SessionRow>> {
        let mut sessions = BTreeMap::new();
        for table in ["session", "session_v2"].into_iter().filter(|table| self.has(table)) {
            let query = format!("SELECT id, parent_id, directory, time_created FROM {table}");
            let mut statement = connection.prepare(&query)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let session = SessionRow {
                    id: row.get(0)?,
                    parent: row.get(1)?,
                    directory: row.get(2)?,
                    created: row.get(3)?,
                };
                sessions.insert(session.id.clone(), session);
            }
        }
        let mut sessions: Vec<_> = sessions.into_values().collect();
        sessions.sort_by_key(|session| session.created);
        Ok(sessions)
    }
}
