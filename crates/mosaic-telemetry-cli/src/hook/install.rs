//! Installing the hook of a coding agent, and removing it.

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::settings;
use crate::{
    cli::{Agent, InstallArgs},
    error::Error,
    files::{self, Folders},
    ledger::Ledger,
    when,
};

/// Added to the name of the settings for the copy of what was there.
const BACKUP: &str = ".before-mosaic-telemetry";

pub(crate) fn install(arguments: &InstallArgs, out: &mut dyn Write) -> Result<(), Error> {
    if !arguments.print {
        // What ends from now on is reported.
        let folders = Folders::new()?;
        let _lock = folders.lock()?;
        Ledger::open(folders.ledger(), when::now())?.add([].into_iter())?;
    }
    let home = files::environment(None).home;
    if arguments.agent == Agent::Aider && !arguments.print {
        files::create_folder(&home.join(".aider"))?;
    }
    change(arguments, out, "installed in", |agent, text, words| {
        settings::with_hook(agent, text, words, &home)
    })
}

pub(crate) fn remove(arguments: &InstallArgs, out: &mut dyn Write) -> Result<(), Error> {
    change(arguments, out, "removed from", |agent, text, _| settings::without_hook(agent, text))
}

fn change(
    arguments: &InstallArgs,
    out: &mut dyn Write,
    done: &str,
    changed: impl Fn(Agent, &str, &[String]) -> Result<String, String>,
) -> Result<(), Error> {
    let agent = arguments.agent;
    let path = settings_of(agent);
    // A link stays one: people keep settings in other places.
    let path = fs::canonicalize(&path).unwrap_or(path);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        result => result.map_err(|error| Error::file("read", &path, &error))?,
    };
    let new = changed(agent, &text, &command(agent)?)
        .map_err(|fault| Error::Message(format!("{}: {fault}", path.display())))?;
    if arguments.print {
        return Ok(out.write_all(new.as_bytes())?);
    }
    if new == text {
        return Ok(writeln!(out, "nothing to change in {}", path.display())?);
    }
    write(&path, &text, &new)?;
    writeln!(out, "{done} {}", path.display())?;
    if agent != Agent::Aider {
        writeln!(out, "it takes effect in the next session")?;
    }
    Ok(())
}

/// The words that the agent calls.
fn command(agent: Agent) -> Result<Vec<String>, Error> {
    let program = env::current_exe().map_err(|error| {
        Error::Message(format!("the path of this program is not known: {error}"))
    })?;
    let name = match agent {
        Agent::ClaudeCode => "claude-code",
        Agent::Codex => "codex",
        Agent::GeminiCli => "gemini-cli",
        Agent::Aider => "aider",
    };
    Ok(vec![program.display().to_string(), "hook".into(), name.into()])
}

fn settings_of(agent: Agent) -> PathBuf {
    let environment = files::environment(None);
    let home = environment.home;
    let folder = |variable: &str, default: &str| {
        let set = environment.variables.get(variable).filter(|it| !it.is_empty());
        set.map_or_else(|| home.join(default), PathBuf::from)
    };
    match agent {
        Agent::ClaudeCode => folder("CLAUDE_CONFIG_DIR", ".claude").join("settings.json"),
        Agent::Codex => folder("CODEX_HOME", ".codex").join("config.toml"),
        Agent::GeminiCli => folder("GEMINI_CLI_HOME", "").join(".gemini/settings.json"),
        Agent::Aider => home.join(".aider.conf.yml"),
    }
}

/// Replaces a file at once, with its permissions, and keeps a copy of what was there.
fn write(path: &Path, old: &str, new: &str) -> Result<(), Error> {
    let with = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let failed = |error| Error::file("write", path, &error);
    if let Some(folder) = path.parent() {
        files::create_folder(folder)?;
    }
    if !old.is_empty() {
        fs::copy(path, with(BACKUP)).map_err(failed)?;
    }
    let temporary = with(".new");
    fs::write(&temporary, new).map_err(failed)?;
    if let Ok(metadata) = fs::metadata(path) {
        fs::set_permissions(&temporary, metadata.permissions()).map_err(failed)?;
    }
    fs::rename(&temporary, path).map_err(failed)
}
