//! An empty program: the size without any SDK.

fn main() {}
