//! One program for all targets, which share most of their code. An environment variable selects the
//! target; the arguments are those of libFuzzer.
#![no_main]

use std::{env, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use telemetry_tests::fuzz::{TARGETS, Target};

/// `cargo xtask fuzz` sets it.
const VARIABLE: &str = "TELEMETRY_FUZZ_TARGET";

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = env::var(VARIABLE).unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| {
        let names = TARGETS.map(|target| target.name).join(", ");
        panic!("{VARIABLE} is {name:?}, expected one of {names}")
    })
});

fuzz_target!(|input: &[u8]| (TARGET.check)(input));
