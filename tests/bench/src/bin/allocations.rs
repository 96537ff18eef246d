//! Prints the allocations of each contender as JSON, for the section `hand-over`.
//!
//! A separate program, because the counting allocator would slow down the calls that are timed.

use telemetry_bench::{Failure, print_allocations};

fn main() -> Result<(), Failure> {
    print_allocations(|call| {
        let counted = allocation_counter::measure(call);
        (counted.count_total, counted.bytes_total)
    })
}
