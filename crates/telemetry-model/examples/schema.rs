//! Writes the JSON Schemas of the four bodies to `docs/schema`, or to the directory given as argument.
//!
//! `cargo run -p telemetry-model --features schemars --example schema`

use std::{env, fs, io, path::PathBuf};

use telemetry_model::schema;

fn main() -> io::Result<()> {
    let directory = env::args_os().nth(1).map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema")),
        PathBuf::from,
    );
    fs::create_dir_all(&directory)?;
    for (name, schema) in [
        ("event", schema::event()),
        ("batch", schema::batch()),
        ("predictions-request", schema::predictions_request()),
        ("predictions-response", schema::predictions_response()),
    ] {
        let text = serde_json::to_string_pretty(&schema)? + "\n";
        fs::write(directory.join(format!("{name}.schema.json")), text)?;
    }
    Ok(())
}
