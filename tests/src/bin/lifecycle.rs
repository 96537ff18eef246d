//! Runs one case of the lifecycle matrix, on the main thread of a process of its own.
//!
//! ```text
//! lifecycle NAME URL
//! ```

use std::{env, process::ExitCode};

use telemetry_tests::lifecycle::{self, Setting};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let (Some(name), Some(url)) = (arguments.next(), arguments.next()) else {
        return ExitCode::from(64);
    };
    let Some(case) = lifecycle::cases().into_iter().find(|case| case.name == name) else {
        return ExitCode::from(65);
    };
    case.run(&Setting::new(url));
    ExitCode::SUCCESS
}
