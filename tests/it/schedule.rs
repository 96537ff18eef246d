//! Every rule of the submitter, in virtual time.

mod answers;
mod closing;
mod evictions;
mod interval;
mod retries;
mod statuses;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use mosaicstack_telemetry::{DeliveryOutcome, Health, Response, TelemetryConfig, TransportError};
use telemetry_tests::{Log, Next, Sent, Simulation, config, status, track};
use uuid::Uuid;

const INTERVAL: Duration = Duration::from_secs(300);
const SECOND: Duration = Duration::from_secs(1);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

type Answered = Result<Response, TransportError>;

fn simulation() -> Simulation {
    Simulation::new(&config("https://example.com").build().expect("a configuration"))
}

fn accept(_: &Sent) -> Answered {
    Ok(status(200))
}

fn busy(_: &Sent) -> Answered {
    Ok(status(503))
}

fn with_header(code: u16, name: &'static str, value: &'static str) -> Response {
    let mut response = status(code);
    response.headers_mut().insert(name, http::HeaderValue::from_static(value));
    response
}

fn times(simulation: &Simulation) -> Vec<Duration> {
    simulation.sent.iter().map(|sent| sent.at).collect()
}

fn sizes(simulation: &Simulation) -> Vec<usize> {
    simulation.sent.iter().map(|sent| sent.ids.len()).collect()
}

fn ids(simulation: &Simulation) -> Vec<Uuid> {
    simulation.sent.iter().flat_map(|sent| sent.ids.clone()).collect()
}

fn small_queue() -> Simulation {
    let config = config("https://example.com").max_queue_size(10).build();
    Simulation::new(&config.expect("a configuration"))
}
