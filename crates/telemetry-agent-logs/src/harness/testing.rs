//! A harness for tests: a line is `turn KEY MILLISECONDS INPUT_TOKENS`, with `open` behind if it has not ended, or
//! `part KEY …` for the work of a sub-agent.

use std::{
    io,
    path::{Path, PathBuf},
};

use telemetry_model::Provider;

use super::{Checkpoint, Environment, Found, Harness};
use crate::{End, Request, Turn, Usage, lines::Lines};

/// A home folder with logs of all harnesses.
pub(crate) const HOME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/home");

#[derive(Debug)]
pub(crate) struct Scripted;

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
