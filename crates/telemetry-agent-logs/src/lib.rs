//! Finds completed tasks in the logs of coding agents.
//!
//! A [`Harness`] reads the logs of one agent. It finds [`Turn`]s: from the prompt of a person to the stop of the agent.
//! No text of a log is kept: no prompt, reply, code, command or path.

mod gates;
pub mod harness;
mod hash;
mod language;
mod lines;
mod paths;
#[cfg(feature = "prices")]
pub mod prices;
pub mod scan;
mod task;
mod timestamp;
mod turn;

pub use self::{
    gates::{Gates, Status},
    harness::{Checkpoint, Environment, Found, HARNESSES, Harness},
    task::{PriceOf, Task},
    turn::{End, Notes, Request, Turn, Usage},
};
