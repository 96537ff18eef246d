//! The crates together: one binary, a module for each subject.

mod books;
mod hand_over;
mod schedule;
