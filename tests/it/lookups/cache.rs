//! Cached answers, and `Retry-After`.

use super::*;

#[test]
fn fresh_answer_is_not_requested_again_unless_refreshed() {
    let all = Lookups::new();
    assert_eq!(all.complete(all.lookup(&queries(2)), answer).unwrap(), 2);

    let almost = all.now + 59 * SECOND;
    assert_eq!(done(&mut all.lookup(&queries(2)), almost).unwrap(), 2);
    let expected = [
        (all.lookup(&queries(3)), almost, &queries(3)[2..]),
        (all.refresh(&queries(2)), almost, &queries(2)),
        (all.lookup(&queries(2)), all.now + 60 * SECOND, &queries(2)),
    ];
    for (mut lookup, now, expected) in expected {
        let (request, _) = sends(&mut lookup, now);
        assert_eq!(asked(&request), expected);
    }
}

#[test]
fn answer_without_data_expires_after_its_own_time_to_live() {
    let all = Lookups::with(|config| config.no_data_cache_ttl(SECOND));
    let none = |_: &Request| answer_each(&["{\"prediction\":null}"]);
    assert_eq!(all.complete(all.lookup(&queries(1)), none).unwrap(), 1);
    assert_eq!(done(&mut all.lookup(&queries(1)), all.now + SECOND / 2).unwrap(), 1);
    asks(&mut all.lookup(&queries(1)), all.now + SECOND);
}

#[test]
fn lookup_without_time_to_live_has_an_answer_that_is_stale_at_once() {
    let all = Lookups::with(|config| config.prediction_cache_ttl(Duration::ZERO));
    assert_eq!(all.complete(all.lookup(&queries(1)), answer).unwrap(), 1);
    asks(&mut all.lookup(&queries(1)), all.now);
    let cached = all.simulation.predictions.cached(all.now, WALL, &queries(1)[0]);
    assert!(cached.is_some_and(|it| !it.is_fresh));
}

#[test]
fn default_time_to_live_is_six_hours() {
    let all = Lookups::of(&config("https://example.com").build().unwrap());
    all.complete(all.lookup(&queries(1)), answer).unwrap();
    let [known, unknown] =
        [0, 1].map(|index| all.simulation.predictions.cached(all.now, WALL, &queries(2)[index]));
    assert!(known.is_some_and(|it| it.is_fresh && it.response.prediction.is_some()));
    assert_eq!(unknown, None);
    let expires = all.now + Duration::from_secs(6 * 60 * 60);
    done(&mut all.lookup(&queries(1)), expires - Duration::from_millis(1)).unwrap();
    asks(&mut all.lookup(&queries(1)), expires);
}

#[test]
fn pause_of_a_busy_server_is_honored_and_clamped() {
    for (code, retry_after, seconds) in [
        (429, "30", 30),
        (503, "30", 30),
        (429, "99999999999", 3_600),
        // Another status, or an unreadable value.
        (403, "30", 0),
        (429, "soon", 0),
    ] {
        let all = Lookups::new();
        let result = all.complete(all.refresh(&queries(1)), |_| {
            let mut response = status(code);
            let value = http::HeaderValue::from_static(retry_after);
            response.headers_mut().insert("retry-after", value);
            Ok(response)
        });
        assert!(matches!(result, Err(PredictionError::Refused { status, .. }) if status == code));
        if seconds > 0 {
            let almost = all.now + (seconds - 1) * SECOND;
            let error = done(&mut all.lookup(&queries(1)), almost).unwrap_err();
            assert!(matches!(error, PredictionError::Paused(SECOND)), "{error:?}");
        }
        asks(&mut all.lookup(&queries(1)), all.now + seconds * SECOND);
    }
}

#[test]
fn failed_refresh_keeps_the_cached_answer() {
    let all = Lookups::new();
    all.complete(all.lookup(&queries(1)), answer).unwrap();
    let replies = [
        Ok(Response::default()),
        Ok(Response::new(r#"{"results": []}"#.into())),
        Ok(Response::new(r#"{"results": [{},{}]}"#.into())),
        Ok(status(502)),
        Err(TransportError::Timeout),
    ];
    for reply in replies {
        all.complete(all.refresh(&queries(1)), |_| reply).unwrap_err();
        assert_eq!(done(&mut all.lookup(&queries(1)), all.now).unwrap(), 1);
    }
}
