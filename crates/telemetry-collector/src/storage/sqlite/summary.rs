//! Predictions from the sums and samples of series.

use std::collections::{BTreeMap, HashSet};

use rusqlite::Connection;
use telemetry_model::{PredictionQuery, TokenDistribution};

use super::{
    Error,
    samples::{self, BucketReader},
};
use crate::{
    aggregate::{Summary, level_of},
    storage::{
        figures::{self, Figures},
        samples::{METRICS, bucket, distribution_of, sum_up},
    },
};

/// The figures of the events that match a query best.
pub(super) fn summary(
    connection: &mut Connection,
    query: &PredictionQuery,
) -> Result<Summary, Error> {
    // A snapshot, so that all parts agree.
    let snapshot = connection.transaction()?;
    let Some(best) = Best::find(&snapshot, query)? else { return Ok(Summary::default()) };
    let distributions = best.distributions(&snapshot)?;
    Ok(best.figures.summary(best.level, distributions))
}

/// The series at the lowest level at which there are events.
struct Best {
    level: usize,
    series: Vec<i64>,
    figures: Figures,
}

impl Best {
    fn find(connection: &Connection, query: &PredictionQuery) -> Result<Option<Self>, Error> {
        let columns = figures::list(str::to_owned);
        let mut statement = connection.prepare_cached(&format!(
            "SELECT id, model = ?2, provider = ?3, complexity = ?4, {columns} FROM series \
             WHERE task_type = ?1 AND tasks > 0"
        ))?;
        let mut rows = statement.query([
            query.task_type.as_str(),
            &query.model,
            query.provider.as_str(),
            query.complexity.as_str(),
        ])?;
        let mut best: Option<Self> = None;
        while let Some(row) = rows.next()? {
            let level = level_of([row.get(1)?, row.get(2)?, row.get(3)?]);
            let figures = Figures::read(|index| row.get(4 + index))?;
            match &mut best {
                Some(best) if level > best.level => {}
                Some(best) if level == best.level => {
                    best.series.push(row.get(0)?);
                    best.figures.add(&figures);
                }
                _ => best = Some(Self { level, series: vec![row.get(0)?], figures }),
            }
        }
        Ok(best)
    }

    /// The percentiles of each metric.
    fn distributions(
        &self,
        connection: &Connection,
    ) -> Result<[TokenDistribution; METRICS], Error> {
        let pending = Pending::read(connection, &self.series)?;
        let mut counts: [BTreeMap<u32, i64>; METRICS] = Default::default();
        for series in &self.series {
            samples::counts(connection, *series, |metric, bucket, count| {
                if let Some(counts) = counts.get_mut(metric) {
                    *counts.entry(bucket).or_default() += count;
                }
            })?;
        }
        let mut reader = BucketReader::new(connection)?;
        let mut distributions = [TokenDistribution::default(); METRICS];
        for (metric, distribution) in distributions.iter_mut().enumerate() {
            let counts = &mut counts[metric];
            for (value, change) in pending.values(metric) {
                *counts.entry(bucket(value)).or_default() += change;
            }
            let read = |bucket_| -> Result<_, Error> {
                let mut values = Vec::new();
                for series in &self.series {
                    reader.read(*series, metric, bucket_, &mut values)?;
                }
                values.extend(pending.values(metric).filter(|(it, _)| bucket(*it) == bucket_));
                sum_up(&mut values);
                Ok(values)
            };
            *distribution = distribution_of(self.figures.sums.tasks, counts, read)?;
        }
        Ok(distributions)
    }
}

/// The changes of some series that are not merged yet.
struct Pending(Vec<(i64, [u64; METRICS])>);

impl Pending {
    fn read(connection: &Connection, series: &[i64]) -> Result<Self, Error> {
        let series: HashSet<i64> = series.iter().copied().collect();
        let mut statement = connection.prepare_cached(
            "SELECT series, change, input_tokens, output_tokens, cost_usd_micros, duration_ms \
             FROM pending",
        )?;
        let mut rows = statement.query([])?;
        let mut pending = Vec::new();
        while let Some(row) = rows.next()? {
            if series.contains(&row.get::<_, i64>(0)?) {
                let values = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
                pending.push((row.get(1)?, values));
            }
        }
        Ok(Self(pending))
    }

    /// The values of a metric, each with its change.
    fn values(&self, metric: usize) -> impl Iterator<Item = (u64, i64)> {
        self.0.iter().map(move |(change, values)| (values[metric], *change))
    }
}
