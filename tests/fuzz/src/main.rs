//! One libFuzzer program for all targets; `cargo xtask fuzz` names the target in the environment.
#![no_main]

use std::{env, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use telemetry_tests::fuzz::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = env::var("TELEMETRY_FUZZ_TARGET").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| panic!("TELEMETRY_FUZZ_TARGET: no target {name:?}"))
});

fuzz_target!(|input: &[u8]| (TARGET.check)(input));
