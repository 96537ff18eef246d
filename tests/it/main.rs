//! The crates together: one binary, a module for each subject.

mod books;
mod schedule;
