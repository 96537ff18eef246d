//! The command `config`.

use std::{
    fs::{self, OpenOptions},
    io::{self, IsTerminal, Read, Write},
    path::Path,
};

use toml_edit::{DocumentMut, Item, Value};

use crate::{
    cli::{ConfigCommand, Flags},
    error::Error,
    files::{self, Folders},
    settings::{self, Settings},
};

/// Settings that are text, whatever it looks like.
const TEXT: [&str; 5] = ["server_url", "api_key", "instance_id", "spool_dir", "proxy"];

pub(crate) fn run(
    command: &ConfigCommand,
    flags: &Flags,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let folders = Folders::new()?;
    let path = folders.file();
    match command {
        ConfigCommand::Show => show(&folders, flags, out),
        ConfigCommand::Set { key, value } => {
            let text = match value {
                Some(_) if key == "api_key" => {
                    return Err(Error::Message(
                        "the API key is read from standard input: other users can see arguments, and shells keep \
                         them. Use `mosaic-telemetry config set api_key < FILE`"
                            .into(),
                    ));
                }
                Some(value) => value.clone(),
                None => read(key)?,
            };
            change(&path, |document| set(document, key, text.trim()))?;
            Ok(writeln!(out, "{key} is set in {}", path.display())?)
        }
        ConfigCommand::Unset { key } => {
            change(&path, |document| drop(document.remove(key)))?;
            Ok(writeln!(out, "{key} is not set in {}", path.display())?)
        }
    }
}

/// Prints each setting with its source.
pub(crate) fn show(folders: &Folders, flags: &Flags, out: &mut dyn Write) -> Result<(), Error> {
    let path = folders.file();
    let note = if path.exists() { "" } else { ", which does not exist" };
    writeln!(out, "configuration (config.toml is {}{note}):", path.display())?;
    let settings = Settings::read(folders, flags)?.shown()?;
    let width = settings.iter().map(|it| it.name.len()).max().unwrap_or_default();
    for it in settings {
        writeln!(out, "  {:width$}  {} ({})", it.name, it.value, it.source)?;
    }
    Ok(())
}

fn read(key: &str) -> Result<String, Error> {
    if io::stdin().is_terminal() {
        writeln!(io::stderr(), "{key}, and then Enter and Ctrl-D:")?;
    }
    let mut text = String::new();
    let result = io::stdin().take(1 << 16).read_to_string(&mut text);
    let failed = |error| Error::Message(format!("cannot read standard input: {error}"));
    result.map(|_| text).map_err(failed)
}

/// Changes a file that only this user can read. Keeps its comments, and all of it if the result has a new fault.
fn change(path: &Path, edit: impl FnOnce(&mut DocumentMut)) -> Result<(), Error> {
    // A link stays one.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let old = settings::read_text(path)?;
    let known = settings::issues(&old, path)?;
    let failed = |error: toml_edit::TomlError| {
        Error::Message(format!("{}: {}", path.display(), error.message()))
    };
    let mut document: DocumentMut = old.parse().map_err(failed)?;
    edit(&mut document);
    let new = document.to_string();
    let mut issues = settings::issues(&new, path)?;
    issues.retain(|it| !known.contains(it));
    if !issues.is_empty() {
        return Err(Error::Message(format!("nothing is changed: {}", issues.join("; "))));
    }
    if let Some(folder) = path.parent() {
        files::create_folder(folder)?;
    }
    let temporary = path.with_extension("toml.new");
    let _ = fs::remove_file(&temporary); // Its permissions would stay.
    let mut file = files::open(&temporary, OpenOptions::new().write(true).create_new(true))?;
    let result = file.write_all(new.as_bytes()).and_then(|()| fs::rename(&temporary, path));
    result.map_err(|error| Error::file("write", path, &error))
}

fn set(document: &mut DocumentMut, key: &str, text: &str) {
    let parsed = text.parse().ok().filter(|_| !TEXT.contains(&key));
    let is_plain = |it: &Value| it.is_bool() || it.is_integer() || it.is_float();
    let mut value = parsed.filter(is_plain).unwrap_or_else(|| Value::from(text));
    if let Some(old) = document.get_mut(key).and_then(Item::as_value_mut) {
        // A comment behind the value.
        *value.decor_mut() = old.decor().clone();
        *old = value;
    } else {
        document.insert(key, Item::Value(value));
    }
}
