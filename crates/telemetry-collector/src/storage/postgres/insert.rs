//! The transaction that stores events.
//!
//! Transactions of several collectors lock the rows of each table in one order, and the tables in that of the
//! statements here, so that none waits for another that waits for it.

use std::collections::{BTreeMap, HashMap, HashSet};

use telemetry_model::TaskCompletionEvent;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{
    connection::{Connection, Params},
    error::Error,
};
use crate::storage::{
    changes::{Changes, words},
    figures::{self, COLUMNS, Figures},
    views::{MAX_REJECTIONS, Rejection, UnixMillis, hour},
};

/// The times that series are looked for, which another collector may remove at the same time.
const MAX_TRIES: usize = 3;

/// The result of an insert.
#[derive(Debug, Default)]
pub(super) struct Inserted {
    /// For each event whether it was new.
    pub(super) are_new: Vec<bool>,
    /// The bytes of the new ones.
    pub(super) bytes: u64,
}

/// Stores the new ones among the events.
pub(super) fn insert(
    connection: &mut Connection,
    events: &[TaskCompletionEvent],
    received: UnixMillis,
) -> Result<Inserted, Error> {
    if events.is_empty() {
        return Ok(Inserted::default());
    }
    let ids = series_ids(connection, events)?;
    let (mut seen, mut firsts) = (HashSet::new(), Vec::new());
    for event in events {
        let is_first = seen.insert(event.event_id);
        firsts.push((is_first, event, ids[&words(event)]));
    }
    let first = || firsts.iter().filter(|(is_first, ..)| *is_first);
    let event_ids: Vec<Uuid> = first().map(|(_, event, _)| event.event_id).collect();
    let series: Vec<i64> = first().map(|(.., series)| *series).collect();
    let hours: Vec<i64> = first().map(|(_, event, _)| hour(event)).collect();
    let json: Vec<Vec<u8>> = first().map(|(_, event, _)| json(event)).collect();
    // The subquery numbers the events in their order; they are inserted in that of their ids.
    let new = connection.query(
        "INSERT INTO events (seq, event_id, received, series, hour, json) \
         SELECT seq, event_id, $1, series, hour, json FROM ( \
             SELECT nextval('events_seq') AS seq, given.* \
             FROM unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bytea[]) \
             AS given (event_id, series, hour, json) \
         ) AS numbered ORDER BY event_id \
         ON CONFLICT (event_id) DO NOTHING RETURNING event_id",
        &[&received, &event_ids, &series, &hours, &json],
    )?;
    let new = new.iter().map(|row| row.try_get(0)).collect::<Result<HashSet<Uuid>, _>>()?;

    let lengths: HashMap<_, _> = event_ids.into_iter().zip(json.iter().map(Vec::len)).collect();
    let (mut change, mut inserted) = (Change::default(), Inserted::default());
    for (is_first, event, series) in firsts {
        let is_new = is_first && new.contains(&event.event_id);
        inserted.are_new.push(is_new);
        if is_new {
            let bytes = lengths[&event.event_id];
            change.add(series, event, bytes);
            inserted.bytes += bytes as u64;
        }
    }
    change.write(connection, 1)?;
    Ok(inserted)
}

fn json(event: &TaskCompletionEvent) -> Vec<u8> {
    let mut json = Vec::new();
    event.write_json(&mut json);
    json
}

/// The rows of `series` that are given, with their keys.
const GIVEN: &str = "SELECT *, sha256(task_type || '\\xff' || model || '\\xff' || provider || '\\xff' || \
    complexity || '\\xff' || harness) AS key \
    FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[]) WITH ORDINALITY \
    AS given (task_type, model, provider, complexity, harness, n)";

/// The ids of the series of events; those that are new are added. No series is removed until the transaction
/// ends.
fn series_ids<'e>(
    connection: &mut Connection,
    events: &'e [TaskCompletionEvent],
) -> Result<HashMap<[&'e str; 5], i64>, Error> {
    let mut missing: Vec<[&str; 5]> = events.iter().map(words).collect();
    missing.sort_unstable();
    missing.dedup();
    let mut ids = HashMap::new();
    for _ in 0..MAX_TRIES {
        let columns: [Vec<&[u8]>; 5] =
            [0, 1, 2, 3, 4].map(|column| missing.iter().map(|it| it[column].as_bytes()).collect());
        let columns = columns.each_ref().map(|it| it as &(dyn ToSql + Sync));
        let rows = connection.query(
            &format!(
                "SELECT given.n, series.id FROM ({GIVEN}) AS given JOIN series USING (key) \
                 ORDER BY series.id FOR KEY SHARE OF series"
            ),
            &columns,
        )?;
        for row in rows {
            let number: i64 = row.try_get(0)?;
            ids.insert(missing[number as usize - 1], row.try_get(1)?);
        }
        if ids.len() == missing.len() {
            return Ok(ids);
        }
        // Sorted: of two collectors with the same new series, one waits for the other.
        connection.execute(
            &format!(
                "INSERT INTO series (task_type, model, provider, complexity, harness) \
                 SELECT task_type, model, provider, complexity, harness FROM ({GIVEN}) AS given \
                 ORDER BY key ON CONFLICT (key) DO NOTHING"
            ),
            &columns,
        )?;
    }
    Err(Error::Conflict)
}

/// The effect of events on the tables with summaries.
#[derive(Debug, Default)]
pub(super) struct Change {
    summaries: Changes,
    /// By series.
    bytes: HashMap<i64, i64>,
}

impl Change {
    /// Adds an event with this many bytes of JSON.
    pub(super) fn add(&mut self, series: i64, event: &TaskCompletionEvent, bytes: usize) {
        self.summaries.add(series, event);
        *self.bytes.entry(series).or_default() += bytes as i64;
    }

    /// Adds the effect to the tables, or removes it if `sign` is -1.
    pub(super) fn write(&self, connection: &mut Connection, sign: i64) -> Result<(), Error> {
        let hours: BTreeMap<_, _> = self.summaries.hours.iter().collect();
        let mut by_series: BTreeMap<i64, Figures> = BTreeMap::new();
        for ((_, series), figures) in &hours {
            by_series.entry(*series).or_default().add(figures);
        }
        let rows = hours.iter().map(|((hour, series), figures)| ([*hour, *series], *figures));
        add_figures(connection, "hours", ["hour", "series"], sign, rows)?;
        let rows = by_series.iter().map(|(series, figures)| {
            ([*series, sign * self.bytes.get(series).copied().unwrap_or_default()], figures)
        });
        add_figures(connection, "totals", ["series", "bytes"], sign, rows)?;
        self.write_gates(connection, sign)?;
        if self.summaries.samples.is_empty() {
            return Ok(());
        }
        let series: Vec<i64> = self.summaries.samples.iter().map(|(series, _)| *series).collect();
        let [input, output, cost, duration] = [0, 1, 2, 3].map(|metric| -> Vec<i64> {
            // Counts are at most `i64::MAX`.
            self.summaries.samples.iter().map(|(_, values)| values[metric] as i64).collect()
        });
        connection.execute(
            "INSERT INTO pending \
             (change, series, input_tokens, output_tokens, cost_usd_micros, duration_ms) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[&sign, &series, &input, &output, &cost, &duration],
        )?;
        Ok(())
    }

    fn write_gates(&self, connection: &mut Connection, sign: i64) -> Result<(), Error> {
        let mut rows: Vec<_> = self.summaries.gates.iter().collect();
        rows.sort_unstable_by_key(|(key, _)| **key);
        let rows: Vec<_> = rows
            .into_iter()
            .flat_map(|(key, gates)| gates.iter().map(move |(gate, counts)| (key, gate, counts)))
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let hours: Vec<i64> = rows.iter().map(|((hour, _), ..)| *hour).collect();
        let series: Vec<i64> = rows.iter().map(|((_, series), ..)| *series).collect();
        let gates: Vec<&[u8]> = rows.iter().map(|(_, gate, _)| gate.as_bytes()).collect();
        let [run, failed] = [0, 1].map(|column| -> Vec<i64> {
            rows.iter().map(|(.., counts)| sign * counts[column]).collect()
        });
        connection.execute(
            "INSERT INTO gates (hour, series, gate, run, failed) SELECT * \
             FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[]) \
             AS given (hour, series, gate, run, failed) ORDER BY hour, series, gate \
             ON CONFLICT (hour, series, key) DO UPDATE \
             SET run = gates.run + excluded.run, failed = gates.failed + excluded.failed",
            &[&hours, &series, &gates, &run, &failed],
        )?;
        Ok(())
    }

    /// Removes the rows that have no events left. Those of series are locked by other transactions; see
    /// [`remove_empty_series`].
    pub(super) fn remove_empty(&self, connection: &mut Connection) -> Result<Vec<i64>, Error> {
        let hours: Vec<i64> = self.summaries.hours.keys().map(|(hour, _)| *hour).collect();
        let series: Vec<i64> = self.summaries.hours.keys().map(|(_, series)| *series).collect();
        for (table, condition) in [("hours", "tasks = 0"), ("gates", "run = 0 AND failed = 0")] {
            let sql = format!(
                "DELETE FROM {table} WHERE {condition} AND (hour, series) IN \
                 (SELECT * FROM unnest($1::bigint[], $2::bigint[]))"
            );
            connection.execute(&sql, &[&hours, &series])?;
        }
        let sql = "DELETE FROM totals WHERE tasks = 0 AND series = ANY($1) RETURNING series";
        let empty = connection.query(sql, &[&series])?;
        Ok(empty.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }
}

/// Adds figures to the rows of a table, in the order of its key, which is the first of `columns`, or both.
fn add_figures<'f>(
    connection: &mut Connection,
    table: &str,
    columns: [&str; 2],
    sign: i64,
    rows: impl Iterator<Item = ([i64; 2], &'f Figures)>,
) -> Result<(), Error> {
    let mut values: [Vec<i64>; COLUMNS + 2] = [const { Vec::new() }; COLUMNS + 2];
    for (first, figures) in rows {
        let figures = figures.columns().map(|it| sign * it);
        for (values, value) in values.iter_mut().zip(first.into_iter().chain(figures)) {
            values.push(value);
        }
    }
    if values[0].is_empty() {
        return Ok(());
    }
    let [first, second] = columns;
    let names = format!("{first}, {second}, {}", figures::list(str::to_owned));
    let given: Vec<_> = (1..=values.len()).map(|number| format!("${number}::bigint[]")).collect();
    let mut sums = figures::list(|name| format!("{name} = {table}.{name} + excluded.{name}"));
    let mut key = format!("{first}, {second}");
    if table == "totals" {
        sums += ", bytes = totals.bytes + excluded.bytes";
        key = first.to_owned();
    }
    let sql = format!(
        "INSERT INTO {table} ({names}) SELECT * FROM unnest({}) AS given ({names}) ORDER BY 1, 2 \
         ON CONFLICT ({key}) DO UPDATE SET {sums}",
        given.join(", ")
    );
    let values: Vec<_> = values.iter().map(|it| it as &(dyn ToSql + Sync)).collect();
    connection.execute(&sql, &values)?;
    Ok(())
}

/// Removes series without events that no transaction uses.
pub(super) fn remove_empty_series(connection: &mut Connection, ids: &[i64]) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let sql = "SELECT id FROM series WHERE id = ANY($1) FOR UPDATE SKIP LOCKED";
    let locked = connection.query(sql, &[&ids])?;
    let locked: Vec<i64> = locked.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    // A separate statement, which sees the commits before the locks.
    let sql = "DELETE FROM series WHERE id = ANY($1) \
               AND NOT EXISTS (SELECT FROM totals WHERE totals.series = series.id)";
    connection.execute(sql, &[&locked])?;
    Ok(())
}

/// Stores rejections, of which the last [`MAX_REJECTIONS`] are kept.
pub(super) fn insert_rejections(
    connection: &mut Connection,
    rejections: &[Rejection],
) -> Result<(), Error> {
    if rejections.is_empty() {
        return Ok(());
    }
    let rejections = &rejections[rejections.len().saturating_sub(MAX_REJECTIONS)..];
    let received: Vec<i64> = rejections.iter().map(|it| it.received).collect();
    let event_ids: Vec<Option<Uuid>> = rejections.iter().map(|it| it.event_id).collect();
    let reasons: Vec<&[u8]> = rejections.iter().map(|it| it.reason.as_bytes()).collect();
    let params: Params<'_> = &[&received, &event_ids, &reasons];
    connection.execute(
        "INSERT INTO rejections (received, event_id, reason) SELECT received, event_id, reason \
         FROM unnest($1::bigint[], $2::uuid[], $3::bytea[]) WITH ORDINALITY \
         AS given (received, event_id, reason, n) ORDER BY n",
        params,
    )?;
    let kept = MAX_REJECTIONS as i64;
    connection.execute(
        "DELETE FROM rejections WHERE seq IN (SELECT seq FROM rejections WHERE seq <= \
         (SELECT seq FROM rejections ORDER BY seq DESC OFFSET $1 LIMIT 1) FOR UPDATE SKIP LOCKED)",
        &[&kept],
    )?;
    Ok(())
}
