//! Does nothing: what a program weighs before it has any SDK.

fn main() {}
