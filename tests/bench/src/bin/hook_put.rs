//! A hook that reports one event with `spool::put`, for the section `spool`.

use std::env;

use mosaicstack_telemetry::spool;
use telemetry_bench::{Result, hook_config, hook_event};

fn main() -> Result<()> {
    let folder = env::args_os().nth(1).ok_or("the folder is missing")?;
    Ok(spool::put(&hook_config(folder)?, hook_event())?)
}
