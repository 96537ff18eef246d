//! Whatever happens, in virtual time: the books close, and nothing is sent twice that was accepted.

use std::{collections::HashSet, time::Duration};

use mosaicstack_telemetry::{Delivery, Response, TransportError};
use proptest::{collection::vec, prelude::*};
use telemetry_tests::{Next, Simulation, config, status, track};
use uuid::Uuid;

#[derive(Clone, Debug)]
enum Step {
    Track(usize),
    Advance(Duration),
    Poll,
    Answer(Answer),
    GiveUp,
    Flush,
    Close(Duration),
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Status(u16),
    RetryAfter(u32),
    Silence,
    Unusable,
}

fn step() -> impl Strategy<Value = Step> {
    let answer = prop_oneof![
        4 => Just(Answer::Status(200)),
        1 => prop::sample::select(vec![400, 401, 403, 404, 408, 413, 422, 429, 500, 503])
            .prop_map(Answer::Status),
        1 => (0..1000u32).prop_map(Answer::RetryAfter),
        1 => Just(Answer::Silence),
        1 => Just(Answer::Unusable),
    ];
    prop_oneof![
        40 => (0..20usize).prop_map(Step::Track),
        20 => (0..400_000u64).prop_map(|ms| Step::Advance(Duration::from_millis(ms))),
        40 => Just(Step::Poll),
        40 => answer.prop_map(Step::Answer),
        4 => Just(Step::GiveUp),
        4 => Just(Step::Flush),
        1 => (0..10_000u64).prop_map(|ms| Step::Close(Duration::from_millis(ms))),
    ]
}

fn result(answer: Answer) -> Result<Response, TransportError> {
    match answer {
        Answer::Status(code) => Ok(status(code)),
        Answer::RetryAfter(seconds) => {
            let mut response = status(429);
            response.headers_mut().insert("retry-after", seconds.into());
            Ok(response)
        }
        Answer::Silence => Err(TransportError::Timeout),
        Answer::Unusable => Err(TransportError::other("no such gateway")),
    }
}

/// What the outside of the submitter sees.
struct World {
    simulation: Simulation,
    under_way: Option<Delivery>,
    tracked: Vec<Uuid>,
    accepted: Vec<Uuid>,
    refused: u64,
    /// No request may be sent before.
    gate: Duration,
    closing: bool,
    done: bool,
}

impl World {
    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        let now = self.simulation.instant();
        match step {
            Step::Track(count) => {
                let tracked = track(&self.simulation.handle, count);
                if !self.closing {
                    self.tracked.extend(tracked);
                }
            }
            Step::Advance(by) => self.simulation.advance(by),
            Step::Poll if self.under_way.is_none() => self.poll()?,
            Step::Answer(answer) => self.answer(answer),
            Step::GiveUp => self.under_way = None,
            Step::Flush => self.simulation.submitter.flush(now),
            Step::Close(after) => {
                self.simulation.submitter.close(now, now + after);
                if !std::mem::replace(&mut self.closing, true) {
                    self.gate = Duration::ZERO;
                }
            }
            Step::Poll => {}
        }
        let stats = self.simulation.handle.stats();
        prop_assert!(stats.is_balanced(), "{stats:?}");
        prop_assert_eq!(stats.delivered, self.accepted.len() as u64);
        prop_assert_eq!(stats.rejected, self.refused);
        Ok(())
    }

    fn poll(&mut self) -> Result<(), TestCaseError> {
        match self.simulation.step() {
            Next::Sent(delivery) => {
                prop_assert!(!self.done, "sent after the end");
                prop_assert!(self.simulation.now() >= self.gate, "sent through a gate");
                self.under_way = Some(delivery);
            }
            Next::Waits(until) => prop_assert!(until > self.simulation.now(), "a hot loop"),
            Next::Done => {
                prop_assert!(self.closing);
                self.done = true;
            }
        }
        Ok(())
    }

    fn answer(&mut self, answer: Answer) {
        let Some(delivery) = self.under_way.take() else { return };
        let ids: Vec<Uuid> = delivery.events().map(|event| event.event_id).collect();
        match answer {
            Answer::Status(200) => self.accepted.extend(ids),
            Answer::Status(400 | 413 | 422) if ids.len() == 1 => self.refused += 1,
            Answer::RetryAfter(seconds) => {
                self.gate = self.simulation.now() + Duration::from_secs(seconds.into());
            }
            _ => {}
        }
        self.simulation.complete(delivery, result(answer));
    }

    fn check_end(mut self) -> Result<(), TestCaseError> {
        self.under_way = None;
        prop_assert!(self.simulation.handle.stats().is_balanced());
        let distinct: HashSet<Uuid> = self.accepted.iter().copied().collect();
        prop_assert_eq!(distinct.len(), self.accepted.len(), "accepted twice");
        let mut tracked = self.tracked.iter();
        let in_order = self.accepted.iter().all(|id| tracked.any(|other| other == id));
        prop_assert!(in_order, "the order is lost");
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_books_close_whatever_happens(
        places in 1..60usize,
        batch in 1..20usize,
        steps in vec(step(), 1..150),
    ) {
        let config = config("https://example.com").max_queue_size(places).batch_size(batch);
        let mut world = World {
            simulation: Simulation::new(&config.build().expect("a configuration")),
            under_way: None,
            tracked: Vec::new(),
            accepted: Vec::new(),
            refused: 0,
            gate: Duration::ZERO,
            closing: false,
            done: false,
        };
        for step in steps {
            world.take(step)?;
        }
        world.check_end()?;
    }
}
