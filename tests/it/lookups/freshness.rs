//! What is cached, for how long, and when the server wants to be left alone.

use std::time::{Duration, Instant};

use mosaicstack_telemetry::{PredictionError, Response, TransportError};
use telemetry_tests::{Simulation, status};

use super::{
    SECOND, WALL, answer, answer_each, asked, asks, done, queries, sends, simulation, with,
};

#[test]
fn what_is_fresh_is_not_asked_again_unless_refreshed() {
    let simulation = simulation();
    let (handle, now) = (&simulation.handle, simulation.instant());
    let mut lookup = handle.prediction_lookup(queries(2));
    let (request, inquiry) = sends(&mut lookup, now);
    lookup.complete(now, WALL, inquiry, answer(&request));
    assert_eq!(done(&mut lookup, now).unwrap(), 2);

    let almost = now + 59 * SECOND;
    assert_eq!(done(&mut handle.prediction_lookup(queries(2)), almost).unwrap(), 2);
    let (request, _) = sends(&mut handle.prediction_lookup(queries(3)), almost);
    assert_eq!(asked(&request), queries(3)[2..]);
    let (request, _) = sends(&mut handle.prediction_refresh(queries(2)), almost);
    assert_eq!(asked(&request), queries(2));
    let (request, _) = sends(&mut handle.prediction_lookup(queries(2)), now + 60 * SECOND);
    assert_eq!(asked(&request), queries(2));
}

#[test]
fn no_data_is_asked_for_again_sooner() {
    let simulation = with(|config| config.no_data_cache_ttl(SECOND));
    let (handle, now) = (&simulation.handle, simulation.instant());
    let mut lookup = handle.prediction_lookup(queries(1));
    let (_, inquiry) = sends(&mut lookup, now);
    lookup.complete(now, WALL, inquiry, answer_each(&["{\"prediction\":null}"]));
    assert_eq!(done(&mut lookup, now).unwrap(), 1);
    assert_eq!(done(&mut handle.prediction_lookup(queries(1)), now + SECOND / 2).unwrap(), 1);
    asks(&mut handle.prediction_lookup(queries(1)), now + SECOND);
}

#[test]
fn an_answer_arrives_even_if_it_is_not_kept() {
    let simulation = with(|config| config.prediction_cache_ttl(Duration::ZERO));
    let (handle, now) = (&simulation.handle, simulation.instant());
    let mut lookup = handle.prediction_lookup(queries(1));
    let (request, inquiry) = sends(&mut lookup, now);
    lookup.complete(now, WALL, inquiry, answer(&request));
    assert_eq!(done(&mut lookup, now).unwrap(), 1);
    asks(&mut handle.prediction_lookup(queries(1)), now);
}

/// Completes one query with an answer that asks for a pause.
fn pause(simulation: &Simulation, now: Instant, code: u16, wait: &'static str) {
    let mut lookup = simulation.handle.prediction_refresh(queries(1));
    let (_, inquiry) = sends(&mut lookup, now);
    let mut response = status(code);
    response.headers_mut().insert("retry-after", http::HeaderValue::from_static(wait));
    lookup.complete(now, WALL, inquiry, Ok(response));
    assert!(matches!(done(&mut lookup, now), Err(PredictionError::Refused(_))));
}

#[test]
fn a_pause_is_over_when_the_server_said_so() {
    for code in [429, 503] {
        let simulation = simulation();
        let (handle, now) = (&simulation.handle, simulation.instant());
        pause(&simulation, now, code, "30");
        let error = done(&mut handle.prediction_lookup(queries(1)), now + 10 * SECOND).unwrap_err();
        assert!(matches!(error, PredictionError::Paused(left) if left == 20 * SECOND));
        asks(&mut handle.prediction_lookup(queries(1)), now + 30 * SECOND);
    }
}

#[test]
fn a_pause_is_clamped_and_only_a_busy_server_gets_one() {
    let clamped = simulation();
    let now = clamped.instant();
    pause(&clamped, now, 429, "99999999999");
    done(&mut clamped.handle.prediction_lookup(queries(1)), now + 3_599 * SECOND).unwrap_err();
    asks(&mut clamped.handle.prediction_lookup(queries(1)), now + 3_600 * SECOND);

    let open = simulation();
    pause(&open, open.instant(), 403, "30");
    pause(&open, open.instant(), 429, "soon");
    asks(&mut open.handle.prediction_lookup(queries(1)), open.instant());
}

#[test]
fn a_failure_keeps_what_is_cached() {
    let simulation = simulation();
    let (handle, now) = (&simulation.handle, simulation.instant());
    let mut lookup = handle.prediction_lookup(queries(1));
    let (request, inquiry) = sends(&mut lookup, now);
    lookup.complete(now, WALL, inquiry, answer(&request));
    for result in [Ok(Response::default()), Ok(status(502)), Err(TransportError::Timeout)] {
        let mut refresh = handle.prediction_refresh(queries(1));
        let (_, inquiry) = sends(&mut refresh, now);
        refresh.complete(now, WALL, inquiry, result);
        done(&mut refresh, now).unwrap_err();
        assert_eq!(done(&mut handle.prediction_lookup(queries(1)), now).unwrap(), 1);
    }
}
