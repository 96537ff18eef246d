//! A bounded TTL cache of predictions.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use telemetry_model::{PredictionQuery, PredictionResponse};

use super::{Answers, CachedPrediction};
use crate::clock;

/// The maximum number of answers.
const MAX_CACHED: usize = 1_000;

/// Keeps an expired answer as stale until newer ones need its place.
#[derive(Debug)]
pub(super) struct Cache {
    ttl: Duration,
    no_data_ttl: Duration,
    entries: HashMap<PredictionQuery, Entry>,
}

#[derive(Debug)]
struct Entry {
    response: Arc<PredictionResponse>,
    answered: (Instant, SystemTime),
    ttl: Duration,
    expires: Instant,
}

impl Cache {
    /// `no_data_ttl` is for answers without a prediction.
    pub(super) fn new(ttl: Duration, no_data_ttl: Duration) -> Self {
        Self { ttl, no_data_ttl: no_data_ttl.min(ttl), entries: HashMap::new() }
    }

    /// Takes the time of both clocks: the monotonic one may stand still while the machine is
    /// suspended, and the calendar may be set back. The greater age counts.
    pub(super) fn read(
        &self,
        (now, wall): (Instant, SystemTime),
        query: &PredictionQuery,
    ) -> Option<CachedPrediction> {
        self.entries.get(query).map(|entry| {
            let (answered, answered_wall) = entry.answered;
            let calendar_age = wall.duration_since(answered_wall).unwrap_or_default();
            let age = now.saturating_duration_since(answered).max(calendar_age);
            let response = Arc::clone(&entry.response);
            CachedPrediction { response, age, is_fresh: age < entry.ttl }
        })
    }

    pub(super) fn store(&mut self, (now, wall): (Instant, SystemTime), answers: &Answers) {
        for (query, response) in answers {
            let ttl = if response.prediction.is_some() { self.ttl } else { self.no_data_ttl };
            let response = Arc::clone(response);
            let expires = clock::after(now, ttl);
            let entry = Entry { response, answered: (now, wall), ttl, expires };
            self.entries.insert(query.clone(), entry);
        }
        self.trim();
    }

    /// Removes the answers that expire first, above the maximum.
    fn trim(&mut self) {
        let mut excess = self.entries.len().saturating_sub(MAX_CACHED);
        let Some(index) = excess.checked_sub(1) else { return };
        let mut expiries: Vec<Instant> = self.entries.values().map(|it| it.expires).collect();
        expiries.sort_unstable();
        let last = expiries[index];
        // Many may expire at the same time: no more of them than needed.
        self.entries.retain(|_, entry| {
            let goes = excess > 0 && entry.expires <= last;
            excess -= usize::from(goes);
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use telemetry_model::{Complexity, PredictionData, PredictionMetadata, Provider, TaskType};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn queries(from: usize, count: usize) -> Vec<PredictionQuery> {
        let query = |number| {
            let model = format!("model-{number}");
            PredictionQuery::new(TaskType::Testing, model, Provider::Openai, Complexity::Low)
        };
        (from..from + count).map(query).collect()
    }

    /// Fresh for a minute, without data for ten seconds.
    fn cache() -> Cache {
        Cache::new(60 * SECOND, 10 * SECOND)
    }

    fn store(cache: &mut Cache, now: Instant, queries: &[PredictionQuery]) {
        let data = Some(PredictionData::default());
        store_answer(
            cache,
            now,
            queries,
            PredictionResponse::new(data, PredictionMetadata::default()),
        );
    }

    fn store_answer(
        cache: &mut Cache,
        now: Instant,
        queries: &[PredictionQuery],
        answer: PredictionResponse,
    ) {
        let answer = Arc::new(answer);
        let answers = queries.iter().map(|query| (query.clone(), Arc::clone(&answer))).collect();
        cache.store((now, SystemTime::UNIX_EPOCH), &answers);
    }

    fn fresh(cache: &Cache, now: Instant, queries: &[PredictionQuery]) -> usize {
        queries
            .iter()
            .filter(|query| {
                cache.read((now, SystemTime::UNIX_EPOCH), query).is_some_and(|it| it.is_fresh)
            })
            .count()
    }

    #[test]
    fn expired_answer_is_stale() {
        let (mut cache, now) = (cache(), clock::now());
        let query = queries(0, 1);
        assert_eq!(cache.read((now, SystemTime::UNIX_EPOCH), &query[0]), None);
        store(&mut cache, now, &query);
        let (almost, expired) = (60 * SECOND - SECOND / 1000, 60 * SECOND);
        for (age, is_fresh) in [(almost, true), (expired, false), (1_000 * SECOND, false)] {
            let cached = cache.read((now + age, SystemTime::UNIX_EPOCH), &query[0]).unwrap();
            assert_eq!((cached.age, cached.is_fresh), (age, is_fresh));
        }
    }

    #[test]
    fn greater_age_of_both_clocks_counts() {
        let (mut cache, now) = (cache(), clock::now());
        let query = queries(0, 1);
        store(&mut cache, now, &query);
        let later = SystemTime::UNIX_EPOCH + 60 * SECOND;
        let earlier = SystemTime::UNIX_EPOCH - 60 * SECOND;
        for (elapsed, wall, age) in [(1, later, 60), (60, earlier, 60), (59, earlier, 59)] {
            let cached = cache.read((now + elapsed * SECOND, wall), &query[0]).unwrap();
            assert_eq!((cached.age, cached.is_fresh), (age * SECOND, age < 60));
        }
    }

    #[test]
    fn answer_without_data_expires_earlier() {
        let (mut cache, now) = (cache(), clock::now());
        let query = queries(0, 1);
        store_answer(&mut cache, now, &query, PredictionResponse::default());
        assert_eq!(fresh(&cache, now + 9 * SECOND, &query), 1);
        assert_eq!(fresh(&cache, now + 10 * SECOND, &query), 0);

        let mut brief = Cache::new(SECOND, 10 * SECOND);
        store_answer(&mut brief, now, &query, PredictionResponse::default());
        assert_eq!(fresh(&brief, now + SECOND, &query), 0);
    }

    #[test]
    fn answers_that_expire_first_are_removed_above_maximum() {
        let (mut cache, now) = (cache(), clock::now());
        for second in 0..30 {
            store(&mut cache, now + second * SECOND, &queries(50 * second as usize, 50));
        }
        let later = now + 30 * SECOND;
        assert_eq!(fresh(&cache, later, &queries(0, 500)), 0);
        assert_eq!(fresh(&cache, later, &queries(500, 1_000)), 1_000);
        store(&mut cache, later, &queries(9_000, 1));
        assert_eq!(fresh(&cache, later, &queries(500, 1_000)), 999);
        assert_eq!(cache.entries.len(), MAX_CACHED);
    }

    #[test]
    fn update_of_cached_answer_removes_none() {
        let (mut cache, now) = (cache(), clock::now());
        for second in 0..20 {
            store(&mut cache, now + second * SECOND, &queries(50 * second as usize, 50));
        }
        let later = now + 30 * SECOND;
        store(&mut cache, later, &queries(950, 50));
        store(&mut cache, later, &[]);
        assert_eq!(fresh(&cache, later, &queries(0, 1_000)), 1_000);
    }

    #[test]
    fn expired_answers_are_removed_only_as_needed() {
        let (mut cache, now) = (cache(), clock::now());
        store(&mut cache, now, &queries(0, 1_000));
        let later = now + 100 * SECOND;
        store(&mut cache, later, &queries(2_000, 50));
        assert_eq!(fresh(&cache, later, &queries(2_000, 50)), 50);
        assert_eq!(cache.entries.len(), MAX_CACHED);
    }

    #[test]
    fn updated_answers_count_once() {
        let (mut cache, now) = (cache(), clock::now());
        for second in 0..20 {
            store(&mut cache, now + second * SECOND, &queries(50 * second as usize, 50));
        }
        let later = now + 30 * SECOND;
        store(&mut cache, later, &[queries(0, 25), queries(5_000, 25)].concat());
        assert_eq!(fresh(&cache, later, &queries(0, 25)), 25);
        assert_eq!(cache.entries.len(), MAX_CACHED);
    }

    #[test]
    fn update_extends_freshness() {
        let (mut cache, now) = (cache(), clock::now());
        let query = queries(0, 1);
        store(&mut cache, now, &query);
        store(&mut cache, now + 30 * SECOND, &query);
        assert_eq!(fresh(&cache, now + 89 * SECOND, &query), 1);
        assert_eq!(fresh(&cache, now + 90 * SECOND, &query), 0);
    }

    #[test]
    fn ttl_may_be_zero_or_unlimited() {
        let (now, query) = (clock::now(), queries(0, 1));
        for (ttl, known) in [(Duration::ZERO, 0), (Duration::MAX, 1)] {
            let mut cache = Cache::new(ttl, Duration::ZERO);
            store(&mut cache, now, &query);
            assert_eq!(fresh(&cache, now, &query), known);
            assert_eq!(fresh(&cache, now + 100_000_000 * SECOND, &query), known);
        }
    }
}
