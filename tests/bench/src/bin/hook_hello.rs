//! A process that does nothing, for the section `spool`.

fn main() {}
