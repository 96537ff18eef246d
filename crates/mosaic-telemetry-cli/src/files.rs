//! The files of the program.

use std::{
    env, fs,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy;
use telemetry_agent_logs::{Environment, scan::State};

use crate::error::Error;

const NAME: &str = "mosaic-telemetry";

/// The folder of the configuration, and the one of what the program remembers.
#[derive(Debug)]
pub(crate) struct Folders {
    pub(crate) config: PathBuf,
    pub(crate) state: PathBuf,
}

impl Folders {
    /// The folders of this system, as `~/.config/mosaic-telemetry` and `~/.local/state/mosaic-telemetry`.
    pub(crate) fn new() -> Result<Self, Error> {
        let base = etcetera::choose_base_strategy()
            .map_err(|_| Error::Message("there is no home folder: set HOME".into()))?;
        let state = base.state_dir().unwrap_or_else(|| base.data_dir());
        Ok(Self { config: base.config_dir().join(NAME), state: state.join(NAME) })
    }

    /// The file of the [`Ledger`](crate::ledger::Ledger).
    pub(crate) fn ledger(&self) -> PathBuf {
        self.state.join("sent")
    }

    /// The file with the configuration.
    pub(crate) fn file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// Keeps other processes of this program out until the returned value is dropped.
    pub(crate) fn lock(&self) -> Result<File, Error> {
        create_folder(&self.state)?;
        let path = self.state.join("lock");
        let file = open(&path, OpenOptions::new().write(true).create(true).truncate(false))?;
        file.lock().map_err(|error| Error::file("lock", &path, &error))?;
        Ok(file)
    }

    /// Reads the state of the last scan. The default if none can be used: the next scan then reads everything.
    pub(crate) fn read_state(&self) -> State {
        let state = fs::read(self.state.join("scan")).ok();
        let state: Option<State> = state.and_then(|it| postcard::from_bytes(&it).ok());
        state.filter(|it| !it.is_outdated()).unwrap_or_default()
    }

    /// Replaces the state of the last scan.
    pub(crate) fn write_state(&self, state: &State) -> Result<(), Error> {
        let (path, new) = (self.state.join("scan"), self.state.join("scan.new"));
        let file = open(&new, OpenOptions::new().write(true).create(true).truncate(true))?;
        let result = postcard::to_io(state, io::BufWriter::new(file))
            .map_err(io::Error::other)
            .and_then(|mut file| file.flush())
            .and_then(|()| fs::rename(&new, &path));
        result.map_err(|error| Error::file("write", &path, &error))
    }
}

/// Opens a file that only this user can read.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> Result<File, Error> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path).map_err(|error| Error::file("open", path, &error))
}

/// Creates a folder and its parents for this user only, if they do not exist.
pub(crate) fn create_folder(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path).map_err(|error| Error::file("create", path, &error))
}

/// The environment with the logs of agents. With `root`, they are below it and nowhere else.
pub(crate) fn environment(root: Option<&Path>) -> Environment {
    if let Some(root) = root {
        return Environment { home: root.to_owned(), ..Environment::default() };
    }
    let home = etcetera::home_dir().unwrap_or_default();
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    Environment { variables: env::vars_os().filter_map(text).collect(), home }
}
