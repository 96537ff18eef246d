#![doc = include_str!("../README.md")]

mod gates;
pub mod harness;
mod hash;
mod language;
mod lines;
mod paths;
#[cfg(feature = "prices")]
pub mod prices;
mod repository;
pub mod scan;
mod task;
mod timestamp;
mod turn;

pub use self::{
    gates::{Gates, Status},
    harness::{Checkpoint, Environment, Found, HARNESSES, Harness},
    task::{Labels, PriceOf, Task},
    turn::{End, Notes, Request, Turn, Usage},
};
