//! The views of the page.

use telemetry_model::{Complexity, PredictionQuery, Provider, QualityGate, TaskType};
use tokio_postgres::{Row, types::ToSql};

use super::{Postgres, connection::Connection, error::Error, event};
use crate::storage::{
    StorageError,
    figures::{self, Figures},
    sql::{column, exact, needs_hours, words},
    views::{
        Dimension, Filter, GateSums, Group, MAX_REJECTIONS, Rejection, StoredEvent, Sums, Views,
    },
};

impl Views for Postgres {
    fn sums(&self, filter: &Filter, by: Dimension) -> Result<Vec<(String, Sums)>, StorageError> {
        let table = table(filter, matches!(by, Dimension::Hour | Dimension::Day));
        let sums = figures::list(|name| format!("sum({table}.{name})::bigint"));
        let (value, matching) = (bytes(by), Condition::new(filter, "hours.hour"));
        self.read(|connection| {
            let sql = format!(
                "SELECT {value}, {sums} FROM {table} JOIN series ON series.id = {table}.series \
                 WHERE {} GROUP BY 1",
                matching.sql
            );
            matching.query(connection, &sql, |row| Ok((text(row, 0)?, figures_of(row, 1)?.sums)))
        })
    }

    fn gates(&self, filter: &Filter) -> Result<Vec<GateSums>, StorageError> {
        let of_gates = Condition::new(filter, "gates.hour");
        self.read(|connection| {
            let sql = format!(
                "SELECT gate, sum(run)::bigint, sum(failed)::bigint \
                 FROM gates JOIN series ON series.id = gates.series WHERE {} GROUP BY gate",
                of_gates.sql
            );
            of_gates.query(connection, &sql, |row| {
                let gate = exact::<QualityGate>(text(row, 0)?);
                Ok(GateSums { gate, run: count(row, 1)?, failed: count(row, 2)? })
            })
        })
    }

    fn groups(&self, filter: &Filter, limit: u32) -> Result<Vec<Group>, StorageError> {
        let table = table(filter, false);
        let matching = Condition::new(filter, "hours.hour");
        self.read(|connection| {
            let sql = format!(
                "SELECT task_type, model, provider, complexity, sum({table}.tasks)::bigint \
                 FROM {table} JOIN series ON series.id = {table}.series \
                 WHERE {} GROUP BY 1, 2, 3, 4",
                matching.sql
            );
            let mut groups = matching.query(connection, &sql, |row| {
                let query = PredictionQuery::new(
                    exact::<TaskType>(text(row, 0)?),
                    text(row, 1)?,
                    exact::<Provider>(text(row, 2)?),
                    exact::<Complexity>(text(row, 3)?),
                );
                Ok(Group { query, tasks: count(row, 4)? })
            })?;
            groups.sort_by(|a, b| b.tasks.cmp(&a.tasks).then_with(|| a.query.cmp(&b.query)));
            groups.truncate(limit as usize);
            Ok(groups)
        })
    }

    fn latest(&self, filter: &Filter, limit: u32) -> Result<Vec<StoredEvent>, StorageError> {
        let mut of_events = Condition::new(filter, "events.hour");
        of_events.values.push(Box::new(i64::from(limit)));
        self.read(|connection| {
            let sql = format!(
                "SELECT received, json FROM events JOIN series ON series.id = events.series \
                 WHERE {} ORDER BY seq DESC LIMIT ${}",
                of_events.sql,
                of_events.values.len()
            );
            of_events.query(connection, &sql, |row| {
                Ok(StoredEvent { received: row.try_get(0)?, event: event(row.try_get(1)?)? })
            })
        })
    }

    fn rejections(&self, limit: u32) -> Result<Vec<Rejection>, StorageError> {
        // Until the next one is stored, more are in the table if two collectors stored some at once.
        let limit = i64::from(limit).min(MAX_REJECTIONS as i64);
        self.read(|connection| {
            let rows = connection.query(
                "SELECT received, event_id, reason FROM rejections ORDER BY seq DESC LIMIT $1",
                &[&limit],
            )?;
            let rejection = |row: &Row| {
                Ok(Rejection {
                    received: row.try_get(0)?,
                    event_id: row.try_get(1)?,
                    reason: text(row, 2)?,
                })
            };
            rows.iter().map(rejection).collect()
        })
    }

    fn values(&self, by: Dimension) -> Result<Vec<String>, StorageError> {
        let (value, table) = match by {
            Dimension::Hour | Dimension::Day => (bytes(by), "hours"),
            _ => (bytes(by), "series JOIN totals ON series = id AND tasks > 0"),
        };
        self.read(|connection| {
            let rows = connection.query(&format!("SELECT DISTINCT {value} FROM {table}"), &[])?;
            let mut values = rows.iter().map(|row| text(row, 0)).collect::<Result<Vec<_>, _>>()?;
            values.sort_unstable();
            Ok(values)
        })
    }
}

/// The table whose sums are added up: that with the sums over all hours, if they suffice.
fn table(filter: &Filter, is_by_time: bool) -> &'static str {
    if needs_hours(filter, is_by_time) { "hours" } else { "totals" }
}

/// The value of a dimension as bytes.
fn bytes(by: Dimension) -> String {
    match by {
        Dimension::Hour | Dimension::Day => format!("convert_to(({})::text, 'UTF8')", column(by)),
        _ => column(by).to_owned(),
    }
}

fn text(row: &Row, column: usize) -> Result<String, Error> {
    let bytes: Vec<u8> = row.try_get(column)?;
    String::from_utf8(bytes).map_err(|_| Error::Damaged("a word is not text"))
}

fn count(row: &Row, column: usize) -> Result<u64, Error> {
    let count: i64 = row.try_get(column)?;
    u64::try_from(count).map_err(|_| Error::Damaged("a sum is negative"))
}

/// Reads figures, of which the first column has the number `first`.
pub(super) fn figures_of(row: &Row, first: usize) -> Result<Figures, Error> {
    Figures::read(|index| count(row, first + index))
}

/// The condition of a filter, with its values.
struct Condition {
    sql: String,
    values: Vec<Box<dyn ToSql + Sync>>,
}

impl Condition {
    /// `hour` is the column of the hour.
    fn new(filter: &Filter, hour: &str) -> Self {
        let mut condition = Self { sql: "true".into(), values: Vec::new() };
        for (start, word) in words(filter) {
            condition.and(start, word.map(|word| word.as_bytes().to_vec()));
        }
        condition.and(&format!("{hour} >="), filter.from);
        condition.and(&format!("{hour} <"), filter.to);
        condition
    }

    fn and(&mut self, start: &str, value: Option<impl ToSql + Sync + 'static>) {
        if let Some(value) = value {
            self.values.push(Box::new(value));
            self.sql += &format!(" AND {start} ${}", self.values.len());
        }
    }

    /// Runs a query with the values of the condition.
    fn query<T>(
        &self,
        connection: &mut Connection,
        sql: &str,
        read: impl Fn(&Row) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let values: Vec<_> = self.values.iter().map(|it| &**it).collect();
        connection.query(sql, &values)?.iter().map(read).collect()
    }
}
