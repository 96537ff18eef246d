//! A bar on standard error.

use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use mosaicstack_telemetry::{Notification, TelemetryConfigBuilder};

use crate::rows::count;

/// Columns of the bar itself.
const WIDTH: u64 = 30;

/// Columns of all that is drawn. A terminal with fewer repeats the line.
const LINE: usize = 70;

/// Progress of a report, drawn on one line of standard error if that is a terminal.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// `None` if standard error is no terminal.
    pub(crate) fn on_terminal() -> Option<Arc<Self>> {
        io::stderr().is_terminal().then(Arc::default)
    }

    /// Draws the progress when events are delivered.
    pub(crate) fn watch(
        self: &Arc<Self>,
        builder: TelemetryConfigBuilder,
    ) -> TelemetryConfigBuilder {
        let progress = Arc::clone(self);
        builder.on_notification(move |notification| {
            let events = match notification {
                Notification::Delivered { events } => *events as u64,
                Notification::Rejected { .. } => 1,
                _ => return,
            };
            let done = progress.done.fetch_add(events, Relaxed) + events;
            draw(&bar(done, progress.total.load(Relaxed)));
        })
    }

    /// Draws an empty bar for this number of tasks, in addition to those that wait in the spool.
    pub(crate) fn start(&self, total: u64) {
        self.total.store(total, Relaxed);
        draw(&bar(0, total));
    }
}

/// Draws a text in place of what is there.
pub(crate) fn draw(text: &str) {
    // It can be lost.
    let _ = write!(io::stderr(), "\r{text:LINE$}\r");
}

fn bar(done: u64, total: u64) -> String {
    // Events of earlier calls are sent too.
    let total = total.max(done);
    let filled = done.saturating_mul(WIDTH).checked_div(total).unwrap_or(WIDTH);
    let cells: String = (0..WIDTH).map(|it| if it < filled { '█' } else { '░' }).collect();
    format!("sending {cells} {} of {}", count(done), count(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_is_filled_by_its_share() {
        for (done, total, filled, numbers) in [
            (0, 2_000, 0, "0 of 2,000"),
            (1_000, 2_000, 15, "1,000 of 2,000"),
            (2_000, 2_000, 30, "2,000 of 2,000"),
            (2_100, 2_000, 30, "2,100 of 2,100"),
            (0, 0, 30, "0 of 0"),
        ] {
            let bar = bar(done, total);
            assert_eq!(bar.matches('█').count(), filled, "{bar}");
            assert!(bar.ends_with(numbers) && bar.chars().count() <= LINE, "{bar}");
        }
    }
}
