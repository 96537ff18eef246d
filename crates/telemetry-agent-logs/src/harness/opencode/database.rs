//! Sessions in the database.
//!
//! It is opened for reading. As any reader of a database with a write-ahead log, SQLite may create the files `-wal` and
//! `-shm` beside it, if there are none. Writers are not delayed.

mod tables;

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Statement, params};
use serde::{Deserialize, Serialize};

use self::tables::{Tables, Version};
use super::{
    MAX_DEPTH, Position, Session,
    message::{Kind, MessageRecord, PartRecord},
    turns::Turns,
};
use crate::{Checkpoint, Found};

/// Time to wait for a lock.
const BUSY_TIMEOUT: Duration = Duration::from_millis(250);

/// Contents of the checkpoint, by session.
type Before = BTreeMap<String, SessionBefore>;

#[derive(Clone, Default, Serialize, Deserialize)]
struct SessionBefore {
    closed: Option<Position>,
    is_open: bool,
    version: Version,
}

pub(super) fn read(path: &Path, from: &Checkpoint, found: &mut Found) -> io::Result<Checkpoint> {
    let before: Before = serde_json::from_str(&from.before).unwrap_or_default();
    // The turns of a database that cannot be read to its end are not found.
    let mut all = Found::default();
    let before = read_sessions(path, &before, &mut all).map_err(io::Error::other)?;
    found.turns.append(&mut all.turns);
    found.bad_lines += all.bad_lines;
    Ok(Checkpoint { offset: 0, before: serde_json::to_string(&before)? })
}

fn read_sessions(path: &Path, before: &Before, found: &mut Found) -> rusqlite::Result<Before> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let tables = Tables::of(&connection)?;
    let versions = tables.versions(&connection)?;
    let sessions = tables.sessions(&connection)?;
    let parents =
        sessions.iter().map(|session| (session.id.as_str(), session.parent.as_deref())).collect();
    let mut reader = Reader::new(&connection, &tables)?;
    let mut after = Before::new();
    for row in &sessions {
        let version = versions.get(&row.id).copied().unwrap_or_default();
        let state = match before.get(&row.id) {
            Some(known) if !known.is_open && known.version == version => known.clone(),
            known => {
                let root = root(&row.id, &parents);
                let is_child = root != row.id;
                let session =
                    Session { root: root.to_owned(), is_child, directory: row.directory.clone() };
                let closed = known.and_then(|known| known.closed.clone());
                let (closed, is_open) = reader.read(&row.id, &session, closed, found)?;
                SessionBefore { closed, is_open, version }
            }
        };
        after.insert(row.id.clone(), state);
    }
    Ok(after)
}

/// The session that a person started.
fn root<'a>(id: &'a str, parents: &BTreeMap<&'a str, Option<&'a str>>) -> &'a str {
    let mut root = id;
    for _ in 0..MAX_DEPTH {
        match parents.get(root).copied().flatten() {
            Some(parent) => root = parent,
            None => break,
        }
    }
    root
}

/// Reads sessions.
struct Reader<'a> {
    first: Option<Statement<'a>>,
    messages: Option<Statement<'a>>,
    parts: Option<Statement<'a>>,
    later: Option<Statement<'a>>,
    ordinal: Option<Statement<'a>>,
    /// The second tables are in use, and the first ones have what was before.
    is_migrated: bool,
}

impl<'a> Reader<'a> {
    fn new(connection: &'a Connection, tables: &Tables) -> rusqlite::Result<Self> {
        let prepare =
            |is_there: bool, query| is_there.then(|| connection.prepare(query)).transpose();
        let has_second = tables.has("session_message");
        Ok(Self {
            first: prepare(
                tables.has("message"),
                "SELECT 1 FROM message WHERE session_id = ?1 LIMIT 1",
            )?,
            messages: prepare(
                tables.has("message"),
                "SELECT id, time_created, data FROM message WHERE session_id = ?1 AND (time_created, id) > (?2, ?3) \
                 ORDER BY time_created, id",
            )?,
            parts: prepare(
                tables.has("part"),
                "SELECT data FROM part WHERE message_id = ?1 ORDER BY id",
            )?,
            later: prepare(
                has_second,
                "SELECT id, time_created, data, type FROM session_message \
                 WHERE session_id = ?1 AND time_created > ?2 AND seq > ?3 ORDER BY seq",
            )?,
            ordinal: prepare(
                has_second,
                "SELECT seq FROM session_message WHERE session_id = ?1 AND id = ?2",
            )?,
            is_migrated: tables.has("session_v2"),
        })
    }

    /// Finds the turns of a session behind the last closed one. Returns the last closed one, and whether one is open.
    fn read(
        &mut self,
        id: &str,
        session: &Session,
        closed: Option<Position>,
        found: &mut Found,
    ) -> rusqlite::Result<(Option<Position>, bool)> {
        let mut bad = 0;
        let mut turns = Turns::new(session, found);
        let from = closed.clone().unwrap_or(Position { at: i64::MIN, id: String::new() });
        let last = self.read_first(id, &from, &mut turns, &mut bad)?;
        // Without a migration, versions that try the second tables out fill both.
        if self.is_migrated || !self.is_in_first(id)? {
            self.read_second(id, &from, last, &mut turns, &mut bad)?;
        }
        let (position, is_open) = turns.finish();
        found.bad_lines += bad;
        Ok((position.or(closed), is_open))
    }

    fn is_in_first(&mut self, id: &str) -> rusqlite::Result<bool> {
        self.first.as_mut().map_or(Ok(false), |first| first.exists([id]))
    }

    /// Reads the first tables. Returns the time of the last message.
    fn read_first(
        &mut self,
        id: &str,
        from: &Position,
        turns: &mut Turns<'_>,
        bad: &mut u64,
    ) -> rusqlite::Result<Option<i64>> {
        let Some(messages) = &mut self.messages else { return Ok(None) };
        let mut last = None;
        let mut rows = messages.query(params![id, from.at, from.id])?;
        while let Some(row) = rows.next()? {
            let position = position(row)?;
            last = last.max(Some(position.at));
            let Some(record) = json::<MessageRecord<'_>>(row, 2, bad)? else { continue };
            let message = record.message(None, position.at);
            turns.begin(&message);
            if let Some(parts) = &mut self.parts {
                let mut rows = parts.query([&position.id])?;
                while let Some(row) = rows.next()? {
                    if let Some(record) = json::<PartRecord<'_>>(row, 0, bad)? {
                        turns.part(&record);
                    }
                }
            }
            turns.end(&message, position);
        }
        Ok(last)
    }

    /// Reads what the second tables have behind the time of the last message in the first ones.
    fn read_second(
        &mut self,
        id: &str,
        from: &Position,
        last: Option<i64>,
        turns: &mut Turns<'_>,
        bad: &mut u64,
    ) -> rusqlite::Result<()> {
        let (Some(messages), Some(ordinal)) = (&mut self.later, &mut self.ordinal) else {
            return Ok(());
        };
        let closed: Option<i64> =
            ordinal.query_row(params![id, from.id], |row| row.get(0)).optional()?;
        // The ordinal is exact; the time is for a message that has been removed, or was in the first tables only.
        let time = if closed.is_some() { i64::MIN } else { from.at };
        let time = time.max(last.unwrap_or(i64::MIN));
        let mut rows = messages.query(params![id, time, closed.unwrap_or(i64::MIN)])?;
        while let Some(row) = rows.next()? {
            let position = position(row)?;
            let Some(record) = json::<MessageRecord<'_>>(row, 2, bad)? else { continue };
            let kind = row.get_ref(3)?.as_str().unwrap_or_default();
            let message = record.message(Some(kind), position.at);
            turns.begin(&message);
            if message.kind == Kind::Assistant {
                record.content().for_each(|item| turns.part(&item));
            }
            turns.end(&message, position);
        }
        Ok(())
    }
}

fn position(row: &Row<'_>) -> rusqlite::Result<Position> {
    Ok(Position { at: row.get(1)?, id: row.get(0)? })
}

/// The JSON of a column; `None` if it is none.
fn json<'a, T: Deserialize<'a>>(
    row: &'a Row<'_>,
    column: usize,
    bad: &mut u64,
) -> rusqlite::Result<Option<T>> {
    let record =
        row.get_ref(column)?.as_bytes().ok().and_then(|bytes| serde_json::from_slice(bytes).ok());
    *bad += u64::from(record.is_none());
    Ok(record)
}
