//! The lifecycle matrix: what programs do to a client. Each case is run in a process of its own,
//! which `tests/it/lifecycle.rs` watches.

mod churn;
mod exits;
#[cfg(unix)]
mod forks;
mod panics;
mod places;
mod resources;
mod runtimes;
mod setting;

use self::resources::Resources;
pub use self::setting::{Setting, park_on};

/// One thing that a program does.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The claim of `docs/reliability.md` that it belongs to.
    pub claim: &'static str,
    /// What the program does.
    pub name: &'static str,
    run: fn(&Setting),
    /// Whether the server never answers.
    pub is_silent: bool,
    /// How the process ends.
    pub ends: Ends,
    /// How many events arrive.
    pub delivers: Delivers,
    /// What it says on the standard error output, of which nothing is the client's.
    pub says: Option<&'static str>,
    /// Whether something is meant to be alive when the case has been run.
    lives_on: bool,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// How many events arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivers {
    /// So many.
    Exactly(u64),
    /// As many as happen to.
    Any,
}

impl Case {
    /// A program that returns from `main`, has said nothing, delivered nothing and left nothing.
    const fn new(name: &'static str, run: fn(&Setting)) -> Self {
        Self {
            claim: "R15",
            name,
            run,
            is_silent: false,
            ends: Ends::Code(0),
            delivers: Delivers::Exactly(0),
            says: None,
            lives_on: false,
        }
    }

    /// Belongs to another claim.
    #[cfg(unix)]
    const fn of(self, claim: &'static str) -> Self {
        Self { claim, ..self }
    }

    const fn delivers(self, count: u64) -> Self {
        Self { delivers: Delivers::Exactly(count), ..self }
    }

    /// So many on Linux. Elsewhere, when a thread's values are dropped is the platform's affair.
    const fn delivers_on_linux(self, count: u64) -> Self {
        if cfg!(target_os = "linux") { self.delivers(count) } else { self.delivers_any() }
    }

    const fn delivers_any(self) -> Self {
        Self { delivers: Delivers::Any, ..self }
    }

    /// The server never answers.
    const fn silent(self) -> Self {
        Self { is_silent: true, ..self }
    }

    const fn exits(self, code: i32) -> Self {
        Self { ends: Ends::Code(code), ..self }
    }

    #[cfg(unix)]
    const fn dies(self, signal: i32) -> Self {
        Self { ends: Ends::Signal(signal), ..self }
    }

    /// It panics, which ends with this message.
    const fn says(self, message: &'static str) -> Self {
        Self { says: Some(message), ..self }
    }

    /// A client is alive at its end.
    const fn lives_on(self) -> Self {
        Self { lives_on: true, ..self }
    }

    /// Runs it, and waits until its threads and descriptors are gone.
    ///
    /// # Panics
    ///
    /// Something is not as it should be.
    pub fn run(&self, setting: &Setting) {
        // The first runtime of a process opens what tokio keeps for signals.
        drop(setting::current_thread());
        let before = Resources::now();
        (self.run)(setting);
        if !self.lives_on {
            before.are_back();
        }
    }
}

/// All cases, those that take longest first.
#[must_use]
pub fn cases() -> Vec<Case> {
    let all: &[&[Case]] = &[
        &churn::CASES,
        #[cfg(unix)]
        &forks::CASES,
        #[cfg(unix)]
        &exits::UNIX_CASES,
        &exits::CASES,
        &panics::CASES,
        &places::CASES,
        &runtimes::CASES,
    ];
    all.concat()
}
