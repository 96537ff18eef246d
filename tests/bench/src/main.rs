//! `bench [SECTION…]` measures the sections and prints their tables; see `docs/benchmarks.md`.

fn main() -> telemetry_bench::Result<()> {
    telemetry_bench::run()
}
