//! Everything that a page shows, read from the summaries.

use std::collections::BTreeMap;

use telemetry_model::{PredictionQuery, PredictionResponse};

use super::selection::Selection;
use crate::{
    Totals,
    storage::StorageError,
    storage::views::{Dimension, Filter, GateSums, Group, Rejection, StoredEvent, Sums, Views},
};

/// The most bars of a chart over time that are wider than an hour.
const MAX_BARS: i64 = 200;

/// The longest span that is shown by hours.
const MAX_HOURS: i64 = 72;

/// The most events, and the most rejections, of a page.
pub(super) const SHOWN_EVENTS: u32 = 25;

/// The most groups with a prediction.
pub(super) const MAX_GROUPS: u32 = 10;

/// The dimensions of the breakdown, in the order of the page.
pub(super) const BREAKDOWN: [Dimension; 5] = [
    Dimension::Model,
    Dimension::Harness,
    Dimension::TaskType,
    Dimension::Provider,
    Dimension::Complexity,
];

pub(super) struct Report {
    pub(super) totals: Totals,
    pub(super) all: Sums,
    pub(super) timeline: Timeline,
    /// The rows of each dimension of [`BREAKDOWN`], most tasks first.
    pub(super) breakdown: [Vec<(String, Sums)>; 5],
    pub(super) gates: Vec<GateSums>,
    pub(super) predictions: Vec<(Group, PredictionResponse)>,
    pub(super) events: Vec<StoredEvent>,
    pub(super) rejections: Vec<Rejection>,
    /// The values of each dimension of [`BREAKDOWN`] among all events.
    pub(super) choices: [Vec<String>; 5],
}

impl Report {
    pub(super) fn gather(
        views: &dyn Views,
        predict: impl Fn(&PredictionQuery) -> Result<PredictionResponse, StorageError>,
        totals: Totals,
        selection: &Selection,
    ) -> Result<Self, StorageError> {
        let filter = &selection.filter;
        let mut breakdown = <[Vec<_>; 5]>::default();
        let mut choices = <[Vec<_>; 5]>::default();
        for (index, by) in BREAKDOWN.into_iter().enumerate() {
            breakdown[index] = by_tasks(views, filter, by)?;
            choices[index] = views.values(by)?;
        }
        let mut all = Sums::default();
        // Each event has one complexity, and there are few of them.
        breakdown[4].iter().for_each(|(_, sums)| all.add(sums));
        Ok(Self {
            totals,
            all,
            timeline: Timeline::gather(views, filter)?,
            breakdown,
            gates: gates(views, filter)?,
            predictions: predictions(views, predict, filter, MAX_GROUPS)?,
            events: views.latest(filter, SHOWN_EVENTS)?,
            rejections: views.rejections(SHOWN_EVENTS)?,
            choices,
        })
    }
}

/// The rows of a dimension, most tasks first.
pub(super) fn by_tasks(
    views: &dyn Views,
    filter: &Filter,
    by: Dimension,
) -> Result<Vec<(String, Sums)>, StorageError> {
    let mut rows = views.sums(filter, by)?;
    rows.sort_unstable_by(|(a, x), (b, y)| y.tasks.cmp(&x.tasks).then_with(|| a.cmp(b)));
    Ok(rows)
}

/// The gates, most failures first.
pub(super) fn gates(views: &dyn Views, filter: &Filter) -> Result<Vec<GateSums>, StorageError> {
    let mut gates = views.gates(filter)?;
    gates.sort_unstable_by(|a, b| {
        (b.failed, b.run).cmp(&(a.failed, a.run)).then_with(|| a.gate.cmp(&b.gate))
    });
    Ok(gates)
}

/// The predictions of the groups with most tasks.
pub(super) fn predictions(
    views: &dyn Views,
    predict: impl Fn(&PredictionQuery) -> Result<PredictionResponse, StorageError>,
    filter: &Filter,
    limit: u32,
) -> Result<Vec<(Group, PredictionResponse)>, StorageError> {
    let groups = views.groups(filter, limit)?;
    groups
        .into_iter()
        .map(|group| {
            let prediction = predict(&group.query)?;
            Ok((group, prediction))
        })
        .collect()
}

/// The sums of consecutive spans of time, those without tasks included.
#[derive(Debug, PartialEq)]
pub(super) struct Timeline {
    /// The hours of a span: 1, or a multiple of 24.
    pub(super) width: i64,
    /// Each with its first hour.
    pub(super) spans: Vec<(i64, Sums)>,
}

impl Timeline {
    pub(super) fn gather(views: &dyn Views, filter: &Filter) -> Result<Self, StorageError> {
        let number = |(key, sums): (String, Sums)| Some((key.parse::<i64>().ok()?, sums));
        let read = |by| -> Result<BTreeMap<i64, Sums>, StorageError> {
            Ok(views.sums(filter, by)?.into_iter().filter_map(number).collect())
        };
        let days = read(Dimension::Day)?;
        let (Some((first, _)), Some((last, _))) = (days.first_key_value(), days.last_key_value())
        else {
            return Ok(Self { width: 24, spans: Vec::new() });
        };
        let from = filter.from.unwrap_or(first * 24);
        let to = filter.to.unwrap_or((last + 1) * 24);
        let width = width(to - from);
        let sums = if width == 1 { read(Dimension::Hour)? } else { days };
        let unit = if width == 1 { 1 } else { 24 };
        let start = align(from, width);
        let count = (to - start + width - 1).div_euclid(width);
        let mut spans: Vec<_> =
            (0..count).map(|index| (start + index * width, Sums::default())).collect();
        for (key, sums) in sums {
            let index = usize::try_from((key * unit - start).div_euclid(width));
            if let Some((_, span)) = index.ok().and_then(|index| spans.get_mut(index)) {
                span.add(&sums);
            }
        }
        Ok(Self { width, spans })
    }
}

/// The hours of a bar, so that there are at most [`MAX_BARS`] of them, or one for each hour of a short span.
const fn width(hours: i64) -> i64 {
    let days = hours / 24 + 1;
    if hours <= MAX_HOURS {
        1
    } else if days < MAX_BARS {
        24
    } else {
        // Whole weeks; one more bar may be needed because the first one is aligned.
        24 * 7 * (days / 7 / (MAX_BARS - 2) + 1)
    }
}

/// The start of the bar that contains an hour. Weeks start on Monday.
const fn align(hour: i64, width: i64) -> i64 {
    // 1970-01-05 was a Monday.
    let monday = 4 * 24;
    if width <= 24 {
        hour.div_euclid(width) * width
    } else {
        (hour - monday).div_euclid(width) * width + monday
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::storage::views::UnixMillis;

    /// One task in each of these hours.
    struct Hours(Vec<i64>);

    impl Views for Hours {
        fn sums(
            &self,
            filter: &Filter,
            by: Dimension,
        ) -> Result<Vec<(String, Sums)>, StorageError> {
            let mut sums: BTreeMap<String, Sums> = BTreeMap::new();
            let is_in = |hour: &&i64| {
                filter.from.is_none_or(|it| **hour >= it) && filter.to.is_none_or(|it| **hour < it)
            };
            for hour in self.0.iter().filter(is_in) {
                let key = if by == Dimension::Hour { *hour } else { hour.div_euclid(24) };
                sums.entry(key.to_string()).or_default().tasks += 1;
            }
            Ok(sums.into_iter().collect())
        }

        fn gates(&self, _: &Filter) -> Result<Vec<GateSums>, StorageError> {
            Ok(Vec::new())
        }

        fn groups(&self, _: &Filter, _: u32) -> Result<Vec<Group>, StorageError> {
            Ok(Vec::new())
        }

        fn latest(&self, _: &Filter, _: u32) -> Result<Vec<StoredEvent>, StorageError> {
            Ok(Vec::new())
        }

        fn rejections(&self, _: u32) -> Result<Vec<Rejection>, StorageError> {
            Ok(Vec::new())
        }

        fn values(&self, _: Dimension) -> Result<Vec<String>, StorageError> {
            Ok(Vec::new())
        }
    }

    fn timeline(hours: &[i64], from: Option<i64>, to: Option<i64>) -> Timeline {
        let filter = Filter { from, to, ..Filter::default() };
        Timeline::gather(&Hours(hours.to_vec()), &filter).unwrap()
    }

    #[test]
    fn resolution_follows_the_span_and_every_task_is_in_one_bar() {
        let year = 365 * 24;
        for (hours, from, to, width, bars) in [
            (&[5][..], None, None, 1, 24),
            (&[-1, 5], None, None, 1, 48),
            (&[0, 71], None, None, 1, 72),
            (&[0, 72], None, None, 24, 4),
            (&[5], Some(5), Some(6), 1, 1),
            (&[100], Some(30), None, 24, 4),
            (&[0, 197 * 24], None, None, 24, 198),
            (&[0, year], None, None, 24 * 7, 53),
            (&[-100 * year, 100 * year], None, None, 24 * 7 * 53, 198),
        ] {
            let found = timeline(hours, from, to);
            assert_eq!((found.width, found.spans.len()), (width, bars), "{hours:?}");
            let tasks: u64 = found.spans.iter().map(|(_, sums)| sums.tasks).sum();
            assert_eq!(tasks, hours.len() as u64, "{hours:?}");
            assert!(found.spans[0].0 <= hours[0]);
        }
        assert_eq!(timeline(&[], None, None).spans, []);
    }

    #[test]
    fn bars_never_exceed_their_limit_and_weeks_start_on_monday() {
        for days in 1..40_000 {
            let (from, to) = (24 * 3, 24 * (3 + days));
            let width = width(to - from);
            let bars = (to - align(from, width) + width - 1) / width;
            assert!(bars <= MAX_BARS, "{days} days: {bars} bars of {width} hours");
        }
        let monday: UnixMillis = align(499_000, 24 * 7);
        assert_eq!(super::super::units::date(super::super::units::at_hour(monday)), "2026-11-30");
    }
}
