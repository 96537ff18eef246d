//! `bench [SECTION…]` measures the sections and prints their tables; see `docs/benchmarks.md`.

fn main() -> Result<(), telemetry_bench::Failure> {
    telemetry_bench::run()
}
