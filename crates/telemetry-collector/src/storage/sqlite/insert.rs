//! The transaction that stores events.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Transaction, params, params_from_iter};
use telemetry_model::TaskCompletionEvent;

use super::Error;
use crate::storage::{
    changes::{Changes, words},
    figures::{self, Figures},
    views::{MAX_REJECTIONS, Rejection, UnixMillis, hour},
};

/// The series whose ids are remembered. A client can send any number.
const MAX_SERIES: usize = 4_096;

/// Ids of series, by task type, model, provider, complexity and harness.
#[derive(Debug, Default)]
pub(super) struct SeriesIds(HashMap<[Box<str>; 5], i64>);

impl SeriesIds {
    /// The id of the event's series, which is added if it is new.
    fn of(&mut self, connection: &Connection, event: &TaskCompletionEvent) -> Result<i64, Error> {
        let names = words(event);
        let key = names.map(Box::from);
        if let Some(id) = self.0.get(&key) {
            return Ok(*id);
        }
        let found = connection
            .prepare_cached(
                "SELECT id FROM series WHERE task_type = ?1 AND model = ?2 AND provider = ?3 \
                 AND complexity = ?4 AND harness = ?5",
            )?
            .query_row(names, |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => connection
                .prepare_cached(
                    "INSERT INTO series (task_type, model, provider, complexity, harness) \
                     VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
                )?
                .query_row(names, |row| row.get(0))?,
        };
        if self.0.len() >= MAX_SERIES {
            self.0.clear();
        }
        self.0.insert(key, id);
        Ok(id)
    }

    /// To be called if a transaction fails, or removes series.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Stores the new ones among the events. Returns for each whether it was new.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    ids: &mut SeriesIds,
    events: &[TaskCompletionEvent],
    received: UnixMillis,
) -> Result<Vec<bool>, Error> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO events (event_id, received, series, hour, json) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (event_id) DO NOTHING",
    )?;
    let (mut changes, mut json) = (Changes::default(), Vec::new());
    let mut are_new = Vec::with_capacity(events.len());
    for event in events {
        let series = ids.of(transaction, event)?;
        json.clear();
        event.write_json(&mut json);
        let json = str::from_utf8(&json).unwrap_or_default();
        let id = event.event_id.as_bytes();
        let is_new = insert.execute(params![id, received, series, hour(event), json])? > 0;
        if is_new {
            changes.add(series, event);
        }
        are_new.push(is_new);
    }
    changes.write(transaction, 1)?;
    Ok(are_new)
}

impl Changes {
    /// Adds the effect to the tables, or removes it if `sign` is -1.
    pub(super) fn write(&self, transaction: &Transaction<'_>, sign: i64) -> Result<(), Error> {
        let columns = figures::list(str::to_owned);
        let values = figures::list(|_| "?".into());
        let sums = figures::list(|name| format!("{name} = {name} + excluded.{name}"));
        let mut add = transaction.prepare_cached(&format!(
            "INSERT INTO hours (hour, series, {columns}) VALUES (?, ?, {values}) \
             ON CONFLICT (hour, series) DO UPDATE SET {sums}"
        ))?;
        let mut by_series: HashMap<i64, Figures> = HashMap::new();
        for ((hour, series), figures) in &self.hours {
            by_series.entry(*series).or_default().add(figures);
            let columns = figures.columns().map(|it| sign * it);
            add.execute(params_from_iter([*hour, *series].into_iter().chain(columns)))?;
        }

        let sums = figures::list(|name| format!("{name} = {name} + ?"));
        let mut add =
            transaction.prepare_cached(&format!("UPDATE series SET {sums} WHERE id = ?"))?;
        for (series, figures) in by_series {
            let columns = figures.columns().map(|it| sign * it);
            add.execute(params_from_iter(columns.into_iter().chain([series])))?;
        }

        let mut add = transaction.prepare_cached(
            "INSERT INTO gates (hour, series, gate, run, failed) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (hour, series, gate) DO UPDATE \
             SET run = run + excluded.run, failed = failed + excluded.failed",
        )?;
        for ((hour, series), gates) in &self.gates {
            for (gate, [run, failed]) in gates {
                add.execute(params![hour, series, gate, sign * run, sign * failed])?;
            }
        }

        let mut add = transaction.prepare_cached(
            "INSERT INTO pending \
             (series, change, input_tokens, output_tokens, cost_usd_micros, duration_ms) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for (series, [input, output, cost, duration]) in &self.samples {
            add.execute(params![series, sign, input, output, cost, duration])?;
        }
        if sign < 0 {
            self.remove_empty(transaction)?;
        }
        Ok(())
    }

    /// Removes the rows of hours and series that have no events left.
    fn remove_empty(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        let key = "WHERE hour = ?1 AND series = ?2";
        let mut hour =
            transaction.prepare_cached(&format!("DELETE FROM hours {key} AND tasks = 0"))?;
        let mut gates = transaction
            .prepare_cached(&format!("DELETE FROM gates {key} AND run = 0 AND failed = 0"))?;
        for key in self.hours.keys() {
            hour.execute(<[i64; 2]>::from(*key))?;
            gates.execute(<[i64; 2]>::from(*key))?;
        }
        let mut series =
            transaction.prepare_cached("DELETE FROM series WHERE id = ?1 AND tasks = 0")?;
        for (_, id) in self.hours.keys() {
            series.execute([id])?;
        }
        Ok(())
    }
}

/// Stores rejections, of which the last [`MAX_REJECTIONS`] are kept.
pub(super) fn insert_rejections(
    transaction: &Transaction<'_>,
    rejections: &[Rejection],
) -> Result<(), Error> {
    if rejections.is_empty() {
        return Ok(());
    }
    let mut insert = transaction.prepare_cached(
        "INSERT INTO rejections (received, event_id, reason) VALUES (?1, ?2, ?3)",
    )?;
    let skipped = rejections.len().saturating_sub(MAX_REJECTIONS);
    for Rejection { received, event_id, reason } in &rejections[skipped..] {
        insert.execute(params![received, event_id.map(|id| id.into_bytes()), reason])?;
    }
    transaction.execute(
        "DELETE FROM rejections WHERE seq <= (SELECT max(seq) FROM rejections) - ?1",
        [MAX_REJECTIONS],
    )?;
    Ok(())
}
