//! The views of the page.

use rusqlite::{Connection, Row, ToSql, params_from_iter};
use telemetry_model::{Complexity, PredictionQuery, Provider, QualityGate, TaskType};
use uuid::Uuid;

use super::{Error, Sqlite, event};
use crate::storage::{
    StorageError,
    figures::{self, Figures},
    sql::{column, exact, needs_hours, words},
    views::{Dimension, Filter, GateSums, Group, Rejection, StoredEvent, Sums, Views},
};

impl Views for Sqlite {
    fn sums(&self, filter: &Filter, by: Dimension) -> Result<Vec<(String, Sums)>, StorageError> {
        let is_by_time = matches!(by, Dimension::Hour | Dimension::Day);
        let (table, source) = source(filter, is_by_time);
        let sums = figures::list(|name| format!("sum({table}.{name})"));
        let (column, matching) = (column(by), Condition::new(filter, "hours.hour"));
        self.read(|connection| {
            let sql = format!(
                "SELECT CAST({column} AS TEXT), {sums} FROM {source} \
                 WHERE {table}.tasks > 0 AND {matching} GROUP BY 1"
            );
            matching.query(connection, &sql, |row| {
                Ok((row.get(0)?, Figures::read(|index| row.get(1 + index))?.sums))
            })
        })
    }

    fn gates(&self, filter: &Filter) -> Result<Vec<GateSums>, StorageError> {
        let of_gates = Condition::new(filter, "gates.hour");
        self.read(|connection| {
            let sql = format!(
                "SELECT gate, sum(gates.run), sum(gates.failed) FROM gates JOIN series ON series.id = series \
                 WHERE {of_gates} GROUP BY gate"
            );
            of_gates.query(connection, &sql, |row| {
                let gate = exact::<QualityGate>(row.get(0)?);
                Ok(GateSums { gate, run: row.get(1)?, failed: row.get(2)? })
            })
        })
    }

    fn groups(&self, filter: &Filter, limit: u32) -> Result<Vec<Group>, StorageError> {
        let (table, source) = source(filter, false);
        let matching = Condition::new(filter, "hours.hour");
        self.read(|connection| {
            let sql = format!(
                "SELECT task_type, model, provider, complexity, sum({table}.tasks) FROM {source} \
                 WHERE {table}.tasks > 0 AND {matching} GROUP BY 1, 2, 3, 4"
            );
            let mut groups = matching.query(connection, &sql, |row| {
                let query = PredictionQuery::new(
                    exact::<TaskType>(row.get(0)?),
                    row.get::<_, String>(1)?,
                    exact::<Provider>(row.get(2)?),
                    exact::<Complexity>(row.get(3)?),
                );
                Ok(Group { query, tasks: row.get(4)? })
            })?;
            groups.sort_by(|a, b| b.tasks.cmp(&a.tasks).then_with(|| a.query.cmp(&b.query)));
            groups.truncate(limit as usize);
            Ok(groups)
        })
    }

    fn latest(&self, filter: &Filter, limit: u32) -> Result<Vec<StoredEvent>, StorageError> {
        let mut of_events = Condition::new(filter, "hour");
        // Without a filter, the last rows of the table. With one, the index, so that only the rows found are read:
        // by itself, SQLite would read the table backwards until it has found enough.
        let source = if *filter == Filter::default() {
            "SELECT seq FROM events".to_owned()
        } else {
            format!(
                "SELECT seq FROM series CROSS JOIN events INDEXED BY events_by_series \
                 ON series = series.id WHERE {of_events}"
            )
        };
        of_events.values.push(Box::new(limit));
        let last = of_events.values.len();
        self.read(|connection| {
            let sql = format!(
                "SELECT received, json FROM events WHERE seq IN \
                 ({source} ORDER BY seq DESC LIMIT ?{last}) ORDER BY seq DESC"
            );
            of_events.query(connection, &sql, |row| {
                Ok(StoredEvent { received: row.get(0)?, event: event(row.get_ref(1)?)? })
            })
        })
    }

    fn rejections(&self, limit: u32) -> Result<Vec<Rejection>, StorageError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT received, event_id, reason FROM rejections ORDER BY seq DESC LIMIT ?1",
            )?;
            let rows = statement.query_map([limit], |row| {
                Ok(Rejection {
                    received: row.get(0)?,
                    event_id: row.get::<_, Option<[u8; 16]>>(1)?.map(Uuid::from_bytes),
                    reason: row.get(2)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn values(&self, by: Dimension) -> Result<Vec<String>, StorageError> {
        let table = match by {
            Dimension::Hour | Dimension::Day => "hours",
            _ => "series",
        };
        let column = column(by);
        self.read(|connection| {
            let sql = format!(
                "SELECT DISTINCT CAST({column} AS TEXT) FROM {table} WHERE tasks > 0 ORDER BY 1"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let values = statement.query_map([], |row| row.get(0))?;
            Ok(values.collect::<rusqlite::Result<_>>()?)
        })
    }
}

/// The table whose sums are added up, and what to select from: the sums over all hours, if they suffice.
fn source(filter: &Filter, is_by_time: bool) -> (&'static str, &'static str) {
    if needs_hours(filter, is_by_time) {
        ("hours", "hours JOIN series ON series.id = series")
    } else {
        ("series", "series")
    }
}

/// The condition of a filter, with its values.
struct Condition {
    sql: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Condition {
    /// `hour` is the column of the hour.
    fn new(filter: &Filter, hour: &str) -> Self {
        let mut condition = Self { sql: "true".into(), values: Vec::new() };
        for (start, word) in words(filter) {
            condition.and(start, word.map(str::to_owned));
        }
        condition.and(&format!("{hour} >="), filter.from);
        condition.and(&format!("{hour} <"), filter.to);
        condition
    }

    fn and(&mut self, start: &str, value: Option<impl ToSql + 'static>) {
        if let Some(value) = value {
            self.values.push(Box::new(value));
            self.sql += &format!(" AND {start} ?{}", self.values.len());
        }
    }

    /// Runs a query with the values of the condition.
    fn query<T>(
        &self,
        connection: &Connection,
        sql: &str,
        read: impl Fn(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(&self.values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sql)
    }
}
