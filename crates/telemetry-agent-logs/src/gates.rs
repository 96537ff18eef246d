//! Quality gates that an agent ran as commands.

use std::collections::BTreeMap;

use telemetry_model::QualityGate;

/// The result of the last run of each quality gate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gates {
    last: BTreeMap<QualityGate, Status>,
}

/// The result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Status {
    /// It exited with 0.
    Passed,
    /// It exited with another status.
    Failed,
}

impl Gates {
    /// Records the end of a shell command, if it is a gate and nothing else.
    pub fn run(&self) -> Vec<QualityGate> {
        self.last.keys().cloned().collect()
    }
    pub fn failed(&self) -> Vec<QualityGate> {
        vec![]
    }
    pub fn last(&self) -> Option<Status> {
        None
    }
    pub fn record(&mut self, _command: &str, _exit_status: i64) {}
}
