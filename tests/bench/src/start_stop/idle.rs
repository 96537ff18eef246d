//! How often a client wakes up while it has nothing to do.

use std::{sync::Arc, thread, time::Duration};

use tokio::runtime::Runtime;

use super::figure;
use crate::{
    Failure,
    carriers::{self, Carrier, Home, OURS, PEERS, Plan, Visitor},
    child,
    figure::Figure,
    usage,
};

/// How long a client is watched.
const WATCH: Duration = Duration::from_secs(60);

/// How long it is left alone before.
const BEGINNING: Duration = Duration::from_secs(2);

/// At the same time, too.
const ROUNDS: usize = 5;

/// Our default.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(300);

/// Its interval cannot be chosen.
const UNCHOSEN: &str = "sentry";

/// A runtime without a client, which is subtracted from the client in one.
const BARE: &str = "bare runtime";

/// A task that sleeps for the interval again and again. tokio keeps timers that are far away roughly and
/// wakes up to sort them in again when they come nearer.
const TIMER: &str = "floor: a timer on tokio";

/// Measures all clients, each in processes of its own, all at the same time: they do nothing.
pub(super) fn measure(port: u16) -> Result<Vec<Figure>, Failure> {
    let port = port.to_string();
    let subjects: Vec<&str> = [&OURS[..], &PEERS, &[TIMER, BARE]].concat();
    let intervals = [("wake-ups", "0"), ("wake-ups, interval of 1 s", "1000")];
    let mut cases = Vec::new();
    for (metric, interval) in intervals {
        let subjects = subjects.iter().filter(|it| interval == "0" || **it != UNCHOSEN);
        cases.extend(subjects.map(|subject| (*subject, metric, interval)));
    }
    let watch = |(subject, _, interval): &(&str, &str, &str)| {
        let children = (0..ROUNDS).map(|_| child::start(["idle-child", subject, &port, interval]));
        children.collect::<Result<Vec<_>, _>>()
    };
    let watched = cases.iter().map(watch).collect::<Result<Vec<_>, _>>()?;
    let mut rounds = Vec::new();
    for children in watched {
        let values = children.into_iter().map(child::finish::<f64>);
        rounds.push(values.collect::<Result<Vec<_>, _>>()?.concat());
    }
    let bare = |metric: &str| {
        let index = cases.iter().position(|(subject, of, _)| (*subject, *of) == (BARE, metric));
        index.map(|index| rounds[index].clone()).unwrap_or_default()
    };
    let figures = cases.iter().zip(&rounds).filter(|((subject, ..), _)| *subject != BARE);
    Ok(figures
        .map(|((subject, metric, _), values)| {
            let mut values = values.clone();
            if *subject == OURS[1] {
                values.iter_mut().zip(bare(metric)).for_each(|(value, bare)| *value -= bare);
            }
            figure(subject, metric, "per minute", values)
        })
        .collect())
}

/// Watches one client, in this process; an interval of 0 ms is its default. Returns wake-ups per minute.
///
/// # Errors
///
/// The client fails.
pub fn child(subject: &str, port: u16, interval_ms: u64) -> Result<f64, Failure> {
    let interval = (interval_ms > 0).then(|| Duration::from_millis(interval_ms));
    if subject == BARE {
        let _runtime = <Arc<Runtime> as Home>::on_a_thread()?;
        return watch();
    }
    if subject == TIMER {
        let runtime = <Arc<Runtime> as Home>::on_a_thread()?;
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(interval.unwrap_or(DEFAULT_INTERVAL)).await;
            }
        });
        return watch();
    }
    carriers::visit(subject, Idle(Plan { port, interval }))
}

struct Idle(Plan);

impl Visitor for Idle {
    type Output = f64;

    fn visit<C: Carrier>(self) -> Result<f64, Failure> {
        let home = C::Home::on_a_thread()?;
        let carrier = C::start(&home, &self.0)?;
        let wake_ups = watch()?;
        carrier.stop()?;
        Ok(wake_ups)
    }
}

fn watch() -> Result<f64, Failure> {
    thread::sleep(BEGINNING);
    let before = usage::sleeps_beside_main()?;
    thread::sleep(WATCH);
    let sleeps = usage::sleeps_beside_main()?.saturating_sub(before);
    Ok(sleeps as f64 * 60.0 / WATCH.as_secs_f64())
}
