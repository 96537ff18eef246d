//! Predictions from the sums and samples of series.

use std::collections::{BTreeMap, HashMap, HashSet};

use telemetry_model::{PredictionQuery, TokenDistribution};

use super::{connection::Connection, error::Error, samples::each_value, views::figures_of};
use crate::{
    aggregate::{Summary, level_of},
    storage::{
        figures::{self, Figures},
        samples::{METRICS, bucket, buckets_of, distribution_of, sum_up, unpack},
    },
};

/// The figures of the events that match a query best. To be called in a snapshot, so that all parts agree.
pub(super) fn summary(
    connection: &mut Connection,
    query: &PredictionQuery,
) -> Result<Summary, Error> {
    let Some(best) = Best::find(connection, query)? else { return Ok(Summary::default()) };
    let distributions = best.distributions(connection)?;
    Ok(best.figures.summary(best.level, distributions))
}

/// The series at the lowest level at which there are events.
struct Best {
    level: usize,
    series: Vec<i64>,
    figures: Figures,
}

/// Values of a bucket, each with the number of times that it occurs.
type Values = Vec<(u64, i64)>;

impl Best {
    fn find(connection: &mut Connection, query: &PredictionQuery) -> Result<Option<Self>, Error> {
        let columns = figures::list(str::to_owned);
        let rows = connection.query(
            &format!(
                "SELECT series, model = $2, provider = $3, complexity = $4, {columns} \
                 FROM totals JOIN series ON series.id = series WHERE task_type = $1 AND tasks > 0"
            ),
            &[
                &query.task_type.as_str().as_bytes(),
                &query.model.as_bytes(),
                &query.provider.as_str().as_bytes(),
                &query.complexity.as_str().as_bytes(),
            ],
        )?;
        let mut best: Option<Self> = None;
        for row in rows {
            let level = level_of([row.try_get(1)?, row.try_get(2)?, row.try_get(3)?]);
            let figures = figures_of(&row, 4)?;
            match &mut best {
                Some(best) if level > best.level => {}
                Some(best) if level == best.level => {
                    best.series.push(row.try_get(0)?);
                    best.figures.add(&figures);
                }
                _ => best = Some(Self { level, series: vec![row.try_get(0)?], figures }),
            }
        }
        Ok(best)
    }

    /// The percentiles of each metric.
    fn distributions(
        &self,
        connection: &mut Connection,
    ) -> Result<[TokenDistribution; METRICS], Error> {
        let mut counts: [BTreeMap<u32, i64>; METRICS] = Default::default();
        let rows = connection.query(
            "SELECT metric, bucket, sum(count)::bigint FROM samples \
             WHERE series = ANY($1) GROUP BY metric, bucket",
            &[&self.series],
        )?;
        for row in rows {
            let (metric, bucket) = (row.try_get::<_, i32>(0)?, row.try_get::<_, i32>(1)?);
            let counts = counts.get_mut(metric as usize).ok_or(UNKNOWN_METRIC)?;
            counts.insert(bucket as u32, row.try_get(2)?);
        }
        let pending = self.pending(connection)?;
        for (metric, counts) in counts.iter_mut().enumerate() {
            for (change, values) in &pending {
                *counts.entry(bucket(values[metric])).or_default() += change;
            }
        }

        let tasks = self.figures.sums.tasks;
        let mut buckets = self.packed(connection, &counts)?;
        let mut distributions = [TokenDistribution::default(); METRICS];
        for (metric, distribution) in distributions.iter_mut().enumerate() {
            *distribution = distribution_of(tasks, &counts[metric], |number| {
                let mut values = buckets.remove(&(metric, number)).unwrap_or_default();
                let of_metric = pending.iter().map(|(change, values)| (values[metric], *change));
                values.extend(of_metric.filter(|(value, _)| bucket(*value) == number));
                sum_up(&mut values);
                Ok::<_, Error>(values)
            })?;
        }
        Ok(distributions)
    }

    /// The changes that are not merged yet, each with its values.
    fn pending(&self, connection: &mut Connection) -> Result<Vec<(i64, [u64; METRICS])>, Error> {
        let series: HashSet<i64> = self.series.iter().copied().collect();
        let rows = connection.query(
            "SELECT change, series, input_tokens, output_tokens, cost_usd_micros, duration_ms \
             FROM pending WHERE series && $1",
            &[&self.series],
        )?;
        let mut pending = Vec::new();
        for row in &rows {
            each_value(row, |of, change, values| {
                if series.contains(&of) {
                    pending.push((change, values));
                }
            })?;
        }
        Ok(pending)
    }

    /// The merged values of the buckets that hold the percentiles, in one query.
    fn packed(
        &self,
        connection: &mut Connection,
        counts: &[BTreeMap<u32, i64>; METRICS],
    ) -> Result<HashMap<(usize, u32), Values>, Error> {
        let (mut metrics, mut buckets) = (Vec::new(), Vec::new());
        for (metric, counts) in (0_i32..).zip(counts) {
            for bucket in buckets_of(self.figures.sums.tasks, counts)? {
                metrics.push(metric);
                buckets.push(bucket as i32);
            }
        }
        let rows = connection.query(
            "SELECT metric, bucket, packed \
             FROM unnest($2::integer[], $3::integer[]) AS given (metric, bucket) \
             JOIN samples USING (metric, bucket) WHERE series = ANY($1)",
            &[&self.series, &metrics, &buckets],
        )?;
        let mut packed: HashMap<_, Values> = HashMap::new();
        for row in &rows {
            let (metric, bucket) = (row.try_get::<_, i32>(0)?, row.try_get::<_, i32>(1)?);
            let values = packed.entry((metric as usize, bucket as u32)).or_default();
            unpack(row.try_get(2)?, values)?;
        }
        Ok(packed)
    }
}

const UNKNOWN_METRIC: Error = Error::Damaged("samples have an unknown metric");
