//! Prints the allocations of each contender as JSON, for the section `hand-over`.
//!
//! A separate program, because the counting allocator would slow down the calls that are timed.

use telemetry_bench::{Result, print_allocations};

fn main() -> Result<()> {
    print_allocations(|call| {
        let counted = allocation_counter::measure(call);
        (counted.count_total, counted.bytes_total)
    })
}
