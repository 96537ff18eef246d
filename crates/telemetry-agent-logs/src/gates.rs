//! Quality gates that an agent ran as commands.
//!
//! A command counts only if its exit status is that of the gate. So these are gates: `cargo test`, and the same
//! behind assignments, behind a program that runs another one (`timeout 60`, `uv run`), in a nested shell
//! (`bash -lc "cargo test"`), and in a list as `cd crate && cargo clippy && cargo test`. Pipes, `;`, `||`, `&`,
//! substitutions and here-documents are not read: the status may be that of another command.

mod commands;
mod shell;
mod targets;
mod tools;
mod wrappers;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use telemetry_model::QualityGate;

use self::wrappers::Dialect;

/// The result of the last run of each quality gate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gates {
    by_gate: BTreeMap<QualityGate, Run>,
    last: Option<Status>,
}

/// The result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It exited with 0.
    Passed,
    /// It exited with another status.
    Failed,
}

/// The last run of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    Ended(Status),
    /// It ran in a list that failed, where another gate may be the one that failed.
    Unclear,
    /// A gate before it in a list may have failed, so it may not have run.
    Uncertain,
}

impl Gates {
    /// Records the end of a shell command, if it is a gate and nothing else.
    ///
    /// A list joined by `&&` counts if all its commands are gates or prepare them, as `cd` does. If it fails and has
    /// one gate, then that gate failed; that the `cd` failed is taken as unlikely. If it has several, then it is not
    /// known which of them failed: none counts as failed, but [`passed`](Self::passed) is false until each has run
    /// again.
    ///
    /// Statuses of commands that did not start (126, 127, on Windows 9009), that were interrupted (negative ones, 130,
    /// 137, 143) or stopped by `timeout` (124) are no runs.
    pub fn record(&mut self, command: &str, exit_status: i64) {
        if is_no_run(exit_status) {
            return;
        }
        let Some(gates) = wrappers::gates(command, Dialect::Posix, exit_status) else { return };
        let Some(first) = gates.first() else { return };
        let is_one = gates.iter().all(|gate| gate == first);
        let status = if exit_status == 0 { Status::Passed } else { Status::Failed };
        for gate in &gates {
            let run = match status {
                Status::Failed if !is_one && gate == first => Run::Unclear,
                Status::Failed if !is_one => Run::Uncertain,
                _ => Run::Ended(status),
            };
            self.by_gate.insert(gate.clone(), run);
        }
        self.last = Some(status);
    }

    /// Takes in the runs that followed these.
    pub fn merge(&mut self, later: &Self) {
        for (gate, run) in &later.by_gate {
            self.by_gate.insert(gate.clone(), *run);
        }
        self.last = later.last.or(self.last);
    }

    /// The gates that ran, in the order of the model.
    #[must_use]
    pub fn run(&self) -> Vec<QualityGate> {
        self.with(|run| *run != Run::Uncertain)
    }

    /// The gates whose last run failed, in the order of the model.
    #[must_use]
    pub fn failed(&self) -> Vec<QualityGate> {
        self.with(|run| *run == Run::Ended(Status::Failed))
    }

    /// True if a gate ran, and the last run of each gate is known to have passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.by_gate.is_empty()
            && self.by_gate.values().all(|run| *run == Run::Ended(Status::Passed))
    }

    /// The status of the command that ran last of those with gates.
    #[must_use]
    pub const fn last(&self) -> Option<Status> {
        self.last
    }

    fn with(&self, is_wanted: impl Fn(&Run) -> bool) -> Vec<QualityGate> {
        let wanted = self.by_gate.iter().filter(|(_, run)| is_wanted(run));
        wanted.map(|(gate, _)| gate.clone()).collect()
    }
}

/// True if the command did not start, or did not come to its end.
const fn is_no_run(exit_status: i64) -> bool {
    // `STATUS_CONTROL_C_EXIT` of Windows, if it is logged unsigned.
    const CONTROL_C: i64 = 0xC000_013A;
    exit_status < 0 || matches!(exit_status, 124 | 126 | 127 | 130 | 137 | 143 | 9009 | CONTROL_C)
}

#[cfg(test)]
mod tests;
