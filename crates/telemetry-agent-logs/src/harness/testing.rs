//! A harness for tests: a line is `turn KEY MILLISECONDS INPUT_TOKENS`, with `open` behind if it has not ended, or
//! `part KEY …` for the work of a sub-agent.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use telemetry_model::Provider;

use super::{Checkpoint, Environment, Found, Harness};
use crate::{End, Request, Turn, Usage, lines::Lines};

/// A home folder with logs of all harnesses.
pub(crate) const HOME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/home");

#[derive(Debug)]
pub(crate) struct Scripted;

/// A folder that is removed with the value.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("agent-logs-{}-{count}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a file, and returns its path.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A turn of a second with these requests: models and input tokens.
pub(crate) fn turn(key: &str, started: i64, requests: &[(&str, u64)]) -> Turn {
    let request = |(index, (model, input)): (usize, &(&str, u64))| Request {
        id: format!("{key}-{index}"),
        model: (*model).into(),
        at: started,
        usage: Usage { input: *input, ..Usage::default() },
        cost_microdollars: None,
        is_main_loop: true,
    };
    Turn {
        key: key.into(),
        session: "session".into(),
        started,
        ended: started + 1_000,
        requests: requests.iter().enumerate().map(request).collect(),
        end: End::Stopped,
        ..Turn::default()
    }
}

impl Harness for Scripted {
    fn harness(&self) -> telemetry_model::Harness {
        "scripted".into()
    }

    fn provider(&self) -> Provider {
        Provider::Unknown
    }

    fn roots(&self, environment: &Environment) -> Vec<PathBuf> {
        vec![environment.home.clone()]
    }

    fn is_log(&self, path: &Path) -> bool {
        path.extension().is_some_and(|it| it == "log")
    }

    fn read(&self, path: &Path, from: &Checkpoint, found: &mut Found) -> io::Result<Checkpoint> {
        let mut lines = Lines::open(path, from.offset)?;
        let mut to = from.clone();
        while let Some((offset, line)) = lines.next()? {
            let line = String::from_utf8_lossy(line);
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["fail"] => return Err(io::ErrorKind::Other.into()),
                [kind, key, started, input, ref end @ ..] => {
                    let mut turn =
                        turn(key, started.parse().unwrap(), &[("", input.parse().unwrap())]);
                    turn.is_part = kind != "turn";
                    if kind == "part-of-none" {
                        turn.session = "none".into();
                    }
                    if kind != "turn" {
                        turn.key.clear();
                    }
                    if end == ["more"] {
                        turn.requests
                            .push(Request { id: "more".into(), ..turn.requests[0].clone() });
                        turn.ended += 1;
                    }
                    if end == ["open"] {
                        turn.end = End::Open;
                    }
                    found.turns.push(turn);
                    to.offset = offset;
                }
                _ => found.bad_lines += 1,
            }
        }
        Ok(to)
    }
}
