//! Writes the JSON Schemas of the four bodies into `docs/schema`, or into the folder that is named.
//!
//! `cargo run -p telemetry-model --features schemars --example schema`

use std::{env, fs, io, path::PathBuf};

use telemetry_model::schema;

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema")),
        PathBuf::from,
    );
    fs::create_dir_all(&folder)?;
    for (name, schema) in [
        ("event", schema::event()),
        ("batch", schema::batch()),
        ("predictions-request", schema::predictions_request()),
        ("predictions-response", schema::predictions_response()),
    ] {
        let text = serde_json::to_string_pretty(&schema)? + "\n";
        fs::write(folder.join(format!("{name}.schema.json")), text)?;
    }
    Ok(())
}
